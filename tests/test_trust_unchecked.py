# SPDX-License-Identifier: MIT
"""What is believed of shares without checks: those that agree, of one time, and most of them."""

import os
import shutil

import pytest

import trusting
from commands import DAMAGED, LOST, OK
from trusting import GONE, MTIME_NS, NEWER, OLDER

SPREAD = True
make = trusting.make  # a fixture


# Formats without checks


def test_a_classic_copy_under_a_wrong_index_does_not_count(make, mounts):
    """One bit makes index 0 a second 1."""
    stores = make(3, 4, "classic")
    data = stores.put(size=20_000)
    stores.change("00", lambda share: bytes([share[0], 1]) + share[2:])
    said = stores.check(status=DAMAGED, health={"a": ("degraded",)})
    problems = [problem for line in said.lines for problem in line.get("problems", ())]
    assert [one["state"] for one in problems if one["state"] != "good"] == ["damaged"]
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["00"]))
    stores.intact()


UNCHECKED = pytest.mark.parametrize("share_format", ["classic", "fec"])


@UNCHECKED
def test_two_copies_of_one_index_that_differ_are_both_compared(make, mounts, share_format):
    """What is wrong is found by those that are there beside them."""
    stores = make(3, ["00", "00-too", "01", "02", "03"], share_format, total=4)
    data = stores.put(size=20_000)
    stores.flip("00", 5000)
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["00"]))
    stores.intact()


@UNCHECKED
@pytest.mark.parametrize("wrong", ["00", "00-too"])
def test_where_they_differ_and_no_more_are_there_it_is_an_error(make, mounts, share_format, wrong):
    stores = make(3, ["00", "00-too", "01", "02"], share_format, total=4)
    stores.put(size=20_000)
    stores.flip(wrong, 5000)
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST)


@UNCHECKED
def test_two_wrong_ones_of_five_are_an_error(make, mounts, share_format):
    """With k = 3: what agrees with four of them may not be what was encoded."""
    stores = make(3, 5, share_format)
    stores.put(size=20_000)
    for store in ("01", "03"):
        stores.scribble(store, 4000, 100)
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST)


@UNCHECKED
@pytest.mark.parametrize("offsets", [(1000, 3000), (1000, 5000)])
def test_one_wrong_byte_in_each_of_two_stores_is_found(make, mounts, share_format, offsets):
    """Each by the four others, at its place."""
    stores = make(2, 5, share_format)
    data = stores.put(size=20_000)
    for store, offset in zip(("01", "03"), offsets):
        stores.flip(store, offset)
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["01", "03"]))
    stores.intact()


@UNCHECKED
def test_a_copy_that_is_there_twice_has_one_say(make, mounts, share_format):
    """00 twice and 01 do not outvote 02, which differs: nothing tells which is wrong."""
    stores = make(2, ["00", "00-too", "01", "02"], share_format, total=3)
    stores.put(size=20_000)
    stores.scribble("02", 5000, 100)
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST)


# Shares of a format without checks whose times differ, in a file of the same size


@UNCHECKED
def test_just_enough_shares_of_two_times_are_an_error(make, mounts, share_format):
    """An edit has reached 00 and 01 only: what the three give together is neither of both."""
    stores = make(3, 3, share_format, total=5)
    stores.put(size=20_000, mtime_ns=OLDER)
    stores.put(size=20_000, stores=["00", "01"])
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST, says=["different times"],
                 log=["a: 3 shares of different times found, 4 needed.*unconfirmed"])  # fmt: skip
    new = stores.base / "new"
    stores.repair("--add", f"04={new}", status=LOST)
    assert sorted(os.listdir(new)) == ["other-1", "other-2"]


@UNCHECKED
@pytest.mark.parametrize("new", [2, 3])
def test_the_newest_shares_are_the_file_if_they_are_enough(make, mounts, share_format, new):
    """Of five, with k = 2: the others are old, and give way where they are fewer."""
    stores = make(2, 5, share_format)
    stores.put(size=20_000, mtime_ns=OLDER)
    data = stores.put(size=20_000, stores=stores.names[:new])
    writes = stores.shares(data, stores.names[new:]) if new > 2 else ()
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=writes,
                 log=["a: store .*04 has another version .older."])  # fmt: skip


EVEN = MTIME_NS // (2 * 10**9) * 2 * 10**9  # seconds


@UNCHECKED
def test_two_edits_within_a_second_are_two_versions_where_a_store_has_finer_times(make, mounts, share_format):
    """That the first was at a whole second means nothing there."""
    stores = make(2, 4, share_format)
    stores.put(size=20_000, stores=["00", "01"], mtime_ns=EVEN)
    data = stores.put(size=20_000, stores=["02", "03"], mtime_ns=EVEN + 3 * 10**8)
    stores.holds(mounts, {"a": data}, check=DAMAGED,
                 log=["a: store .*00 has another version .older."])  # fmt: skip


@UNCHECKED
def test_where_a_store_has_only_whole_seconds_its_times_agree_with_finer_ones(make, mounts, share_format):
    stores = make(3, 4, share_format)
    data = stores.put(size=20_000, mtime_ns=EVEN + 3 * 10**8)
    for path in (path for store in ("00", "01") for path in (stores.folder / store).iterdir()):
        time = path.stat().st_mtime_ns // (2 * 10**9) * 2 * 10**9
        os.utime(path, ns=(time, time))
    stores.holds(mounts, {"a": data})


@UNCHECKED
def test_a_time_that_is_too_coarse_for_its_store_is_mended(make, mounts, share_format):
    """Something rounded it; it would be of a version of its own for ever."""
    stores = make(2, 4, share_format)
    data = stores.put(size=20_000, mtime_ns=EVEN + 3 * 10**8)
    os.utime(stores.path("03"), ns=(EVEN, EVEN))
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["03"]))
    assert stores.path("03").stat().st_mtime_ns == EVEN + 3 * 10**8
    stores.check(status=OK)


@UNCHECKED
def test_once_is_enough_where_times_are_lost_and_one_is_too_coarse(make, share_format):
    """As the times of two tell nothing, that of the third does not set it apart, until it is mended."""
    stores = make(3, 5, share_format)
    data = stores.put(size=20_000, mtime_ns=EVEN + 3 * 10**8)
    for store, time in (("00", NEWER), ("01", EVEN), ("02", NEWER + 10**9)):
        os.utime(stores.path(store), ns=(time, time))
    stores.repair(status=DAMAGED, writes=stores.shares(data, ["00", "01", "02"]))
    assert {stores.path(store).stat().st_mtime_ns for store in stores.names} == {EVEN + 3 * 10**8}
    stores.check(status=OK)
    for store in ("00", "03"):
        shutil.rmtree(stores.folder / store)
    stores.decode(expected={"a": data})


@UNCHECKED
@pytest.mark.parametrize(("required", "new"), [(1, ["00"]), (2, ["00", "01"])])
def test_unconfirmed_takes_the_newest_version_that_is_complete(make, mounts, share_format, required, new):
    """It is for what would be lost without it, and changes nothing of what would not."""
    stores = make(required, 2 * required + 1, share_format)
    stores.put(size=3000, mtime_ns=OLDER)
    data = stores.put(size=3000, stores=new, mtime_ns=NEWER)
    stores.settle()
    stores.decode("--unconfirmed", expected={"a": data}, status=(OK, DAMAGED))
    stores.show(mounts, {"a": data}, unconfirmed=True)


@UNCHECKED
def test_no_byte_is_of_another_time(make, mounts, share_format):
    """A byte of the first piece and one of the last were edited: at each byte, only one share of the
    old version differs from the new, or the other way round.
    """
    stores = make(3, 5, share_format)
    old = stores.put(size=9000, mtime_ns=OLDER)
    pieces = [0, 2] if share_format == "classic" else [0, 8999]
    new = bytearray(old)
    for at in pieces:
        new[at] ^= 1
    stores.put(data=bytes(new), stores=["00", "01", "03"])
    writes = stores.shares(bytes(new), ["02", "04"])
    stores.holds(mounts, {"a": bytes(new)}, check=DAMAGED, writes=writes)


@UNCHECKED
def test_where_no_time_has_enough_shares_all_have_to_agree(make, mounts, share_format):
    """As from storage that does not keep times: five shares of five times, and then a bad byte."""
    stores = make(3, 5, share_format)
    data = stores.put(size=20_000)
    for number, store in enumerate(stores.names):
        time_ns = MTIME_NS + number * 10**9
        os.utime(stores.path(store), ns=(time_ns, time_ns))
    stores.show(mounts, {"a": data})
    stores.flip("01", 5000)
    stores.settle()
    stores.show(mounts, {"a": GONE})
    stores.decode(expected={"a": GONE}, status=LOST, says=["contradict"])
    stores.decode("--unconfirmed", expected={"a": data}, status=(OK, DAMAGED))


@UNCHECKED
def test_shares_of_storage_without_times_are_to_be_had_unconfirmed(make, mounts, share_format):
    """One more than k agree with each other, whatever their times; of just k, the user says it."""
    stores = make(2, 3, share_format)
    data = stores.put(size=20_000)
    for store, mtime_ns in zip(stores.names, (OLDER, MTIME_NS, NEWER)):
        os.utime(stores.path(store), ns=(mtime_ns, mtime_ns))
    stores.show(mounts, {"a": data})
    shutil.rmtree(stores.folder / "02")
    stores.decode(expected={"a": GONE}, status=LOST, says=["unconfirmed"])
    stores.decode("--unconfirmed", expected={"a": data})
    stores.show(mounts, {"a": data}, unconfirmed=True)


@UNCHECKED
def test_one_coarse_time_where_a_store_keeps_finer_ones_is_of_its_own(make, mounts, share_format):
    """It may be that of an edit before: just k such shares may not belong together, and the user says it."""
    stores = make(2, 2, share_format)
    data = stores.put(size=20_000)
    coarse = MTIME_NS // 10**9 * 10**9
    os.utime(stores.path("01"), ns=(coarse, coarse))
    stores.show(mounts, {"a": GONE})
    stores.decode(expected={"a": GONE}, status=LOST, says=["unconfirmed"])
    stores.decode("--unconfirmed", expected={"a": data})


@UNCHECKED
def test_repair_leaves_coarse_times_in_a_store_coarse(make, share_format):
    """A finer one among them would make all others exact, and so those of another version."""
    stores = make(2, 4, share_format)
    data = stores.put(size=20_000)
    coarse = MTIME_NS // 10**9 * 10**9
    for path in (stores.folder / "03").iterdir():
        os.utime(path, ns=(coarse, coarse))
    stores.path("03", "other-1").unlink()
    stores.settle()
    stores.repair(status=DAMAGED, writes=["03/other-1"])
    for store in ("00", "01"):
        shutil.rmtree(stores.folder / store)
    stores.decode(expected={"a": data})


@UNCHECKED
def test_times_are_compared_as_coarsely_as_storage_keeps_them(make, mounts, share_format):
    stores = make(2, 2, share_format)
    data = stores.put(size=20_000)
    coarse = MTIME_NS // 10**9 * 10**9
    for path in (stores.folder / "01").iterdir():  # of one file alone it would be its own time
        os.utime(path, ns=(coarse, coarse))
    stores.show(mounts, {"a": data})
    stores.decode(expected={"a": data})
