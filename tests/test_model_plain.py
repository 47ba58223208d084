# SPDX-License-Identifier: MIT
"""As test_model.py, for the formats without checks."""

import pytest

from model_trials import PARTS, check_honest, compare_all, trees_of

SPREAD = True
PLAIN = ("classic", "fec")


@pytest.mark.parametrize("share_format", PLAIN)
def test_honest_stores(mounts, tmp_path, share_format):
    check_honest(mounts, tmp_path, share_format)


@pytest.mark.parametrize("share_format,part", [(f, p) for f in PLAIN for p in range(PARTS[f])])
def test_random_stores(mounts, tmp_path, share_format, part):
    compare_all(mounts, tmp_path, share_format, trees_of(part))
