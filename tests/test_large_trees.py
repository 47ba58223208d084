# SPDX-License-Identifier: MIT
"""Many files: memory, descriptors, and folders that are long or deep.

ZFEC_FS_TEST_LARGE=1 makes it a million files, and half a million in one folder; that takes longer
than a mount of a test may live (ZFEC_FS_TEST_LIMIT, in seconds).
"""

import os
import subprocess

import pytest

import mounts as mounts_module
import oracle
import trees
from reading import wait_until_idle

UNSANITIZED = True

LARGE = os.environ.get("ZFEC_FS_TEST_LARGE") == "1"
FILES, FOLDERS = (1_000_000, 10_000) if LARGE else (50_000, 500)
ENTRIES = 500_000 if LARGE else 20_000 if mounts_module.IS_LONG else 4_000
BYTES_PER_INODE = 200
DESCRIPTORS = 300


def make_tree(folder):
    """FILES small files in FOLDERS folders."""
    for number in range(FOLDERS):
        path = folder / f"folder-{number % 100}" / f"deeper-{number}"
        path.mkdir(parents=True)
        for file in range(FILES // FOLDERS):
            fd = os.open(path / f"a-file-{file}", os.O_CREAT | os.O_WRONLY)
            os.close(fd)


def memory_of(process):
    """Bytes of its own that a process has in memory."""
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    return int(fields["Private_Dirty"].split()[0]) * 1024


def count_descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def walk(folder):
    done = subprocess.run(
        ["find", folder, "-size", "+1000k"], check=True, capture_output=True, text=True
    )
    assert done.stdout == ""


def skip_sanitized(view):
    if mounts_module.is_sanitized(view.process):
        pytest.skip("a sanitizer keeps freed memory: it says nothing")


def test_memory_of_a_walk(mounts, tmp_path):
    """So much for each inode that the kernel holds, and next to nothing once it has let them go."""
    make_tree(tmp_path / "source")
    view = mounts.encoded(tmp_path / "source", required=1, shares=2)
    skip_sanitized(view)
    os.listdir(view / "00")
    before = memory_of(view.process)
    walk(view / "00")
    assert count_descriptors(view.process) < DESCRIPTORS
    inodes = FILES + FOLDERS
    held = memory_of(view.process) - before
    assert inodes * 20 < held <= inodes * BYTES_PER_INODE + (4 << 20), held / inodes
    trees.make_the_kernel_forget()
    wait_until_idle(view.process.pid)
    left = memory_of(view.process) - before
    assert left < held / 4 + (1 << 20), (held, left)


@pytest.fixture
def long_folder(tmp_path):
    """Files whose sizes say their names."""
    folder = tmp_path / "source" / "long"
    folder.mkdir(parents=True)
    for number in range(ENTRIES):
        fd = os.open(folder / f"{number:x}", os.O_CREAT | os.O_WRONLY)
        os.ftruncate(fd, number % 1000)
        os.close(fd)
    return folder


def test_long_folder(mounts, tmp_path, long_folder):
    """Listed, looked at, and copied."""
    view = mounts.encoded(tmp_path / "source", required=1, shares=2)
    shown = view / "01" / "long"
    assert sorted(os.listdir(shown)) == sorted(os.listdir(long_folder))
    for entry in os.scandir(shown):
        size = int(entry.name, 16) % 1000
        assert entry.stat(follow_symlinks=False).st_size == oracle.checked_size(size, 1, 65536)
    (tmp_path / "stores").mkdir()
    subprocess.run(["rsync", "-a", f"{shown}/", tmp_path / "stores" / "01"], check=True)
    restored = mounts.restored(tmp_path / "stores")
    done = subprocess.run(
        ["rsync", "-aHnic", "--delete", f"{long_folder}/", f"{restored.path}/"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == ""


def test_deeper_than_a_path_may_be_long(mounts, tmp_path):
    """By relative steps, as find and rsync go."""
    (tmp_path / "source").mkdir()
    depth, name = 40, "n" * 200
    start = os.open(tmp_path / "source", os.O_RDONLY)
    at = start
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at), "wb") as file:
        file.write(b"deep" * 100)
    os.close(at)
    view = mounts.encoded(tmp_path / "source", required=1, shares=1)
    at = os.open(view / "00", os.O_RDONLY)
    for _ in range(depth):
        assert os.listdir(at) == [name]
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    with open(os.open("file", os.O_RDONLY, dir_fd=at), "rb") as file:
        assert b"deep" * 100 in file.read()
    os.close(at)
    done = subprocess.run(["find", ".", "-name", "file"], cwd=view / "00", check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout.count(name) == depth
