# SPDX-License-Identifier: MIT
"""Ten times as many files, or stores, may take ten times as long and as much memory, and no more."""

import functools

import walking
from cases import SECONDS, Case, Subject, Target, add
from commands import timed
from walking import walk

REQUIRED, SHARES = 2, 3
SHARES_OF_MILLION = 2  # with the files themselves they fit into the memory of a small machine
SIZES = (1_000, 10_000, 100_000)
SIZES_OF_MILLION = (10_000, 100_000, 1_000_000)
STORES = (3, 20, 256)
FILES_IN_STORES = 1_000
SLACK = 1.25  # of two noisy measurements


def named(count):
    """With --quick there are a tenth of them."""
    return f"{count:,} files"


# What is measured of a tree of so many files, or of the stores of it


def find_encoded(lab, tree, shares):
    last = f"{shares - 1:02x}"
    return walk(lab, lab.mounts.encoded(tree, REQUIRED, shares, last), walking.find_by_size)


def find_restored(lab, tree, shares):
    stores = lab.shares(tree, REQUIRED, range(shares))
    return walk(lab, lab.mounts.restored(stores), walking.find_by_size)


def encode(lab, tree, shares):
    numbers = ["-k", str(REQUIRED), "-n", str(shares)]

    def measure():
        with lab.passing_folder() as folder:
            return timed([lab.binary, "encode", "-q", *numbers, tree, folder])

    return measure


def check(lab, tree, shares):
    stores = lab.shares(tree, REQUIRED, range(shares))
    return lambda: timed([lab.binary, "check", "-q", stores])


def files(measurement, sizes, shares, lab):
    for count in sizes:
        tree = lab.make_tree(lab.new_folder_of_case() / "tree", count // lab.part)
        yield Subject(named(count), measurement(lab, tree, shares))


def linear(counts, name):
    """Each against the least, in time and in memory."""
    for count in counts[1:]:
        bound = SLACK * count / counts[0]
        for of_memory in (False, True):
            yield Target(name(count), name(counts[0]), at_most=bound, of_memory=of_memory)


def add_growth(name, what, measurement):
    for suffix, sizes, shares in (
        ("", SIZES, SHARES), ("-million", SIZES_OF_MILLION, SHARES_OF_MILLION)
    ):  # fmt: skip
        add(Case(f"growth-{name}{suffix}", f"{what}, with the number of files", SECONDS,
                 named(sizes[0]), functools.partial(files, measurement, sizes, shares),
                 list(linear(sizes, named)), only_by_name=suffix != ""))  # fmt: skip


add_growth("find-encoded", "find -size on a share", find_encoded)
add_growth("find-restored", "find -size on restored files", find_restored)
add_growth("encode", "encode", encode)
add_growth("check", "check", check)


# With the number of stores


def stores_of(measurement, lab):
    tree = lab.make_tree(lab.new_folder_of_case() / "tree", FILES_IN_STORES // lab.part)
    for count in STORES:
        stores = lab.shares(tree, REQUIRED, range(count))
        yield Subject(f"{count} stores", measurement(lab, stores))


def find_in_stores(lab, stores):
    return walk(lab, lab.mounts.restored(stores), walking.find_by_size)


def check_stores(lab, stores):
    return lambda: timed([lab.binary, "check", "-q", stores])


def add_growth_of_stores(name, what, measurement):
    targets = linear(STORES, lambda count: f"{count} stores")
    add(Case(f"growth-stores-{name}", f"{what}, with the number of stores", SECONDS, "3 stores",
             functools.partial(stores_of, measurement), list(targets)))  # fmt: skip


add_growth_of_stores("find", "find -size on restored files", find_in_stores)
add_growth_of_stores("check", "check", check_stores)
