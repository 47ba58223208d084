# SPDX-License-Identifier: MIT
"""Round trips of trees that are really used: the source, shares of it, and the restored view."""

import multiprocessing
import os
import random
import shutil
import subprocess
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor

import pytest

import trees

LARGE = os.environ.get("ZFEC_FS_TEST_LARGE") == "1"
LIMIT_S = 7200 if LARGE else 120
SPARE_SHARES = 3
MIB = 1 << 20

# A source that came back: where it was, the view in which it is, and which parts were taken.
Restored = namedtuple("Restored", "source view parts")


def run(*words, **how):
    """Runs a program that has to succeed; returns what it printed."""
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is missing")
    how.setdefault("env", {**os.environ, "LC_ALL": "C"})
    how.setdefault("input", b"")
    done = subprocess.run(words, check=False, capture_output=True, timeout=LIMIT_S, **how)
    said = (done.stdout[-2000:] + done.stderr[-2000:]).decode(errors="replace")
    assert done.returncode == 0, f"{words[:4]}: exit {done.returncode}: {said}"
    return done.stdout


def in_child(function, *arguments):
    """For what reads through a mapping: where that fails, the process is gone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as processes:
        return processes.submit(function, *arguments).result(LIMIT_S)


def choose_shares(rng, required):
    """Any k, in any order, and among them one that is computed, and no plain piece."""
    while True:
        chosen = rng.sample(range(required + SPARE_SHARES), required)
        if max(chosen) >= required:
            return chosen


def rsync(source, target, parts, *more):
    """Times count to the nanosecond; without the window, rsync looks at seconds only."""
    words = ["-aHAXR", "--modify-window=-1", *more, "--", *parts, f"{target}/"]
    return run("rsync", *words, cwd=source)


def copy(source, target, parts):
    target.mkdir(parents=True)
    rsync(source, target, parts)


def round_trip(mounts, source, stores, rng, parts=(".",)):
    required = rng.randint(2, 4)
    encoded = mounts.encoded(source, required=required, shares=required + SPARE_SHARES)
    for number, index in enumerate(choose_shares(rng, required)):
        copy(encoded / trees.share_name(index), stores / f"store-{number}", parts)
    encoded.unmount()
    return mounts.restored(stores)


@pytest.fixture
def restore(mounts, tmp_path, rng):
    return lambda source: round_trip(mounts, source, tmp_path / "stores", rng).path


@pytest.fixture(scope="module")
def rngs(module_rng):
    """One for each tree that tests share, so that it does not matter which of them comes first."""
    return {name: random.Random(module_rng.random()) for name in ("system", "git", "project")}
