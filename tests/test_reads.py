# SPDX-License-Identifier: MIT
"""Any read, of any length and at any offset, gives that range of the whole, in both views."""

import concurrent.futures
import mmap
import os
from collections import namedtuple

import pytest

import oracle
import trees

REQUIRED = 3
SHARES = 6
BLOCK_SIZE = 4096
INDEX = 4
SIZE = 5 * REQUIRED * BLOCK_SIZE + 5003
THREADS = 16

Subject = namedtuple("Subject", "path whole")


def encoded_subject(mounts, folder, share_format, data):
    trees.write_file(folder / "source" / "file", data)
    view = mounts.encoded(
        folder / "source",
        required=REQUIRED,
        shares=SHARES,
        format=share_format,
        block_size=BLOCK_SIZE if share_format == "checked" else None,
    )
    share = oracle.make_share(
        share_format, data, REQUIRED, SHARES, INDEX, trees.MTIME_NS, BLOCK_SIZE
    )
    return Subject(view / trees.share_name(INDEX) / "file", share)


def restored_subject(mounts, folder, share_format, data):
    trees.make_stores(
        folder, "file", data, (1, 4, 5), REQUIRED, shares=SHARES, share_format=share_format
    )
    view = mounts.restored(folder, format=share_format, required=REQUIRED)
    return Subject(view / "file", data)


MAKERS = {"encoded": encoded_subject, "restored": restored_subject}
SUBJECTS = [f"{view}-{share_format}" for view in MAKERS for share_format in oracle.FORMATS]


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request, module_mounts, tmp_path_factory, module_rng):
    view, share_format = request.param.split("-")
    folder = tmp_path_factory.mktemp(request.param)
    return MAKERS[view](module_mounts, folder, share_format, module_rng.randbytes(SIZE))


def read_directly(file, length, offset):
    """Reads past the page cache, so that zfec-fs is asked for these very bytes."""
    buffer = bytearray(length)
    count = os.preadv(file, [buffer], offset)
    return bytes(buffer[:count])


class Opened:
    """An open file of a view, read through the page cache or past it."""

    def __init__(self, path, flags=os.O_DIRECT):
        self._file = os.open(path, os.O_RDONLY | flags)

    def __enter__(self):
        return self._file

    def __exit__(self, *_):
        os.close(self._file)


def random_range(rng, size):
    """Often short, sometimes all of the file, sometimes beyond its end."""
    length = rng.choice([1, 2, rng.randint(1, 64), rng.randint(1, 9000), rng.randint(1, size)])
    return length, rng.randrange(size + 10)


def check_range(file, whole, length, offset):
    trees.assert_same(
        read_directly(file, length, offset),
        whole[offset : offset + length],
        f"{length} bytes at {offset}",
    )


@pytest.mark.parametrize("flags", [os.O_DIRECT, 0], ids=["direct", "cached"])
def test_random_ranges(subject, rng, flags):
    with Opened(subject.path, flags) as file:
        for _ in range(400):
            check_range(file, subject.whole, *random_range(rng, len(subject.whole)))


def borders(size):
    """Offsets at which something begins in one of the formats, in either view."""
    steps = (BLOCK_SIZE, BLOCK_SIZE + 32, REQUIRED * BLOCK_SIZE)
    starts = (0, 3, 64)
    found = {start + n * step for start in starts for step in steps for n in range(size // step + 1)}
    return sorted(at for at in found | {16, 48, 80, size} if at <= size)


def test_one_byte_around_every_border(subject):
    with Opened(subject.path) as file:
        for border in borders(len(subject.whole)):
            for offset in range(max(0, border - 2), border + 2):
                check_range(file, subject.whole, 1, offset)


def test_ranges_across_every_border(subject):
    with Opened(subject.path) as file:
        for border in borders(len(subject.whole)):
            check_range(file, subject.whole, 40, max(0, border - 20))


def test_each_byte_of_the_first_blocks(subject):
    with Opened(subject.path) as file:
        for offset in range(BLOCK_SIZE - 60, BLOCK_SIZE + 150):
            check_range(file, subject.whole, 3, offset)


def test_end_of_file(subject):
    size = len(subject.whole)
    with Opened(subject.path) as file:
        assert os.fstat(file).st_size == size
        assert read_directly(file, 100, size - 1) == subject.whole[-1:]
        for beyond in (size, size + 1, size + (1 << 20), 1 << 40, (1 << 62)):
            assert read_directly(file, 100, beyond) == b""
        assert read_directly(file, 2 * size, 0) == subject.whole


def test_memory_map(subject, rng):
    with Opened(subject.path, 0) as file, mmap.mmap(file, 0, prot=mmap.PROT_READ) as mapped:
        for _ in range(50):
            length, offset = random_range(rng, len(subject.whole))
            expected = subject.whole[offset : offset + length]
            trees.assert_same(mapped[offset : offset + length], expected, f"map at {offset}")


def read_ranges(path, file, whole, ranges):
    """Half of the ranges through an open file of one's own, half through the shared one."""
    with Opened(path) as own:
        for number, (length, offset) in enumerate(ranges):
            check_range(own if number % 2 else file, whole, length, offset)


def test_many_threads(subject, rng):
    ranges = [[random_range(rng, len(subject.whole)) for _ in range(60)] for _ in range(THREADS)]
    with Opened(subject.path) as shared, concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        jobs = [
            pool.submit(read_ranges, subject.path, shared, subject.whole, some) for some in ranges
        ]
        for job in jobs:
            job.result()


# Far offsets, without a far-sized file on disk: a sparse source, restored from the encoded view.

FAR_SIZE = 5 * (1 << 30) + 12345
DEFAULT_STRIPE = REQUIRED * oracle.DEFAULT_BLOCK_SIZE


@pytest.fixture
def far_file(tmp_path, rng):
    tail = rng.randbytes(40000)
    path = trees.write_file(tmp_path / "source" / "far", b"")
    with open(path, "r+b") as file:
        file.seek(FAR_SIZE - len(tail))
        file.write(tail)
    return path, tail


def expected_last_block(tail, index):
    number, rest = divmod(FAR_SIZE, DEFAULT_STRIPE)
    return oracle.checked_block(tail.rjust(rest, b"\0")[-rest:], number, REQUIRED, index)


def test_beyond_4_gib(mounts, far_file, tmp_path):
    path, tail = far_file
    encoded = mounts.encoded(path.parent, required=REQUIRED, shares=4)
    share = encoded / "03" / "far"
    size = oracle.checked_size(FAR_SIZE, REQUIRED)
    assert share.stat().st_size == size
    block = expected_last_block(tail, 3)
    with Opened(share) as file:
        trees.assert_same(read_directly(file, 1 << 17, size - len(block)), block, "last block")
    restored = mounts.restored(encoded.path)
    assert (restored / "far").stat().st_size == FAR_SIZE
    with Opened(restored / "far") as file:
        trees.assert_same(read_directly(file, 40000, FAR_SIZE - 40000), tail, "tail")
        assert read_directly(file, 4096, (1 << 32) - 5) == bytes(4096)
