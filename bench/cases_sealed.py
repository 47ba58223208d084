# SPDX-License-Identifier: MIT
"""Sealed shares, against checked ones, and against gocryptfs beneath and above these."""

import walking
from cases import GBPS, SECONDS, Case, Subject, Target, add
from cases_commands import in_new_folder
from reading import read
from walking import walk

REQUIRED, SHARES = 3, 6
CHECKED, SEALED, BARE = "checked", "sealed", "the bare tree"
BENEATH, ABOVE = "gocryptfs -reverse", "gocryptfs over restored"


def sealed_options(lab):
    return f",format=sealed,key={lab.key}"


def restored(lab, source, sealed):
    """The view of k shares without the first."""
    stores = lab.shares(source, REQUIRED, range(1, REQUIRED + 1), sealed)
    return lab.mounts.restored(stores, f",key={lab.key}" if sealed else "")


# A large file


def largest(folder):
    """The file, whose name is nobody's to know."""
    return max((path for path in folder.rglob("*") if path.is_file()),
               key=lambda path: path.stat().st_size)  # fmt: skip


def share(lab):
    mounts, numbers = lab.mounts, (lab.large, REQUIRED, SHARES, "00")
    beneath = mounts.gocryptfs_reverse(lab.large)
    return [
        Subject(CHECKED, read(lab, mounts.encoded(*numbers), largest)),
        Subject(SEALED, read(lab, mounts.encoded(*numbers, sealed_options(lab)), largest)),
        Subject(BENEATH, read(lab, beneath, largest), "gocryptfs"),
    ]


def above(lab):
    """What people have without sealed shares: the shares are those of what gocryptfs shows."""
    beneath = lab.mounts.gocryptfs_reverse(lab.large)
    if not beneath:
        return None
    with beneath() as mounted:
        stores = lab.shares(mounted.path, REQUIRED, range(1, REQUIRED + 1))
    return lab.mounts.gocryptfs_over(lab.mounts.restored(stores), lab.large)


def file(lab):
    return [
        Subject(CHECKED, read(lab, restored(lab, lab.large, False), "large")),
        Subject(SEALED, read(lab, restored(lab, lab.large, True), "large")),
        Subject(ABOVE, read(lab, above(lab), "large"), "gocryptfs"),
    ]


add(Case("sealed-share", "A share of a large file, k = 3, 256 KiB at a time", GBPS, CHECKED, share,
         [Target(SEALED, CHECKED, at_least=0.7), Target(SEALED, BENEATH, at_least=3)]))  # fmt: skip
add(Case("sealed-file", "A large file from shares, k = 3, 256 KiB at a time", GBPS, CHECKED, file,
         [Target(SEALED, CHECKED, at_least=0.7), Target(SEALED, ABOVE, at_least=2)]))  # fmt: skip


# Many small files


def find(lab):
    views = {CHECKED: restored(lab, lab.small, False), SEALED: restored(lab, lab.small, True)}
    return [
        Subject(name, walk(lab, mount, walking.find_by_size))
        for name, mount in {BARE: lab.mounts.bare(lab.small), **views}.items()
    ]


def encode(lab):
    words = [lab.binary, "encode", "-q", "-k", str(REQUIRED), "-n", str(SHARES)]
    sealed = ["--format", "sealed", "--key", lab.key]
    return [
        Subject(CHECKED, in_new_folder(lab, lambda new: [*words, lab.small, new])),
        Subject(SEALED, in_new_folder(lab, lambda new: [*words, *sealed, lab.small, new])),
    ]


def decode(lab):
    subjects = []
    for name in (CHECKED, SEALED):
        stores = lab.shares(lab.small, REQUIRED, (0, 2, 4), name == SEALED)
        key = ["--key", lab.key] if name == SEALED else []
        words = [lab.binary, "decode", "-q", *key, stores]
        subjects.append(Subject(name, in_new_folder(lab, lambda new, words=words: [*words, new])))
    return subjects


HALF_MORE = [Target(SEALED, CHECKED, at_most=1.5)]
add(Case("sealed-find", "find -size over many small files from shares, k = 3", SECONDS, BARE, find,
         [Target(SEALED, BARE, at_most=4)]))  # fmt: skip
add(Case("sealed-encode", "encode: many small files, 3 of 6", SECONDS, CHECKED, encode, HALF_MORE))
add(Case("sealed-decode", "decode: many small files, from 3 shares", SECONDS, CHECKED, decode, HALF_MORE))
