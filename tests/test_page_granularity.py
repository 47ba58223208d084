# SPDX-License-Identifier: MIT
"""One bad stripe of a large file: every other page is read, however a reader goes about it."""

import errno
import os
import subprocess
import sys

import pytest

import oracle
import trees

UNSANITIZED = True

PAGE = 4096


class Damaged:
    """A file of two shares, in one of which the blocks of some stripes are bad."""

    def __init__(self, required, block_size, stripes, bad, rng):
        self.bad, self.stripe = bad, required * block_size
        # It ends within a page.
        self.size = stripes * self.stripe - self.stripe // 2 - 900
        self.data = rng.randbytes(self.size)
        self.pages = oracle.ceil_div(self.size, PAGE)
        self.bad_pages = [page for page in range(self.pages) if page * PAGE // self.stripe in bad]
        indexes = range(required - 1, 2 * required - 1)
        self.shares = trees.make_shares(
            "checked", self.data, required, 20, indexes, block_size=block_size
        )
        share = bytearray(self.shares[indexes[-1]])
        for stripe in bad:
            share[oracle.HEADER_SIZE + stripe * (block_size + 32) + 20] ^= 1
        self.shares[indexes[-1]] = bytes(share)


# Stripes of which one request of the kernel holds many, and such as are larger than a request.
LAYOUTS = {
    "two pages": (2, 4096, 600, (0, 7, 8, 100, 300, 399, 599)),
    "48 pages": (3, 65536, 20, (0, 5, 6, 12, 19)),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def damaged(request, module_rng):
    return Damaged(*LAYOUTS[request.param], module_rng)


@pytest.fixture
def path(mounts, tmp_path, damaged):
    """The file in a view of its own, so that the kernel has none of its pages."""
    trees.write_shares(tmp_path / "stores", "file", damaged.shares)
    view = mounts.restored(tmp_path / "stores")
    view.expect_log(r"^zfec-fs: file: ")
    return view / "file"


def first_bad_page(damaged, offset, length):
    """Of a range, or None."""
    pages = range(offset // PAGE, oracle.ceil_div(min(offset + length, damaged.size), PAGE))
    return next((page for page in pages if page * PAGE // damaged.stripe in damaged.bad), None)


def check_read(damaged, offset, length, found):
    """Of a range with a bad page in it, at most what is before that may come, and no wrong byte."""
    right = damaged.data[offset : offset + length]
    first_bad = first_bad_page(damaged, offset, length)
    if first_bad is None:
        trees.assert_same(found, right, f"{length} bytes at {offset}")
    else:
        limit = max(0, first_bad * PAGE - offset)
        assert len(found) <= limit, f"{len(found)} bytes at {offset}: page {first_bad} is bad"
        trees.assert_same(found, right[: len(found)], f"{length} bytes at {offset}")
        assert found, f"0 bytes at {offset} are the end of the file"


def read_steadily(file, damaged, length):
    """Reads on as `dd conv=noerror` does: after an error one page is left out. Returns those."""
    lost, at = [], 0
    while at < damaged.size:
        try:
            found = os.pread(file, length, at)
        except OSError as error:
            assert error.errno == errno.EIO
            lost.append(at // PAGE)
            at += PAGE
            continue
        check_read(damaged, at, length, found)
        at += len(found)
    return lost


LENGTHS = [1 << bits for bits in range(12, 21, 2)]
ADVICE = {
    "as usual": os.POSIX_FADV_NORMAL,
    "more read ahead": os.POSIX_FADV_SEQUENTIAL,
    "none read ahead": os.POSIX_FADV_RANDOM,
}


@pytest.mark.parametrize("advice", ADVICE)
@pytest.mark.parametrize("length", LENGTHS)
def test_sequential_reads(path, damaged, length, advice):
    """Nothing but the bad pages is lost."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, ADVICE[advice])
        assert read_steadily(file.fileno(), damaged, length) == damaged.bad_pages


@pytest.mark.parametrize("length", [4096, 65536, 1 << 20])
def test_sequential_reads_again(path, damaged, length):
    """What the first reader left in the kernel's cache is right for the second."""
    for _ in range(2):
        with open(path, "rb", buffering=0) as file:
            assert read_steadily(file.fileno(), damaged, length) == damaged.bad_pages


def test_backward_reads(path, damaged):
    lost = []
    with open(path, "rb", buffering=0) as file:
        for page in reversed(range(damaged.pages)):
            try:
                found = os.pread(file.fileno(), PAGE, page * PAGE)
            except OSError as error:
                assert error.errno == errno.EIO
                lost.append(page)
                continue
            check_read(damaged, page * PAGE, PAGE, found)
    assert sorted(lost) == damaged.bad_pages


def test_random_reads(path, damaged, rng):
    """Ranges of any place and length, within the kernel's cache and past it."""
    flags = {os.O_RDONLY, os.O_RDONLY | os.O_DIRECT}
    for flag in flags:
        file = os.open(path, flag)
        for _ in range(600):
            length = rng.choice((1, 100, PAGE, 3 * PAGE, 200000))
            offset = rng.randrange(damaged.size)
            has_bad = first_bad_page(damaged, offset, length) is not None
            try:
                found = os.pread(file, length, offset)
            except OSError as error:
                assert error.errno == errno.EIO and has_bad
                continue
            check_read(damaged, offset, length, found)
        os.close(file)


@pytest.mark.parametrize("before, after", [(0, 0), (1, 0), (0, 1), (3, 5), (8, 8)])
def test_a_request_with_a_bad_stripe_is_an_error(path, damaged, before, after):
    """As a whole: one request, of so many pages around a border of the stripe."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    for stripe in damaged.bad:
        start = max(0, stripe * damaged.stripe - before * PAGE)
        with pytest.raises(OSError, match="Input/output error"):
            os.preadv(file, [bytearray((before + after + 1) * PAGE)], start)
    os.close(file)


# Reads the pages of argv[1] through a mapping, in the order of argv[2], each as if it were the first:
# none is mapped before. Prints those at which the process died by SIGBUS, after which another one
# goes on, and those that are not as in the file argv[3].
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
    begun = mmap.mmap(-1, 8)  # shared: how many pages were begun
    with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as mapped:
        while (done := int.from_bytes(begun[:], "big")) < len(pages):
            child = os.fork()
            if not child:
                for number, page in enumerate(pages[done:], done + 1):
                    begun[:] = number.to_bytes(8, "big")
                    place = slice(page * 4096, page * 4096 + 4096)
                    if mapped[place] != right[place]:
                        os._exit(1)
                    mapped.madvise(mmap.MADV_DONTNEED)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            page = pages[int.from_bytes(begun[:], "big") - 1]
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS:
                print(page)
            elif status:
                print("page", page, "status", status)
"""


@pytest.mark.parametrize("order", ["forward", "backward", "random"])
def test_mapped_pages(path, tmp_path, damaged, order, rng):
    """SIGBUS at the bad pages, and at no others."""
    (tmp_path / "right").write_bytes(damaged.data)
    order = str(rng.random()) if order == "random" else order
    done = subprocess.run(
        [sys.executable, "-c", MAPPED_READER, path, order, tmp_path / "right"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert sorted(done.stdout.split()) == sorted(map(str, damaged.bad_pages))
