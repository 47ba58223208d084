# SPDX-License-Identifier: MIT
"""The promise: as long as, for each stripe, some k stores have an intact block of the file's
version, the file is restored exactly; otherwise reading is EIO. Never a wrong byte.

All patterns of a few bad blocks; random damage of every kind is in test_model.py.
ZFEC_FS_TEST_CASES=100000 goes through all patterns of 12 blocks instead of 8.
"""

import errno
import itertools
import os

import pytest

import oracle
import share_cases
import trees

UNSANITIZED = True
SPREAD = True
PATTERN_BLOCKS = 12 if int(os.environ.get("ZFEC_FS_TEST_CASES", "0")) >= 100000 else 8
BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
REQUIRED_MAX, SHARES_MAX, STRIPES_MAX = 4, 6, 5


def block_start(number):
    return oracle.HEADER_SIZE + number * BLOCK_STEP


# Files, and their shares before they are damaged


class Subject:
    """A file, all its shares, and those of another file that is as old and as large."""

    def __init__(self, required, indexes, size, rng):
        self.required, self.indexes, self.size = required, indexes, size
        self.data = rng.randbytes(size)
        self.shares = self._encode(self.data)
        self.twins = self._encode(rng.randbytes(size))

    def _encode(self, data):
        return trees.make_shares("checked", data, self.required, 256, self.indexes, BLOCK_SIZE)

    def __str__(self):
        return f"k {self.required}, shares {self.indexes}, {self.size} bytes"


def ragged_size(required, stripes, rng):
    """A size of so many stripes, which ends anywhere, or at one of the borders."""
    full = required * BLOCK_SIZE
    return (stripes - 1) * full + rng.choice(
        (1, required, full - 1, full, full, rng.randint(1, full), rng.randint(1, full))
    )


# Damage. A case is a list of copies, each in a store of its own; None where it has none.


class Case(share_cases.Case):
    """A subject's shares, and what was done to them."""

    def __init__(self, subject):
        copies = [bytearray(subject.shares[index]) for index in subject.indexes]
        super().__init__(copies, subject.required)
        self.subject = subject
        self.story = []

    def stripes(self):
        """What the model says of it."""
        name = share_cases.model_of([self], self.required).name("file-0")
        return name.file.stripes() if name.state == "shown" else None

    def __str__(self):
        return f"{self.subject}: {'; '.join(self.story)}"


def flip_between(copy, start, end, rng):
    copy[rng.randrange(start, end)] ^= 1 << rng.randrange(8)


# Tests


def patterns():
    """k, n, stripes and the set of bad blocks (share, stripe), for all small products."""
    for count, stripes in itertools.product(
        range(1, SHARES_MAX + 1), range(1, STRIPES_MAX + 1)
    ):
        places = list(itertools.product(range(count), range(stripes)))
        if len(places) > PATTERN_BLOCKS:
            continue
        for required in range(1, min(count, REQUIRED_MAX) + 1):
            for bad in itertools.product((False, True), repeat=len(places)):
                yield required, count, stripes, list(itertools.compress(places, bad))


def spoil(case, number, stripe, rng):
    """Makes one block bad, in some way that leaves the others as they are."""
    copy = case.copies[number]
    start, end = block_start(stripe), min(block_start(stripe + 1), len(copy))
    kind = rng.choice(("flip", "zeros", "noise", "another share's"))
    case.story.append(f"{kind} {number} {stripe}")
    if kind == "zeros":
        copy[start:end] = bytes(end - start)
    elif kind == "noise":
        copy[start:end] = rng.randbytes(end - start)
    elif kind == "another share's" and len(case.copies) > 1:
        copy[start:end] = case.subject.shares[case.subject.indexes[number - 1]][start:end]
    else:
        flip_between(copy, start, end, rng)


def pattern_cases(rng):
    subjects, indexes = {}, rng.sample(range(256), SHARES_MAX)
    for required, count, stripes, bad in patterns():
        key = required, count, stripes
        if key not in subjects:
            size = ragged_size(required, stripes, rng)
            subjects[key] = Subject(required, indexes[:count], size, rng)
        case = Case(subjects[key])
        for number, stripe in bad:
            spoil(case, number, stripe, rng)
        right = oracle.stripes_of(subjects[key].data, required, BLOCK_SIZE)
        good = [count - sum(at == stripe for _, at in bad) for stripe in range(stripes)]
        owed = [data if good[stripe] >= required else None for stripe, data in enumerate(right)]
        assert case.stripes() == owed, "the model is wrong"
        yield case


def test_every_pattern_of_bad_blocks(mounts, tmp_path, rng):
    """Each stripe is there exactly where k shares have a good block of it."""
    counts = share_cases.check(mounts, tmp_path, pattern_cases(rng), rng)
    assert counts["cases"] > 2000
    assert counts["exact"] + counts["EIO"] == counts["stripes"] > 2000


# Single cases that the random ones came upon


def check_one(mounts, tmp_path, case, rng):
    assert None not in case.stripes(), "each stripe has k good blocks"
    share_cases.check(mounts, tmp_path, [case], rng)


def subject_of(indexes, stripes, rng):
    """A file of two shares required."""
    return Subject(2, indexes, (stripes - 1) * 2 * BLOCK_SIZE + 5000, rng)


def put_block(case, number, stripe, share):
    """Writes a block of another share over the same one of a copy."""
    place = slice(block_start(stripe), block_start(stripe + 1))
    case.copies[number][place] = share[place]


@pytest.mark.parametrize("stripe", [0, 1, 3])
def test_a_lost_header_and_a_block_of_another_share(mounts, tmp_path, rng, stripe):
    """Whose share a copy without a header is, one block of it does not say for all."""
    subject = subject_of([0, 1, 2], 4, rng)
    case = Case(subject)
    case.copies[2] = None
    case.copies[1][:64] = bytes(64)
    put_block(case, 1, stripe, subject.shares[2])
    check_one(mounts, tmp_path, case, rng)


def test_one_block_of_another_file_and_one_bad(mounts, tmp_path, rng):
    """A share that the other stripes came from has one block of another file."""
    subject = subject_of([0, 1, 2, 3], 4, rng)
    case = Case(subject)
    put_block(case, 0, 2, subject.twins[0])
    case.copies[1][block_start(2)] ^= 1
    check_one(mounts, tmp_path, case, rng)


def test_each_share_has_a_block_of_another_file(mounts, tmp_path, rng):
    """Each in another stripe: whom the first ones trust, the last one contradicts."""
    subject = subject_of([0, 1, 2], 4, rng)
    case = Case(subject)
    for number in range(3):
        put_block(case, number, number, subject.twins[number])
    case.write(stores := share_cases.make_folders(tmp_path / "stores", 3), "file")
    view = mounts.restored(stores, required=2)
    view.expect_log(r"^zfec-fs: file: ", count=0)
    right = oracle.stripes_of(subject.data, 2, BLOCK_SIZE)
    version = share_cases.model_of([case], 2).name("file-0").file.version
    found = share_cases.read_stripes(view / "file", version, range(4))
    assert (found[0], found[2], found[3]) == (right[0], errno.EIO, right[3])
    assert found[1] in (right[1], errno.EIO)


# The log


def lines_about(view, name, store):
    return [line for line in view.log().splitlines() if name in line and f"/{store}:" in line]


def test_bad_blocks_are_logged_once(mounts, tmp_path, rng):
    """Once per file and store, with the range, however many blocks there are of it."""
    data = rng.randbytes(100 * 2 * BLOCK_SIZE)
    shares = trees.make_shares("checked", data, 2, 20, (0, 1, 2))
    bad = bytearray(shares[0])
    for number in range(7, 90, 2):
        bad[block_start(number) + 100] ^= 1
    shares[0] = bytes(bad)
    trees.write_shares(tmp_path / "stores", "file", shares)
    view = mounts.restored(tmp_path / "stores")
    view.expect_log(r"^zfec-fs: file: store \S*/store-0: .*\b7\b")
    for _ in range(5):
        assert (view / "file").read_bytes() == data
    view.unmount()
    lines = lines_about(view, "file", "store-0")
    assert len(lines) <= 2, "once when it is found, once with the range"
    assert any("7" in line and "89" in line for line in lines), lines
