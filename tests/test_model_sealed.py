# SPDX-License-Identifier: MIT
"""The model of the rules of trust on random sealed stores, with the key and without it.

As test_model.py, which says how to repeat a tree; there are twice as many files.
"""

import pytest

from model_trials import CASES, SEALED_PARTS, check_honest, compare_all, trees_of

SPREAD = True
TREE = 300  # files of a tree: Python encrypts them while the mounts' limit of time runs


def test_honest_stores(mounts, tmp_path):
    check_honest(mounts, tmp_path, "sealed")


@pytest.mark.parametrize("part", range(SEALED_PARTS))
def test_random_stores(mounts, tmp_path, part):
    compare_all(mounts, tmp_path, "sealed", trees_of(part, SEALED_PARTS, 2 * CASES, TREE))
