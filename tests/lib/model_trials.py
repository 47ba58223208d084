# SPDX-License-Identifier: MIT
"""The program and the model of the rules of trust, on many trees: whether they say the same."""

import os
import random
from collections import Counter, defaultdict

import model_compare
import model_compare_sealed
import model_stores
import model_trees
from conftest import SEED

CASES = int(os.environ.get("ZFEC_FS_TEST_CASES", "1000"))
ONLY = os.environ.get("ZFEC_FS_MODEL_TREE")
PARTS = {"checked": 6, "classic": 2, "fec": 2}  # the latter two in test_model_plain.py, at the same time
SEALED_PARTS = 4  # of twice as many files, in test_model_sealed.py
TREE = 1000  # files of a tree


def compare(mounts, tmp_path, number, share_format, cases, honest=False):
    """Makes one tree and looks at it. Returns (what is wrong, what there was)."""
    key = f"{share_format} {number}"
    rng = random.Random(f"{SEED} {key} {honest}")
    tree = model_trees.Tree(rng, cases, share_format, honest)
    with model_stores.fast_folder(tmp_path) as folder:
        kind = model_compare_sealed.SealedComparison if tree.sealer else model_compare.Comparison
        comparison = kind(mounts, folder / "tree", tree)
        comparison.run()
    wrong = {what: [f"{text} [tree {key}: {tree}]" for text in texts] for what, texts in comparison.wrong.items()}
    return wrong, comparison.counts


def compare_all(mounts, tmp_path, share_format, trees):
    counts, wrong = Counter(), defaultdict(list)
    for number, cases in trees:
        if ONLY and ONLY != f"{share_format} {number}":
            continue
        found, there = compare(mounts, tmp_path, number, share_format, cases)
        counts += there
        for what, texts in found.items():
            wrong[what] += texts
    print(f"seed {SEED}: {dict(counts)}")
    assert not wrong, f"seed {SEED}\n{model_compare.report(wrong)}"


def trees_of(part, parts=sum(PARTS.values()), cases=CASES, tree=TREE):
    """(number of the tree, files in it): large ones, and many of a few files."""
    left = cases // parts
    number = part * 1000000
    while left > 0:
        small = number % 8 == 7
        some = min(left, random.Random(number).randint(1, 8) if small else tree)
        yield number, some
        left -= some
        number += 1


def check_honest(mounts, tmp_path, share_format):
    wrong, _ = compare(mounts, tmp_path, 0, share_format, 40, honest=True)
    assert not wrong, f"seed {SEED}\n{model_compare.report(wrong)}"
