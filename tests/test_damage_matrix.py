# SPDX-License-Identifier: MIT
"""The promise: as long as, for each stripe, some k stores have an intact block of the file's
version, the file is restored exactly; otherwise reading is EIO. Never a wrong byte.

ZFEC_FS_TEST_CASES says how many random cases there are: 4000, or 100000 for the full run,
    ZFEC_FS_TEST_CASES=100000 ZFEC_FS_TEST_LIMIT=3600 ./test -s -k damage_matrix
which also goes through all patterns of 12 blocks instead of 8.
"""

import itertools
import os

import pytest

import oracle
import promise
import share_cases
import trees

CASES = int(os.environ.get("ZFEC_FS_TEST_CASES", "4000"))
PATTERN_BLOCKS = 12 if CASES >= 100000 else 8
BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
REQUIRED_MAX, SHARES_MAX, STRIPES_MAX = 4, 6, 5


def block_start(number):
    return oracle.HEADER_SIZE + number * BLOCK_STEP


# Files, and their shares before they are damaged


class Subject:
    """A file, all its shares, and those of other files, one of which is as old and as large."""

    def __init__(self, required, indexes, size, rng):
        self.required, self.indexes, self.size = required, indexes, size
        self.contents = {}
        self.shares = self._encode(rng.randbytes(size), trees.MTIME_NS)
        age = rng.choice((-1, 1)) * rng.randint(1, 10**9)
        twin = rng.randbytes(size)
        self.twins = {i: self._share(twin, i, trees.MTIME_NS) for i in indexes}
        self.strangers = self._encode(rng.randbytes(size), trees.MTIME_NS + age)

    def _encode(self, data, mtime_ns):
        version = promise.Version(self.required, BLOCK_SIZE, len(data), mtime_ns)
        self.contents[version] = data
        return {index: self._share(data, index, mtime_ns) for index in self.indexes}

    def _share(self, data, index, mtime_ns):
        return oracle.make_share(
            "checked", data, self.required, 256, index, mtime_ns, BLOCK_SIZE
        )

    @property
    def stripes(self):
        return oracle.ceil_div(self.size, self.required * BLOCK_SIZE)

    def __str__(self):
        return f"k {self.required}, shares {self.indexes}, {self.size} bytes"


def ragged_size(required, stripes, rng):
    """A size of so many stripes, which ends anywhere, or at one of the borders."""
    if not stripes:
        return 0
    full = required * BLOCK_SIZE
    return (stripes - 1) * full + rng.choice(
        (1, required, full - 1, full, full, rng.randint(1, full), rng.randint(1, full))
    )


def random_subject(rng):
    required = rng.randint(1, REQUIRED_MAX)
    count = rng.randint(required, SHARES_MAX)
    indexes = list(range(count)) if rng.random() < 0.5 else rng.sample(range(256), count)
    return Subject(required, indexes, ragged_size(required, rng.randint(0, STRIPES_MAX), rng), rng)


# Damage. A case is a list of copies, each in a store of its own; None where it has none.


class Case(share_cases.Case):
    """A subject's shares, and what was done to them."""

    def __init__(self, subject):
        copies = [bytearray(subject.shares[index]) for index in subject.indexes]
        super().__init__(copies, subject.contents)
        self.subject = subject
        self.indexes = list(subject.indexes)  # of the copies, before they were damaged
        self.story = []

    def __str__(self):
        return f"{self.subject}: {'; '.join(self.story)}"


def some_block(copy, rng):
    """Where a random block of a share, as far as it is there, starts and ends."""
    count = max(1, oracle.ceil_div(len(copy) - oracle.HEADER_SIZE, BLOCK_STEP))
    number = rng.randrange(count)
    return min(block_start(number), len(copy)), min(block_start(number + 1), len(copy))


def flip_between(copy, start, end, rng):
    start, end = max(0, start), min(end, len(copy))
    if start < end:
        copy[rng.randrange(start, end)] ^= 1 << rng.randrange(8)


def flip_digest(_case, copy, _number, rng):
    start, _ = some_block(copy, rng)
    flip_between(copy, start, start + 16, rng)


def flip_payload(_case, copy, _number, rng):
    start, end = some_block(copy, rng)
    flip_between(copy, start + 16, end - 16, rng)


def flip_check(_case, copy, _number, rng):
    _, end = some_block(copy, rng)
    flip_between(copy, end - 16, end, rng)


def flip_header(_case, copy, _number, rng):
    flip_between(copy, 0, oracle.HEADER_SIZE, rng)


def cut_anywhere(_case, copy, _number, rng):
    del copy[rng.randrange(len(copy) + 1) :]


def cut_in_block(_case, copy, _number, rng):
    start, end = some_block(copy, rng)
    del copy[rng.randint(start, end) :]


def cut_in_header(_case, copy, _number, rng):
    del copy[rng.randrange(oracle.HEADER_SIZE + 1) :]


def extend(_case, copy, _number, rng):
    copy += rng.randbytes(rng.choice((1, 16, 32, BLOCK_STEP, rng.randint(1, 9000))))


def zero_page(_case, copy, _number, rng):
    page = rng.randrange(len(copy) // 4096 + 1)
    at = page * 4096 if rng.random() < 0.5 else rng.randrange(len(copy) + 1)
    length = min(4096, len(copy) - at)
    copy[at : at + length] = bytes(length)


def move_block(_case, copy, _number, rng):
    """Two blocks of a share swapped: both are intact, and in the wrong place."""
    (start, end), (other, other_end) = some_block(copy, rng), some_block(copy, rng)
    if end - start == other_end - other:
        copy[start:end], copy[other:other_end] = copy[other:other_end], copy[start:end]


def swap_with_share(case, copy, number, rng):
    """The same block of two shares swapped."""
    others = [i for i, other in enumerate(case.copies) if other is not None and i != number]
    if not others:
        return
    other = case.copies[rng.choice(others)]
    start, end = some_block(copy, rng)
    if len(other) >= end:
        copy[start:end], other[start:end] = other[start:end], copy[start:end]


def block_of_share(case, copy, number, rng):
    """A block of another share, written over the same one of this."""
    start, end = some_block(copy, rng)
    copy[start:end] = case.subject.shares[rng.choice(case.subject.indexes)][start:end]


def block_of_file(case, copy, number, rng):
    """The same block of the same share, but of another file."""
    start, end = some_block(copy, rng)
    others = rng.choice((case.subject.twins, case.subject.strangers))
    copy[start:end] = others[case.indexes[number]][start:end]


def lose_header(_case, copy, _number, rng):
    length = min(oracle.HEADER_SIZE, len(copy))
    copy[:length] = rng.choice((bytes(length), rng.randbytes(length)))


def lose_share(case, _copy, number, _rng):
    case.copies[number] = None


def copy_share(case, copy, number, _rng):
    """The same share in one more store."""
    if len(case.copies) < SHARES_MAX + 2:
        case.copies.append(bytearray(copy))
        case.indexes.append(case.indexes[number])


def other_share(case, copy, number, rng):
    """Another file's share in place of this one."""
    others = rng.choice((case.subject.twins, case.subject.strangers))
    copy[:] = others[case.indexes[number]]


DAMAGE = {
    flip_digest: 4, flip_payload: 8, flip_check: 4, flip_header: 3, cut_anywhere: 2,
    cut_in_block: 2, cut_in_header: 1, extend: 3, zero_page: 6, move_block: 4, swap_with_share: 3,
    block_of_share: 3, block_of_file: 6, lose_header: 4, lose_share: 2, copy_share: 6,
    other_share: 2,
}  # fmt: skip


def damage_somewhere(case, rng):
    number = rng.randrange(len(case.copies))
    if case.copies[number] is None:
        return
    (kind,) = rng.choices(list(DAMAGE), DAMAGE.values())
    case.story.append(f"{kind.__name__} {number}")
    kind(case, case.copies[number], number, rng)


def random_case(subjects, rng):
    """A case with as much damage as its subject just stands, less, or more."""
    while True:
        subject = rng.choice(subjects)
        case = Case(subject)
        spare = len(subject.indexes) - subject.required
        for _ in range(rng.randint(0, 2 + 3 * spare)):
            damage_somewhere(case, rng)
        if case.settle():
            return case


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
    elif kind == "another share's" and len(case.indexes) > 1:
        copy[start:end] = case.subject.shares[case.indexes[number - 1]][start:end]
    else:
        flip_between(copy, start, end, rng)


def pattern_cases(rng):
    subjects = {}
    for required, count, stripes, bad in patterns():
        key = required, count, stripes
        if key not in subjects:
            indexes = rng.sample(range(rng.choice((count, 256))), count)
            subjects[key] = Subject(required, indexes, ragged_size(required, stripes, rng), rng)
        case = Case(subjects[key])
        for number, stripe in bad:
            spoil(case, number, stripe, rng)
        assert case.settle(), case
        for stripe, given in enumerate(case.stripes):
            good = count - sum(at == stripe for _, at in bad)
            assert (given is not None) == (good >= required), "the oracle is wrong"
        yield case


def test_every_pattern_of_bad_blocks(mounts, tmp_path, rng):
    """Each stripe is there exactly where k shares have a good block of it."""
    counts = share_cases.check(mounts, tmp_path, pattern_cases(rng), rng)
    assert counts["cases"] > 2000
    assert counts["exact"] + counts["EIO"] == counts["stripes"]


def test_random_damage_of_every_kind(mounts, tmp_path, rng):
    """Whatever is damaged, in however many copies and ways at once."""
    subjects = [random_subject(rng) for _ in range(min(300, CASES))]
    cases = (random_case(subjects, rng) for _ in range(CASES))
    counts = share_cases.check(mounts, tmp_path, cases, rng)
    assert counts["wrong bytes"] == 0
    assert min(counts["exact"], counts["EIO"], counts["open fails"]) > CASES // 100


# Single cases that the random ones came upon


def check_one(mounts, tmp_path, case, rng):
    assert case.settle()
    assert None not in case.stripes, "each stripe has k good blocks"
    share_cases.check(mounts, tmp_path, iter([case]), rng)


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
    """Each in another stripe, so that each stripe has enough shares that have not."""
    subject = subject_of([0, 1, 2], 4, rng)
    case = Case(subject)
    for number in range(3):
        put_block(case, number, number, subject.twins[number])
    check_one(mounts, tmp_path, case, rng)


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
