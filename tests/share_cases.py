# SPDX-License-Identifier: MIT
"""Many cases of damaged or stale shares in one mount, each a file, and held to the promise."""

import errno
import itertools
import os
import shutil
from collections import Counter

import promise

BATCH = 2000
STORES = 8
FAILURES_SHOWN = 20


class Case:
    """The copies of one file's shares, each in a store of its own, and what they give."""

    def __init__(self, copies, contents):
        self.copies = copies  # None: the store has none
        self.contents = contents  # version -> bytes
        self.places = None  # the store of each copy
        self.version = self.stripes = None

    def settle(self):
        """Asks the oracle what the copies give. False where it has no answer."""
        shares = [bytes(copy) for copy in self.copies if copy is not None]
        try:
            self.version, self.stripes = promise.expected(shares, self.contents)
        except promise.Ambiguous:
            return False
        return bool(shares)

    def write(self, stores, name):
        for place, copy in zip(self.places, self.copies):
            if copy is not None:
                (stores / f"store-{place}" / name).write_bytes(copy)

    def status_problems(self, status):
        """What is wrong with the status that the file shows, in words."""
        size = self.version.size if self.version else 0
        return [] if status.st_size == size else [f"size {status.st_size}, owed {size}"]


# Reading


def error_or(function):
    """What function() returns, or the errno with which it fails."""
    try:
        return function()
    except OSError as error:
        return error.errno


def read_range(file, offset, length):
    buffer = bytearray(length)
    count = os.preadv(file, [buffer], offset)
    return bytes(buffer[:count])


def read_stripes(path, ranges):
    """Each stripe as it reads by itself, or its errno; one errno where open fails."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return [error_or(lambda at=at, n=n: read_range(file, at, n)) for at, n in ranges]
    finally:
        os.close(file)


def read_whole(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def differences(case, found):
    """What is wrong with the stripes that were read, in words."""
    if case.stripes is None or isinstance(found, int):
        open_error = found if isinstance(found, int) else 0
        owed = errno.EIO if case.stripes is None else 0
        return [f"open: {open_error}, owed {owed}"] if open_error != owed else []
    return [
        f"stripe {number}: {describe(stripe)}, owed {describe(owed)}"
        for number, (stripe, owed) in enumerate(zip(found, case.stripes))
        if not is_owed(stripe, owed)
    ]


def is_owed(found, owed):
    """Whether a stripe, or its errno, is what the oracle says of it."""
    if found == errno.EIO:
        return owed is None or isinstance(owed, promise.Contested)
    return found == owed


def describe(result):
    if result is None:
        return "EIO"
    return os.strerror(result) if isinstance(result, int) else f"{len(result)} bytes"


def whole(case):
    """The file as it is to be read at once."""
    if case.stripes is None or None in case.stripes:
        return None
    contested = any(isinstance(stripe, promise.Contested) for stripe in case.stripes)
    return (promise.Contested if contested else bytes)(b"".join(case.stripes))


def check_whole(case, found):
    owed = whole(case)
    if is_owed(found, owed):
        return []
    return [f"whole: {describe(found)}, owed {describe(owed)}"]


def check_case(path, case, counts, rng):
    """Reads a case by stripes and as a whole, in either order. Returns what is wrong, in words."""
    ranges = promise.stripe_ranges(case.version) if case.version else []
    problems = case.status_problems(path.stat())
    whole_first = rng.random() < 0.3
    if whole_first:
        problems += check_whole(case, error_or(lambda: read_whole(path)))
    shuffled = rng.sample(range(len(ranges)), len(ranges))
    found = error_or(lambda: read_stripes(path, [ranges[i] for i in shuffled]))
    if not isinstance(found, int):
        found = [stripe for _, stripe in sorted(zip(shuffled, found), key=lambda pair: pair[0])]
    problems += differences(case, found)
    if not whole_first:
        problems += check_whole(case, error_or(lambda: read_whole(path)))
    count_case(case, found, counts)
    return problems


def count_case(case, found, counts):
    counts["cases"] += 1
    counts["open fails"] += isinstance(found, int)
    if isinstance(found, int):
        return
    counts["stripes"] += len(found)
    counts["contested"] += sum(isinstance(owed, promise.Contested) for owed in case.stripes or [])
    counts["EIO"] += sum(stripe == errno.EIO for stripe in found)
    right = [stripe == owed for stripe, owed in zip(found, case.stripes or [])]
    counts["exact"] += sum(right)
    counts["wrong bytes"] += sum(
        isinstance(stripe, bytes) and not same for stripe, same in zip(found, right)
    )


# Many at once


def write_stores(stores, cases, rng):
    """Puts case N as file-N into the stores, its copies into random ones."""
    for number in range(STORES):
        (stores / f"store-{number}").mkdir(parents=True)
    for number, case in enumerate(cases):
        case.places = rng.sample(range(STORES), STORES)
        case.write(stores, f"file-{number}")


def check_batch(mounts, folder, cases, counts, rng):
    """Mounts a batch of cases and reads them. Returns what is wrong, in words, and the log."""
    stores = folder / "stores"
    write_stores(stores, cases, rng)
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: file-\d+: ", count=0)
    failures = []
    for number, case in enumerate(cases):
        problems = check_case(view / f"file-{number}", case, counts, rng)
        failures += [f"{case}: {'; '.join(problems)}"] if problems else []
    view.unmount()
    shutil.rmtree(stores)
    return failures, view.log()


def check(mounts, folder, cases, rng, check_log=lambda cases, log: []):
    """Reads all cases, a batch at a time, and says how many there were of what."""
    counts, failures = Counter(), []
    while batch := list(itertools.islice(cases, BATCH)):
        wrong, log = check_batch(mounts, folder, batch, counts, rng)
        failures += wrong + check_log(batch, log)
    print(", ".join(f"{what}: {count}" for what, count in counts.items()))
    shown = "\n".join(failures[:FAILURES_SHOWN])
    assert not failures, f"{len(failures)} of {counts['cases']} cases are wrong:\n{shown}"
    return counts
