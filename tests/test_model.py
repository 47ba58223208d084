# SPDX-License-Identifier: MIT
"""The program against the model of the rules of trust (model.py), on random stores.

ZFEC_FS_TEST_CASES says how many files there are in all. A failure names its tree;
    ZFEC_FS_MODEL_TREE="checked 17" ZFEC_FS_TEST_SEED=... ./test -n 0 -k model
makes that one alone again.
"""

import pytest

from model_trials import PARTS, check_honest, compare_all, trees_of

SPREAD = True


def test_honest_stores(mounts, tmp_path):
    check_honest(mounts, tmp_path, "checked")


@pytest.mark.parametrize("part", range(PARTS["checked"]))
def test_random_stores(mounts, tmp_path, part):
    compare_all(mounts, tmp_path, "checked", trees_of(part))
