# SPDX-License-Identifier: MIT
"""Many cases of damaged or stale shares in a few mounts, each a file, held against the model."""

import errno
import itertools
import os
import shutil
from collections import Counter, defaultdict

from model import Model
from model_shares import DIRECTORY, Entry

BATCH = 2000
FAILURES_SHOWN = 20


class Case:
    """The copies of one file's shares: number i is in store i, and None where it has none."""

    def __init__(self, copies, required):
        self.copies, self.required = copies, required

    def entry(self, number):
        """What the store has, with the status that the file is to have there."""
        return Entry(data=bytes(self.copies[number]))

    def write(self, stores, name):
        for number, copy in enumerate(self.copies):
            if copy is not None:
                self.write_copy(stores / f"store-{number}" / name, self.entry(number))

    def write_copy(self, path, entry):
        path.write_bytes(entry.data)

    def status_problems(self, status, name):
        """What is wrong with the status that the file shows, in words."""
        size = name.file.version.size
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


def read_stripes(path, version, order):
    """Each stripe as it reads by itself, or its errno, by their numbers."""
    step = version.k * version.block
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        read = {n: error_or(lambda n=n: read_range(file, n * step, step)) for n in order}
        return [read[number] for number in sorted(order)]
    finally:
        os.close(file)


def read_whole(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def describe(result):
    if result is None:
        return "EIO"
    return os.strerror(result) if isinstance(result, int) else f"{len(result)} bytes"


def difference(found, owed, where):
    """What is wrong with bytes that were read, or with the errno, in words."""
    if found == (errno.EIO if owed is None else owed):
        return []
    return [f"{where}: {describe(found)}, owed {describe(owed)}"]


def check_stripes(path, file, counts, rng):
    order = list(range(file.version.stripes()))
    if all(len(file.groups(number)) < 2 for number in order):  # else the order has its say
        rng.shuffle(order)
    owed = file.stripes(order) if order else []
    found = error_or(lambda: read_stripes(path, file.version, order))
    if isinstance(found, int):
        return [f"open: {describe(found)}"]
    counts["stripes"] += len(found)
    counts["EIO"] += sum(stripe == errno.EIO for stripe in found)
    counts["exact"] += sum(stripe == right for stripe, right in zip(found, owed))
    return [
        text
        for number, (stripe, right) in enumerate(zip(found, owed))
        for text in difference(stripe, right, f"stripe {number} of {order}")
    ]


def check_case(path, case, name, counts, rng):
    """Reads a case by stripes or as a whole. Returns what is wrong, in words.

    Not both: what contradicts itself reads by what was given before.
    """
    counts["cases"] += 1
    counts[name.state] += 1
    if name.state != "shown":
        return difference(error_or(lambda: read_whole(path)), None, name.state)
    problems = case.status_problems(path.stat(), name)
    if rng.random() < 0.3:
        found = error_or(lambda: read_whole(path))
        return problems + difference(found, name.file.content(), "whole")
    return problems + check_stripes(path, name.file, counts, rng)


# Many at once


def model_of(cases, required):
    count = max(len(case.copies) for case in cases)
    stores = {f"store-{number}": {"": Entry(DIRECTORY)} for number in range(count)}
    for number, case in enumerate(cases):
        for store, copy in enumerate(case.copies):
            if copy is not None:
                stores[f"store-{store}"][f"file-{number}"] = case.entry(store)
    return Model(stores, "checked", required)


def make_folders(stores, count):
    for number in range(count):
        (stores / f"store-{number}").mkdir(parents=True)
    return stores


def check_batch(mounts, folder, cases, counts, rng, check_log):
    """Mounts a batch of cases of one k and reads them. Returns what is wrong, in words."""
    stores, required = folder / "stores", cases[0].required
    model = model_of(cases, required)
    make_folders(stores, len(model.stores))
    for number, case in enumerate(cases):
        case.write(stores, f"file-{number}")
    view = mounts.restored(stores, required=required)
    view.expect_log(r"^zfec-fs: file-\d+: ", count=0)
    failures = []
    names = [model.name(f"file-{number}") for number in range(len(cases))]
    for number, (case, name) in enumerate(zip(cases, names)):
        problems = check_case(view / f"file-{number}", case, name, counts, rng)
        failures += [f"{case}: {'; '.join(problems)}"] if problems else []
    view.unmount()
    shutil.rmtree(stores)
    return failures + check_log(cases, names, view.log())


def check(mounts, folder, cases, rng, check_log=lambda cases, names, log: []):
    """Reads all cases, a batch of one k at a time, and says how many there were of what."""
    counts, failures, by_required = Counter(), [], defaultdict(list)
    for case in cases:
        by_required[case.required].append(case)
    for group in map(iter, by_required.values()):
        while batch := list(itertools.islice(group, BATCH)):
            failures += check_batch(mounts, folder, batch, counts, rng, check_log)
    print(", ".join(f"{what}: {count}" for what, count in counts.items()))
    shown = "\n".join(failures[:FAILURES_SHOWN])
    assert not failures, f"{len(failures)} of {counts['cases']} cases are wrong:\n{shown}"
    return counts
