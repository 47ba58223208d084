# SPDX-License-Identifier: MIT
"""Pages of restored files that the kernel keeps from one open to the next: never of two contents."""

import contextlib
import mmap
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mounts as mounts_module
import trees
from reading import SETTLED_S, read_calls

UNSANITIZED = True

REQUIRED = 3
BLOCK_SIZE = 4096
STRIPE = REQUIRED * BLOCK_SIZE
STRIPES, STRIPES_SMALL = 60, 4
MIB = 1 << 20


@pytest.fixture
def stores(tmp_path):
    return tmp_path / "stores"


@pytest.fixture(params=[STRIPES, STRIPES_SMALL])
def data(rng, request):
    """Of a file that is read as it is wanted, and of one that is given to the kernel as it is opened."""
    return rng.randbytes(request.param * STRIPE - 1234)


def settle():
    """Until a change of any share would be seen in its times."""
    time.sleep(SETTLED_S)


def bytes_read(view, read):
    """What the server reads, of stores and of the kernel's requests, while something is done."""
    before = read_calls(view.process.pid)
    read()
    return read_calls(view.process.pid) - before


def put_content(stores, data, indexes, name="file"):
    """Shares of one version for all contents: of one size and one mtime."""
    trees.make_stores(stores, name, data, indexes)


# What stays


@pytest.mark.parametrize("indexes", [range(3), range(3, 6), range(6)])
def test_unchanged_files_stay_cached(mounts, stores, data, indexes):
    put_content(stores, data, indexes)
    settle()
    view = mounts.restored(stores)
    for round_number in range(5):
        if round_number == 0:
            assert bytes_read(view, (view / "file").read_bytes) > len(data)
        with trees.the_kernels_caches():
            trees.assert_same((view / "file").read_bytes(), data, "x")
            assert bytes_read(view, (view / "file").read_bytes) < STRIPE


def test_rebuilt_shares_stay_cached(mounts, stores, data):
    shares = trees.make_stores(stores, "file", data, range(4))
    (stores / "store-1" / "file").unlink()
    settle()
    view = mounts.rebuilt(stores, shares=4)
    for round_number in range(3):
        for index, share in shares.items():
            path = view / trees.share_name(index) / "file"
            if round_number == 0:
                assert bytes_read(view, path.read_bytes) > len(data)
            with trees.the_kernels_caches():
                assert path.read_bytes() == share
                assert bytes_read(view, path.read_bytes) < STRIPE


def test_two_who_have_it_open(mounts, stores, data):
    """A second one takes nothing from the first one's pages."""
    put_content(stores, data, range(4))
    settle()
    view = mounts.restored(stores)
    with open(view / "file", "rb", buffering=0) as first:
        with mmap.mmap(first.fileno(), 0, prot=mmap.PROT_READ) as pages:
            trees.assert_same(pages[:], data, "mapped")
            for _ in range(3):
                with open(view / "file", "rb", buffering=0) as second:
                    taken = bytes_read(view, lambda second=second: second.read())
                    assert taken < STRIPE
            assert bytes_read(view, lambda: pages[:]) < STRIPE


def test_shares_that_were_written_just_now(mounts, stores, data, rng):
    """The next change may be of the same tick, and not be seen: nothing is kept."""
    put_content(stores, data, range(4))
    view = mounts.restored(stores)
    for _ in range(20):
        for content in (data, rng.randbytes(len(data))):
            put_content(stores, content, range(4))
            trees.assert_same((view / "file").read_bytes(), content, "written just now")


# What comes as a file is opened

SMALL_MAX = 64 << 10


def stop(process):
    process.send_signal(signal.SIGSTOP)
    for status in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        while status.read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "Tt":
            time.sleep(0.001)


def pread_without_server(view, fd, size):
    """What the kernel has of a file; None where it asks for more."""
    stop(view.process)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(os.pread, fd, size, 0)
        try:
            return reading.result(timeout=2)
        except TimeoutError:
            return None
        finally:
            view.process.send_signal(signal.SIGCONT)


@pytest.fixture(params=["encoded", "restored", "rebuilt"])
def view_of(request, mounts, tmp_path, stores):
    """Makes a view of content: returns it, a path in it, and what is to be read there."""

    def make(content):
        shares = trees.make_stores(stores, "file", content, range(5))
        if request.param == "restored":
            return mounts.restored(stores), "file", content
        if request.param == "rebuilt":
            return mounts.rebuilt(stores, shares=5), "04/file", shares[4]
        trees.write_file(tmp_path / "source" / "file", content, trees.MTIME_NS)
        view = mounts.encoded(
            tmp_path / "source", required=REQUIRED, shares=5, block_size=BLOCK_SIZE
        )
        return view, "04/file", shares[4]

    return make


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("size", [1, 4096, 4097, 40_000])
def test_small_files_come_with_their_open(view_of, rng, size, settled):
    view, path, expected = view_of(rng.randbytes(size))
    if settled:
        settle()
    for _ in range(3):
        fd = os.open(view / path, os.O_RDONLY)
        try:
            assert len(expected) <= SMALL_MAX
            assert pread_without_server(view, fd, len(expected)) == expected
        finally:
            os.close(fd)


def test_large_files_are_read_when_they_are_wanted(view_of, rng):
    view, path, expected = view_of(rng.randbytes(REQUIRED * SMALL_MAX + 1))
    assert len(expected) > SMALL_MAX
    fd = os.open(view / path, os.O_RDONLY)
    try:
        assert pread_without_server(view, fd, len(expected)) is None
        assert os.pread(fd, len(expected), 0) == expected
    finally:
        os.close(fd)


# What does not


def overwrite(path, share):
    with open(path, "r+b") as file:
        file.write(share)


def replace(path, share):
    path.with_name("new").write_bytes(share)
    path.with_name("new").rename(path)


def edit_shares(stores, data, indexes, edit):
    """Shares of another content, with the size and the times that they had."""
    for index, share in trees.make_shares("checked", data, REQUIRED, 20, indexes).items():
        path = stores / f"store-{index}" / "file"
        edit(path, share)
        os.utime(path, ns=(trees.MTIME_NS, trees.MTIME_NS))


@pytest.mark.parametrize("edit", [overwrite, replace])
@pytest.mark.parametrize("first", [0, 1])
def test_another_content_of_the_same_version(mounts, stores, data, rng, edit, first):
    """Also where the share that the file's status comes from is the one that stays as it was."""
    other = rng.randbytes(len(data))
    put_content(stores, data, range(4))
    settle()
    view = mounts.restored(stores)
    assert (view / "file").read_bytes() == data
    edit_shares(stores, other, range(first, 4), edit)
    if edit is replace:
        trees.assert_same((view / "file").read_bytes(), other, "right after the edit")
    settle()
    for _ in range(3):
        trees.assert_same((view / "file").read_bytes(), other, "later")


def test_two_contents_are_not_mixed(mounts, stores, data, rng):
    """Half of a file is read and kept; then other stores are left, and it is read again. At first
    one content is in more stores."""
    other = rng.randbytes(len(data))
    put_content(stores, data, range(4))
    put_content(stores, other, range(4, 7))
    settle()
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: file: (store|bytes) ", 0)
    with open(view / "file", "rb", buffering=0) as file:
        assert file.read(len(data) // 2) == data[: len(data) // 2]
    for index in (1, 2):
        (stores / f"store-{index}" / "file").unlink()
    trees.assert_same((view / "file").read_bytes(), other, "what is left")


def assert_stripe(fd, data, part):
    at = round(part * len(data) / STRIPE) * STRIPE
    assert os.pread(fd, STRIPE, at) == data[at : at + STRIPE]


def test_two_contents_while_it_is_open(mounts, stores, data, rng):
    """Who has it open goes on with what it was; who opens it gets what is there; pages of neither
    come to the other."""
    other = rng.randbytes(len(data))
    put_content(stores, data, range(4))
    settle()
    view = mounts.restored(stores)
    with open(view / "file", "rb", buffering=0) as first:
        fd = first.fileno()
        assert first.read(STRIPE) == data[:STRIPE]
        edit_shares(stores, other, range(1, 4), replace)
        settle()
        with open(view / "file", "rb", buffering=0) as second:
            assert second.read(STRIPE) == other[:STRIPE]
            assert_stripe(fd, data, 2 / 3)
            trees.assert_same(second.read(), other[STRIPE:], "opened after it")
            assert_stripe(fd, data, 5 / 6)
        trees.assert_same((view / "file").read_bytes(), other, "opened later")
    for _ in range(3):
        trees.assert_same((view / "file").read_bytes(), other, "alone again")


def test_damage_under_kept_pages(mounts, stores, data, rng):
    """A byte is flipped in a share whose pages are kept: the next one who opens it does not see it."""
    put_content(stores, data, range(4))
    settle()
    view = mounts.restored(stores)
    assert (view / "file").read_bytes() == data
    view.expect_log(r"^zfec-fs: file: store .*/store-\d: block \d+ is bad: it does not verify$")
    for index in range(3):
        path = stores / f"store-{index}" / "file"
        share = bytearray(path.read_bytes())
        share[64 + 16 + rng.randrange(BLOCK_SIZE) + index * (BLOCK_SIZE + 32)] ^= 1
        overwrite(path, share)
        settle()
        for _ in range(2):
            trees.assert_same((view / "file").read_bytes(), data, "around the damage")


def test_two_who_have_a_damaged_file_open(mounts, stores, data):
    """Damage that is made up for takes no one's pages: the file can be mapped by both."""
    put_content(stores, data, range(4))
    share = (stores / "store-0" / "file").read_bytes()
    overwrite(stores / "store-0" / "file", share[:1000] + b"damage" + share[1006:])
    settle()
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: file: store .*/store-0: block 0 is bad: it does not verify$")
    with open(view / "file", "rb") as first, open(view / "file", "rb") as second:
        for file in (first, second):
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
                trees.assert_same(pages[:], data, "mapped")
    trees.assert_same((view / "file").read_bytes(), data, "later")


# cache=no


@pytest.fixture(params=["encoded", "restored"])
def past_pages(request, mounts, stores, tmp_path, data):
    """A view that keeps no pages, a file in it, and its content."""
    if request.param == "restored":
        put_content(stores, data, range(4))
        view = mounts.restored(stores, cache="no")
        path, content = view / "file", data
    else:
        trees.write_file(tmp_path / "source" / "file", data)
        view = mounts.encoded(tmp_path / "source", required=1, shares=2, cache="no")
        path = view / "01" / "file"
        content = trees.make_shares("checked", data, 1, 2, [1], block_size=65536)[1]
    settle()
    return view, path, content


def test_nothing_is_kept_where_it_is_not_wanted(past_pages, data):
    """The server may keep a stripe, but not the file."""
    view, path, content = past_pages
    for _ in range(3):
        read = bytes_read(view, lambda: trees.assert_same(path.read_bytes(), content, "x"))
        assert read > len(data) // 2 > STRIPE


def test_what_is_not_kept_can_be_mapped(past_pages):
    _, path, content = past_pages
    with open(path, "rb") as file:
        for _ in range(2):
            with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as pages:
                trees.assert_same(pages[:], content, "mapped")
            assert os.pread(file.fileno(), 1000, len(content) - 500) == content[-500:]


def test_no_edit_is_missed_without_pages(mounts, tmp_path, rng):
    """And who has an older version open, and mapped, keeps it."""
    path = trees.write_file(tmp_path / "source" / "file", b"")
    view = mounts.encoded(tmp_path / "source", required=1, shares=1, format="fec", cache="no")
    with contextlib.ExitStack() as stack:
        kept = []
        for size in (100, 100_000, 100_000, 5, 70_000):
            data = rng.randbytes(size)
            path.write_bytes(data)
            file = stack.enter_context(open(view / "00" / "file", "rb"))
            whole = file.read()
            pages = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
            kept.append((stack.enter_context(pages), pages[:]))
            assert pages[:] == whole and whole.endswith(data)
            for mapped, before in kept:
                trees.assert_same(mapped[:], before, "an older one")


# What it costs


def test_closed_files_hold_nothing_open(mounts, stores, rng):
    """Many files of many stores are read and closed: no descriptor is left, and memory is bounded."""
    data, count, links = rng.randbytes(30 * STRIPE), 96, 2000 if mounts_module.IS_LONG else 300
    for index, share in trees.make_shares("checked", data, REQUIRED, count, range(count)).items():
        path = trees.write_file(stores / f"store-{index}" / "file-0", share)
        for number in range(1, links):
            os.link(path, path.with_name(f"file-{number}"))
    settle()
    view = mounts.restored(stores)
    descriptors = Path(f"/proc/{view.process.pid}/fd")
    (view / "file-0").read_bytes()
    before, memory = len(list(descriptors.iterdir())), memory_of(view)
    for number in range(links):
        with open(view / f"file-{number}", "rb", buffering=0) as file:
            assert file.read(100) == data[:100]
    assert len(list(descriptors.iterdir())) <= before + 2 * count  # the last one's close is late
    if not mounts_module.is_sanitized(view.process):
        assert memory_of(view) - memory < 32 * MIB


def memory_of(view):
    text = Path(f"/proc/{view.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024
