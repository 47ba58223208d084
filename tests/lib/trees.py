# SPDX-License-Identifier: MIT
"""Source trees and stores that the tests make, and comparisons that stay short on failure."""

import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path

import pytest

import oracle

MTIME_NS = 1400000000123456789


def assert_same(actual, expected, what):
    """Equal bytes, or the first difference; pytest's own report of long bytes takes minutes."""
    if actual == expected:
        return
    length = min(len(actual), len(expected))
    at = next((i for i in range(length) if actual[i] != expected[i]), length)
    raise AssertionError(
        f"{what}: {len(actual)} bytes, expected {len(expected)}; the first difference is at {at}"
    )


def share_name(index):
    return f"{index:02x}"


def interesting_sizes(required, block_size=4096):
    """Sizes around every border of the formats."""
    stripe = required * block_size
    sizes = {0, 1, required - 1, required, required + 1, stripe - 1, stripe, stripe + 1}
    return sorted(sizes | {3 * stripe + stripe // 3 + 1})


def write_file(path, data, mtime_ns=MTIME_NS):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def write_sizes(folder, sizes, rng):
    """A file of random bytes for each size, named by its size. Returns name -> bytes."""
    contents = {f"size-{size}": rng.randbytes(size) for size in sizes}
    for name, data in contents.items():
        write_file(folder / name, data)
    return contents


def make_shares(share_format, data, required, shares, indexes, block_size=4096):
    """index -> share, with the mtime that write_file() gives."""
    return {
        index: oracle.make_share(
            share_format, data, required, shares, index, MTIME_NS, block_size
        )
        for index in indexes
    }


def write_shares(stores, name, shares):
    """Puts each share (index -> bytes) as `name` into the store of its index."""
    for index, share in shares.items():
        write_file(stores / f"store-{index}" / name, share)


def make_stores(stores, name, data, indexes, required=3, **how):
    """A file's shares in stores that are named by their index; returns index -> share."""
    share_format = how.pop("share_format", "checked")
    shares = make_shares(share_format, data, required, how.pop("shares", 20), indexes, **how)
    write_shares(stores, name, shares)
    return shares


def copy_files(source, target, names):
    """What `rsync -a` does for plain files: bytes and mtime."""
    for name in names:
        found = os.stat(source / name)
        write_file(target / name, (source / name).read_bytes(), found.st_mtime_ns)


def _state(path):
    found = os.lstat(path)
    content = path.read_bytes() if stat.S_ISREG(found.st_mode) else None
    return found.st_mode, found.st_mtime_ns, found.st_ctime_ns, found.st_nlink, content


def snapshot(folder):
    """Content, mode and times of all that lies in a folder, to compare with later."""
    folder = Path(folder)
    return {str(path): _state(path) for path in [folder, *sorted(folder.rglob("*"))]}


@contextlib.contextmanager
def the_kernels_caches():
    """For one test at a time: some drop them, and some count on them."""
    with open(Path(tempfile.gettempdir()) / "zfec-fs-test-caches.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_the_kernel_forget():
    """Has the kernel drop all inodes that nobody uses, so that the server hears of it."""
    try:
        with the_kernels_caches():
            Path("/proc/sys/vm/drop_caches").write_text("2", encoding="ascii")
    except OSError as error:
        pytest.skip(f"cannot make the kernel forget inodes: {error}")
