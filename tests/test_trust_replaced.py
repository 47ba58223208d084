# SPDX-License-Identifier: MIT
"""Shares that are replaced while a file is open give errors or one of both versions, and no mixture."""

import errno
import os
import shutil
import subprocess
import threading
import time

import pytest

import commands
import held_reads
import trees
import trusting
from commands import FAILED, LOST, OK
from trusting import BLOCK_SIZE, MTIME_NS, NEWER, is_of

make = trusting.make  # a fixture

MIB = 1 << 20
SIZE = 8 * MIB
KEPT_S = 1
FAR = 6 * MIB  # behind what is read ahead


# Shares that are replaced while a file is open


def write_in_place(path, share):
    with open(path, "r+b", buffering=0) as file:
        file.write(share)
        file.truncate()


def in_place(stores, data, names):
    for name in names:
        write_in_place(stores.path(name), stores.share(data, name, NEWER))
        os.utime(stores.path(name), ns=(NEWER, NEWER))


def in_place_with_the_old_time(stores, data, names):
    """The version is the same; the kernel knows that the file is not."""
    for name in names:
        write_in_place(stores.path(name), stores.share(data, name))
        os.utime(stores.path(name), ns=(MTIME_NS, MTIME_NS))


def by_rsync_inplace(stores, data, names):
    if not shutil.which("rsync"):
        pytest.skip("rsync is missing")
    for name in names:
        trees.write_file(stores.base / "new" / name / "a", stores.share(data, name, NEWER), NEWER)
        places = f"{stores.base}/new/{name}/", f"{stores.folder}/{name}/"
        subprocess.run(["rsync", "-a", "--inplace", *places], check=True, timeout=60)


REPLACED = pytest.mark.parametrize(
    "replace",
    [in_place, in_place_with_the_old_time, by_rsync_inplace],
    ids=lambda each: each.__name__,
)


class Opened:
    """A file of the view that is open, and read past the kernel's pages, by one of three ways."""

    def __init__(self, path, how):
        self._how = how
        self.file = os.open(path, os.O_RDONLY | (os.O_DIRECT if how == "direct" else 0))

    def read(self, at, count=BLOCK_SIZE):
        if self._how == "forgotten":
            os.posix_fadvise(self.file, 0, 0, os.POSIX_FADV_DONTNEED)
        return trusting.read_at(self.file, at, count)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.file)


WAYS = pytest.mark.parametrize("how", ["direct", "forgotten", "cache=no"])


def view_for(stores, mounts, how):
    return stores.view(mounts, **({"cache": "no"} if how == "cache=no" else {}))


@WAYS
@REPLACED
def test_shares_replaced_in_place_give_errors_and_no_mixture(make, mounts, replace, how):
    stores = make(2, 4)
    old, new = stores.put(size=SIZE), stores.rng.randbytes(SIZE)
    view = view_for(stores, mounts, how)
    with Opened(view / "a", how) as opened:
        assert is_of(opened.read(0), old, 0)
        replace(stores, new, stores.names)
        for at in (FAR, SIZE - BLOCK_SIZE, 3 * MIB):
            assert opened.read(at) == errno.EIO, at
        stores.settle()
        trees.assert_same((view / "a").read_bytes(), new, "opened again")
        if how != "forgotten":  # what the kernel has of it is anyone's
            assert opened.read(FAR - 2 * MIB) == errno.EIO, "also while another has it open"
    stores.decode(expected={"a": new})
    stores.check(status=OK)


@WAYS
def test_enough_shares_that_are_not_replaced_give_the_old_version(make, mounts, how):
    stores = make(2, 4)
    old, new = stores.put(size=SIZE), stores.rng.randbytes(SIZE)
    view = view_for(stores, mounts, how)
    with Opened(view / "a", how) as opened:
        assert is_of(opened.read(0), old, 0)
        in_place_with_the_old_time(stores, new, ["00", "01"])
        for at in (FAR, SIZE - BLOCK_SIZE, 3 * MIB):
            assert is_of(opened.read(at), old, at)


@WAYS
def test_shares_replaced_by_rename_stay_the_old_version(make, mounts, how):
    stores = make(2, 4)
    old, new = stores.put(size=SIZE), stores.rng.randbytes(SIZE)
    view = view_for(stores, mounts, how)
    with Opened(view / "a", how) as opened:
        assert is_of(opened.read(0), old, 0)
        for name in stores.names:
            moved = trees.write_file(stores.base / "moved", stores.share(new, name, NEWER), NEWER)
            moved.rename(stores.path(name))
        for at in (FAR, SIZE - BLOCK_SIZE, 3 * MIB):
            assert is_of(opened.read(at), old, at)
        trees.assert_same((view / "a").read_bytes(), new, "opened again")


@pytest.mark.parametrize("size", [5, 5000, SIZE])
def test_of_one_descriptor_time_and_bytes_are_of_one_version(make, mounts, size):
    """Else a copy of the old bytes would have the new time, and pass for the new file ever after."""
    stores = make(2, 4)
    old, new = stores.put(size=size), stores.rng.randbytes(size)
    view = view_for(stores, mounts, "pages")
    with open(view / "a", "rb", buffering=0) as file:
        for name in stores.names:
            moved = trees.write_file(stores.base / "moved", stores.share(new, name, NEWER), NEWER)
            moved.rename(stores.path(name))
        # Also when the kernel asks again: it keeps what it was told for a second.
        until = time.monotonic() + KEPT_S + 0.5
        while time.monotonic() < until:
            assert os.fstat(file.fileno()).st_mtime_ns == MTIME_NS
            threading.Event().wait(0.1)
        trees.assert_same((view / "a").read_bytes(), new, "opened again")
        assert os.fstat(file.fileno()).st_mtime_ns == MTIME_NS
        assert is_of(os.pread(file.fileno(), 4096, 0), old, 0)


class HeldEach(held_reads.HeldReads):
    """Holds reads at every so many."""

    def __init__(self, paths, step):
        self._left = self._step = step
        super().__init__(paths)

    def _receive(self, file):
        with self._changed:
            self._left -= 1
            if self._left == 0:
                self._holding = True
            super()._receive(file)

    def go_on(self):
        with self._changed:
            self._left = self._step
            self.release()


@pytest.fixture
def hold_each():
    made = []

    def hold(paths, step):
        try:
            made.append(HeldEach(paths, step))
        except OSError as error:
            pytest.skip(f"cannot hold reads up (needs root and fanotify): {error}")
        return made[-1]

    yield hold
    for held in made:
        held.close()


def has_data(path):
    try:
        with open(path, "rb", buffering=0) as file:
            return os.lseek(file.fileno(), 0, os.SEEK_DATA) >= 0
    except OSError:
        return False


def hold_in_the_middle(held, process, folder, largest):
    """Until a part of what the process makes of a large file is there, and not all."""
    while True:
        assert held.wait_for(1), f"it read the file at once: {process.poll()}"
        parts = folder.glob(commands.TEMPORARY + "*") if folder.exists() else ()
        if any(path.stat().st_size > largest and has_data(path) for path in parts):
            return
        held.go_on()


def assert_stopped_decode_notices(stores, hold_each, replace, words, new):
    """Held in the middle of the file, decode finds other shares when it goes on."""
    out = stores.base / "out"
    held = hold_each([stores.path(name) for name in stores.names], 8)
    process = commands.start("decode", "-j", "1", *words, stores.folder, out)
    hold_in_the_middle(held, process, out, 10_000)
    replace(stores, new, stores.names)
    held.release()
    result = commands.finish(process)
    made = set(os.listdir(out))
    assert "a" not in made, "a file of two contents"
    assert result.status in (LOST, FAILED), result.errors
    assert "a" in {line.get("path") for line in result.json}, "it is not told"
    assert set(trusting.WITNESSES) <= made
    assert not commands.leftovers(out)


@REPLACED
@pytest.mark.parametrize("words", [[], ["--checksum"]], ids=["plain", "checksum"])
def test_decode_makes_no_file_of_shares_that_are_replaced_meanwhile(
    make, hold_each, replace, words
):
    stores = make(2, 4)
    stores.put(size=SIZE)
    new = stores.rng.randbytes(SIZE)
    assert_stopped_decode_notices(stores, hold_each, replace, words, new)
    shutil.rmtree(stores.base / "out")
    stores.settle()
    stores.decode(expected={"a": new})


def test_nor_repair_a_share(make, hold_each):
    """What it would write to 04 is of the old content or the new, or it writes nothing."""
    stores = make(2, 5)
    old, new = stores.put(size=SIZE), stores.rng.randbytes(SIZE)
    stores.path("04").unlink()
    held = hold_each([stores.path(name) for name in stores.names[:4]], 8)
    process = commands.start("repair", "-j", "1", stores.folder)
    hold_in_the_middle(held, process, stores.folder / "04", 10_000)
    in_place_with_the_old_time(stores, new, stores.names[:4])
    held.release()
    commands.finish(process)
    if stores.path("04").exists():
        found = stores.path("04").read_bytes()
        whole = found in (stores.share(old, "04"), stores.share(new, "04"))
        assert whole, "a share of two contents"
    for name in stores.names[:4]:
        trees.assert_same(stores.path(name).read_bytes(), stores.share(new, name), name)
