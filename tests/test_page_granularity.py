# SPDX-License-Identifier: MIT
"""One bad stripe of a large file: every other page is read, however a reader goes about it."""

import errno
import os
import subprocess
import sys

import pytest

import oracle
import trees

PAGE = 4096
REQUIRED = 2
STRIPES = 600
# The stripe is as large as two pages, and the file ends within a page.
STRIPE = REQUIRED * PAGE
SIZE = STRIPES * STRIPE - 5000
BLOCK_STEP = PAGE + 32
BAD = (0, 7, 8, 100, 300, 399, STRIPES - 1)
PAGES = oracle.ceil_div(SIZE, PAGE)
BAD_PAGES = {page for stripe in BAD for page in (2 * stripe, 2 * stripe + 1) if page < PAGES}


@pytest.fixture(scope="module")
def data(module_rng):
    return module_rng.randbytes(SIZE)


@pytest.fixture(scope="module")
def shares(data):
    """Two shares, in one of which a block of each bad stripe is damaged."""
    made = trees.make_shares("checked", data, REQUIRED, 20, (0, 3))
    damaged = bytearray(made[3])
    for stripe in BAD:
        damaged[oracle.HEADER_SIZE + stripe * BLOCK_STEP + 20] ^= 1
    made[3] = bytes(damaged)
    return made


@pytest.fixture
def path(mounts, tmp_path, shares):
    """The file in a view of its own, so that the kernel has none of its pages."""
    trees.write_shares(tmp_path / "stores", "file", shares)
    view = mounts.restored(tmp_path / "stores")
    view.expect_log(r"^zfec-fs: file: ")
    return view / "file"


def pages_of(offset, length):
    return range(offset // PAGE, oracle.ceil_div(min(offset + length, SIZE), PAGE))


def check_read(data, offset, length, found):
    """Of a range with a bad page in it, at most what is before that may come, and no wrong byte."""
    right = data[offset : offset + length]
    first_bad = next((page for page in pages_of(offset, length) if page in BAD_PAGES), None)
    if first_bad is None:
        trees.assert_same(found, right, f"{length} bytes at {offset}")
    else:
        limit = max(0, first_bad * PAGE - offset)
        assert len(found) <= limit, f"{len(found)} bytes at {offset}: page {first_bad} is bad"
        trees.assert_same(found, right[: len(found)], f"{length} bytes at {offset}")
        assert found, f"0 bytes at {offset} are the end of the file"


def read_steadily(file, data, length):
    """Reads on as `dd conv=noerror` does: after an error one page is left out. Returns those."""
    lost, at = [], 0
    while at < SIZE:
        try:
            found = os.pread(file, length, at)
        except OSError as error:
            assert error.errno == errno.EIO
            lost.append(at // PAGE)
            at += PAGE
            continue
        check_read(data, at, length, found)
        at += len(found)
    return lost


LENGTHS = [1 << bits for bits in range(12, 21)]
ADVICE = {
    "as usual": os.POSIX_FADV_NORMAL,
    "more read ahead": os.POSIX_FADV_SEQUENTIAL,
    "none read ahead": os.POSIX_FADV_RANDOM,
}


@pytest.mark.parametrize("advice", ADVICE)
@pytest.mark.parametrize("length", LENGTHS)
def test_sequential_reads(path, data, length, advice):
    """Nothing but the bad pages is lost."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, ADVICE[advice])
        assert read_steadily(file.fileno(), data, length) == sorted(BAD_PAGES)


@pytest.mark.parametrize("length", [4096, 65536, 1 << 20])
def test_sequential_reads_again(path, data, length):
    """What the first reader left in the kernel's cache is right for the second."""
    for _ in range(2):
        with open(path, "rb", buffering=0) as file:
            assert read_steadily(file.fileno(), data, length) == sorted(BAD_PAGES)


def test_backward_reads(path, data):
    lost = []
    with open(path, "rb", buffering=0) as file:
        for page in reversed(range(PAGES)):
            try:
                found = os.pread(file.fileno(), PAGE, page * PAGE)
            except OSError as error:
                assert error.errno == errno.EIO
                lost.append(page)
                continue
            check_read(data, page * PAGE, PAGE, found)
    assert sorted(lost) == sorted(BAD_PAGES)


def test_random_reads(path, data, rng):
    """Ranges of any place and length, within the kernel's cache and past it."""
    flags = {os.O_RDONLY, os.O_RDONLY | os.O_DIRECT}
    for flag in flags:
        file = os.open(path, flag)
        for _ in range(600):
            offset, length = rng.randrange(SIZE), rng.choice((1, 100, PAGE, 3 * PAGE, 200000))
            has_bad = any(page in BAD_PAGES for page in pages_of(offset, length))
            try:
                found = os.pread(file, length, offset)
            except OSError as error:
                assert error.errno == errno.EIO and has_bad
                continue
            check_read(data, offset, length, found)
        os.close(file)


@pytest.mark.parametrize("stripe", BAD)
@pytest.mark.parametrize("before, after", [(0, 0), (1, 0), (0, 1), (3, 5), (10, 10)])
def test_a_request_with_a_bad_stripe_is_an_error(path, stripe, before, after):
    """As a whole: one request, past the kernel's cache."""
    first = max(0, stripe - before)
    length = (stripe + after + 1 - first) * STRIPE
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with pytest.raises(OSError, match="Input/output error"):
            os.preadv(file, [bytearray(length)], first * STRIPE)
    finally:
        os.close(file)


# Reads the pages of argv[1] through a mapping, in the order of argv[2], each in a process of its
# own. Prints the pages at which that died by SIGBUS, and those that are not as in the file argv[3].
MAPPED_READER = """
import mmap, os, random, signal, sys
size = os.stat(sys.argv[1]).st_size
with open(sys.argv[1], "rb") as file, open(sys.argv[3], "rb") as right_file:
    right = right_file.read()
    pages = list(range(-(-size // 4096)))
    if sys.argv[2] == "backward":
        pages.reverse()
    elif sys.argv[2] != "forward":
        random.Random(sys.argv[2]).shuffle(pages)
    with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as mapped:
        for page in pages:
            child = os.fork()
            if not child:
                place = slice(page * 4096, page * 4096 + 4096)
                os._exit(mapped[place] != right[place])
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS:
                print(page)
            elif status:
                print("page", page, "status", status)
"""


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
def test_mapped_pages(path, tmp_path, data, order, rng):
    """SIGBUS at the bad pages, and at no others."""
    (tmp_path / "right").write_bytes(data)
    order = str(rng.random()) if order == "random" else order
    done = subprocess.run(
        [sys.executable, "-c", MAPPED_READER, path, order, tmp_path / "right"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert sorted(done.stdout.split()) == sorted(map(str, BAD_PAGES))
