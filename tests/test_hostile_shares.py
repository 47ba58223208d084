# SPDX-License-Identifier: MIT
"""Shares that lie and are forged: what is read is right, or an error, at a bounded price."""

import contextlib
import errno
import os
import threading

import pytest

import hostile
import mounts as mounts_module
import oracle
import trees
from hostile import (
    BLOCK_SIZE, BLOCK_STEP, DATA, REQUIRED, STRIPE, check_lost, check_memory, read_or_errno, restored,
    within,
)  # fmt: skip

SPREAD = True
stores = hostile.stores  # a fixture


# Headers that lie

HEADER_FIELDS = {
    "required": (8, 1),
    "index": (9, 1),
    "block_log": (10, 1),
    "flags": (11, 1),
    "extensions": (12, 4),
    "size": (16, 8),
    "mtime": (24, 8),
    "zero": (40, 1),
}


def with_header(share, **changed):
    """A share whose header says something else, with a hash that is right."""
    fields = bytearray(share[:48])
    for name, value in changed.items():
        at, length = HEADER_FIELDS[name]
        fields[at : at + length] = value.to_bytes(length, "little")
    return bytes(fields) + oracle.checksum(bytes(fields), 0) + share[64:]


LIES = {
    "size 2^63 - 1": {"size": (1 << 63) - 1},
    "size 2^63": {"size": 1 << 63},
    "size 2^64 - 1": {"size": (1 << 64) - 1},
    "size of which no share fits a file": {"size": (1 << 63) - 1, "required": 1},
    "size 0": {"size": 0},
    "k 0": {"required": 0},
    "k 255": {"required": 255},
    "index 255": {"index": 255},
    "block of 2 KiB": {"block_log": 11},
    "block of 1 MiB": {"block_log": 20},
    "block of 2 MiB": {"block_log": 21},
    "block of 2^255": {"block_log": 255},
    "unknown flag": {"flags": 1},
    "all flags": {"flags": 255},
    "extensions beyond the file": {"extensions": 100000},
    "extensions of 2^32 - 1": {"extensions": (1 << 32) - 1},
    "zeros that are none": {"zero": 1},
    "k 255, block of 1 MiB, size 2^62": {"required": 255, "block_log": 20, "size": 1 << 62},
}
TIMES = {"same": None, "older": trees.MTIME_NS - 1, "far future": (1 << 63) - 1,
         "newer": trees.MTIME_NS + 1, "before 1970": 1 << 63}  # fmt: skip


def lying_stores(stores, rng, liars, spare):
    """For each lie and time a file of k + `spare` honest shares and of `liars` that lie so."""
    contents = {}
    for number, (what, when) in enumerate((what, when) for what in LIES for when in TIMES):
        name = f"file-{number}"
        data = rng.randbytes(3 * STRIPE + 100)
        indexes = range(REQUIRED + spare + liars)
        shares = trees.make_shares("checked", data, REQUIRED, 20, indexes)
        changed = dict(LIES[what])
        if TIMES[when] is not None:
            changed["mtime"] = TIMES[when]
        for index in rng.sample(indexes, liars):
            shares[index] = with_header(shares[index], **changed)
        trees.write_shares(stores, name, shares)
        contents[name] = data, f"{what}, {when}"
    return contents


@pytest.mark.parametrize("liars", [1, 2])
def test_headers_that_lie_among_enough_honest_ones(mounts, stores, rng, liars):
    """Whatever a store says of a file, k honest ones outvote it: the future is no argument."""
    contents = lying_stores(stores, rng, liars, spare=0)
    view = restored(mounts, stores)
    with within(30):
        for name, (data, what) in contents.items():
            assert (view / name).stat().st_size == len(data), what
            trees.assert_same((view / name).read_bytes(), data, what)
    check_memory(view, 300 << 20)


def read_around(path):
    """Tries what a reader may try of a file, however large it says that it is."""
    size = path.stat().st_size
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        for at in (0, 4096, size // 2, size - 4096, size - 1, size):
            with contextlib.suppress(OSError, OverflowError, ValueError):
                yield at, os.pread(file.fileno(), 8192, at)


def test_headers_that_all_lie_the_same(mounts, stores, rng):
    """Nothing is left to tell the truth: errors, or what is true all the same, and no harm."""
    contents = lying_stores(stores, rng, REQUIRED, spare=-REQUIRED)
    good = trees.make_stores(stores, "good", rng.randbytes(50000), range(REQUIRED))
    view = restored(mounts, stores)
    with within(60):
        for name, (data, what) in contents.items():
            assert (view / name).stat().st_size >= 0
            for at, found in read_around(view / name):
                assert data[at:].startswith(found[: len(data[at:])]), what
    assert len((view / "good").read_bytes()) == 50000, good.keys()
    check_memory(view, 300 << 20)


@pytest.mark.parametrize("size", [1, 255 << 20, (1 << 63) - 1])
def test_large_stripes_of_tiny_files(mounts, stores, size):
    """255 stores of 100 bytes each say that a stripe has 255 MiB: memory is for what is there."""
    for index in range(255):
        fields = oracle.checked_header(255, index, size, trees.MTIME_NS, 1 << 20)
        trees.write_file(stores / f"store-{index}" / "file", fields + bytes(36))
    view = restored(mounts, stores)
    with within(60):
        for _ in range(1 if mounts_module.is_sanitized(view.process) else 3):  # memory is not looked at
            check_lost(view, "file")
    check_memory(view, 200 << 20)


def test_many_large_stripes_at_once(mounts, stores):
    """As many readers as there may be, each of another file of which nothing is there."""
    for index in range(20):
        for number in range(16):
            header = oracle.checked_header(20, index, 1 << 40, trees.MTIME_NS, 1 << 20)
            trees.write_file(stores / f"store-{index}" / f"file-{number}", header)
    view = restored(mounts, stores)
    found = []

    def read_first(number):
        with open(view / f"file-{number}", "rb", buffering=0) as file:
            try:
                found.append(file.read(4096))
            except OSError as error:
                found.append(error.errno)

    readers = [threading.Thread(target=read_first, args=(number,)) for number in range(16)]
    with within(60):
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert found == [errno.EIO] * 16
    check_memory(view, 800 << 20)


def test_one_store_that_says_that_it_is_enough(mounts, stores, rng):
    """k = 1 makes a lie of one store complete; k stores of one version are still the file."""
    data = rng.randbytes(STRIPE)
    trees.make_stores(stores, "file", data, range(5))
    lie = oracle.make_share("checked", b"a lie", 1, 1, 0, trees.MTIME_NS + 1)
    trees.write_file(stores / "liar" / "file", lie)
    assert (restored(mounts, stores) / "file").read_bytes() == data


def test_copies_without_headers_beside_one_with_extensions(mounts, stores, rng):
    """Extensions are one share's own: the blocks of others do not stand behind as many."""
    data = rng.randbytes(4 * STRIPE)
    trees.make_stores(stores, "other", DATA, (0, 1, 2))
    shares = trees.make_shares("checked", data, REQUIRED, 20, (0, 1, 2))
    shares[0] = with_header(shares[0][:64] + bytes(500) + shares[0][64:], extensions=500)
    shares[1] = b"\xff" + shares[1][1:]
    shares[2] = b"\xff" + shares[2][1:]
    trees.write_shares(stores, "file", shares)
    trees.assert_same((restored(mounts, stores) / "file").read_bytes(), data, "file")


# Stores that forge


def forge_digest(block, stripe, number, index, rng):
    """Another content, or none, with a right check."""
    intact = oracle.checksum(rng.randbytes(10), number) + rng.randbytes(len(block) - 32)
    return intact + oracle.checksum(intact, number * 256 + index)


def forge_payload(block, stripe, number, index, rng):
    """The digest that the others have, another payload, and a right check."""
    payload = bytearray(block[16:-16])
    payload[rng.randrange(len(payload))] ^= rng.randint(1, 255)
    intact = block[:16] + bytes(payload)
    return intact + oracle.checksum(intact, number * 256 + index)


def forge_content(block, stripe, number, index, rng):
    """The block that a lie, the same in all stores that tell it, has there."""
    lie = bytes(byte ^ 0x55 for byte in stripe)
    return oracle.checked_block(lie, number, REQUIRED, index)


FORGERIES = [forge_digest, forge_payload, forge_content]


def forge(data, index, how, rng, stripes=None, required=REQUIRED, says=None):
    """Share `index` with forged blocks (all, or those of `stripes`), maybe as share `says`."""
    index = index if says is None else says
    share = oracle.make_share("checked", data, required, 20, index, trees.MTIME_NS, BLOCK_SIZE)
    forged, at = share[:64], 64
    for number, stripe in enumerate(oracle.stripes_of(data, required, BLOCK_SIZE)):
        length = oracle.ceil_div(len(stripe), required) + 32
        block = share[at : at + length]
        is_forged = stripes is None or number in stripes
        forged += how(block, stripe, number, index, rng) if is_forged else block
        at += length
    return forged


def check_all(view, contents):
    wrong = []
    for name, data in contents.items():
        found = read_or_errno(view / name)
        if found != data:
            wrong.append((name, found if isinstance(found, int) else "WRONG BYTES"))
    assert not wrong, f"{len(wrong)} of {len(contents)}: {wrong[:10]}"


FORGED_SIZE = 3 * STRIPE + 1000


@pytest.mark.parametrize("how", FORGERIES)
@pytest.mark.parametrize("forgers", [1, 2, 3])
def test_forged_shares(mounts, stores, rng, how, forgers):
    """k honest stores are enough, however many forge (fewer than k where they agree)."""
    if how is forge_content and forgers >= REQUIRED:
        pytest.skip("k stores that agree are a file")
    contents = {}
    for number in range(30):
        data = rng.randbytes(FORGED_SIZE)
        order = rng.sample(range(20), REQUIRED + forgers)
        shares = trees.make_shares("checked", data, REQUIRED, 20, order[forgers:])
        shares |= {index: forge(data, index, how, rng) for index in order[:forgers]}
        trees.write_shares(stores, f"file-{number}", shares)
        contents[f"file-{number}"] = data
    check_all(restored(mounts, stores), contents)


@pytest.mark.parametrize("how", FORGERIES)
@pytest.mark.parametrize("required", [1, 2, 3])
def test_forged_copies_of_honest_shares(mounts, stores, rng, how, required):
    """k - 1 stores (one where k = 1) forge under the indices that the honest ones have."""
    contents = {}
    if required == 1 and how is not forge_payload:
        pytest.skip("k stores that agree are a file")
    for number in range(30):
        data = rng.randbytes(required * BLOCK_SIZE * 2 + 77)
        name = f"file-{number}"
        contents[name] = data
        for index in range(required):
            share = oracle.make_share(
                "checked", data, required, 20, index, trees.MTIME_NS, BLOCK_SIZE
            )
            trees.write_file(stores / f"{rng.randrange(9)}-honest-{index}" / name, share)
        for liar in range(max(1, required - 1)):
            if how is forge_content and required != REQUIRED:
                continue
            share = forge(data, 0, how, rng, required=required, says=rng.randrange(required))
            trees.write_file(stores / f"{rng.randrange(9)}-liar-{liar}" / name, share)
    check_all(restored(mounts, stores), contents)


@pytest.mark.parametrize("how", FORGERIES)
def test_forged_now_and_then(mounts, stores, rng, how):
    """Honest in some stripes, so that they are trusted, and lying in others; one where they agree."""
    contents = {}
    liars = 1 if how is forge_content else 2
    for number in range(30):
        data = rng.randbytes(8 * STRIPE + 1)
        order = rng.sample(range(8), REQUIRED + liars)
        shares = trees.make_shares("checked", data, REQUIRED, 20, order)
        for liar in order[:liars]:
            stripes = {stripe for stripe in range(9) if rng.random() < 0.4}
            shares[liar] = forge(data, liar, how, rng, stripes)
        trees.write_shares(stores, f"file-{number}", shares)
        contents[f"file-{number}"] = data
    check_all(restored(mounts, stores), contents)


def two_that_agree(stores, rng, stripes):
    """Of five stores two that tell the same lie in some of four stripes; they are read first."""
    data = rng.randbytes(4 * STRIPE)
    shares = trees.make_shares("checked", data, REQUIRED, 20, range(5))
    for liar in (0, 1):
        shares[liar] = forge(data, liar, forge_content, rng, stripes)
    trees.write_shares(stores, "file", shares)
    return data


def test_two_that_agree_on_one_lie_once_they_are_trusted(mounts, stores, rng):
    """Fewer than k, and k honest ones are there: the other stripes tell who is right."""
    data = two_that_agree(stores, rng, {1})
    check_all(restored(mounts, stores), {"file": data})


@pytest.mark.parametrize("stripes", [{1, 3}, {1, 2, 3}, {0, 1, 2, 3}])
def test_two_that_agree_on_lies_once_they_are_trusted(mounts, stores, rng, stripes):
    """In all other stripes, too, k honest ones agree, and these with each other."""
    data = two_that_agree(stores, rng, stripes)
    check_all(restored(mounts, stores), {"file": data})


@pytest.mark.parametrize("required, honest, forgers", [(8, 15, 1), (10, 12, 3), (20, 20, 2)])
def test_forged_payloads_among_many_shares(mounts, stores, rng, required, honest, forgers):
    """There are too many sets of k shares to try them all in order."""
    data = rng.randbytes(required * BLOCK_SIZE + 1)
    indexes = range(honest + forgers)
    for name, liars in {"first": indexes[:forgers], "random": rng.sample(indexes, forgers)}.items():
        for index in indexes:
            share = oracle.make_share(
                "checked", data, required, 64, index, trees.MTIME_NS, BLOCK_SIZE
            )
            if index in liars:
                share = forge(data, index, forge_payload, rng, required=required)
            trees.write_file(stores / f"store-{index}" / name, share)
    view = restored(mounts, stores)
    with within(20):
        check_all(view, {"first": data, "random": data})


def test_forged_payloads_do_not_keep_busy(mounts, stores, rng):
    """An error is an answer, too, but not after minutes: one store must not stop the reader."""
    required, block_size = 20, 1 << 20
    data = rng.randbytes(required * block_size)
    for index in range(required + 3):
        share = bytearray(oracle.make_share("checked", data, required, 64, index, 0, block_size))
        if index < 4:
            share[64 + 16 + 7] ^= 1
            share[-16:] = oracle.checksum(bytes(share[64:-16]), index)
        trees.write_file(stores / f"store-{index}" / "file", bytes(share))
    view = restored(mounts, stores)
    with within(10):
        assert read_or_errno(view / "file") == errno.EIO


# Two contents that claim to be one version


def edited(data, stripes):
    """The same size and time, and other bytes in some stripes."""
    changed = bytearray(data)
    for stripe in stripes:
        changed[stripe * STRIPE + 5] ^= 0xFF
    return bytes(changed)


def read_stripes(path, order):
    """Stripe -> bytes, or None for an error; each by itself, from one open file."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    found = {}
    try:
        for stripe in order:
            buffer = bytearray(STRIPE)
            try:
                count = os.preadv(file, [buffer], stripe * STRIPE)
                found[stripe] = bytes(buffer[:count])
            except OSError:
                found[stripe] = None
    finally:
        os.close(file)
    return found


def contents_of(found, old, new):
    """Of which contents the stripes are that were read: {"old"}, {"new"}, or both, if blended."""
    kinds = set()
    for stripe, data in found.items():
        place = slice(stripe * STRIPE, stripe * STRIPE + STRIPE)
        if data is None or old[place] == new[place]:
            continue
        assert data in (old[place], new[place]), f"stripe {stripe} is neither old nor new"
        kinds.add("old" if data == old[place] else "new")
    return kinds


def test_edit_that_keeps_size_and_time(mounts, stores, rng):
    """Some stores have the old content and some the new one, in every split: never both."""
    count, stripes = 6, 5
    old = rng.randbytes(stripes * STRIPE)
    pairs = {}
    for split in range(1, (1 << count) - 1):
        new = edited(old, rng.sample(range(stripes), rng.randint(1, stripes)))
        name = f"file-{split}"
        for index in range(count):
            content = new if split >> index & 1 else old
            share = oracle.make_share(
                "checked", content, REQUIRED, 20, index, trees.MTIME_NS, BLOCK_SIZE
            )
            trees.write_file(stores / f"store-{index}" / name, share)
        pairs[name] = new
    view = restored(mounts, stores)
    read = 0
    for name, new in pairs.items():
        found = read_stripes(view / name, rng.sample(range(stripes), stripes))
        kinds = contents_of(found, old, new)
        assert len(kinds) <= 1, f"{name}: a blend"
        whole = read_or_errno(view / name)
        assert whole in (old, new) or whole == errno.EIO
        read += whole != errno.EIO
    assert read > len(pairs) / 2, "what is always an error is no test"


def damage_block(share, stripe):
    at = 64 + stripe * BLOCK_STEP + 100
    return share[:at] + bytes([share[at] ^ 1]) + share[at + 1 :]


@pytest.mark.parametrize("damaged", [(0, 1, 2), (0, 1), (0,)], ids=len)
def test_edit_and_damage(mounts, stores, rng, damaged):
    """
    Stores 0, 1 and 2 have the new content, the others the old one. In stripe 0 the new one is
    damaged, so that it comes from the old one, and all others have to come from there, too.
    """
    old = rng.randbytes(5 * STRIPE)
    new = edited(old, range(5))
    for index in range(6):
        content = new if index < 3 else old
        share = trees.make_shares("checked", content, REQUIRED, 20, [index])[index]
        share = damage_block(share, 0) if index in damaged else share
        trees.write_file(stores / f"store-{index}" / "file", share)
    view = restored(mounts, stores)
    found = read_stripes(view / "file", range(5))
    assert len(contents_of(found, old, new)) <= 1, "a blend"
    assert read_or_errno(view / "file") in (old, new, errno.EIO)


def test_two_contents_are_not_blended(mounts, stores, rng):
    """Random damage that leaves two shares of either content in each stripe to witness."""
    cases, stripes, count = {}, 5, 7
    for number in range(200):
        old = rng.randbytes(stripes * STRIPE)
        new = edited(old, rng.sample(range(stripes), rng.randint(2, stripes)))
        news = set(rng.sample(range(count), rng.randint(2, count - 2)))
        shares = {
            index: trees.make_shares("checked", content, REQUIRED, 20, [index])[index]
            for index in range(count)
            for content in [new if index in news else old]
        }
        for stripe in range(stripes):
            for group in (news, set(range(count)) - news):
                for index in rng.sample(sorted(group), rng.randint(0, len(group) - 2)):
                    shares[index] = damage_block(shares[index], stripe)
        trees.write_shares(stores, f"file-{number}", shares)
        cases[f"file-{number}"] = old, new
    view = restored(mounts, stores)
    read = 0
    for name, (old, new) in cases.items():
        found = read_stripes(view / name, rng.sample(range(stripes), stripes))
        assert len(contents_of(found, old, new)) <= 1, f"{name}: a blend"
        read += len(contents_of(found, old, new))
    assert read > len(cases) / 3, "what is always an error is no test"
