# SPDX-License-Identifier: MIT
"""One large file, read from end to end: the views against the floor and the plain file."""

import functools

from cases import GBPS, Case, Subject, Target, add
from reading import KIB, read

FLOOR = "floor, pread"
FLOORS = {
    FLOOR: ("pread", "cached"),
    "floor, mmap": ("mmap", "cached"),
    "floor, pread, direct_io": ("pread", "direct"),
    "floor, mmap, direct_io": ("mmap", "direct"),
}
FIRST, PARITY = "share 00", "a parity share"
PAST_PAGES = "cache=no"


def plain(lab, **how):
    return Subject("the plain file", read(lab, lab.mounts.bare(lab.large), "large", **how))


def floors(lab, required, names=tuple(FLOORS), **how):
    source = lab.large / "large"
    return [
        Subject(name, read(lab, lab.mounts.floor(required, source, *FLOORS[name]), "0", **how))
        for name in names
    ]


def encoded_view(lab, required, more=""):
    return lab.mounts.encoded(lab.large, required, required + 2, more=more)


def path_in_share(index):
    return f"{index:02x}/large"


def share(lab, name, required, index, **how):
    return Subject(name, read(lab, encoded_view(lab, required), path_in_share(index), **how))


def parity_past_pages(lab, required, **how):
    view = encoded_view(lab, required, f",{PAST_PAGES}")
    return Subject(f"{PARITY}, {PAST_PAGES}", read(lab, view, path_in_share(required), **how))


# Shares of a source


def encoded(required, lab):
    return [
        *floors(lab, required),
        plain(lab),
        share(lab, FIRST, required, 0),
        share(lab, PARITY, required, required),
        parity_past_pages(lab, required),
    ]


ENCODED_TARGETS = [
    Target(FIRST, FLOOR, at_least=1.0),
    Target(PARITY, FLOOR, at_least=1.0),
    Target(FIRST, FLOOR, at_least=1.3, is_aim=True),
    Target(PARITY, FLOOR, at_least=1.3, is_aim=True),
]


# Files from shares

WITHOUT_ARITHMETIC, FROM_PARITY = "from shares 0..k-1", "from k parity shares"


def restored(required, lab):
    pieces = lab.shares(lab.large, required, range(required))
    parities = lab.shares(lab.large, required, range(required, 2 * required))
    return [
        *floors(lab, 1),
        plain(lab),
        Subject("bindfs", read(lab, lab.mounts.bindfs(lab.large), "large"), needs="bindfs"),
        Subject(WITHOUT_ARITHMETIC, read(lab, lab.mounts.restored(pieces), "large")),
        Subject(FROM_PARITY, read(lab, lab.mounts.restored(parities), "large")),
        Subject(f"{FROM_PARITY}, {PAST_PAGES}",
                read(lab, lab.mounts.restored(parities, f",{PAST_PAGES}"), "large")),
    ]  # fmt: skip


RESTORED_TARGETS = [
    Target(WITHOUT_ARITHMETIC, FLOOR, at_least=0.9),
    Target(FROM_PARITY, FLOOR, at_least=0.8),
]


# Shares from shares


def rebuilt(required, lab):
    stores = lab.shares(lab.large, required, range(1, required + 1))
    view = lab.mounts.rebuilt(stores, required + 2)
    return [
        *floors(lab, required),
        Subject("share 00, lost", read(lab, view, path_in_share(0))),
        Subject("share 01, there", read(lab, view, path_in_share(1))),
        Subject("a new parity share", read(lab, view, path_in_share(required + 1))),
    ]


for k in (2, 3, 10, 30):
    add(Case(f"encoded-k{k}", f"A share of a large file, k = {k}, 256 KiB at a time", GBPS, FLOOR,
             functools.partial(encoded, k), ENCODED_TARGETS if k == 3 else []))  # fmt: skip
for k in (2, 3, 10, 30):
    add(Case(f"restored-k{k}", f"A large file from shares, k = {k}, 256 KiB at a time", GBPS, FLOOR,
             functools.partial(restored, k), RESTORED_TARGETS if k == 3 else []))  # fmt: skip
for k in (2, 3, 10, 30):
    add(Case(f"rebuilt-k{k}", f"A share of a large file from other shares, k = {k}", GBPS, FLOOR,
             functools.partial(rebuilt, k)))  # fmt: skip


# Two at a time


def two_readers(lab):
    source = lab.large / "large"
    view, past_pages = encoded_view(lab, 3), encoded_view(lab, 3, f",{PAST_PAGES}")
    return [
        Subject("floor, one reader", read(lab, lab.mounts.floor(3, source), "0")),
        Subject("floor, two readers", read(lab, lab.mounts.floor(3, source), "0", "1")),
        Subject("share 00", read(lab, view, path_in_share(0))),
        Subject("shares 00 and 01", read(lab, view, path_in_share(0), path_in_share(1))),
        Subject("share 03", read(lab, view, path_in_share(3))),
        Subject("shares 03 and 04", read(lab, view, path_in_share(3), path_in_share(4))),
        Subject(f"share 03, {PAST_PAGES}", read(lab, past_pages, path_in_share(3))),
        Subject(f"shares 03 and 04, {PAST_PAGES}",
                read(lab, past_pages, path_in_share(3), path_in_share(4))),
    ]  # fmt: skip


add(Case("two-readers", "Two shares of a large file read at once, k = 3, in all", GBPS,
         "floor, one reader", two_readers,
         [Target("shares 00 and 01", "share 00", at_least=1.6),
          Target("shares 03 and 04", "share 03", at_least=1.6),
          Target(f"shares 03 and 04, {PAST_PAGES}", f"share 03, {PAST_PAGES}", at_least=1.6)]))  # fmt: skip


# How applications read


def by_size(how, lab):
    stores = lab.shares(lab.large, 3, range(3))
    return [
        *floors(lab, 3, **how),
        share(lab, FIRST, 3, 0, **how),
        share(lab, PARITY, 3, 3, **how),
        parity_past_pages(lab, 3, **how),
        plain(lab, **how),
        Subject("restored", read(lab, lab.mounts.restored(stores), "large", **how)),
    ]


for size in (4, 64, 256, 1024):
    add(Case(f"reads-of-{size}k", f"Shares of a large file, k = 3, {size} KiB at a time", GBPS,
             FLOOR, functools.partial(by_size, {"number": size * KIB})))  # fmt: skip


def mapped(lab):
    """direct_io files cannot be mapped shared, so that floors without pages have no part in it."""
    stores = lab.shares(lab.large, 3, range(3))
    how = {"how": "mmap", "number": 0}
    return [
        *floors(lab, 3, [FLOOR, "floor, mmap"], **how),
        share(lab, FIRST, 3, 0, **how),
        share(lab, PARITY, 3, 3, **how),
        plain(lab, **how),
        Subject("restored", read(lab, lab.mounts.restored(stores), "large", **how)),
    ]


add(Case("reads-by-mmap", "Shares of a large file, k = 3, mapped", GBPS, FLOOR, mapped))


# Anywhere in a file


def read_once(lab):
    """What has the kernel keep the file's pages, if they may be kept from one open to the next."""

    def before(paths):
        for path in paths:
            read(lab, lab.mounts.bare(path.parent), path.name)()

    return before


def anywhere(before, lab):
    how = {"how": "random", "number": 20_000 // lab.part, "before": before(lab)}
    pieces = lab.shares(lab.large, 3, range(3))
    parities = lab.shares(lab.large, 3, range(3, 6))
    mounts = lab.mounts
    return [
        Subject("bindfs", read(lab, mounts.bindfs(lab.large), "large", **how), needs="bindfs"),
        *floors(lab, 1, [FLOOR, "floor, pread, direct_io"], **how),
        plain(lab, **how),
        Subject("restored", read(lab, mounts.restored(pieces), "large", **how)),
        Subject(FROM_PARITY, read(lab, mounts.restored(parities), "large", **how)),
        share(lab, PARITY, 3, 3, **how),
    ]


RANDOM_TARGETS = [Target("restored", "bindfs", at_least=0.8)]
add(Case("random-4k", "4 KiB from anywhere in a restored file, read for the first time, k = 3",
         GBPS, "bindfs", functools.partial(anywhere, lambda lab: None)))  # fmt: skip
add(Case("random-4k-again", "4 KiB from anywhere in a restored file that was read before, k = 3",
         GBPS, "bindfs", functools.partial(anywhere, read_once), RANDOM_TARGETS))  # fmt: skip
