# SPDX-License-Identifier: MIT
"""Runs the fuzz targets on what lies in their corpora: seeds, and what a fuzzer once found."""

import subprocess

import pytest

import mounts as mounts_module

CORPUS = mounts_module.REPOSITORY / "tests" / "fuzz" / "corpus"
PROGRAMS = mounts_module.BINARY.parent / "tests" / "fuzz"
TARGETS = ("block", "header", "key", "manifest", "trust")
FILES_MAX = 200


def files_of(target):
    return sorted((CORPUS / target).iterdir())


def replay(target, folder):
    return subprocess.run(
        [PROGRAMS / f"fuzz-{target}-replay", folder],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=60,
    )


def test_every_target_has_a_corpus():
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)
    assert sum(len(files_of(target)) for target in TARGETS) < FILES_MAX


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target):
    done = replay(target, CORPUS / target)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == f"{len(files_of(target))} files"
    assert not mounts_module.SANITIZER.search(done.stdout)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_to_run_is_no_success(target, tmp_path):
    assert replay(target, tmp_path).returncode == 1
    assert replay(target, tmp_path / "missing").returncode == 1
