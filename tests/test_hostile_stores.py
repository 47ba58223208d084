# SPDX-License-Identifier: MIT
"""Stores that lie, or that are made to lead the server astray: never a wrong byte, never a hang,
never a step outside the stores."""

import contextlib
import ctypes
import errno
import os
import signal
import stat
import subprocess
import threading
import time

import pytest

import hostile
import mounts as mounts_module
import trees
from hostile import DATA, LARGE, REQUIRED, check_lost, put_socket, read_or_errno, restored, within

stores = hostile.stores  # a fixture

SPREAD = True
_libc = ctypes.CDLL(None, use_errno=True)


# Symlinks


def link_absolute(link, target):
    link.symlink_to(target)


def link_relative(link, target):
    link.symlink_to(os.path.relpath(target, link.parent))


def link_by_chain(link, target):
    """By two more links, beside it in the store."""
    (link.parent / "hop-1").symlink_to("hop-2")
    (link.parent / "hop-2").symlink_to(target)
    link.symlink_to("hop-1")


def link_by_climbing(link, target):
    """Up to the root by many "..", and down again."""
    link.symlink_to("../" * 60 + str(target)[1:])


def link_by_proc(link, target):
    link.symlink_to(f"/proc/self/root{target}")


LINKS = [link_absolute, link_relative, link_by_chain, link_by_climbing, link_by_proc]


def two_inside_one_outside(stores, outside, name):
    """Shares 0 and 1 of a file in their stores, and the third one that is needed outside."""
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, (0, 1, 2))
    trees.write_shares(stores, name, {index: shares[index] for index in (0, 1)})
    trees.make_stores(stores, "whole", DATA, (0, 1, 2))
    return trees.write_file(outside / name, shares[2])


@pytest.mark.parametrize("make_link", LINKS)
@pytest.mark.parametrize("linked", ["a/b/c/file", "a/b/c", "a/b", "a"])
def test_symlink_out_of_a_store(mounts, stores, tmp_path, make_link, linked):
    """Whatever part of a path is a symlink in one store, it leads nowhere."""
    two_inside_one_outside(stores, tmp_path / "outside", "a/b/c/file")
    link = stores / "store-2" / linked
    link.parent.mkdir(parents=True, exist_ok=True)
    make_link(link, tmp_path / "outside" / linked)
    assert (stores / "store-2" / "a/b/c/file").stat().st_size > 0, "the link is no way out"
    check_lost(restored(mounts, stores), "a/b/c/file")


@pytest.mark.parametrize("make_link", LINKS)
def test_symlink_in_the_only_store(mounts, stores, tmp_path, make_link):
    """Where nothing else is, the symlink itself shows; the server does not follow it."""
    trees.write_file(tmp_path / "outside" / "secret", DATA)
    (stores / "store-0").mkdir()
    make_link(stores / "store-0" / "link", tmp_path / "outside")
    view = restored(mounts, stores)
    assert os.readlink(view / "link") == os.readlink(stores / "store-0" / "link")
    assert stat.S_ISLNK((view / "link").lstat().st_mode)


def exchange(one, other):
    """Swaps two names at once, by renameat2."""
    at_here, rename_exchange = -100, 2
    if _libc.renameat2(at_here, os.fsencode(one), at_here, os.fsencode(other), rename_exchange):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Swapping(threading.Thread):
    """Exchanges two names in a store again and again."""

    def __init__(self, one, other):
        super().__init__(daemon=True)
        self.names = one, other
        self.count = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            exchange(*self.names)
            self.count += 1

    def __enter__(self):
        exchange(*self.names)
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        assert self.count > 100


def test_folder_that_becomes_a_symlink_meanwhile(mounts, stores, tmp_path):
    """What was a folder when it was looked at is a way out when it is used."""
    outside = tmp_path / "outside"
    two_inside_one_outside(stores, outside, "a/file")
    (stores / "store-2" / "a").mkdir()
    (stores / "store-2" / "link").symlink_to(outside / "a")
    view = restored(mounts, stores)
    found = set()
    with Swapping(stores / "store-2" / "a", stores / "store-2" / "link"):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            found.add(read_or_errno(view / "a" / "file"))
    assert found == {errno.EIO}


# What must not be opened


def put_device(path):
    if os.geteuid() != 0:
        pytest.skip("needs root to make a device")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


SPECIAL = {"fifo": os.mkfifo, "socket": put_socket, "device": put_device}


class Opens:
    """Sees whether anyone opens a file in earnest, by inotify; O_PATH is no opening."""

    _IN_OPEN = 0x20

    def __init__(self, paths):
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in paths:
            assert _libc.inotify_add_watch(self._fd, os.fsencode(path), self._IN_OPEN) >= 0

    def happened(self):
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._fd, 4096))
        return False

    def close(self):
        os.close(self._fd)


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("many", [1, 3], ids=["in one store", "in most stores"])
def test_special_files_are_never_opened(mounts, stores, kind, many):
    trees.make_stores(stores, "other", DATA, range(5))
    trees.make_stores(stores, "file", DATA, (0, 1, 2) if many == 1 else (0, 1))
    places = [stores / f"store-{4 - number}" / "file" for number in range(many)]
    for place in places:
        SPECIAL[kind](place)
    opens = Opens(places)
    view = restored(mounts, stores)
    with within(10):
        assert sorted(os.listdir(view.path)) == ["file", "other"]
        if many == 1:
            assert (view / "file").read_bytes() == DATA
        else:
            assert stat.S_IFMT((view / "file").lstat().st_mode) == stat.S_IFMT(
                places[0].lstat().st_mode
            )
        assert os.listxattr(view / "file", follow_symlinks=False) == []
    assert not opens.happened()
    with open(stores / "store-0" / "file", "rb") as file:
        file.read()
    opens.close()


def test_opens_are_seen(tmp_path):
    """That nothing was opened above means something only if it shows here."""
    path = trees.write_file(tmp_path / "file", DATA)
    opens = Opens([path])
    os.close(os.open(path, os.O_PATH))
    assert not opens.happened()
    path.read_bytes()
    assert opens.happened()
    opens.close()


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_file_for_a_folder(mounts, stores, kind):
    trees.make_stores(stores, "folder/file", DATA, (0, 1, 2))
    (stores / "other").mkdir()
    SPECIAL[kind](stores / "other" / "folder")
    view = restored(mounts, stores)
    with within(10):
        assert os.listdir(view / "folder") == ["file"]
        assert (view / "folder" / "file").read_bytes() == DATA


def test_share_that_becomes_a_fifo_meanwhile(mounts, stores):
    """The fourth of the shares is now a share and now a FIFO, which would block its opener."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2, 3))
    os.mkfifo(stores / "store-3" / "fifo")
    view = restored(mounts, stores)
    with Swapping(stores / "store-3" / "file", stores / "store-3" / "fifo"), within(15):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert (view / "file").read_bytes() == DATA


# Stores that disagree on what a name is


@pytest.mark.parametrize("folders", range(1, 6))
def test_folder_here_and_file_there(mounts, stores, folders):
    """Of 6 stores some have a folder of the name and the others a share; most decide, if any."""
    trees.make_stores(stores, "other", DATA, range(6))
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, range(6))
    for index in range(6):
        if index < folders:
            trees.write_file(stores / f"store-{index}" / "name" / "below", b"below")
            os.utime(stores / f"store-{index}" / "name", ns=(0, trees.MTIME_NS - 1 - index))
        else:
            trees.write_file(stores / f"store-{index}" / "name", shares[index])
    view = restored(mounts, stores)
    if folders == 3:
        with pytest.raises(OSError, match="Input/output error"):
            (view / "name").lstat()
    elif folders > 3:
        assert stat.S_ISDIR((view / "name").lstat().st_mode)
        assert os.listdir(view / "name") == ["below"]
    else:
        assert (view / "name").read_bytes() == DATA
        with pytest.raises(NotADirectoryError):
            os.listdir(view / "name")
    of_folders, of_files = (
        " ".join(f"store-{index}" for index in indexes)
        for indexes in (range(folders), range(folders, 6))
    )
    lines = [line for line in view.log().splitlines() if line.startswith("zfec-fs: name: ")]
    assert lines and all(f"a directory in {of_folders}, a file in {of_files}" in each for each in lines)


# Mountpoints within the stores


def check_ends(folder, expected):
    """A walk through the view ends, and finds these files."""
    walk = subprocess.run(
        ["find", folder, "-type", "f"], check=True, capture_output=True, text=True, timeout=60
    )
    assert sorted(walk.stdout.splitlines()) == sorted(f"{folder}/{name}" for name in expected)


RENEWED_S = 2.2  # the list of stores is older than a second for certain


@pytest.mark.parametrize("place", ["mnt", "store-2/mnt", "store-2"])
@pytest.mark.parametrize("switch", [[], ["-s"]], ids=["threads", "single"])
def test_mountpoint_within_the_stores(mounts, stores, place, switch):
    """A store that is the view itself is no store, and a folder that is the view is empty."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2, 3))
    if place == "store-2/mnt":
        (stores / "store-3" / "mnt").mkdir()
    view = mounts.restored(stores, *switch, at=stores / place, nonempty=True)
    view.expect_log(r"^zfec-fs: ", count=0)
    check_own_mount(view)
    if place == "store-2/mnt":
        assert os.listdir(view / "mnt") == []
    else:
        time.sleep(RENEWED_S)
        check_own_mount(view)


def check_own_mount(view):
    with within(10):
        check_ends(view.path, ["file"])
        assert (view / "file").read_bytes() == DATA


@pytest.mark.skipif(not LARGE, reason="takes a minute: ZFEC_FS_TEST_LARGE=1")
def test_two_views_that_are_stores_of_each_other(mounts, tmp_path):
    """They may find that they do not answer each other; what they must not do is hang."""
    for name in ("one", "two"):
        trees.make_stores(tmp_path / name, f"file-{name}", DATA, (0, 1, 2))
    views = [restored(mounts, tmp_path / "one", at=tmp_path / "two" / "mnt")]
    views.append(restored(mounts, tmp_path / "two", at=tmp_path / "one" / "mnt"))
    with within(100):
        time.sleep(RENEWED_S)
        for view, name in zip(views, ("one", "two")):
            assert f"file-{name}" in os.listdir(view.path)
            assert (view / f"file-{name}").read_bytes() == DATA
    for view in views:
        view.kill()  # each keeps the other's mount busy


# The end of the server


def test_killed_while_it_is_copied_from(mounts, stores, tmp_path, rng):
    """The stores stay as they are, and whoever reads gets an error once the mount is gone."""
    for number in range(20):
        trees.make_stores(stores, f"folder/file-{number}", rng.randbytes(500_000), (0, 1, 3))
    before = trees.snapshot(stores)
    for number in range(6):
        view = mounts.restored(stores, at=tmp_path / f"killed-{number}")
        copies = [
            subprocess.Popen(["cp", "-r", view.path, tmp_path / f"copy-{number}-{copy}"],
                             stderr=subprocess.DEVNULL)
            for copy in range(3)
        ]  # fmt: skip
        time.sleep(rng.uniform(0, 0.15))
        os.kill(view.process.pid, signal.SIGKILL)
        assert mounts_module.wait_for_exit(view.process.pid)
        view.kill()
        for copy in copies:
            assert mounts_module.wait_for_exit(copy.pid, 10), "a reader hangs"
            copy.wait()
    assert trees.snapshot(stores) == before
    view = mounts.restored(stores)
    assert len(list((view / "folder").iterdir())) == 20
