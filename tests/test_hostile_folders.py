# SPDX-License-Identifier: MIT
"""Folders of many entries and deep ones in stores, and names that could mislead who reads the log."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

import hostile
import mounts as mounts_module
import trees
from hostile import DATA, LARGE, REQUIRED, check_memory, restored, within

SPREAD = True
stores = hostile.stores  # a fixture


# Large folders, deep ones, odd names


@pytest.fixture
def quick_path():
    """A folder in memory where there is one: files are made there a few times faster."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-", dir=parent) as folder:
        yield Path(folder)


@mounts_module.unsanitized
@pytest.mark.parametrize("all_have", [False, True], ids=["in one store", "in all"])
def test_many_entries(mounts, quick_path, all_have):
    """A folder is far too large: it is listed, but for what one store alone has; and others go on."""
    count = 1_000_000 if LARGE else 50_000 if mounts_module.IS_LONG else 10_000
    trees.make_stores(quick_path, "file", DATA, (0, 1, 2))
    for index in range(3):
        (quick_path / f"store-{index}" / "many").mkdir()
        folder = os.open(quick_path / f"store-{index}" / "many", os.O_RDONLY)
        for number in range(count if all_have or index == 0 else 0):
            name = f"an-entry-of-the-many-{number}"
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.close(folder)
    view = restored(mounts, quick_path)
    with within(60):
        assert sum(1 for _ in os.scandir(view / "many")) == (count if all_have else 0)
    with within(1):
        assert (view / "file").read_bytes() == DATA
    check_memory(view, (100 << 20) + 600 * count)


def step_into(name, folder):
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    os.close(folder)
    return below


def make_deep(top, depth, name, content):
    """`depth` folders, one in the other, and a file in the last one."""
    top.mkdir(parents=True, exist_ok=True)
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        here = step_into(name, here)
    file = os.open("file", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=here)
    os.write(file, content)
    for each in (file, here):
        os.close(each)


def remove_deep(top, name):
    """shutil.rmtree and rm stumble over paths that are too long."""
    here = os.open(top, os.O_RDONLY)
    while name in os.listdir(here):
        os.rename(name, "going", src_dir_fd=here, dst_dir_fd=here)
        below = os.open("going", os.O_RDONLY, dir_fd=here)
        for each in os.listdir(below):
            os.rename(each, each, src_dir_fd=below, dst_dir_fd=here)
        os.close(below)
        os.rmdir("going", dir_fd=here)
    os.close(here)


@mounts_module.unsanitized
@pytest.mark.parametrize("depth", [300, *mounts_module.if_long(2100)])
def test_deep_folders(mounts, stores, depth):
    """So many levels that the path, of 4200 bytes, is longer than PATH_MAX."""
    name = "d" * (4200 // depth - 1)
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, (0, 1, 2))
    for index, share in shares.items():
        make_deep(stores / f"store-{index}", depth, name, share)
    view = restored(mounts, stores)
    with within(60):
        here = os.open(view.path, os.O_RDONLY)
        for _ in range(depth):
            here = step_into(name, here)
        assert os.listdir(here) == ["file"]
        file = os.open("file", os.O_RDONLY, dir_fd=here)
        assert os.read(file, 100) == DATA
        for each in (file, here):
            os.close(each)
    view.unmount()
    for index in shares:
        remove_deep(stores / f"store-{index}", name)


ODD_NAMES = [
    b"new\nline",
    b"zfec-fs: a forged line\nzfec-fs: and another",
    b"\x1b[2Jescape",
    b"\x7f\x01\x1f",
    b"\xff\xfe\x80",
    b"\xf0" * 255,
    "na\u00efve \u2603".encode(),
    b"%s%n%d",
    b"back\\slash",
    b"-",
    b"...",
]


def damaged_stores(stores, names):
    """Of each name a file that cannot be restored, with a bad block, so that the log speaks of it."""
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, (0, 1, 2))
    for index, share in shares.items():
        folder = stores / f"store-{index}"
        folder.mkdir()
        for name in names:
            damaged = share[:-1] + bytes([share[-1] ^ 1]) if index == 1 else share
            with open(os.path.join(os.fsencode(folder), name), "wb") as file:
                file.write(damaged)


def log_of(view):
    view.unmount()
    return view._log_path.read_bytes()


def test_odd_names_in_the_log(mounts, stores):
    damaged_stores(stores, ODD_NAMES)
    view = restored(mounts, stores)
    here = os.fsencode(view.path)
    assert sorted(os.listdir(here)) == sorted(ODD_NAMES)
    for name in ODD_NAMES:
        with pytest.raises(OSError, match="Input/output error"):
            with open(os.path.join(here, name), "rb") as file:
                file.read()
    log = log_of(view)
    lines = log.split(b"\n")[:-1]
    assert len(lines) == 2 * len(ODD_NAMES)
    assert all(line.startswith(b"zfec-fs: ") for line in lines)
    assert not any(byte < 0x20 or byte == 0x7F for line in lines for byte in line)
    for escaped in (rb"new\x0aline", rb"\x1b[2Jescape", rb"\x7f\x01\x1f", b"%s%n%d"):
        assert sum(escaped in line for line in lines) == 2, escaped


def test_control_characters_beyond_ascii_in_the_log(mounts, stores):
    """U+0085 is a line's end and U+009B begins a command, to a terminal as to Python."""
    names = ["next\u0085line".encode(), "command\u009b2J".encode(), b"raw\x9b2J", b"raw\x85line"]
    damaged_stores(stores, names)
    view = restored(mounts, stores)
    view.expect_log("", count=0)
    for name in names:
        with contextlib.suppress(OSError):
            os.stat(os.path.join(os.fsencode(view.path), name))
            with open(os.path.join(os.fsencode(view.path), name), "rb") as file:
                file.read()
    text = log_of(view).decode(errors="surrogateescape")
    found = {character for character in text if "\x80" <= character <= "\x9f"}
    found |= {character for character in text if "\udc80" <= character <= "\udc9f"}
    assert not found
