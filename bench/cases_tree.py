# SPDX-License-Identifier: MIT
"""A tree of many small files, gone through by what people use, on a mount that is new each time."""

import functools

import walking
from cases import SECONDS, Case, Subject, Target, add
from walking import walk

BARE, BINDFS, GOCRYPTFS = "the bare tree", "bindfs", "gocryptfs -reverse"
ENCODED, RESTORED = "a parity share", "restored"


def views(command, lab):
    mounts, tree = lab.mounts, lab.small
    stores = lab.shares(tree, 3, (0, 3, 4))

    def subject(name, mount, needs=None):
        return Subject(name, walk(lab, mount, command), needs)

    return [
        subject(BARE, mounts.bare(tree)),
        subject(BINDFS, mounts.bindfs(tree), "bindfs"),
        subject(GOCRYPTFS, mounts.gocryptfs_reverse(tree), "gocryptfs"),
        subject(ENCODED, mounts.encoded(tree, 3, 6, "03")),
        subject(RESTORED, mounts.restored(stores)),
    ]


def at_most(encoded, restored):
    return [
        Target(ENCODED, BARE, at_most=encoded),
        Target(RESTORED, BARE, at_most=restored),
    ]


def add_walk(name, what, command, targets):
    title = f"{what} over many small files, k = 3"
    add(Case(name, title, SECONDS, BARE, functools.partial(views, command), targets))


TAR = [*at_most(8, 8), Target(ENCODED, GOCRYPTFS, at_most=0.5)]

add_walk("find", "find", walking.find, at_most(4, 4))
add_walk("find-by-size", "find -size", walking.find_by_size, at_most(4, 5))
add_walk("rsync-dry-run", "rsync -an", walking.rsync_dry_run, at_most(3, 4))
add_walk("tar", "tar piped to cat", walking.tar_to_cat, TAR)
add_walk("copy", "cp -r", walking.copy, [])


def many_stores(lab):
    few = lab.shares(lab.small, 3, range(3))
    many = lab.shares(lab.small, 3, range(20))
    return [
        Subject("3 stores", walk(lab, lab.mounts.restored(few), walking.find)),
        Subject("20 stores", walk(lab, lab.mounts.restored(many), walking.find)),
    ]


add(Case("find-20-stores", "find over many small files restored from so many stores, k = 3", SECONDS,
         "3 stores", many_stores, [Target("20 stores", "3 stores", at_most=3)]))  # fmt: skip
