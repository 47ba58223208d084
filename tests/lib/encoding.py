# SPDX-License-Identifier: MIT
"""Sources that are encoded, what an encode of them makes, and runs that are cut short."""

import contextlib
import json
import os
import re
import shutil
import signal

import pytest

import commands
import disks
import trees
import whole_tree
from commands import FAILED, compare_with_view, run

fast_place = disks.fast_place  # a fixture

K, N = 3, 5
ENCODE = ["-k", str(K), "-n", str(N)]


def make_deep(folder):
    """A path of more than PATH_MAX bytes, with a file at its end."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(25):
        name = "d" * 200
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    with open(os.open("end", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=here), "wb") as file:
        file.write(b"deep")
    os.utime("end", ns=(1, 7), dir_fd=here)
    os.close(here)


@pytest.fixture(scope="module")
def everything(fast_place, module_rng):
    """A tree with all that there is."""
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is missing")
    folder = whole_tree.make_tree(fast_place / "source", module_rng)
    make_deep(folder)
    return folder


def make_source(folder, rng, files=6):
    """A small tree with what runs trip over: links, an empty file, directories in directories."""
    for number in range(files):
        trees.write_file(folder / f"file-{number}", rng.randbytes(rng.randrange(1, 40_000)))
    trees.write_file(folder / "dir" / "inner" / "file", rng.randbytes(20_000))
    trees.write_file(folder / "dir" / "empty", b"")
    os.link(folder / "dir" / "inner" / "file", folder / "again")
    (folder / "link").symlink_to("dir/inner")
    os.mkfifo(folder / "fifo")
    os.setxattr(folder / "file-0", "user.note", b"\0\xff")
    return folder


@pytest.fixture
def source(tmp_path, rng):
    return make_source(tmp_path / "source", rng)


@pytest.fixture
def encoded(tmp_path, source):
    """The source's shares, made a moment ago."""
    run("encode", *ENCODE, source, tmp_path / "out")
    return tmp_path / "out"


def check_shares(mounts, source, destination, **options):
    compare_with_view(mounts, source, destination, required=K, shares=N, **options)


def bytes_read(trace, path):
    """From strace's output: what was read of one file, in whatever way."""
    calls = re.findall(rf"\b\w*read\w*\(\d+<{re.escape(str(path))}>.*= (\d+)$", trace, re.M)
    assert not re.search(rf"mmap\(.*<{re.escape(str(path))}>", trace)
    return sum(map(int, calls))


def make_many(folder, rng, generation=0, files=300, sizes=(0, 10, 3000, 20_000)):
    """The contents of a tree that takes a while; each generation has others."""
    contents = {}
    for number in range(files):
        name = f"dir-{number % 7}/file-{number}"
        contents[name] = rng.randbytes(rng.choice(sizes) + generation)
        trees.write_file(folder / name, contents[name], trees.MTIME_NS + generation)
    return contents


@contextlib.contextmanager
def started(*words):
    """A run that has made something and is far from its end; its first line, too."""
    process = commands.start(*words)
    try:
        first = process.stdout.readline()
        assert json.loads(first)["action"] == "made"
        yield process, first
    finally:
        process.kill()
        process.communicate()


def check_second_is_refused(words, *others):
    """While a run is under way, others on a target of it wait, but not for ever; it ends well."""
    with started(*words) as (process, first):
        worker = commands.worker_of(process)
        os.kill(worker, signal.SIGSTOP)
        waiting = [commands.start(*other) for other in (words, *others)]
        for refused in map(commands.finish, waiting):
            told = refused.errors.splitlines()
            assert len(told) == 2 and all("another run writes there" in line for line in told)
            assert refused.status == FAILED and refused.summary["made"] == 0
        os.kill(worker, signal.SIGCONT)
        assert commands.finish(process, first).status == 0
