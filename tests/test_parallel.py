# SPDX-License-Identifier: MIT
"""A slow read holds up no other request, and no stripe is read over and over."""

import concurrent
import contextlib
import functools
import mmap
import os
import re
from pathlib import Path

import pytest

import held_reads
import mounts as mounts_module
import oracle
import trees
from reading import wait_until_idle

UNSANITIZED = True

MIB = 1 << 20
PIECE = 128 * 1024
LIMIT_S = 30
REQUIRED = 3


@pytest.fixture
def watch():
    """Watches reads of files, which its result can hold, until the test's end."""
    opened = []

    def start(paths):
        try:
            opened.append(held_reads.HeldReads(paths))
        except OSError as error:
            pytest.skip(f"cannot hold reads up (needs root and fanotify): {error}")
        return opened[-1]

    yield start
    for held in opened:
        held.close()


# Each in a folder of its own: with libfuse before 3.17 the kernel asks for one name of a folder at
# a time, and it is not for the server to change that.
def slow_names(count):
    return [f"slow/{number}/file" for number in range(count)]


# Files up to 64 KiB are read as they are opened.
SMALL, LARGE = b"x" * 5000, b"x" * 100_000


def encoded_files(mounts, tmp_path, count, content=LARGE):
    """The sources of slow files, and a view of them and of a quick one."""
    slow = [trees.write_file(tmp_path / "source" / name, content) for name in slow_names(count)]
    trees.write_file(tmp_path / "source" / "quick" / "file", b"quick")
    view = mounts.encoded(tmp_path / "source", required=1, shares=2)
    return slow, view / "01", oracle.make_share("checked", b"quick", 1, 2, 1, trees.MTIME_NS)


def restored_files(mounts, tmp_path, count, content=LARGE):
    """Shares of slow files, in one store of three, and a view of them and of a quick one."""
    stores = tmp_path / "stores"
    trees.make_stores(stores, "quick/file", b"quick", (0, 1, 2))
    for name in slow_names(count):
        trees.make_stores(stores, name, content, (0, 1, 2))
    slow = [stores / "store-2" / name for name in slow_names(count)]
    return slow, mounts.restored(stores).path, b"quick"


def ask_for_everything_else(folder, quick):
    """One of each request that a user makes, none of them for a slow file."""
    assert sorted(os.listdir(folder)) == ["quick", "slow"]
    assert os.listdir(folder / "quick") == ["file"]
    assert (folder / "quick" / "file").stat().st_size > 0
    assert not (folder / "quick" / "missing").exists()
    os.statvfs(folder)
    assert (folder / "quick" / "file").read_bytes() == quick


def check_while_held(held, count, jobs, ask):
    """Asks while `count` of the jobs' reads are held; then lets the jobs end."""
    held.hold()
    with concurrent.futures.ThreadPoolExecutor(len(jobs) + 1) as pool:
        try:
            slow = [pool.submit(job) for job in jobs]
            assert held.wait_for(count) >= count, "not all slow requests have reached the disk"
            pool.submit(ask).result(LIMIT_S)
            assert not any(job.done() for job in slow)
        finally:
            held.release()
        for job in slow:
            assert job.result(LIMIT_S)


@pytest.mark.parametrize("make", [encoded_files, restored_files])
@pytest.mark.parametrize("count", [1, 16])
def test_slow_reads_hold_up_no_other_request(mounts, tmp_path, watch, make, count):
    paths, folder, quick = make(mounts, tmp_path, count)
    held = watch(paths)
    files = [os.open(folder / name, os.O_RDONLY) for name in slow_names(count)]
    try:
        reads = [functools.partial(os.pread, file, 100, 0) for file in files]
        ask = functools.partial(ask_for_everything_else, folder, quick)
        check_while_held(held, count, reads, ask)
    finally:
        for file in files:
            os.close(file)


def open_and_read(path, content):
    with open(path, "rb") as file:
        return file.read() == content


@pytest.mark.parametrize("make", [encoded_files, restored_files])
@pytest.mark.parametrize("count", [1, 16])
def test_slow_opens_hold_up_no_other_request(mounts, tmp_path, watch, make, count):
    """Small files are read as they are opened."""
    paths, folder, quick = make(mounts, tmp_path, count, SMALL)
    held = watch(paths)
    content = SMALL
    if make is encoded_files:
        content = oracle.make_share("checked", SMALL, 1, 2, 1, trees.MTIME_NS)
    opens = [functools.partial(open_and_read, folder / name, content) for name in slow_names(count)]
    ask = functools.partial(ask_for_everything_else, folder, quick)
    check_while_held(held, count, opens, ask)


@pytest.mark.parametrize("count", [1, 16])
def test_slow_headers_hold_up_no_other_request(mounts, tmp_path, watch, count):
    """Restored files' sizes are read from their shares; nobody else must wait for that."""
    _, folder, quick = restored_files(mounts, tmp_path, count)
    paths = [path for name in slow_names(count) for path in (tmp_path / "stores").glob(f"*/{name}")]
    stats = [(folder / name).stat for name in slow_names(count)]
    ask = functools.partial(ask_for_everything_else, folder, quick)
    check_while_held(watch(paths), count, stats, ask)


# What the server reads for what it is asked


def bytes_read(process):
    text = Path(f"/proc/{process.pid}/io").read_text(encoding="ascii")
    return int(re.search(r"rchar: (\d+)", text)[1])


def read_in_pieces(path, piece):
    """Reads a file past the page cache, so that each piece is a request."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        # A buffer on a page's border: any other takes a page more, which 1 MiB has no room for.
        buffer = mmap.mmap(-1, piece)
        parts = []
        while count := os.preadv(file, [buffer], sum(map(len, parts))):
            parts.append(bytes(buffer[:count]))
        return b"".join(parts)
    finally:
        os.close(file)


@pytest.mark.parametrize("piece", [PIECE, 16 * 1024])
def test_encoding_reads_each_stripe_once(mounts, tmp_path, rng, piece):
    data = rng.randbytes(12 * MIB)
    trees.write_file(tmp_path / "source" / "file", data)
    view = mounts.encoded(tmp_path / "source", required=REQUIRED, shares=6)
    before = bytes_read(view.process)
    share = read_in_pieces(view / "05" / "file", piece)
    trees.assert_same(
        share, oracle.make_share("checked", data, REQUIRED, 6, 5, trees.MTIME_NS), "share 5"
    )
    assert bytes_read(view.process) - before < 1.25 * len(data) + MIB


@pytest.mark.parametrize("share_format", oracle.FORMATS)
@pytest.mark.parametrize("piece", [PIECE, 16 * 1024])
def test_restoring_reads_each_stripe_once(mounts, tmp_path, rng, piece, share_format):
    data = rng.randbytes(12 * MIB)
    trees.make_stores(
        tmp_path, "file", data, (3, 7, 11), block_size=65536, share_format=share_format
    )
    view = mounts.restored(tmp_path, format=share_format)
    before = bytes_read(view.process)
    trees.assert_same(read_in_pieces(view / "file", piece), data, "file")
    assert bytes_read(view.process) - before < 1.25 * len(data) + MIB


@pytest.mark.parametrize("view_name", ["encoded", "restored"])
def test_large_reads_are_single_requests(mounts, tmp_path, view_name):
    """With -d, libfuse's log says how long each answer is: 1 MiB and its header of 16 bytes."""
    data = bytes(4 * MIB)
    if view_name == "encoded":
        trees.write_file(tmp_path / "source" / "file", data)
        view = mounts.encoded(tmp_path / "source", "-d", required=1, shares=1)
        path = view / "00" / "file"
    else:
        trees.make_stores(tmp_path / "stores", "file", data, (3, 7, 11), block_size=65536)
        view = mounts.restored(tmp_path / "stores", "-d")
        path = view / "file"
    view.expect_log("")
    read_in_pieces(path, MIB)
    assert f"outsize: {MIB + 16}" in view.log()


def peak_memory(process):
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024


@pytest.fixture
def view_of_long_names(mounts, tmp_path):
    """5000 names of 255 bytes, as share folders beyond number."""
    (tmp_path / "source").mkdir()
    for number in range(5000):
        (tmp_path / "source" / f"{number:0>255}").touch()
    view = mounts.encoded(tmp_path / "source", required=1, shares=40)
    if mounts_module.is_sanitized(view.process):
        pytest.skip("a sanitizer keeps freed memory: its peak says nothing")
    return view


def test_what_the_kernel_forgets_is_forgotten(view_of_long_names):
    """Walks over 60000 files or more, 18 MB of names, take the memory of a few thousand."""
    view = view_of_long_names
    walk_and_forget(view, 0)
    before = peak_memory(view.process)
    for index in range(1, 40 if mounts_module.IS_LONG else 12):
        walk_and_forget(view, index)
    assert peak_memory(view.process) - before < 10 * MIB


def walk_and_forget(view, index):
    assert sum(entry.stat().st_size for entry in os.scandir(view / f"{index:02x}")) == 5000 * 64
    trees.make_the_kernel_forget()
    wait_until_idle(view.process.pid)


def test_memory_is_bounded(mounts, tmp_path):
    """Reading much, by many at once, takes no more than a few stripes for each of them."""
    path = trees.write_file(tmp_path / "source" / "file", b"")
    os.truncate(path, 256 * MIB)
    view = mounts.encoded(tmp_path / "source", required=REQUIRED, shares=6)
    if mounts_module.is_sanitized(view.process):
        pytest.skip("a sanitizer keeps freed memory: its peak says nothing")
    before = peak_memory(view.process)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: read_in_pieces(view / f"0{n}" / "file", MIB), range(6)))
    assert peak_memory(view.process) - before < 64 * MIB


def test_memory_of_many_open_files(mounts, tmp_path, rng):
    """What is kept of files that were not read lately is given up, and made again when it is."""
    full = 3 * 65536
    data = rng.randbytes(4 * full)
    trees.make_stores(tmp_path / "stores", "file", data, range(3), block_size=65536)
    view = mounts.restored(tmp_path / "stores")
    if mounts_module.is_sanitized(view.process):
        pytest.skip("a sanitizer keeps freed memory: its peak says nothing")
    before = peak_memory(view.process)
    with contextlib.ExitStack() as stack:
        files = [os.open(view / "file", os.O_RDONLY | os.O_DIRECT) for _ in range(600)]
        for file in files:
            stack.callback(os.close, file)
        for file in files + rng.sample(files, 50):
            for at in (full, 3 * full):
                assert os.pread(file, 4096, at) == data[at : at + 4096]
    assert peak_memory(view.process) - before < 140 * MIB
