# SPDX-License-Identifier: MIT
"""Runs the unit tests, cmocka executables, that Meson built beside the program."""

import os
import subprocess

import pytest

import mounts as mounts_module

SPREAD = EVERY_LEAK = True
FOLDER = mounts_module.BINARY.parent / "tests" / "unit"
LIMIT_S = 300
# Freed memory is kept for so long only: what is made anew and anew else always lies in new pages.
QUARANTINE = "quarantine_size_mb=8:thread_local_quarantine_size_kb=256"


def executables():
    return sorted(path for path in FOLDER.glob("test-*") if path.is_file() and path.suffix == "")


def test_there_are_some():
    assert executables(), f"no test-* in {FOLDER}"


@pytest.mark.parametrize("path", executables(), ids=lambda path: path.name)
def test_unit(path):
    done = subprocess.run(
        [path],
        check=False,
        cwd=mounts_module.REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        env=os.environ | {"ASAN_OPTIONS": f"{QUARANTINE}:{os.environ.get('ASAN_OPTIONS', '')}"},
    )
    print(done.stdout)
    assert done.returncode == 0
    assert not mounts_module.SANITIZER.search(done.stdout)
