# SPDX-License-Identifier: MIT
"""check says of each copy what is wrong with it, for each kind of trouble.

What it prints of each kind of trouble stands in golden/check/KIND.txt and KIND.json. A test that
fails prints what should stand there if it is right.
"""

import os
import shutil

import pytest

import checking
import oracle
import trees
import users
from checking import (
    BLOCK_STEP, GOLDEN, HOUR_NS, SIZE, STRIPE, Stores, block_place, check_golden, intact, lost,
    missing,
)  # fmt: skip

needs_root = users.needs_root
stores = checking.stores  # a fixture
user = users.user  # a fixture


# Kinds of trouble: each has a file called `file` of five stripes, or what it makes of it


def stale_older(stores):
    stores.put(mtime_ns=trees.MTIME_NS - HOUR_NS, at={"c": 2})


def stale_newer_incomplete(stores):
    """One store has a newer version already: it does not count until k have."""
    stores.put(size=SIZE + 1, mtime_ns=trees.MTIME_NS + HOUR_NS, at={"c": 2})


def stale_newer_complete(stores):
    """Two have: the others are those that are behind."""
    stores.put(size=100, mtime_ns=trees.MTIME_NS + HOUR_NS, at={"c": 2, "d": 3})


def header(stores):
    stores.flip("c", 20)


def headers_of_all(stores):
    for store in "abcd":
        stores.flip(store, 50)


def block_swapped(stores):
    """Two blocks of one share, each intact in itself."""

    def change(share):
        one, other = block_place(1), block_place(3)
        share[one], share[other] = share[other], share[one]

    stores.change("c", change)


def block_of_another_share(stores):
    place = block_place(2)
    other = stores.path("d").read_bytes()[place]

    def change(share):
        share[place] = other

    stores.change("c", change)


def block_of_another_content(stores):
    """An intact block of a file that has the same version."""
    place = block_place(2)
    other = stores.share(stores.rng.randbytes(SIZE), 2)[place]

    def change(share):
        share[place] = other

    stores.change("c", change)


def block_forged(stores):
    """Its check is right, its digest as well; only the payload is not."""
    place = block_place(2)

    def change(share):
        block = share[place][:-16]
        block[1000] ^= 1
        share[place] = block + oracle.checksum(bytes(block), 2 * 256 + 2)

    stores.change("c", change)


def truncated(stores):
    stores.change("c", lambda share: share[: block_place(3).start + 10])


def truncated_in_the_header(stores):
    stores.change("c", lambda share: share[:10])


def truncated_to_nothing(stores):
    os.truncate(stores.path("c"), 0)
    os.utime(stores.path("c"), ns=(trees.MTIME_NS, trees.MTIME_NS))


def trailing_bytes(stores):
    stores.change("c", lambda share: share + b"more")


def everything_at_once(stores):
    stores.spoil("a", 0)
    stores.change("b", lambda share: share[: block_place(4).start] + b"x")
    stores.flip("c", 20)
    stores.spoil("c", 1, 2)
    stores.path("d").unlink()


def many_blocks(stores):
    """More ranges than a line of text shows."""
    stores.put(size=30 * STRIPE)
    stores.spoil("c", *range(0, 24, 2), 24, 25)


def misplaced(stores):
    """Two stores have each the other's share of this file."""
    one, other = stores.path("a"), stores.path("b")
    moved = stores.folder / "moved"
    one.rename(moved)
    other.rename(one)
    moved.rename(other)


def duplicate(stores):
    """A store has a copy of another one's share."""
    stores.change("b", lambda _: stores.path("a").read_bytes())


def misplaced_and_damaged(stores):
    """What is damaged is called that, wherever it should be."""
    misplaced(stores)
    stores.spoil("a", 1)


def directory_instead_of_file(stores):
    stores.path("c").unlink()
    stores.path("c").mkdir()


def symlink_instead_of_file(stores):
    stores.path("c").unlink()
    stores.path("c").symlink_to("other-1")


def special_file_instead_of_file(stores):
    stores.path("c").unlink()
    os.mkfifo(stores.path("c"))


def symlink_with_another_target(stores):
    for store in "abcd":
        stores.path(store).unlink()
        stores.path(store).symlink_to("elsewhere" if store == "c" else "other-1")
        os.utime(stores.path(store), ns=(0, trees.MTIME_NS), follow_symlinks=False)


def symlink_missing(stores):
    symlink_with_another_target(stores)
    stores.path("c").unlink()


def missing_directory(stores):
    stores.put("directory/inner/file", 100)
    stores.put("directory/file", 100)
    shutil.rmtree(stores.path("c", "directory"))


def file_instead_of_directory(stores):
    stores.put("directory/file", 100)
    shutil.rmtree(stores.path("c", "directory"))
    trees.write_file(stores.path("c", "directory"), b"a file")


def other_mode(stores):
    for store in "abcd":
        stores.path(store).chmod(0o600 if store == "c" else 0o644)


def other_mode_of_directory(stores):
    for store in "abcd":
        stores.path(store, "directory").mkdir()
        stores.path(store, "directory").chmod(0o700 if store == "c" else 0o755)


def other_mtime(stores):
    os.utime(stores.path("c"), ns=(0, trees.MTIME_NS + 1))


def other_metadata_and_misplaced(stores):
    misplaced(stores)
    os.utime(stores.path("a"), ns=(0, trees.MTIME_NS - 1))


def most_lack_it(stores):
    """One store's word is not enough for it to be a file at all."""
    for store in "bcd":
        stores.path(store).unlink()


def half_lack_it(stores):
    for store in "cd":
        stores.path(store).unlink()


def empty_file(stores):
    stores.put(size=0)
    stores.flip("b", 20)
    stores.change("c", lambda share: share + b"x")
    stores.path("d").unlink()


def store_without_files(stores):
    (stores.folder / "e").mkdir()


def lost_in_parts(stores):
    for store, numbers in zip("abcd", ((0, 1, 2), (0, 1, 2), (1, 2, 4), ())):
        stores.spoil(store, *numbers)


def too_few_shares(stores):
    """One of each version is not enough; which blocks are bad is to be seen all the same."""
    stores.names = "abcde"
    for name in ("other-1", "other-2"):
        stores.put(name, 5000)
    for store in "ab":
        stores.path(store).unlink()
    stores.put(mtime_ns=trees.MTIME_NS + HOUR_NS, at={"c": 2})
    stores.spoil("c", 1)


def damage_in_different_stripes(stores):
    for number, store in enumerate("abcd"):
        stores.spoil(store, number)


def no_share(stores):
    """A file that never was one."""
    for store in "abcd":
        trees.write_file(stores.path(store), b"plain text")


def tied_versions(stores):
    """Two sizes with one time, in two stores each: nothing tells which is right."""
    stores.put(size=100, at={"c": 2, "d": 3})


def two_contents(stores):
    """Two contents with one size and time, in two stores each: nothing tells, either."""
    stores.put(at={"c": 2, "d": 3})


KINDS = [
    intact, missing, stale_older, stale_newer_incomplete, stale_newer_complete, header,
    headers_of_all, block_swapped, block_of_another_share, block_of_another_content,
    block_forged, truncated, truncated_in_the_header, truncated_to_nothing, trailing_bytes,
    everything_at_once, many_blocks, misplaced, duplicate, misplaced_and_damaged,
    directory_instead_of_file, symlink_instead_of_file, special_file_instead_of_file,
    symlink_with_another_target, symlink_missing, missing_directory, file_instead_of_directory,
    other_mode, other_mode_of_directory, other_mtime, other_metadata_and_misplaced, most_lack_it,
    half_lack_it, empty_file, store_without_files, lost, lost_in_parts, too_few_shares,
    damage_in_different_stripes, no_share, tied_versions, two_contents,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kind_of_trouble(stores, kind):
    stores.put()
    kind(stores)
    check_golden(kind.__name__, stores)


@pytest.mark.parametrize("offset", [3, 16, 100, BLOCK_STEP - 17, BLOCK_STEP - 16, BLOCK_STEP - 1])
def test_damaged_block(stores, offset):
    """In its digest, payload or check: it is the same trouble."""
    stores.put()
    stores.flip("c", block_place(2).start + offset)
    check_golden("block", stores)


@needs_root
def test_other_owner(stores):
    stores.put()
    os.chown(stores.path("c"), 1234, -1)
    check_golden("other_owner", stores)


@pytest.mark.parametrize("how", ["more", "fewer", "value"])
def test_other_extended_attributes(stores, how):
    stores.put()
    for store in "abd" if how != "more" else "c":
        try:
            os.setxattr(stores.path(store), "user.note", b"right")
        except OSError as error:
            pytest.skip(f"no extended attributes here: {error}")
    if how == "value":
        os.setxattr(stores.path("c"), "user.note", b"wrong")
    check_golden("other_attributes", stores)


@needs_root
def test_unreadable_file(user, rng):
    """As somebody who may not read it; the directory that holds it, he may."""
    stores = Stores(user.folder / "stores", rng)
    for name in ("file", "other-1", "other-2"):
        stores.put(name, 5000)
    user.own(stores.folder)
    os.chown(stores.path("c"), 0, 0)
    for store in "abcd":
        stores.path(store).chmod(0o600)
    check_golden("unreadable", stores, before=user.WORDS, binary=user.binary, cwd="/")


@needs_root
def test_unreadable_directory(user, rng):
    stores = Stores(user.folder / "stores", rng)
    for name in ("directory/file", "other-1", "other-2"):
        stores.put(name, 5000)
    user.own(stores.folder)
    for store in "abcd":
        stores.path(store, "directory").chmod(0o755 if store != "c" else 0)
    check_golden("unreadable_directory", stores, before=user.WORDS, binary=user.binary, cwd="/")


def test_each_golden_file_has_its_test():
    kinds = {kind.__name__ for kind in KINDS} | {
        "block", "other_owner", "other_attributes", "unreadable", "unreadable_directory",
    }  # fmt: skip
    expected = {f"{kind}.{form}" for kind in kinds for form in ("txt", "json")}
    assert {path.name for path in GOLDEN.iterdir()} == expected
