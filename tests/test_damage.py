# SPDX-License-Identifier: MIT
"""Damaged, cut, swapped and stale shares: an error or the exact bytes, and never wrong bytes."""

import os

import pytest

import oracle
import trees

REQUIRED = 3
BLOCK_SIZE = 4096
STRIPE = REQUIRED * BLOCK_SIZE
STRIPES = 5
SIZE = (STRIPES - 1) * STRIPE + 5003
BLOCK_STEP = BLOCK_SIZE + 32
INDEXES = (1, 4, 11)


@pytest.fixture
def data(rng):
    return rng.randbytes(SIZE)


def block_start(number):
    return oracle.HEADER_SIZE + number * BLOCK_STEP


def shares_of(data, indexes=INDEXES, **how):
    return trees.make_shares("checked", data, REQUIRED, 20, indexes, **how)


def put_honest(stores, indexes, count=2, share_format="checked"):
    """Files by which k, and the share of each store, are known, whatever else they hold."""
    for number in range(count):
        how = {"required": REQUIRED, "share_format": share_format}
        trees.make_stores(stores, f"another-{number:02}", b"0123456789", indexes, **how)


def mount_shares(mounts, tmp_path, shares, name="file"):
    """A restored view of one file; the log may say what is wrong with it, and nothing else."""
    for index, share in shares.items():
        trees.write_file(tmp_path / "stores" / f"store-{index}" / name, share)
    put_honest(tmp_path / "stores", shares)
    view = mounts.restored(tmp_path / "stores")
    view.expect_log(rf"^zfec-fs: .*\b{name}\b", count=0)
    return view


def read_stripes(path):
    """Each stripe as it reads by itself: bytes or an OSError. None where open fails."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return None
    try:
        return [read_stripe(file, number) for number in range(STRIPES)]
    finally:
        os.close(file)


def read_stripe(file, number):
    buffer = bytearray(STRIPE)
    try:
        count = os.preadv(file, [buffer], number * STRIPE)
    except OSError as error:
        return error
    return bytes(buffer[:count])


def stripes_that_fail(path, data):
    """The stripes that are errors; all others must be exact. 'open' where that fails already."""
    stripes = read_stripes(path)
    if stripes is None:
        return "open"
    expected = oracle.stripes_of(data, REQUIRED, BLOCK_SIZE)
    failed = []
    for number, stripe in enumerate(stripes):
        if isinstance(stripe, OSError):
            failed.append(number)
        else:
            trees.assert_same(stripe, expected[number], f"stripe {number}")
    return failed


def flip(share, at, bits=0x40):
    changed = bytearray(share)
    changed[at] ^= bits
    return bytes(changed)


# One damaged byte


# Where in share and block a byte is damaged, and which stripe it takes away.
PLACES = {
    "first digest": (block_start(0), 0),
    "first payload byte": (block_start(0) + 16, 0),
    "last payload byte": (block_start(0) + 16 + BLOCK_SIZE - 1, 0),
    "check": (block_start(2) + 16 + BLOCK_SIZE, 2),
    "last byte of a check": (block_start(3) - 1, 2),
    "digest in the middle": (block_start(2) + 15, 2),
    "payload in the middle": (block_start(2) + 1000, 2),
    "last digest": (block_start(4) + 3, 4),
    "last payload": (block_start(4) + 16 + 1667, 4),
    "last byte": (-1, 4),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("index", INDEXES)
def test_damaged_byte(mounts, tmp_path, data, place, index):
    """The stripe that it is in is lost; all other stripes are read."""
    at, lost = PLACES[place]
    shares = shares_of(data)
    shares[index] = flip(shares[index], at)
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == [lost]
    assert "file" in view.log()
    with pytest.raises(OSError, match="Input/output error"):
        (view / "file").read_bytes()


@pytest.mark.parametrize("place", PLACES)
def test_damaged_byte_with_a_spare_share(mounts, tmp_path, data, place):
    shares = shares_of(data, (*INDEXES, 17))
    shares[4] = flip(shares[4], PLACES[place][0])
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == []


def test_each_share_damaged_elsewhere_with_a_spare_share(mounts, tmp_path, data):
    """No share is whole, and yet each stripe has enough good blocks."""
    shares = shares_of(data, (*INDEXES, 17))
    for stripe, index in enumerate(shares):
        shares[index] = flip(shares[index], block_start(stripe) + 100)
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == []


@pytest.mark.parametrize("at", range(oracle.HEADER_SIZE))
def test_damaged_header_byte(mounts, tmp_path, data, at, rng):
    """With k shares: an error or the exact bytes. With a spare one: the exact bytes."""
    shares = shares_of(data, (*INDEXES, 17))
    shares[1] = flip(shares[1], at, 1 << rng.randrange(8))
    for spare in (False, True):
        chosen = shares if spare else {index: shares[index] for index in INDEXES}
        view = mount_shares(mounts, tmp_path / str(spare), chosen)
        failed = stripes_that_fail(view / "file", data)
        assert failed in ([[]] if spare else ["open", []])


def test_a_good_copy_of_a_damaged_share(mounts, tmp_path, data):
    """Two stores hold share 4, each damaged elsewhere: each stripe is good in one of them."""
    shares = shares_of(data)
    copy = flip(shares[4], block_start(1) + 100)
    shares[4] = flip(shares[4], block_start(3) + 100)
    trees.write_file(tmp_path / "stores" / "copy" / "file", copy)
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == []


def test_random_damage(mounts, tmp_path, data, rng):
    """Never wrong bytes, whatever is damaged, in however many shares."""
    intact = shares_of(data, (*INDEXES, 17))
    stores = tmp_path / "stores"
    for number in range(300):
        shares = dict(intact)
        for _ in range(rng.randint(1, 8)):
            index = rng.choice(list(shares))
            shares[index] = damage(shares[index], rng)
        trees.write_shares(stores, f"file-{number}", shares)
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: .*\bfile-\d+\b", count=0)
    exact = [stripes_that_fail(view / f"file-{number}", data) == [] for number in range(300)]
    assert 0 < sum(exact) < 300, "damage that always or never shows is no test"


def damage(share, rng):
    kinds = (flip_somewhere, cut_somewhere, lengthen, zero_some, move_a_block)
    return rng.choices(kinds, weights=(8, 1, 1, 4, 2))[0](share, rng)


def flip_somewhere(share, rng):
    return flip(share, rng.randrange(len(share)), 1 << rng.randrange(8)) if share else share


def cut_somewhere(share, rng):
    return share[: rng.randrange(len(share) + 1)]


def lengthen(share, rng):
    return share + rng.randbytes(rng.randint(1, 9000))


def zero_some(share, rng):
    at = rng.randrange(len(share) + 1)
    length = min(rng.randint(1, 5000), len(share) - at)
    return share[:at] + bytes(length) + share[at + length :]


def move_a_block(share, rng):
    source, target = (block_start(rng.randrange(STRIPES - 1)) for _ in range(2))
    return share[:target] + share[source : source + BLOCK_STEP] + share[target + BLOCK_STEP :]


# Cut and lengthened


@pytest.mark.parametrize("length", [0, 1, 8, 47, 63])
def test_header_cut(mounts, tmp_path, data, length):
    """Nothing is left of the share, neither header nor block."""
    shares = shares_of(data)
    shares[4] = shares[4][:length]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) in ("open", [0, 1, 2, 3, 4])


@pytest.mark.parametrize("length, lost", [(64, [0, 1, 2, 3, 4]), (block_start(2), [2, 3, 4]),
                                          (block_start(2) + 16, [2, 3, 4]),
                                          (block_start(4) - 1, [3, 4]), (-1, [4])])  # fmt: skip
def test_share_cut(mounts, tmp_path, data, length, lost):
    """What stands before the cut is read, or nothing is; what was behind it is lost."""
    shares = shares_of(data)
    shares[4] = shares[4][:length]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) in ("open", lost)


@pytest.mark.parametrize("length", [0, 30, 64, block_start(2) + 5, -1])
def test_share_cut_with_a_spare_share(mounts, tmp_path, data, length):
    shares = shares_of(data, (*INDEXES, 17))
    shares[1] = shares[1][:length]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == []


def test_share_lengthened(mounts, tmp_path, data):
    """The file ends where it ended: what follows is of no file."""
    shares = shares_of(data)
    shares[4] += bytes(70000)
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) in ("open", [])
    assert (view / "file").stat().st_size == SIZE


# In the wrong place


def test_blocks_swapped(mounts, tmp_path, data):
    """A block that is intact, but of another stripe, is no block of this one."""
    shares = shares_of(data)
    first, second = (slice(block_start(n), block_start(n + 1)) for n in (1, 2))
    swapped = bytearray(shares[4])
    swapped[first], swapped[second] = swapped[second], swapped[first]
    shares[4] = bytes(swapped)
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == [1, 2]


def test_blocks_swapped_in_all_shares(mounts, tmp_path, data):
    """Then all digests agree, and the position in the checks alone tells."""
    shares = shares_of(data)
    first, second = (slice(block_start(n), block_start(n + 1)) for n in (1, 2))
    for index, share in shares.items():
        swapped = bytearray(share)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        shares[index] = bytes(swapped)
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == [1, 2]


def test_block_of_another_share(mounts, tmp_path, data):
    """Intact and of the right stripe, but not of the share that the header says."""
    shares = shares_of(data)
    place = slice(block_start(1), block_start(2))
    shares[4] = shares[4][: place.start] + shares[11][place] + shares[4][place.stop :]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == [1]


def test_share_of_another_file(mounts, tmp_path, data, rng):
    """As large, and as old: only the digests tell that it is not of this file."""
    shares = shares_of(data)
    shares[4] = shares_of(rng.randbytes(SIZE))[4]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) in ("open", [0, 1, 2, 3, 4])


def test_share_of_another_file_with_a_spare_share(mounts, tmp_path, data, rng):
    """Three shares are of one file and one is of another: which is meant, the digests tell."""
    shares = shares_of(data, (*INDEXES, 17))
    shares[1] = shares_of(rng.randbytes(SIZE))[1]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == []


def test_blocks_that_lie_about_their_stripe(mounts, tmp_path, data):
    """Each block is intact, and their digests agree, but what they restore is not that stripe."""
    shares = shares_of(data)
    start = block_start(1)
    block = bytearray(shares[4][start : start + BLOCK_STEP - 16])
    block[500] ^= 1
    lie = bytes(block) + oracle.checksum(bytes(block), 256 + 4)
    shares[4] = shares[4][:start] + lie + shares[4][start + BLOCK_STEP :]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == [1]


def test_local_change_makes_local_difference(mounts, tmp_path, data):
    """Where one share is of a version that differs in one stripe, the others are still one."""
    older = flip(data, 2 * STRIPE + 100)
    shares = shares_of(data)
    shares[4] = shares_of(older)[4]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) in ("open", [2])


VERSIONS = ["size", "time", "a part", "k", "block size"]


def other_version(data, what):
    """Share 4 of the same file at another time."""
    made = {"size": (data + b"x", REQUIRED, trees.MTIME_NS, BLOCK_SIZE),
            "time": (data[::-1], REQUIRED, trees.MTIME_NS + 1, BLOCK_SIZE),
            "a part": (data[:-1] + bytes([data[-1] ^ 1]), REQUIRED, trees.MTIME_NS + 1, BLOCK_SIZE),
            "k": (data, REQUIRED - 1, trees.MTIME_NS, BLOCK_SIZE),
            "block size": (data, REQUIRED, trees.MTIME_NS, 2 * BLOCK_SIZE)}[what]  # fmt: skip
    content, required, mtime_ns, block_size = made
    return oracle.make_share("checked", content, required, 20, 4, mtime_ns, block_size)


@pytest.mark.parametrize("what", VERSIONS)
def test_versions_are_not_mixed(mounts, tmp_path, data, what):
    """Of one size, they restore what is the same in both, where something is, and no more."""
    shares = shares_of(data)
    shares[4] = other_version(data, what)
    view = mount_shares(mounts, tmp_path, shares)
    expected = [4] if what == "a part" else "open"
    assert stripes_that_fail(view / "file", data) == expected


# What another implementation, or a later one, may write


def with_header(share, extensions=b"", flags=0, **changed):
    """A share with another header, whose hash is right again."""
    fields = bytearray(share[:48])
    fields[11] = flags
    fields[12:16] = len(extensions).to_bytes(4, "little")
    for name, value in changed.items():
        at, length = HEADER_FIELDS[name]
        fields[at : at + length] = (value & (1 << 8 * length) - 1).to_bytes(length, "little")
    return bytes(fields) + oracle.checksum(bytes(fields), 0) + extensions + share[64:]


HEADER_FIELDS = {"required": (8, 1), "index": (9, 1), "block_log": (10, 1), "size": (16, 8)}


def test_extensions_are_skipped(mounts, tmp_path, data, rng):
    shares = {
        index: with_header(share, rng.randbytes(length))
        for (index, share), length in zip(shares_of(data).items(), (1, 100, 5000))
    }
    view = mount_shares(mounts, tmp_path, shares)
    assert (view / "file").stat().st_size == SIZE
    assert stripes_that_fail(view / "file", data) == []


HOSTILE = {
    "unknown flag": {"flags": 0x80},
    "k 0": {"required": 0},
    "block of 2 KiB": {"block_log": 11},
    "block of 2 MiB": {"block_log": 21},
    "block of 2^255 bytes": {"block_log": 255},
    "size 2^64 - 1": {"size": -1},
    "size 2^63": {"size": 1 << 63},
    "size 2^63 - 1": {"size": (1 << 63) - 1},
    "size 2^62": {"size": 1 << 62},
    "larger than its shares": {"size": SIZE + STRIPE},
    "smaller than its shares": {"size": SIZE - STRIPE},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_headers(mounts, tmp_path, data, what):
    """All shares say the same untruth, with a hash that is right: no wrong byte, and no crash."""
    shares = {i: with_header(share, **HOSTILE[what]) for i, share in shares_of(data).items()}
    view = mount_shares(mounts, tmp_path, shares)
    failed = stripes_that_fail_or_end(view / "file", data)
    assert failed == "open" or STRIPES - 1 in failed
    assert (view / "file").stat().st_size >= 0


def stripes_that_fail_or_end(path, data):
    """As stripes_that_fail(), where a stripe may also be short of what the size made of it."""
    stripes = read_stripes(path)
    if stripes is None:
        return "open"
    expected = oracle.stripes_of(data, REQUIRED, BLOCK_SIZE)
    for stripe, right in zip(stripes, expected):
        assert isinstance(stripe, OSError) or right.startswith(stripe)
    return [n for n, stripe in enumerate(stripes) if stripe != expected[n]]


@pytest.mark.parametrize("block_size", [1 << 11, 1 << 21])
def test_block_sizes_beyond_the_format(mounts, tmp_path, data, block_size):
    """Whole in every other respect; a reader that took them would need more and more memory."""
    view = mount_shares(mounts, tmp_path, shares_of(data, block_size=block_size))
    assert stripes_that_fail(view / "file", data) == "open"


@pytest.mark.parametrize("what", ["unknown flag", "k 0", "block of 2 MiB"])
def test_hostile_header_with_enough_good_shares(mounts, tmp_path, data, what):
    shares = shares_of(data, (*INDEXES, 0))
    shares[0] = with_header(shares[0], **HOSTILE[what])
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) == []


def test_extensions_longer_than_the_share(mounts, tmp_path, data):
    shares = shares_of(data)
    fields = bytearray(shares[4][:48])
    fields[12:16] = b"\xff" * 4
    shares[4] = bytes(fields) + oracle.checksum(bytes(fields), 0) + shares[4][64:]
    view = mount_shares(mounts, tmp_path, shares)
    assert stripes_that_fail(view / "file", data) in ("open", [0, 1, 2, 3, 4])


# Formats without checks: nothing tells a flipped bit, but what the headers say is not trusted


@pytest.mark.parametrize("share_format", ["classic", "fec"])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 5000])
def test_unchecked_share_cut(mounts, tmp_path, data, share_format, length):
    shares = trees.make_shares(share_format, data, REQUIRED, 20, INDEXES)
    shares[4] = shares[4][:length]
    trees.write_shares(tmp_path / "stores", "file", shares)
    trees.make_stores(tmp_path / "stores", "whole", data, INDEXES, share_format=share_format)
    view = mounts.restored(tmp_path / "stores", format=share_format)
    view.expect_log(r"^zfec-fs: .*\bfile\b")
    with pytest.raises(OSError, match="Input/output error"):
        (view / "file").read_bytes()


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_random_bytes_as_unchecked_shares(mounts, tmp_path, share_format, rng):
    """Whatever comes out, the server lives on."""
    stores = tmp_path / "stores"
    for number in range(200):
        shares = {index: rng.randbytes(rng.randrange(40)) for index in range(4)}
        trees.write_shares(stores, f"file-{number}", shares)
    put_honest(stores, range(4), 64, share_format)
    trees.make_stores(stores, "good", b"0123456789", (0, 1, 2), share_format=share_format)
    view = mounts.restored(stores, format=share_format)
    view.expect_log(r"^zfec-fs: .*\bfile-\d+\b", count=0)
    for number in range(200):
        read_stripes(view / f"file-{number}")
    assert (view / "good").read_bytes() == b"0123456789"


def test_fec_share_of_an_index_beyond_n(mounts, tmp_path):
    """The code has a share 31, but a file of 20 shares has none."""
    shares = trees.make_shares("fec", b"0123456789", REQUIRED, 20, (0, 1))
    payload = oracle.make_share("fec", b"0123456789", REQUIRED, 32, 31)[3:]
    shares[2] = oracle.fec_header(REQUIRED, 20, 31, 10) + payload
    trees.write_shares(tmp_path / "stores", "file", shares)
    trees.make_stores(tmp_path / "stores", "whole", b"0123456789", (0, 1, 2), share_format="fec")
    view = mounts.restored(tmp_path / "stores", format="fec")
    view.expect_log(r"^zfec-fs: .*\bfile\b")
    with pytest.raises(OSError, match="Input/output error"):
        (view / "file").read_bytes()
