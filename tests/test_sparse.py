# SPDX-License-Identifier: MIT
"""Files with holes: these are not read, and come back as holes, in what commands write as well."""

import errno
import filecmp
import os
import shutil
import subprocess

import pytest

import keying
import oracle
import store_failures
import trees
from commands import DAMAGED, LOST, run

stores = store_failures.stores  # a fixture
failing = store_failures.failing  # a fixture

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


# What commands write

LONE = 300 * 1000 * 1000  # a byte at the end of so many
PAGE = 4096
COUNT = 5
ALL = COUNT + 1  # shares that there may be; the last is added later
ENCODE = ["-k", str(REQUIRED), "-n", str(ALL), "--shares", "00-04"]
# What a share of that file may take. In the checked format each block has a page or two with its
# head, and there is one for each 64 KiB.
SHARE_MOST = {"checked": LONE // REQUIRED // 65536 * 2 * PAGE, "classic": 8 * PAGE, "fec": 8 * PAGE}
FILE_MOST = 8 * PAGE

all_formats = pytest.mark.parametrize("share_format", oracle.FORMATS)


def words_of(share_format):
    required = [] if share_format == "checked" else ["-k", str(REQUIRED)]
    return ["--format", share_format, *required]


def taken(path):
    return path.stat().st_blocks * 512


def assert_dense(path):
    assert taken(path) >= path.stat().st_size, path


def assert_same_file(path, expected):
    assert filecmp.cmp(path, expected, shallow=False), f"{path} is not {expected}"


def make_with_others(folder, rng, name, size, places):
    """A sparse file, and small ones, by which stores are known."""
    path = make_sparse(folder / name, size, places, rng)
    if taken(path) > FILE_MOST * (1 + len(places)):
        pytest.skip("the file system has no holes, or does not tell")
    for number in range(9):
        trees.write_file(folder / f"small-{number}", rng.randbytes(5000))
    return path


@pytest.fixture
def lone(tmp_path, rng):
    return make_with_others(tmp_path / "lone", rng, "file", LONE, [(LONE - 1, 1)])


def repair_lost_and_added(folder, words):
    """Loses one share of `file`, adds a store, and gives the shares that repair makes."""
    (folder / "01" / "file").unlink()
    run("repair", *words, "--add", f"05={folder / '05'}", folder, status=DAMAGED)
    return [folder / "01" / "file", folder / "05" / "file"]


@all_formats
def test_shares_and_files_have_holes(tmp_path, lone, share_format):
    """From encode, repair and decode: the bytes are those that --no-sparse writes."""
    words = words_of(share_format)
    stores, full = tmp_path / "with-holes", tmp_path / "full"
    run("encode", *ENCODE, "--format", share_format, lone.parent, stores)
    run("encode", *ENCODE, "--format", share_format, "--no-sparse", lone.parent, full)
    for index in range(COUNT):
        share, same = (folder / trees.share_name(index) / "file" for folder in (stores, full))
        assert taken(share) <= SHARE_MOST[share_format]
        assert_dense(same)
        assert_same_file(share, same)
    for share in repair_lost_and_added(stores, words):
        assert taken(share) <= SHARE_MOST[share_format]
    for share in repair_lost_and_added(full, [*words, "--no-sparse"]):
        assert_dense(share)
    for index in (1, 5):
        name = f"{trees.share_name(index)}/file"
        assert_same_file(stores / name, full / name)
    run("check", *words, stores)
    run("decode", *words, stores, tmp_path / "out")
    assert taken(tmp_path / "out" / "file") <= FILE_MOST
    assert_same_file(tmp_path / "out" / "file", lone)
    run("decode", *words, "--no-sparse", stores, tmp_path / "out-full")
    assert_dense(tmp_path / "out-full" / "file")
    assert_same_file(tmp_path / "out-full" / "file", lone)
    for folder in (full, tmp_path / "out-full"):  # not left behind for the next runs
        shutil.rmtree(folder)


def test_files_of_sealed_shares(tmp_path, lone):
    """The shares are encrypted and have none; the file has holes again."""
    key = keying.write_key(tmp_path / "key")
    words = ["--format", "sealed", "--key", key]
    run("encode", *words, "-k", "3", "-n", "3", lone.parent, tmp_path / "shares", noisy=True)
    assert sum(taken(path) for path in (tmp_path / "shares").rglob("*")) >= LONE
    run("decode", *words, tmp_path / "shares", tmp_path / "out", noisy=True)
    assert taken(tmp_path / "out" / "file") <= FILE_MOST
    assert_same_file(tmp_path / "out" / "file", lone)
    shutil.rmtree(tmp_path / "shares")


@all_formats
def test_files_of_far_stores(tmp_path, stores, failing, rng, share_format):
    """Of these no one asks beforehand what is zeros."""
    path = make_with_others(tmp_path / "source", rng, "file", 30 * MIB, [(30 * MIB - 1, 1)])
    run("encode", *ENCODE, "--format", share_format, path.parent, tmp_path / "behind")
    for name in ("00", "02", "04"):
        failing.make(name)
    run("decode", *words_of(share_format), stores, tmp_path / "out")
    assert taken(tmp_path / "out" / "file") <= FILE_MOST
    assert_same_file(tmp_path / "out" / "file", path)


def test_in_the_place_of_a_dense_file(tmp_path, rng):
    """Of the older version nothing shines through, neither in a share nor in a file."""
    size = 5 * STRIPE + 777
    source, stores, out = (tmp_path / name for name in ("source", "stores", "out"))
    trees.write_file(source / "file", b"\xff" * size, trees.MTIME_NS - 10**9)
    run("encode", *ENCODE, source, stores)
    run("decode", stores, out)
    path = make_with_others(source, rng, "file", size, [(2 * STRIPE + 1, 1)])
    run("encode", *ENCODE, source, stores)
    data = path.read_bytes()
    for index in range(COUNT):
        share = stores / trees.share_name(index) / "file"
        expected = oracle.make_share(
            "checked", data, REQUIRED, ALL, index, trees.MTIME_NS, 65536
        )
        trees.assert_same(share.read_bytes(), expected, f"share {index}")
        assert taken(share) < len(expected) // 2
    run("decode", stores, out)
    trees.assert_same((out / "file").read_bytes(), data, "the file")
    assert taken(out / "file") <= 2 * STRIPE


@pytest.mark.parametrize("words", [[], ["--no-sparse"]], ids=["sparse", "no-sparse"])
@pytest.mark.parametrize("filling", [b"\xff", b"\0"], ids=["bytes", "zeros"])
def test_salvage_over_what_was_salvaged(tmp_path, rng, words, filling):
    """Zeros that can be read take the place of what an earlier run has written there."""
    size = 9 * STRIPE
    path = make_with_others(tmp_path / "source", rng, "file", size, [(0, 100), (size // 2, 100)])
    stores, partial = tmp_path / "stores", tmp_path / "out" / "file.partial"
    run("encode", "-k", "3", "-n", "3", path.parent, stores)
    share = stores / "01" / "file"
    with open(share, "r+b") as file:  # of one stripe too few blocks are left
        file.seek(64 + 3 * 65568 + 10)
        file.write(b"damaged")
    os.utime(share, ns=(trees.MTIME_NS, trees.MTIME_NS))
    run("decode", "--salvage", stores, tmp_path / "out", status=LOST)
    found = partial.stat().st_mtime_ns
    partial.write_bytes(filling * size)
    os.utime(partial, ns=(found, found))
    run("decode", "--salvage", *words, stores, tmp_path / "out", status=LOST)
    expected = bytearray(path.read_bytes())
    expected[3 * STRIPE : 4 * STRIPE] = filling * STRIPE
    trees.assert_same(partial.read_bytes(), bytes(expected), "file.partial")
    assert (taken(partial) >= size) == bool(words)


def make_runs(rng, size):
    """Zeros and data by turns, of lengths around those of pages, blocks and stripes."""
    data, zeros = bytearray(), rng.random() < 0.5
    while len(data) < size:
        around = rng.choice([1, 512, PAGE, 2 * PAGE, 65536, STRIPE])
        length = max(1, around * rng.randrange(1, 4) + rng.randrange(-20, 20))
        data += bytes(length) if zeros else rng.randbytes(length)
        zeros = not zeros
    return bytes(data[:size])


@pytest.mark.parametrize(
    "share_format, block_size",
    [("checked", 4096), ("checked", 65536), ("classic", 65536), ("fec", 65536)],
)
def test_runs_of_zeros(tmp_path, rng, share_format, block_size):
    """Whatever the zeros begin and end with, shares and files have the right bytes, once more too."""
    source, stores, out = (tmp_path / name for name in ("source", "stores", "out"))
    sizes = [rng.randrange(1, 4 * STRIPE) for _ in range(12)]
    contents = {f"runs-{number}": make_runs(rng, size) for number, size in enumerate(sizes)}
    contents |= {f"zeros-{size}": bytes(size) for size in (1, 3, PAGE, 3 * PAGE, STRIPE, STRIPE + 1)}
    for name, data in contents.items():
        trees.write_file(source / name, data)
    blocks = ["--block-size", str(block_size)] if share_format == "checked" else []
    encode = ["encode", *ENCODE, "--format", share_format, *blocks]
    run(*encode, source, stores)
    for name, data in contents.items():
        for index in range(COUNT):
            expected = oracle.make_share(
                share_format, data, REQUIRED, ALL, index, trees.MTIME_NS, block_size
            )
            share = stores / trees.share_name(index) / name
            trees.assert_same(share.read_bytes(), expected, f"{name} {index}")
    assert run(*encode, "-c", source, stores).summary["made"] == 0
    words = words_of(share_format)
    for name in ("00", "03"):
        (stores / name).rename(tmp_path / f"lost-{name}")
    run("decode", *words, stores, out)
    for name, data in contents.items():
        trees.assert_same((out / name).read_bytes(), data, name)
    assert run("decode", *words, "-c", stores, out).summary["made"] == 0
    run("repair", *words, "--add", f"03={stores / '03'}", stores, status=DAMAGED)
    for name in contents:
        assert_same_file(stores / "03" / name, tmp_path / "lost-03" / name)
