# SPDX-License-Identifier: MIT
"""check says how many stores more each file can lose, with checks in its shares and without."""

import itertools
import shutil

import pytest

import checking
from checking import BLOCK_SIZE, REQUIRED, STRIPES, Stores, check, damaged, file_line, problems_of
from commands import DAMAGED, LOST, OK

stores = checking.stores  # a fixture


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
