# SPDX-License-Identifier: MIT
"""Files with holes: these are not read, and come back as holes."""

import errno
import os
import subprocess

import pytest

import oracle
import trees

MIB = 1 << 20
REQUIRED = 3
STRIPE = REQUIRED * 65536
# A file that is long enough that programs are told that it has holes.
SIZE = 64 * STRIPE + 12345
DATA_AT = [(0, 100), (20 * STRIPE + 5, 3000), (40 * STRIPE - 1, 2), (SIZE - 1, 1)]
LARGE = os.environ.get("ZFEC_FS_TEST_LARGE") == "1"


def make_sparse(path, size, places, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)
        for at, length in places:
            file.seek(at)
            file.write(rng.randbytes(length - 1) + b"x")
    os.utime(path, ns=(trees.MTIME_NS, trees.MTIME_NS))
    return path


def copy_shares(view, stores, shares=("00", "02", "04")):
    for share in shares:
        (stores / share).mkdir(parents=True)
        subprocess.run(["rsync", "-aS", f"{view / share}/", stores / share], check=True)


@pytest.fixture
def source(tmp_path, rng):
    make_sparse(tmp_path / "source" / "sparse", SIZE, DATA_AT, rng)
    make_sparse(tmp_path / "source" / "hole", SIZE, [], rng)
    trees.write_file(tmp_path / "source" / "dense", rng.randbytes(SIZE))
    return tmp_path / "source"


@pytest.fixture
def restored(mounts, source, tmp_path):
    view = mounts.encoded(source, required=REQUIRED, shares=6)
    copy_shares(view, tmp_path / "stores")
    return mounts.restored(tmp_path / "stores")


@pytest.mark.parametrize("share_format", ["checked", "classic", "fec"])
def test_shares_of_sparse_files(mounts, source, share_format):
    """Byte for byte the same as of a file without holes."""
    view = mounts.encoded(source, required=REQUIRED, shares=6, format=share_format)
    for name in ("sparse", "hole"):
        data = (source / name).read_bytes()
        for index in (0, 2, 5):
            expected = oracle.make_share(
                share_format, data, REQUIRED, 6, index, trees.MTIME_NS, 65536
            )
            shown = view / trees.share_name(index) / name
            trees.assert_same(shown.read_bytes(), expected, f"{name} {index}")


def bytes_read(process):
    """What a process has read, the kernel's requests among it."""
    with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
        return int(file.readline().split()[1])


def test_holes_are_not_read(mounts, tmp_path, rng):
    make_sparse(tmp_path / "source" / "file", 600 * MIB, [(300 * MIB, 1000)], rng)
    view = mounts.encoded(tmp_path / "source", required=REQUIRED, shares=6)
    before = bytes_read(view.process)
    with open(view / "05" / "file", "rb", buffering=0) as file:
        while file.read(MIB):
            pass
    assert bytes_read(view.process) - before < 10 * MIB


def segments(path):
    """The data of a file, as (start, end)."""
    found, at = [], 0
    with open(path, "rb") as file:
        while True:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                assert error.errno == errno.ENXIO
                return found
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            assert at > start
            found.append((start, at))


def test_seek(restored):
    """Data is said to be where there is data, to the stripe."""
    ends = [(at // STRIPE, (at + length - 1) // STRIPE + 1) for at, length in DATA_AT]
    expected = [(first * STRIPE, min(end * STRIPE, SIZE)) for first, end in ends]
    assert segments(restored / "sparse") == expected
    assert segments(restored / "hole") == []
    assert segments(restored / "dense") == [(0, SIZE)]


@pytest.mark.parametrize("whence", [os.SEEK_DATA, os.SEEK_HOLE])
def test_seek_beyond_the_end(restored, whence):
    with open(restored / "sparse", "rb") as file:
        for at in (SIZE, SIZE + 1, 1 << 60):
            with pytest.raises(OSError) as caught:
                os.lseek(file.fileno(), at, whence)
            assert caught.value.errno == errno.ENXIO
        assert os.lseek(file.fileno(), SIZE - 1, os.SEEK_HOLE) == SIZE


def test_seek_from_within(restored):
    with open(restored / "sparse", "rb") as file:
        number = file.fileno()
        assert os.lseek(number, 50, os.SEEK_DATA) == 50
        assert os.lseek(number, 50, os.SEEK_HOLE) == STRIPE
        assert os.lseek(number, STRIPE + 7, os.SEEK_HOLE) == STRIPE + 7
        assert os.lseek(number, STRIPE + 7, os.SEEK_DATA) == 20 * STRIPE


@pytest.mark.parametrize("command", [
    ["cp", "-a"], ["rsync", "-aS"], ["sh", "-c", 'tar -cSf - -C "$(dirname $0)" sparse | tar -xSf - -C "$(dirname $1)"'],
], ids=["cp", "rsync", "tar"])  # fmt: skip
def test_copies_are_sparse_again(restored, source, tmp_path, command):
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / "sparse"
    subprocess.run([*command, restored / "sparse", copy], check=True)
    trees.assert_same(copy.read_bytes(), (source / "sparse").read_bytes(), "the copy")
    assert copy.stat().st_blocks * 512 <= 6 * STRIPE


def test_blocks_say_that_there_are_holes(restored):
    """Fewer than the size where there are holes, never none where there is data."""
    assert 0 < (restored / "sparse").stat().st_blocks * 512 < SIZE
    assert 0 < (restored / "hole").stat().st_blocks * 512 < SIZE
    assert SIZE <= (restored / "dense").stat().st_blocks * 512 < SIZE + 4096


def test_digests_that_are_damaged(mounts, source, tmp_path):
    """What looks like data is data; a stripe that looks like a hole in k shares is one."""
    view = mounts.encoded(source, required=REQUIRED, shares=6)
    copy_shares(view, tmp_path / "stores")
    for share in ("00", "02"):
        with open(tmp_path / "stores" / share / "hole", "r+b") as file:
            file.seek(64 + 65568 * 7)
            file.write(b"no digest")
    restored = mounts.restored(tmp_path / "stores")
    restored.expect_log(r"^zfec-fs: hole: ")
    assert segments(restored / "hole") == [(7 * STRIPE, 8 * STRIPE)]
    with pytest.raises(OSError):
        (restored / "hole").read_bytes()


@pytest.mark.skipif(not LARGE, reason="100 GiB: ZFEC_FS_TEST_LARGE=1")
def test_a_large_file(mounts, tmp_path, rng):
    """1 MiB of data in 100 GiB; the shares are sparse in their stores as well."""
    size = 100 << 30
    path = make_sparse(tmp_path / "source" / "file", size, [(77 << 30, MIB)], rng)
    view = mounts.encoded(tmp_path / "source", required=REQUIRED, shares=6)
    copy_shares(view, tmp_path / "stores", ("00", "01", "02"))
    restored = mounts.restored(tmp_path / "stores")
    subprocess.run(["cp", "-a", restored / "file", tmp_path / "copy"], check=True, timeout=60)
    assert (tmp_path / "copy").stat().st_blocks * 512 <= MIB + 2 * STRIPE
    with open(tmp_path / "copy", "rb") as copy, open(path, "rb") as original:
        copy.seek(77 << 30)
        original.seek(77 << 30)
        assert copy.read(MIB) == original.read(MIB)


def test_beyond_four_tebibytes(mounts, tmp_path, rng):
    """Sizes and offsets of more than 32 bits of everything."""
    size = (5 << 40) + 12345
    folder = tmp_path / "source"
    try:
        make_sparse(folder / "file", size, [(0, 10), (size - 10, 10)], rng)
    except OSError:
        pytest.skip("the file system has no files that large")
    data = b"", b""
    with open(folder / "file", "rb") as file:
        file.seek(size // STRIPE * STRIPE)
        data = file.read()
    view = mounts.encoded(folder, required=REQUIRED, shares=6)
    number = size // STRIPE
    for index in (0, 4):
        shown = view / trees.share_name(index) / "file"
        assert shown.stat().st_size == oracle.checked_size(size, REQUIRED, 65536)
        with open(shown, "rb") as file:
            file.seek(64 + number * 65568)
            block = file.read()
        assert block[:16] == oracle.checksum(data, number)
        assert block[-16:] == oracle.checksum(block[:-16], number * 256 + index)
