# SPDX-License-Identifier: MIT
"""Repair never makes worse: it writes what is settled, over what is not as good, and removes a name
only where enough stores lack it that are known to be whole. What test_trust and test_trust_names
say of stores, they say of repair as well.
"""

import os
import shutil
import stat

import pytest

import oracle
import trees
import trusting
from commands import DAMAGED, FAILED, LOST, OK
from trusting import CONFLICT, MTIME_NS, NEWER, OLDER

whole = trusting.whole  # a fixture

make = trusting.make  # a fixture


# Shares that may be the better ones


@pytest.mark.parametrize("size", [3000, 4000], ids=["same size", "other size"])
def test_an_intact_newer_share_stays(make, mounts, size):
    """It is the first of what the others will get."""
    stores = make(2, 4)
    data = stores.put(size=3000)
    stores.put(stores=["03"], size=size, mtime_ns=NEWER)
    stores.path("02").unlink()
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["02"]))
    stores.repair(status=DAMAGED)


def test_a_damaged_newer_share_does_not(make, mounts):
    stores = make(2, 4)
    data = stores.put(size=stores.stripes(2))
    stores.put(stores=["03"], size=stores.stripes(2), mtime_ns=NEWER)
    stores.spoil("03", 1)
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["03"]))
    stores.intact()


def test_an_older_share_is_replaced(make, mounts):
    stores = make(2, 5)
    data = stores.put()
    stores.put(stores=["03"], mtime_ns=OLDER)
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["03"]))
    stores.intact()


@pytest.mark.parametrize("share_format", oracle.FORMATS)
@pytest.mark.parametrize("other", ["content", "k", "size"])
def test_an_intact_share_of_the_same_time_and_another_file_stays(make, mounts, share_format, other):
    """Nobody can say which is right; with no checks, what is no share of the file is damage."""
    stores = make(2, 5, share_format)
    data = stores.put(size=5000)
    how = {"content": {}, "k": {"required": 3}, "size": {}}[other]
    size = 4000 if other == "size" else 5000
    stores.put(stores=["03"], size=size, **how)
    stores.settle()
    stores.show(mounts, {"a": data})
    stores.decode(expected={"a": data})
    stores.check(status=DAMAGED, health={"a": ("degraded",)})
    if share_format == "checked":
        stores.repair(status=DAMAGED)
    elif other == "content":
        stores.repair(status=DAMAGED, writes=stores.shares(data, ["03"]))


def test_a_complete_older_version_in_as_many_stores_stays(make, mounts):
    """Half of the stores have it whole: which of the two was meant is not for repair to say."""
    stores = make(2, 4)
    stores.put(stores=["00", "01"], mtime_ns=OLDER)
    data = stores.put(stores=["02", "03"])
    stores.holds(mounts, {"a": data}, check=DAMAGED)


@pytest.mark.parametrize("newer", [2, 3])
def test_no_run_takes_from_an_older_version_what_protects_it(make, newer):
    """What is made for the newest one must not have the next run replace the other."""
    stores = make(2, 3 + newer + 2)
    older, shown = stores.names[:3], stores.names[3 : 3 + newer]
    stores.put(stores=older, mtime_ns=OLDER)
    data = stores.put(stores=shown)
    stores.settle()
    before = [trusting.fingerprint(stores.path(store)) for store in older]
    for run in range(3):
        said = trusting.run("repair", stores.folder).demand(DAMAGED)
        after = [trusting.fingerprint(stores.path(store)) for store in older]
        assert after == before, f"run {run}: {said.text}"
    made = [store for store in stores.names if store not in older and stores.path(store).exists()]
    assert len(made) == 3, said.text
    for store in made:
        assert stores.path(store).read_bytes() == stores.share(data, store)
    assert "is not made: an older version, which is in as many stores" in said.text
    stores.decode(expected={"a": data}, status=OK)


def test_one_in_fewer_stores_is_replaced(make, mounts):
    stores = make(2, 5)
    stores.put(stores=["00", "01"], mtime_ns=OLDER)
    data = stores.put(stores=["02", "03", "04"])
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["00", "01"]))
    stores.intact()


@pytest.mark.parametrize("words", [[], ["--delete"]], ids=["plain", "delete"])
@pytest.mark.parametrize("sides", ["file and symlink", "two versions", "two contents"])
def test_no_side_of_a_conflict_is_touched(make, words, sides):
    """And what else there is, is mended."""
    stores = make(2, 4)
    stores.put(stores=["00", "01"], size=5000)
    if sides == "file and symlink":
        for store in ("02", "03"):
            stores.symlink(store, "a", "gone")
    else:
        stores.put(stores=["02", "03"], size=5000 if sides == "two contents" else 4000)
    stores.flip("01", 300, name="other-1")
    stores.settle()
    writes = stores.shares(stores.files["other-1"], ["01"], "other-1")
    stores.repair(*words, status=LOST, writes=writes)
    stores.decode(expected={"a": CONFLICT}, status=LOST)


def test_a_file_without_most_of_its_shares_is_left_as_it_is(make):
    """Not even its metadata, nor what is damaged of it."""
    stores = make(3, 5)
    stores.put(stores=["00", "01", "02"], size=5000)
    stores.flip("01", 300)
    stores.path("00").chmod(0o600)
    os.utime(stores.path("02"), ns=(NEWER, NEWER))
    stores.settle()
    stores.repair(status=LOST)
    stores.decode(expected={}, status=LOST)


# How many stores may be lost


@pytest.mark.parametrize("name", ["00", "00-too"])
def test_a_share_under_another_index_stays_where_it_is_needed(make, mounts, name):
    """In a store whose own share is there twice: in its place, one share less would be there."""
    stores = make(2, ["00", "00-too", "01", "02"], total=4)
    data = stores.put()
    trees.write_file(stores.path(name), stores.share(data, name, index=3))
    stores.settle()
    before = {each: stores.may_lose(each) for each in ("a", *trusting.WITNESSES)}
    stores.show(mounts, {"a": data})
    stores.repair(status=DAMAGED, says=["the only copy of this share"])
    after = {each: stores.may_lose(each) for each in before}
    assert before["a"] >= 1 and all(after[each] >= before[each] for each in before)
    stores.decode(expected={"a": data})


def test_one_that_is_there_already_gives_way(make, mounts):
    stores = make(2, 4)
    data = stores.put()
    trees.write_file(stores.path("00"), stores.share(data, "01"))
    stores.settle()
    assert stores.may_lose() == 1
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["00"]))
    assert stores.may_lose() == 2
    stores.intact()


# Which stores are written to


def test_nothing_is_made_in_an_empty_store_before_it_is_told(make):
    """It may be a mountpoint; --add says that it is not."""
    stores = make(2, 4)
    data = stores.put()
    shutil.rmtree(stores.folder / "03")
    (stores.folder / "03").mkdir()
    stores.settle()
    stores.repair(status=DAMAGED, says=["03.*holds nothing"])
    writes = stores.shares(data, ["03"])
    for name in trusting.WITNESSES:
        writes |= stores.shares(stores.files[name], ["03"], name)
    stores.repair("--add", f"03={stores.folder / '03'}", status=(OK, DAMAGED), writes=writes)
    stores.intact()


def test_nothing_is_made_in_a_store_of_which_the_share_is_not_known(make, mounts):
    """All its headers are damaged; its blocks count all the same."""
    stores = make(2, 4)
    data = stores.put(size=stores.stripes(2))
    for name in ("a", *trusting.WITNESSES):
        stores.spoil_header("03", name)
    for store in ("00", "01"):
        stores.spoil(store, 1)
    mended = stores.shares(data, ["00", "01"])
    stores.holds(mounts, {"a": data}, check=DAMAGED, repair=(DAMAGED, FAILED), writes=mended)


def test_too_few_stores_for_what_two_of_them_use_take_k_that_is_given(make):
    """Files of k = 5 are there: three stores are a part of what there is; nothing is written."""
    stores = make(2, 3, total=8)
    data = stores.put(size=5000)
    for name in ("five/a", "five/b"):
        stores.put(name, size=5000, required=5)
    stores.flip("02", 300)
    stores.settle()
    said = stores.repair(status=FAILED, says=["required"])
    assert len(said.text.splitlines()) == 1, said.text
    writes = stores.shares(data, ["02"])
    stores.repair(required=2, status=LOST, writes=writes)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_fewer_stores_than_k_are_not_written_to(make, share_format):
    stores = make(3, 2, share_format)
    data = stores.put(size=20_000)
    stores.put("one", stores=["00"], required=1)
    trees.write_file(stores.path("01"), stores.share(data, "01")[:5000])
    stores.settle()
    said = stores.repair(status=LOST, says=["2 stores found, 3 needed"])
    assert len(said.text.splitlines()) == 1, said.text


def test_a_share_that_is_made_has_the_finest_time(make):
    """Where the others keep times to the second."""
    stores = make(2, 4)
    data = stores.put(size=5000)
    second = MTIME_NS // 10**9 * 10**9
    for store in ("01", "02"):
        os.utime(stores.path(store), ns=(second, second))
    stores.path("03").unlink()
    stores.settle()
    stores.repair(status=DAMAGED, writes=stores.shares(data, ["03"]))
    assert stores.path("03").stat().st_mtime_ns == MTIME_NS
    stores.intact()


# What gives way to another kind


def replaced(stores, words=(), *, status, writes=(), says=(), kept=()):
    """Repair, and before it a dry run, which tells the same. KEPT are as they were."""
    stores.settle()
    before = trusting.fingerprints(stores.folder)
    dry = trusting.run("repair", "--json", "--dry-run", *words, stores.folder)
    assert trusting.fingerprints(stores.folder) == before
    plain = trusting.run("repair", "--dry-run", *words, stores.folder).demand(status, says)
    said = trusting.run("repair", "--json", *words, "-v", stores.folder).demand(status, says)
    assert dry.status == plain.status == status, dry.text
    after = trusting.fingerprints(stores.folder)
    touched = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    assert touched == set(writes), said.text
    assert all(before[path] == after[path] for path in kept)

    def told(run):
        return {(line["action"], os.path.basename(line["target"]) + "/" + line["path"])
                for line in run.json
                if line["message_type"] == "file" and line["action"] != "metadata"}  # fmt: skip

    assert told(dry) == told(said), f"{dry.text}\n{said.text}"
    return told(said)


def make_kind(stores, kind, store, name="a"):
    path = stores.path(store, name)
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    else:
        stores.symlink(store, name, "other-1")


@pytest.mark.parametrize("share_format", oracle.FORMATS)
@pytest.mark.parametrize("words", [[], ["--delete"]], ids=["plain", "delete"])
@pytest.mark.parametrize("kind", ["directory", "symlink"])
def test_an_intact_share_never_gives_way_to_another_kind(make, kind, words, share_format):
    """The encode reached three stores of seven: the newest file is whole there."""
    words = [*words] if share_format == "checked" else ["--format", share_format, *words]
    stores = make(3, 7, share_format)
    stores.put(stores=stores.names[:3])
    for store in stores.names[3:]:
        make_kind(stores, kind, store)
    kept = [f"{store}/a" for store in stores.names[:3]]
    assert not replaced(stores, words, status=FAILED, says=["a in .*/0[012] is kept"], kept=kept)


@pytest.mark.parametrize("kind", ["directory", "symlink"])
@pytest.mark.parametrize("words", [[], ["--delete"]], ids=["plain", "delete"])
def test_shares_that_others_can_complete_stay(make, kind, words):
    """The stores that are away have the file, too: of two kinds, only one has its votes here."""
    stores = make(3, ["00", "01", "03", "04"], total=7)
    stores.put(stores=["03", "04"])
    for store in ("00", "01"):
        make_kind(stores, kind, store)
    replaced(stores, words, status=FAILED, says=["a in .*/03 is kept"], kept=["03/a", "04/a"])


def test_nothing_is_said_to_be_made_beneath_a_share_that_stays(make):
    stores = make(3, 7)
    stores.put(stores=stores.names[:3])
    stores.put("a/inner", stores=stores.names[3:])
    assert not replaced(stores, status=FAILED, kept=[f"{store}/a" for store in stores.names[:3]])


def test_a_single_share_gives_way_with_delete(whole):
    whole.put(stores=["00"])
    for store in whole.names[1:]:
        whole.symlink(store, "a", "dir")
    replaced(whole, status=FAILED, kept=["00/a"])
    said = replaced(whole, ["--delete"], status=DAMAGED, writes=["00/a"])
    assert said == {("removed", "00/a"), ("made", "00/a")}


def test_a_share_does_not_give_way_beside_an_empty_store(whole):
    whole.put(stores=["00"])
    for store in whole.names[1:4]:
        whole.symlink(store, "a", "dir")
    shutil.rmtree(whole.folder / "04")
    (whole.folder / "04").mkdir()
    replaced(whole, ["--delete"], status=FAILED, says=["a in .*/00 is kept"], kept=["00/a"])


@pytest.mark.parametrize("kind", ["directory", "symlink", "FIFO"])
@pytest.mark.parametrize("old", ["file", "symlink", "FIFO", "directory"])
def test_each_replacement_by_another_kind_is_told(make, kind, old):
    stores = make(2, 5)
    for store in stores.names[1:]:
        make_kind(stores, kind, store)
    if old == "file":
        trees.write_file(stores.path("00"), b"no share")
    elif old == "symlink":
        stores.symlink("00", "a", "else")
    else:
        make_kind(stores, old, "00")
    if old == kind and old != "symlink":
        return
    told = {("removed", "00/a"), ("made", "00/a")}
    assert replaced(stores, status=DAMAGED, writes=["00/a"]) == told


# Modes and owners that stores do not agree on


@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize(
    "modes, shown",
    [
        ((0o604, 0o604, 0o604, 0o640, 0o640, 0o640), 0o600),
        ((0o1777, 0o1777, 0o1777, 0o777, 0o777, 0o777), 0o1777),
        ((0o4755, 0o4755, 0o755), 0o755),
    ],
)
def test_a_mode_that_is_not_settled_stays(make, kind, modes, shown):
    stores = make(3, len(modes))
    if kind == "file":
        stores.put(size=3000)
    for store, mode in zip(stores.names, modes):
        if kind == "directory":
            stores.path(store).mkdir()
        stores.path(store).chmod(mode)
    stores.settle()
    stores.repair(status=DAMAGED)
    stores.repair(status=DAMAGED)
    out = stores.base / "out"
    trusting.run("decode", stores.folder, out).demand(OK)
    assert os.lstat(out / "a").st_mode & 0o7777 == shown


@trusting.as_root
def test_setuid_is_not_given_to_one_of_two_owners(make):
    stores = make(3, 6)
    stores.put(size=3000)
    for number, store in enumerate(stores.names):
        os.chown(stores.path(store), 5 if number < 3 else 7, 5)
        stores.path(store).chmod(0o4755)
    stores.settle()
    stores.repair(status=DAMAGED)
    out = stores.base / "out"
    trusting.run("decode", stores.folder, out).demand(OK)
    assert os.lstat(out / "a").st_mode & 0o7777 == 0o755


def test_a_special_bit_that_k_stores_deny_goes(make):
    stores = make(2, 4)
    stores.put(size=3000)
    stores.path("00").chmod(0o4644)
    stores.settle()
    stores.repair(status=DAMAGED, writes=["00/a"])
    stores.intact()


@pytest.mark.parametrize("path", ["", "dir"], ids=["root", "directory"])
def test_a_tie_of_modes_stays(make, path):
    """Of a store's own directory as of others: what both give is shown, and repair leaves them."""
    stores = make(2, 4)
    for name in ("dir/a", "other/a"):
        stores.put(name)
    for store in stores.names:  # whose storage keeps modes
        (stores.folder / store / "other").chmod(0o711)
    modes = {"00": 0o770, "01": 0o770, "02": 0o755, "03": 0o755}
    for store, mode in modes.items():
        (stores.folder / store / path).chmod(mode)
    stores.settle()
    out = stores.base / "out"
    trusting.run("decode", stores.folder, out)
    assert stat.S_IMODE((out / path).stat().st_mode) == 0o750
    said = trusting.run("repair", stores.folder)
    said.demand(DAMAGED, [f"^{path or '[.]'}: can lose"])
    found = {store: stat.S_IMODE((stores.folder / store / path).stat().st_mode) for store in modes}
    assert found == modes


def state_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kept", [None, "symlink", "file", "empty"])
def test_a_renamed_directory_goes_with_its_files(make, kept):
    """Two stores, fewer than K, still have the old name: --delete leaves no empty directories."""
    stores = make(3, 5)
    old, new = stores.names[3:], stores.names[:3]
    stores.put("new/b/c/file", stores=new)
    for name in ("old/b/c/file", "old/b/other"):
        stores.put(name, stores=old)
    if kept == "symlink":  # which two are enough for
        for store in old:
            stores.symlink(store, "old/b/link", "target")
    elif kept == "file":
        stores.put("old/b/file")
    elif kept == "empty":  # and may be missing elsewhere, as some storage keeps none
        shutil.rmtree(stores.folder / "03" / "old")
        shutil.rmtree(stores.folder / "04" / "old")
        for store in old:
            (stores.folder / store / "old" / "b").mkdir(parents=True)
    stores.settle()
    trusting.run("repair", "--delete", stores.folder).demand(DAMAGED)
    shown = {None: [], "symlink": ["old", "old/b", "old/b/link"],
             "file": ["old", "old/b", "old/b/file"], "empty": ["old", "old/b"]}[kept]  # fmt: skip
    shown += ["new", "new/b", "new/b/c", "new/b/c/file", *trusting.WITNESSES]
    for store in stores.names:
        assert state_of(stores.folder / store) == sorted(shown)
    trusting.run("repair", "--delete", stores.folder).demand(OK)
    before = {store: state_of(stores.folder / store) for store in stores.names}
    trusting.run("repair", stores.folder).demand(OK)
    assert {store: state_of(stores.folder / store) for store in stores.names} == before


def test_without_delete_a_renamed_directory_stays(make):
    stores = make(3, 5)
    stores.put("old/file", stores=stores.names[3:])
    stores.settle()
    trusting.run("repair", stores.folder).demand(LOST)
    assert all((stores.folder / store / "old").is_dir() for store in stores.names)
