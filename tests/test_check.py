# SPDX-License-Identifier: MIT
"""check says of each copy what is wrong with it, of each file what it can lose, and nothing else.

What it prints of each kind of trouble stands in golden/check/KIND.txt and KIND.json. A test that
fails prints what should stand there if it is right.
"""

import contextlib
import errno
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import oracle
import trees
import users
from commands import DAMAGED, FAILED, LOST, OK, USAGE

GOLDEN = Path(__file__).parent / "golden" / "check"
BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
REQUIRED = 2
STRIPE = REQUIRED * BLOCK_SIZE
STRIPES = 5
SIZE = (STRIPES - 1) * STRIPE + 5000
HOUR_NS = 3600 * 10**9
LIMIT_S = 60
HANG_LIMIT_S = 15  # in which a check ends, whatever the stores do

needs_root = users.needs_root
user = users.user  # a fixture


# Stores: directories a, b, c, ..., of which the first holds share 00, and so on


def block_place(number):
    """Where a block starts and ends in a share whose blocks are all full."""
    start = oracle.HEADER_SIZE + number * BLOCK_STEP
    return slice(start, start + BLOCK_STEP)


class Stores:
    """Stores that are intact as they are made, and what can be done to what is in them."""

    def __init__(self, folder, rng, names="abcd", required=REQUIRED, share_format="checked"):
        self.folder, self.rng, self.names = folder, rng, names
        self.required, self.share_format = required, share_format
        for name in names:
            (folder / name).mkdir(parents=True)

    def path(self, store, name="file"):
        return self.folder / store / name

    def share(self, data, index, mtime_ns=trees.MTIME_NS):
        total = max(len(self.names), self.required)
        return oracle.make_share(
            self.share_format, data, self.required, total, index, mtime_ns, BLOCK_SIZE
        )

    def put(self, name="file", size=SIZE, data=None, mtime_ns=trees.MTIME_NS, at=None):
        """A file's shares in all stores, or in those of AT: store -> index. Returns its bytes."""
        data = self.rng.randbytes(size) if data is None else data
        at = {store: i for i, store in enumerate(self.names)} if at is None else at
        for store, index in at.items():
            share = self.share(data, index, mtime_ns)
            trees.write_file(self.path(store, name), share, mtime_ns)
        return data

    def change(self, store, change, name="file"):
        """Has change(bytearray) change a copy, or return another; its time stays."""
        path = self.path(store, name)
        found = path.stat()
        share = bytearray(path.read_bytes())
        share = change(share) or share
        path.write_bytes(share)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def flip(self, store, offset, name="file"):
        def change(share):
            share[offset] ^= 1

        self.change(store, change, name)

    def spoil(self, store, *numbers, name="file"):
        """Bits of the payload of some blocks."""

        def change(share):
            for number in numbers:
                share[block_place(number).start + 100] ^= 1

        self.change(store, change, name)

    def settle_times(self):
        """What was done to directories is not to be seen in their times."""
        for path, folders, _ in os.walk(os.fsencode(self.folder)):
            for folder in folders:
                os.utime(os.path.join(path, folder), ns=(trees.MTIME_NS, trees.MTIME_NS))


@pytest.fixture
def stores(tmp_path, rng):
    """Four, with two small files by which each store is known, besides what a test puts there."""
    made = Stores(tmp_path / "stores", rng)
    for name in ("other-1", "other-2"):
        made.put(name, 5000)
    return made


# Running


def words_of(folder, words):
    return ["check", "-j", "1", *words, folder]


def run_text(*words, before=(), binary=None, limit_s=LIMIT_S, **how):
    """(status, standard output) of a run that ends, whatever happens."""
    done = subprocess.run(
        [*before, binary or mounts_module.BINARY, *words],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit_s,
        **how,
    )
    errors = done.stderr.decode(errors="backslashreplace")
    assert not mounts_module.SANITIZER.search(errors), errors
    return done.returncode, done.stdout.decode(errors="backslashreplace")


def check(stores, *words, status=OK, **how):
    """Runs check; returns path -> line of JSON, and the summary. The stores stay as they are."""
    stores.settle_times()
    before = commands.snapshot(stores.folder)
    result = commands.run("check", *words, stores.folder, status=status, noisy=True, **how)
    assert commands.snapshot(stores.folder) == before
    lines = [line for line in result.json if line["message_type"] == "check"]
    assert result.summary["exit_status"] == status
    return {line["path"]: line for line in lines}, result.summary


def problems_of(line):
    """store -> what is said of it, without its name."""
    found = {}
    for problem in line["problems"]:
        store = problem.pop("store").rpartition("/")[2]
        assert store not in found
        found[store] = problem
    return found


def file_line(stores, *words, status, **how):
    """(may_lose, store -> what is wrong) of the file; nothing is said of the other names."""
    lines, _ = check(stores, *words, status=status, **how)
    assert set(lines) <= {"file"}, set(lines)
    if not lines:
        return None, {}
    return lines["file"]["may_lose"], problems_of(lines["file"])


def damaged(index, *blocks):
    """What is said of a damaged copy of share INDEX, with such blocks alone."""
    ranges = []
    for number in blocks:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return {"state": "damaged", "share": f"{index:02x}", "damaged_blocks": ranges}


# Golden output


def shown_text(text, folder):
    text = re.sub(r" in \d+\.\d s: ", " in T s: ", text)
    return text.replace(str(folder), "STORES")


def shown_json(lines, folder):
    text = json.dumps(lines, indent=1, sort_keys=True) + "\n"
    text = re.sub(r'"seconds": \d+\.\d+(e-\d+)?', '"seconds": 0', text)
    return text.replace(str(folder), "STORES")


def compare_with_golden(name, actual):
    path = GOLDEN / name
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert actual == expected, f"{path} should be, if this is right:\n{actual}"


def check_golden(kind, stores, **how):
    """Both forms of the output are the golden ones, and the stores stay as they are."""
    stores.settle_times()
    before = commands.snapshot(stores.folder)
    status, text = run_text(*words_of(stores.folder, ()), **how)
    result = commands.run(*words_of(stores.folder, ()), status=status, noisy=True, **how)
    assert commands.snapshot(stores.folder) == before
    assert result.summary["exit_status"] == status
    compare_with_golden(f"{kind}.txt", shown_text(text, stores.folder))
    compare_with_golden(f"{kind}.json", shown_json(result.json, stores.folder))


# Kinds of trouble: each has a file called `file` of five stripes, or what it makes of it


def intact(stores):
    """Nothing is said but the sums."""


def missing(stores):
    stores.path("c").unlink()


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


def lost(stores):
    """One stripe has a good block only in one store, all others in all of them."""
    for store in "abc":
        stores.spoil(store, 3)


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


# How many stores more can be lost


def lost_stores(shares, bad, required, stripes):
    """The same by trial. SHARES: of each store; BAD: store -> stripes without a good block."""
    count = len(shares)
    for lost in range(count + 1):
        for left in itertools.combinations(range(count), count - lost):
            for stripe in range(stripes):
                good = {shares[store] for store in left if stripe not in bad.get(store, ())}
                if len(good) < required:
                    return lost - 1
    raise AssertionError("nothing is left of a file without stores")


LAYOUTS = {  # k, share of each store, store -> bad blocks, stores that may be lost
    "each another": (2, [0, 1, 2, 3], {}, 2),
    "all needed": (4, [0, 1, 2, 3], {}, 0),
    "one is enough": (1, [0, 1, 2], {}, 2),
    "one share thrice": (1, [0, 0, 0], {}, 2),
    "one share twice": (2, [0, 0, 1, 2], {}, 1),
    "two shares twice": (2, [0, 0, 1, 1], {}, 1),
    "one share four times": (2, [0, 0, 0, 0, 1], {}, 0),
    "pairs": (3, [0, 0, 1, 1, 2, 2, 3, 3], {}, 3),
    "bad in different stripes": (2, [0, 1, 2, 3], {0: {0}, 1: {1}, 2: {2}, 3: {4}}, 1),
    "bad in the same stripe": (2, [0, 1, 2, 3], {0: {3}, 1: {3}}, 0),
    "lost": (2, [0, 1, 2, 3], {0: {3}, 1: {3}, 3: {3}}, -1),
    "a pair, one of it bad": (2, [0, 0, 1, 2], {0: {2}}, 1),
    "a pair, both bad in turns": (2, [0, 0, 1, 1], {0: {0}, 1: {4}}, 0),
    "a pair, both bad": (2, [0, 0, 1, 2, 3], {0: {0}, 1: {0}}, 1),
    "a share too few": (3, [0, 0, 1, 1], {}, -1),
    "eight": (3, [0, 1, 2, 3, 4, 5, 6, 7], {7: {0, 1, 2, 3, 4}}, 4),
}


def put_layout(stores, name, shares, bad):
    size = (STRIPES - 1) * stores.required * BLOCK_SIZE + 4000
    stores.put(name, size, at={stores.names[i]: index for i, index in enumerate(shares)})
    for number, blocks in bad.items():
        stores.spoil(stores.names[number], *blocks, name=name)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_what_may_be_lost(tmp_path, rng, layout):
    required, shares, bad, expected = layout
    assert lost_stores(shares, bad, required, STRIPES) == expected, "the table is wrong"
    stores = Stores(tmp_path / "stores", rng, "abcdefgh"[: len(shares)], required)
    for number in range(2 if expected < 0 else 0):  # there are enough shares, but not of this file
        stores.put(f"other-{number}", 100)
    put_layout(stores, "file", shares, bad)
    status = LOST if expected < 0 else DAMAGED if bad else OK
    lines, summary = check(stores, "-v", status=status)
    assert lines["file"]["may_lose"] == summary["may_lose"] == expected


def test_what_may_be_lost_of_many(tmp_path, rng):
    """Any shares in any stores, and any blocks of them bad."""
    names, expected = "abcdef", {}
    stores = Stores(tmp_path / "stores", rng, names, REQUIRED)
    for number in range(64):  # by which each store is known
        stores.put(f"a-{number:02}", 0)
    for number in range(150):
        shares = [rng.randrange(1, 6) for _ in range(rng.randint(2, len(names)))]
        bad = {
            store: rng.sample(range(STRIPES), rng.randint(1, 3))
            for store in range(len(shares))
            if rng.random() < 0.3
        }
        put_layout(stores, f"file-{number}", shares, bad)
        expected[f"file-{number}"] = lost_stores(shares, bad, REQUIRED, STRIPES)
    lines, summary = check(stores, "-v", status=LOST)
    found = {name: lines[name]["may_lose"] for name in expected}
    wrong = {name: (found[name], right) for name, right in expected.items() if found[name] != right}
    assert not wrong, "(found, right)"
    assert summary["may_lose"] == -1
    assert {line["health"] for line in lines.values() if line["may_lose"] < 0} == {"lost"}


def test_the_last_header_is_not_to_be_lost(stores, mounts):
    """Blocks without a header are of no known version: with the one header the file goes."""
    data = stores.put()
    for store in "abc":
        stores.flip(store, 20)
    may_lose, problems = file_line(stores, status=DAMAGED)
    assert {store: what["header_damaged"] for store, what in problems.items()} == {
        "a": True, "b": True, "c": True
    }  # fmt: skip
    view = mounts.restored(stores.folder)
    view.expect_log(r"^zfec-fs: file: ", count=0)
    assert (view / "file").read_bytes() == data
    view.unmount()
    stores.path("d").unlink()
    assert file_line(stores, status=LOST)[0] == -1
    assert may_lose == 0


def test_a_copy_without_header_and_of_another_size_helps(stores, mounts):
    """As long as it does, the file is not lost."""
    data = stores.put()
    stores.flip("b", 20)
    stores.change("b", lambda share: share + b"x")
    for store in "cd":
        stores.path(store).unlink()
    view = mounts.restored(stores.folder)
    view.expect_log(r"^zfec-fs: file: ", count=0)
    assert (view / "file").read_bytes() == data
    view.unmount()
    assert file_line(stores, status=DAMAGED)[0] == 0


def test_a_copy_without_header_has_no_say_in_an_empty_file(stores, mounts):
    """There is no block by which it could show what it is of; what has a header has one."""
    stores.put(size=0)
    stores.flip("b", 20)
    stores.change("c", lambda share: share + b"x")
    stores.path("d").unlink()
    view = mounts.restored(stores.folder)
    view.expect_log(r"^zfec-fs: file: ", count=0)
    assert (view / "file").read_bytes() == b""
    view.unmount()
    stores.path("c").unlink()
    view = mounts.restored(stores.folder)
    view.expect_log(r"^zfec-fs: file: ")
    with pytest.raises(OSError, match="Input/output error"):
        (view / "file").read_bytes()
    assert file_line(stores, status=LOST)[0] == -1


def test_256_shares_of_which_255_are_needed(tmp_path, rng):
    names = [f"{number:03}" for number in range(256)]
    stores = Stores(tmp_path / "stores", rng, names, 255)
    stores.put("file", 300_000)
    stores.put("other", 300_000)
    stores.put("whole", 300_000)
    lines, summary = check(stores, "-v", status=OK)
    assert lines["file"]["may_lose"] == summary["may_lose"] == 1
    for store in ("017", "255"):
        stores.spoil(store, 0, name="file")
    stores.spoil("000", 0, name="other")
    lines, summary = check(stores, status=LOST)
    assert {name: line["may_lose"] for name, line in lines.items()} == {"file": -1, "other": 0}
    assert problems_of(lines["file"]) == {"017": damaged(0x11, 0), "255": damaged(0xFF, 0)}
    assert problems_of(lines["other"]) == {"000": damaged(0, 0)}


# Formats without checks: what most shares say


def unchecked(tmp_path, rng, share_format, count, required=2):
    stores = Stores(tmp_path / "stores", rng, "abcdefg"[:count], required, share_format)
    for name in ("other-1", "other-2"):
        stores.put(name, 5000)
    stores.put("file", 50_000)
    words = ["--format", share_format]
    words += ["-k", str(required)] if share_format == "classic" else []
    return stores, words


UNCHECKED = pytest.mark.parametrize("share_format", ["classic", "fec"])


@UNCHECKED
@pytest.mark.parametrize("count", [2, 3, 5])
def test_intact_without_checks(tmp_path, rng, share_format, count):
    stores, words = unchecked(tmp_path, rng, share_format, count)
    lines, summary = check(stores, "-v", *words, status=OK)
    assert lines["file"]["may_lose"] == summary["may_lose"] == count - 2
    stores.path("a").unlink()
    lines, _ = check(stores, *words, status=DAMAGED)
    health = ("degraded", count - 3) if count > 2 else ("foreign", 0)
    assert (lines["file"]["health"], lines["file"]["may_lose"]) == health


@UNCHECKED
def test_damage_goes_through_where_nothing_contradicts_it(tmp_path, rng, share_format):
    stores, words = unchecked(tmp_path, rng, share_format, 2)
    stores.flip("b", 5000)
    check(stores, *words, status=OK)


@UNCHECKED
def test_a_contradiction_that_nothing_settles(tmp_path, rng, share_format):
    stores, words = unchecked(tmp_path, rng, share_format, 3)
    stores.flip("b", 5000)
    lines, _ = check(stores, *words, status=LOST)
    assert set(lines) == {"file"} and lines["file"]["may_lose"] == -1
    assert len(lines["file"]["lost_stripes"]) == 1
    assert problems_of(lines["file"]) == {}, "nobody knows whose fault it is"


@UNCHECKED
@pytest.mark.parametrize("count, wrong", [(4, 1), (5, 1), (7, 2)])
def test_a_majority_finds_damage(tmp_path, rng, share_format, count, wrong):
    """As long as the wrong ones are no more than half of what is there besides k."""
    stores, words = unchecked(tmp_path, rng, share_format, count)
    for store in "bd"[:wrong]:
        stores.flip(store, 5000)
    _, problems = file_line(stores, *words, status=DAMAGED)
    found = {store: what.pop("damaged_blocks") for store, what in problems.items()}
    assert set(found) == set("bd"[:wrong]) and all(len(ranges) == 1 for ranges in found.values())


@UNCHECKED
@pytest.mark.parametrize("count, wrong", [(4, 1), (5, 1), (7, 2)])
def test_what_may_be_lost_without_checks(tmp_path, rng, share_format, count, wrong):
    """With fewer stores no majority settles it any more, and the file is lost."""
    stores, words = unchecked(tmp_path, rng, share_format, count)
    for store in "bd"[:wrong]:
        stores.flip(store, 5000)
    may_lose, _ = file_line(stores, *words, status=DAMAGED)
    right = count - 2 - 2 * wrong
    for lost, store in enumerate("acefg"[: right + 1], 1):
        shutil.rmtree(stores.folder / store)
        check(stores, *words, status=LOST if lost > right else DAMAGED)
    assert may_lose == right


@UNCHECKED
def test_sizes_and_headers_without_checks(tmp_path, rng, share_format):
    stores, words = unchecked(tmp_path, rng, share_format, 6)
    stores.change("b", lambda share: share[:-1])
    stores.change("c", lambda share: share + b"xx")
    stores.change("d", lambda share: b"\xff" + share[1:])
    may_lose, problems = file_line(stores, *words, status=DAMAGED)
    states = {store: problem["state"] for store, problem in problems.items()}
    assert states == {"b": "stale", "c": "stale", "d": states["d"]}
    assert states["d"] in ("damaged", "stale") and may_lose == 1


# What is not looked at


def test_quick_looks_at_headers_and_sizes_alone(tmp_path, rng):
    stores = Stores(tmp_path / "stores", rng, "abcde")
    for name in ("other-1", "other-2", "file"):
        stores.put(name)
    for store in "abcde":
        stores.spoil(store, 1)
    os.utime(stores.path("a"), ns=(0, 0))
    check(stores, "--quick", status=OK)
    stores.flip("a", 20)
    stores.change("b", lambda share: share + b"x")
    stores.path("c").unlink()
    may_lose, problems = file_line(stores, "--quick", status=DAMAGED)
    assert may_lose == 2 and problems == {
        "a": {"state": "damaged", "header_damaged": True},
        "b": {"state": "damaged", "share": "01", "size_wrong": True},
        "c": {"state": "missing"},
    }
    _, text = run_text("check", "--quick", stores.folder)
    assert text.endswith("further stores, by headers alone.\n")


@pytest.mark.parametrize("left", [1, 5, 64, 5000])
def test_quick_does_not_count_what_is_cut_off(stores, left):
    stores.put()
    stores.change("a", lambda share: share[:left])
    for how in ([], ["--quick"]):
        assert file_line(stores, *how, status=DAMAGED)[0] == 1


def test_quick_reads_no_blocks(stores, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    stores.put(size=100 * STRIPE)
    trace = tmp_path / "trace"
    strace = [*commands.STRACE, trace]
    check(stores, "--quick", status=OK, before=strace)
    reads = re.findall(r"/stores/\S*>, .* = (\d+)\n", commands.take_trace(trace))
    assert reads and sum(map(int, reads)) <= len(reads) * 64


def test_a_sample_finds_its_part(tmp_path, rng):
    """Of much damage about the part that was asked for, of all blocks all."""
    stripes = 2400
    stores = Stores(tmp_path / "stores", rng, "ab", 1)
    for number in range(4):
        name = f"file-{number}"
        stores.put(name, stripes // 4 * BLOCK_SIZE)
        stores.spoil("b", *range(stripes // 4), name=name)

    def found(part):
        _, summary = check(stores, "--sample", part, status=DAMAGED)
        return summary["stores"][1]["damaged_blocks"]

    assert found("100%") == found("1") == stripes
    for part in (0.5, 0.05):
        expected = part * stripes
        spread = 7 * math.sqrt(expected * (1 - part))
        counts = [found(f"{part * 100:g}%") for _ in range(4)]
        assert all(abs(count - expected) < spread for count in counts), (part, counts)
        assert len(set(counts)) > 1, "another choice each time"


def test_a_sample_is_no_promise(stores):
    stores.put()
    survives, looked = "Every file survives the loss of any", "as far as was looked"
    _, text = run_text("check", "--sample", "50%", stores.folder)
    assert text.endswith(f"{survives} 2 further stores, {looked}.\n")
    stores.path("c").unlink()
    _, text = run_text("check", "--sample", "50%", stores.folder)
    assert text.endswith(f"{survives} 1 further store, {looked}.\n")


def test_a_share_with_an_extension_is_intact(stores):
    """Bytes between the header and the blocks, which say something to later programs."""
    stores.put()

    def change(share):
        fields = share[:12] + (7).to_bytes(4, "little") + share[16:48]
        return fields + oracle.checksum(bytes(fields), 0) + b"unknown" + share[64:]

    stores.change("c", change)
    check(stores, status=OK)
    stores.flip("c", block_place(1).start + 7 + 100)
    assert file_line(stores, status=DAMAGED) == (1, {"c": damaged(2, 1)})


# Which stores


def test_stores_from_anywhere(stores, tmp_path):
    """The same whether they lie in one directory, are named each, or are named twice."""
    stores.put()
    stores.spoil("c", 1)
    stores.settle_times()
    named = [word for name in "abcd" for word in ("--store", stores.folder / name)]
    forms = [[stores.folder], named, [*named, stores.folder]]
    summaries = []
    for words in forms:
        result = commands.run("check", *words, status=DAMAGED, noisy=True)
        assert {line["path"] for line in result.json[:-1]} == {"file"}
        summaries.append({**result.summary, "seconds": 0})
    assert summaries[0] == summaries[1] == summaries[2]
    elsewhere = shutil.copytree(stores.folder, tmp_path / "elsewhere", symlinks=True)
    shutil.rmtree(stores.folder / "c")
    result = commands.run(
        "check", "--store", elsewhere / "c", stores.folder, status=DAMAGED, noisy=True
    )
    (line,) = result.json[:-1]
    assert (line["path"], line["problems"][0]["store"]) == ("file", str(elsewhere / "c"))
    assert len(result.summary["stores"]) == 4


def test_one_store_under_two_names_counts_once(stores):
    """The loss of one directory is the loss of all its names."""
    stores.put()
    for store in "abcd":
        (stores.folder / f"{store}-too").symlink_to(store)
    lines, _ = check(stores, "-v", status=OK)
    assert lines["file"]["may_lose"] == 2


def test_stores_of_one_name_are_told_apart(tmp_path, rng):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for index, folder in enumerate(folders):
        share = oracle.make_share("checked", b"data", 2, 3, index, trees.MTIME_NS, BLOCK_SIZE)
        trees.write_file(folder / "store" / "file", share)
        os.utime(folder / "store", ns=(0, trees.MTIME_NS))
    (folders[2] / "store").rename(folders[2] / "other")
    (folders[1] / "store" / "file").unlink()
    os.utime(folders[1] / "store", ns=(0, trees.MTIME_NS))
    words = [
        word
        for path in (folders[0] / "store", folders[1] / "store", folders[2] / "other")
        for word in ("--store", path)
    ]
    status, text = run_text("check", *words)
    assert status == DAMAGED
    assert f"file: can lose 0 more stores; {folders[1]}/store: missing\n" in text
    assert f"  00  {folders[0]}/store: 2 good\n" in text and "  02  other: 2 good\n" in text


# Statuses


def test_lost_comes_before_damaged(stores):
    stores.put()
    stores.put("worse")
    stores.spoil("a", 1)
    for store in "abc":
        stores.spoil(store, 2, name="worse")
    lines, summary = check(stores, status=LOST)
    assert {name: line["health"] for name, line in lines.items()} == {
        "file": "degraded",
        "worse": "lost",
    }
    assert summary["sentence"] == "1 of 4 files is lost."
    assert (summary["intact"], summary["degraded"], summary["lost"]) == (3, 1, 1)


@needs_root
def test_lost_comes_before_failed(user, rng):
    """A directory that nobody can list is a failure; where something is lost, that is said."""
    stores = Stores(user.folder / "stores", rng)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    for name in ("closed/file", "other"):
        stores.put(name, 5000)
    user.own(stores.folder)
    for store in "abcd":
        stores.path(store, "closed").chmod(0)
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "closed: cannot be checked" in result.errors
    for store in "abc":
        stores.flip(store, 70, "other")
    result = commands.run("check", stores.folder, status=LOST, noisy=True, **how)
    assert "closed: cannot be checked" in result.errors


WRONG_WORDS = {
    "no stores": [],
    "two directories": ["one", "two"],
    "unknown option": ["--unknown", "stores"],
    "option of another command": ["--older", "stores"],
    "no value": ["stores", "--sample"],
    "a value too much": ["--quick=1", "stores"],
    "sample 0": ["--sample", "0", "stores"],
    "sample above all": ["--sample", "101%", "stores"],
    "sample below 0": ["--sample=-5%", "stores"],
    "sample without number": ["--sample", "half", "stores"],
    "no number": ["--sample", "nan", "stores"],
    "jobs 0": ["-j", "0", "stores"],
    "unknown format": ["--format", "best", "stores"],
    "k 0": ["-k", "0", "--format", "classic", "stores"],
}


@pytest.mark.parametrize("words", WRONG_WORDS.values(), ids=WRONG_WORDS.keys())
def test_words_that_make_no_sense(stores, words):
    """Also where the stores are there."""
    result = commands.run("check", *words, status=USAGE, noisy=True, cwd=stores.folder.parent)
    assert result.json == [] and result.errors.startswith("zfec-fs: ")


def test_stores_that_are_not_there(tmp_path, stores):
    for words in ([tmp_path / "nowhere"], ["--store", tmp_path / "nowhere"]):
        result = commands.run("check", *words, status=FAILED, noisy=True)
        assert result.json == [] and "nowhere: No such file or directory" in result.errors


def test_a_store_that_leads_nowhere(stores):
    """It is named, as one that could not be looked at."""
    place = stores.folder / "c"
    place.rename(stores.folder.parent / "away")
    place.symlink_to("not-mounted")
    result = commands.run("check", stores.folder, status=DAMAGED, noisy=True)
    assert re.search(r"stores/c is left out: No such file.*mounted", result.errors)
    assert len(result.summary["stores"]) == 3
    place.unlink()
    place.symlink_to("../away")
    check(stores, status=OK)


def test_no_stores_are_no_success(tmp_path):
    """A disk that is not mounted leaves an empty directory; that is not to be called well."""
    (tmp_path / "stores").mkdir()
    status, _ = run_text("check", tmp_path / "stores")
    assert status == FAILED


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("spoiled", ["", "a"], ids=["intact", "damaged"])
def test_output_that_cannot_be_written(stores, words, spoiled):
    """That is a failure, unless something is lost."""
    stores.put()
    for store in spoiled:
        stores.spoil(store, 1)
    stores.settle_times()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [mounts_module.BINARY, "check", *words, stores.folder],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
        )
    assert b"No space left" in done.stderr and done.returncode == FAILED


def test_a_check_that_is_stopped(tmp_path, rng):
    """Ends soon, and sums nothing up that it has not seen."""
    stores = Stores(tmp_path / "stores", rng, "ab", 1)
    stores.put("file", 1000 * BLOCK_SIZE)
    for store in "ab":
        for number in range(300):
            os.link(stores.path(store), stores.path(store, f"link-{number}"))
    process = commands.start("check", stores.folder)
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    result = commands.finish(process, first)
    assert result.status == FAILED
    assert all(line["message_type"] == "check" for line in result.json)


# Sums


def test_sums_and_sentences(stores):
    """Of all names, and of each store."""
    stores.put()
    stores.put("old")
    stores.put("old", mtime_ns=trees.MTIME_NS - HOUR_NS, at={"b": 1, "c": 2})
    stores.put("empty", 0)
    for store in "abcd":
        stores.path(store, "folder").mkdir()
        stores.path(store, "link").symlink_to("file")
        os.utime(stores.path(store, "link"), ns=(0, trees.MTIME_NS), follow_symlinks=False)
    stores.spoil("a", 0, 2, 3)
    stores.path("b", "link").unlink()
    stores.path("d", "empty").chmod(0o600)
    stores.settle_times()
    status, text = run_text(*words_of(stores.folder, ()))
    assert status == DAMAGED
    lines = [re.sub(r" in \d+\.\d s", "", line) for line in text.splitlines()]
    assert lines == [
        "empty: can lose 2 more stores; d: differs in mode",
        "file: can lose 1 more store; a: blocks 0, 2-3 damaged",
        "link: can lose 1 more store; b: missing",
        "old: can lose 0 more stores; b: another version; c: another version",
        "5 files (85.5 kB) and 3 other names: 4 intact, 4 degraded, 0 lost",
        "Stores, and the share that each holds:",
        "  00  a: 7 good, 1 damaged (3 bad blocks)",
        "  01  b: 6 good, 1 missing, 1 of another version",
        "  02  c: 7 good, 1 of another version",
        "  03  d: 8 good, 1 with other metadata",
        "1 of 5 files would be lost with any further store.",
    ]
    _, summary = check(stores, status=DAMAGED)
    assert [summary[name] for name in ("files", "others", "bytes")] == [5, 3, 2 * 5000 + 2 * SIZE]
    assert [summary[name] for name in ("intact", "degraded", "lost")] == [4, 4, 0]
    assert summary["sentence"] == lines[-1]
    assert summary["command"] == "check" and summary["may_lose"] == 0


@pytest.mark.parametrize("command", ["check", "decode", "repair"])
def test_stores_with_one_share_are_told(stores, tmp_path, command):
    folder = stores.folder
    stores.settle_times()
    shutil.copytree(folder / "a", folder / "twin")
    status, text = run_text(command, folder, *([tmp_path / "out"] if command == "decode" else []))
    line = f"Stores {folder}/a and {folder}/twin hold the same share, 00: they count once"
    assert status == OK and text.splitlines()[0] == line


def test_the_sentence_tells_files_from_other_names(stores):
    """A symlink is no file."""
    stores.put()
    for store in "ab":
        (stores.folder / store / "link").symlink_to("file")
    for store in "cd":
        (stores.folder / store / "link").symlink_to("other-1")
    _, summary = check(stores, status=LOST)
    assert summary["sentence"] == "1 of 1 other names is lost."


def test_verbose_names_what_is_intact(stores):
    stores.put()
    stores.settle_times()
    status, text = run_text(*words_of(stores.folder, ["-v"]))
    assert status == OK
    assert text.splitlines()[:4] == [
        f"{name}: can lose {count} more stores"
        for name, count in (("file", 2), ("other-1", 2), ("other-2", 2), (".", 2))
    ]


def test_quiet_says_nothing(stores):
    stores.put()
    stores.spoil("a", 1)
    stores.settle_times()
    assert run_text("check", "-q", stores.folder) == (DAMAGED, "")


def test_no_files_at_all(tmp_path, rng):
    stores = Stores(tmp_path / "stores", rng)
    stores.settle_times()
    result = commands.run("check", stores.folder, status=LOST, noisy=True)
    assert result.json == [] and "needed" in result.errors


# Names that are made to mislead


HOSTILE_NAMES = [
    b"new\nline: can lose 5 more stores",
    b"\r\x1b[2K\x1b[31mred\x1b[0m",
    b"\xff\xfe not UTF-8 \x80",
    b"c1 \xc2\x9b31m",
    b"back\\x0aslash",
    b" leading and trailing ",
    b"quote\" and 'quote'; a: missing",
    b"%s%n%d",
    b"\x7f\x01\x02",
    b"\xed\xa0\x80 surrogate",
    b"\xf0\x9f\x92\xbe.txt",
    b"n" * 255,
]


def hostile_stores(tmp_path, rng):
    """One name is missing in one store; the stores' names are not better."""
    names = [b"a", b"s\ntore\x1b[1m", b"\xffstore"]
    stores = Stores(tmp_path / "stores", rng, [os.fsdecode(name) for name in names], 1)
    for name in HOSTILE_NAMES:
        stores.put(os.fsdecode(name), 100)
        stores.path(stores.names[1], os.fsdecode(name)).unlink()
    folder = os.fsdecode(b"folder\n\xff")
    stores.put(os.fsdecode(b"folder\n\xff/inner\n"), 100)
    stores.path(stores.names[1], os.fsdecode(b"folder\n\xff/inner\n")).unlink()
    stores.settle_times()
    return stores, {*HOSTILE_NAMES, os.fsencode(folder) + b"/inner\n"}


def test_names_forge_no_lines(tmp_path, rng):
    stores, names = hostile_stores(tmp_path, rng)
    status, text = run_text("check", "-v", stores.folder)
    assert status == DAMAGED and text.isprintable() is False
    *lines, last = text.split("\n")
    assert last == "" and all(re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]*", line) for line in lines)
    told = [line for line in lines if line.endswith(r"; s\x0atore\x1b[1m: missing")]
    assert len(told) == len(names)
    assert len(lines) == len(names) + 2 + 6  # the two directories; the sums, three stores
    assert rf"  02  \xffstore: {len(names) + 2} good" in lines


def test_names_in_json(tmp_path, rng):
    stores, names = hostile_stores(tmp_path, rng)
    result = commands.run("check", stores.folder, status=DAMAGED, noisy=True)
    lines = [line for line in result.json if line["message_type"] == "check"]
    assert len(lines) == len(names) and {commands.path_in(line) for line in lines} == names
    for line in lines:
        (problem,) = line["problems"]
        assert problem["store"] == str(stores.folder / stores.names[1])
    last = result.summary["stores"][2]
    decoded = commands.path_in(
        {key.replace("store", "path"): value for key, value in last.items() if "store" in key}
    )
    assert decoded == os.fsencode(stores.folder / stores.names[2])


@pytest.mark.parametrize("liars", ["c", "cd"])
def test_a_size_that_no_file_has(stores, liars):
    """Stores may say it, of a name that no other has; check ends all the same."""
    stores.put()
    for store in liars:
        header = oracle.checked_header(1, "abcd".index(store), 1 << 62, trees.MTIME_NS, BLOCK_SIZE)
        trees.write_file(stores.path(store, "huge"), header)
    stores.settle_times()
    try:
        status, text = run_text(*words_of(stores.folder, ()), limit_s=10)
    except subprocess.TimeoutExpired:
        pytest.fail("it looks for all blocks of a file of 4 EiB")
    assert status == (DAMAGED if liars == "c" else LOST)
    line = "huge: only c has it" if liars == "c" else "huge: LOST, .* a: missing; b: missing; c: size, "
    assert re.match(line, text), text


# Stores that fail


@pytest.fixture
def failing():
    """Has a store served by a file system that fails to order."""
    pytest.importorskip("pyfuse3", reason="needs python3-pyfuse3")
    failing_store = pytest.importorskip("failing_store")
    made = []

    def make(stores, name):
        stores.settle_times()
        behind = stores.folder.parent / "behind" / name
        behind.parent.mkdir(exist_ok=True)
        (stores.folder / name).rename(behind)
        made.append(failing_store.FailingStore(behind, stores.folder / name))
        return made[-1]

    yield make
    for store in made:
        with contextlib.suppress(Exception):
            store.thaw()
            store.go_on()
        store.close()


def run_beside(store, folder, *words):
    """Runs check, and has the store answer again where it does not end without that."""
    process = commands.start("check", *words, folder)
    try:
        process.wait(timeout=HANG_LIMIT_S)
    except subprocess.TimeoutExpired:
        store.thaw()
        store.go_on()
        commands.finish(process)
        pytest.fail("check does not end until the store answers")
    return commands.finish(process)


def states_in(result, store):
    """path -> what is said of it in one store."""
    return {
        line["path"]: problem["state"]
        for line in result.json
        if line["message_type"] == "check"
        for problem in line["problems"]
        if problem["store"].endswith(f"/{store}")
    }


def test_a_store_that_fails(stores, failing):
    stores.put()
    store = failing(stores, "c")
    store.refuse(5)
    result = run_beside(store, stores.folder)
    assert result.status == DAMAGED
    states = states_in(result, "c")
    if states:
        assert states == dict.fromkeys(["", "file", "other-1", "other-2"], "unreadable")
    else:  # it was never a store
        assert "stores/c is left out" in result.errors


def test_a_store_that_fails_in_one_block(stores, failing):
    stores.put()
    store = failing(stores, "c")
    place = block_place(2)
    store.fail("file", place.start, place.stop)
    result = run_beside(store, stores.folder)
    (line,) = (line for line in result.json if line["message_type"] == "check" and line["problems"])
    assert line["path"] == "file" and line["may_lose"] == 1
    (problem,) = line["problems"]
    assert problem["state"] in ("damaged", "unreadable")
    assert problem.get("damaged_blocks", [[2, 2]]) == [[2, 2]]
    assert result.status == DAMAGED


def test_a_store_that_dies(stores, failing):
    stores.put()
    store = failing(stores, "c")
    store.kill()
    result = run_beside(store, stores.folder)
    assert result.status in (DAMAGED, FAILED)
    assert "stores/c" in result.errors + json.dumps(result.json), "it is named"


@pytest.mark.parametrize("operation", ["read", "lookup"])
def test_a_store_that_hangs(stores, failing, operation):
    """check ends, has seen all that the others have, and says which store it was."""
    for number in range(30):
        stores.put(f"file-{number}", 5000)
    stores.spoil("a", 0, name="file-7")
    store = failing(stores, "c")
    store.hang(operation)
    result = run_beside(store, stores.folder)
    states = states_in(result, "c")
    assert states and set(states.values()) <= {"unreadable", "damaged"}, states
    assert {f"file-{number}" for number in range(30)} <= set(states)
    assert states_in(result, "a") == {"file-7": "damaged"}
    assert result.status == DAMAGED


@pytest.mark.parametrize("late", ["a block", "all"])
def test_what_did_not_come_in_time_is_not_lost(stores, failing, tmp_path, late):
    """Neither for check nor for decode: the store may have what is missing."""
    stores.put()
    for name in "ad":
        stores.spoil(name, 2)
    store = failing(stores, "c")
    place = block_place(2) if late == "a block" else slice(0, 1 << 62)
    store.fail("file", place.start, place.stop, errno.ETIMEDOUT)
    result = run_beside(store, stores.folder)
    assert result.status == FAILED
    assert "file: cannot be checked: Connection timed out" in result.errors
    assert result.json[-1]["lost"] == 0
    result = commands.run("decode", stores.folder, tmp_path / "out", status=FAILED, noisy=True)
    assert result.json[-1]["lost"] == 0 and result.json[-1]["failed"] == 1
    assert not (tmp_path / "out" / "file").exists()


def test_a_store_that_never_answers(stores, failing):
    stores.put()
    store = failing(stores, "c")
    store.freeze()
    result = run_beside(store, stores.folder)
    assert "stores/c" in result.errors + json.dumps(result.json), "it is named"
    assert result.status in (OK, DAMAGED)


# What a user may not look at


@needs_root
def test_what_not_all_could_say_is_no_verdict(user, rng):
    """Three of four stores cannot be looked at there: that one has it does not make it foreign."""
    stores = Stores(user.folder / "stores", rng)
    for name in ("closed/file", "other"):
        stores.put(name, 5000)
    user.own(stores.folder)
    for store in "abc":
        stores.path(store, "closed").chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "closed/file: cannot be checked" in result.errors
    assert "foreign" not in {line.get("health") for line in result.json}
    assert result.json[-1]["sentence"].startswith("Every file that could be checked survives")


@needs_root
def test_what_the_user_may_not_read_is_not_lost(user, rng):
    stores = Stores(user.folder / "stores", rng)
    stores.put(size=5000)
    stores.put("other", 5000)
    (user.folder / "home").mkdir()
    user.own(user.folder / "home")
    user.own(stores.folder)
    for store in "abc":
        stores.path(store).chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "file: cannot be checked: Permission denied" in result.errors
    assert result.json[-1]["lost"] == 0
    out = user.folder / "home" / "out"
    result = commands.run("decode", stores.folder, out, status=FAILED, noisy=True, **how)
    assert "file: Permission denied" in result.errors
    assert result.json[-1]["lost"] == 0 and result.json[-1]["failed"] == 1


@needs_root
@pytest.mark.parametrize("closed", [("a", "b"), ("a",)])
def test_repair_replaces_nothing_that_it_cannot_read(user, rng, closed):
    """The shares of a newer version, whose size and time can be seen, are left as they are."""
    stores = Stores(user.folder / "stores", rng)
    stores.put(size=5000)
    stores.put("other", 5000)
    stores.put(size=7000, mtime_ns=trees.MTIME_NS + 10**9, at={"a": 0, "b": 1})
    user.own(stores.folder)
    newer = {store: stores.path(store).read_bytes() for store in "ab"}
    for store in closed:
        stores.path(store).chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("repair", stores.folder, status=FAILED, noisy=True, **how)
    assert "Permission denied" in result.errors
    assert {store: stores.path(store).read_bytes() for store in "ab"} == newer


@needs_root
@pytest.mark.parametrize("closed", ["file", "dir"])
def test_an_old_version_is_not_taken_while_a_newer_one_may_not_be_read(user, rng, closed):
    stores = Stores(user.folder / "stores", rng)
    stores.put("other", 5000)
    stores.put("dir/file", 5000)
    stores.put("dir/file", 7000, mtime_ns=trees.MTIME_NS + 10**9, at={"a": 0, "b": 1})
    home = user.folder / "home"
    trees.write_file(home / "out" / "dir" / "file", b"the newest")
    user.own(home)
    user.own(stores.folder)
    for store in "ab":
        (stores.path(store, "dir/file") if closed == "file" else stores.path(store, "dir")).chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("decode", stores.folder, home / "out", status=FAILED, noisy=True, **how)
    assert "may be of a newer version, but you may not read them" in result.errors
    assert (home / "out" / "dir" / "file").read_bytes() == b"the newest"
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "dir/file: cannot be checked: Permission denied" in result.errors
