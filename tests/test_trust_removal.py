# SPDX-License-Identifier: MIT
"""repair --delete removes what the stores as a whole do not have, and nothing that one of them may need."""

import shutil
from pathlib import Path

import pytest

import oracle
import trees
import trusting
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from trusting import MTIME_NS, OLDER

make = trusting.make  # a fixture
whole = trusting.whole  # a fixture


# What is removed


def refuse(stores, status, says=()):
    """repair --delete removes nothing, and changes nothing else."""
    stores.settle()
    stores.repair("--delete", status=status, says=says)


def test_what_k_stores_lack_is_removed(whole):
    whole.put("one", stores=["00"])
    whole.put("two", stores=["00", "01"])
    whole.settle()
    whole.repair("--delete", status=DAMAGED, removes=["00/one", "00/two", "01/two"])
    whole.intact()


def test_it_is_not_unless_it_is_asked_for(whole):
    whole.put("one", stores=["00"])
    whole.settle()
    whole.repair(status=DAMAGED)


def test_what_fewer_lack_is_not_removed(whole):
    """Of three that are at hand, two have it; another one, which is away, may have it."""
    whole.put(stores=["00", "01"])
    whole.put("one", stores=["00"])
    for store in ("03", "04"):
        shutil.rmtree(whole.folder / store)
        whole.names.remove(store)
    refuse(whole, LOST, ["one is not removed: too few stores lack it"])


def test_what_is_enough_by_its_own_k_is_not_removed(whole):
    """Two disks of another set, whose k is 2: its files are there."""
    whole.put("other-set", stores=["00", "01"], required=2)
    refuse(whole, LOST, ["other-set is not removed: its shares are enough by their own k"])


@pytest.mark.parametrize("name", ["other-set", "other-set/folder/file"])
def test_what_a_single_store_has_of_a_set_without_redundancy_is_not_removed(whole, name):
    """Its k is 1; with required=1 it is there."""
    whole.path("00", name).parent.mkdir(parents=True, exist_ok=True)
    whole.put(name, stores=["00"], required=1)
    whole.put("one", stores=["00"])
    whole.settle()
    says = ["other-set is not removed: its shares are enough by their own k"]
    whole.repair("--delete", status=FAILED, removes=["00/one"], says=says)


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_a_directory_of_other_files_is_not_taken_for_a_store(make, rng, share_format):
    """Of files of any kind, some look like shares there."""
    stores = make(3, 5, share_format)
    plain = stores.folder / "plain"
    for number in range(40):
        trees.write_file(plain / f"file-{number}", b"hello %d" % number if number % 2 else rng.randbytes(50))
    stores.settle()
    for words in ([], ["--delete"]):
        stores.repair(*words, status=(DAMAGED, FAILED))


def test_what_k_stores_have_is_not_removed(make):
    """However many lack it."""
    stores = make(3, 8)
    data = stores.put(stores=["00", "01", "02"])
    stores.settle()
    writes = stores.shares(data, stores.names[3:])
    stores.repair("--delete", status=DAMAGED, writes=writes)
    stores.intact()


def test_beside_an_empty_store_nothing_is_removed(whole):
    """What else may not be mounted?"""
    whole.put("one", stores=["00"])
    shutil.rmtree(whole.folder / "04")
    (whole.folder / "04").mkdir()
    refuse(whole, FAILED, ["one", "04"])


def test_beside_a_store_that_cannot_be_looked_at_nothing_is_removed(whole):
    whole.put("one", stores=["00"])
    (whole.folder / "05").symlink_to("05")
    refuse(whole, FAILED, ["one", "05"])


def test_beside_a_store_that_leads_nowhere_nothing_is_removed(whole):
    whole.put("one", stores=["00"])
    (whole.folder / "05").symlink_to("not-mounted")
    refuse(whole, FAILED, ["one", "05"])


def test_what_lies_in_a_mountpoint_does_not_say_what_is_to_be_removed(whole):
    """A share that went beneath it once: that store lacks nearly all that K others have."""
    whole.put("one", stores=["00"])
    for store in ("03", "04"):
        share = whole.path(store, "dir/file-0").read_bytes()
        shutil.rmtree(whole.folder / store)
        trees.write_file(whole.path(store, "dir/file-0"), share)
    whole.settle()
    before = trusting.fingerprints(whole.folder / "00")
    said = trusting.run("repair", "--delete", whole.folder).demand(FAILED, ["one", "03|04"])
    assert trusting.fingerprints(whole.folder / "00") == before, said.text


def test_half_a_copy_of_a_store_does_not_either(whole):
    """K - 1 whole stores lack a name that one has, and one that was copied in part."""
    shutil.rmtree(whole.folder / "04")
    whole.names.remove("04")
    whole.put("one", stores=["00"])
    for number in range(3, 12):
        whole.path("03", f"dir/file-{number}").unlink()
    whole.settle()
    before = trusting.fingerprints(whole.folder / "00")
    said = trusting.run("repair", "--delete", whole.folder).demand(FAILED, ["one"])
    assert trusting.fingerprints(whole.folder / "00") == before, said.text


def test_names_removed_from_half_of_the_stores_are_not_removed_from_the_others(make):
    """What is lost by that says which stores are copied in part."""
    stores = make(3, 5, total=6)
    for name in ("a", "d/big", "d/c", "e"):
        stores.put(name, stores=["03", "04"], size=3000)
    stores.put("one", stores=["03"])
    stores.settle()
    before = trusting.fingerprints(stores.folder)
    said = trusting.run("repair", "--delete", stores.folder)
    after = trusting.fingerprints(stores.folder)
    assert all(after.get(path) == before[path] for path in before), said.text
    said.demand(LOST, ["a is not removed", "d/big is not removed", "one is not removed: .*in part"])


def test_a_directory_that_k_stores_lack_is_removed_with_what_is_in_it(whole):
    for name in ("old/a", "old/b"):
        whole.put(name, stores=["00"])
    whole.settle()
    removed = ["old", "old/a", "old/b"]
    whole.repair("--delete", status=DAMAGED, removes=[f"00/{name}" for name in removed],
                 says=[rf"^{name}: removed in .*/00$" for name in removed])  # fmt: skip
    whole.intact()


def test_what_is_in_a_directory_keeps_no_file_in_the_place_of_the_directory(make):
    """Of a single share that is enough by its own k."""
    stores = make(3, 6)
    stores.put("a", stores=["04", "05"])
    for name, own in (("a/b", {}), ("a/c", {"stores": ["00"], "required": 1})):
        stores.put(name, **({"stores": ["00", "01", "02", "03"]} | own))
    stores.settle()
    both = ("04", "05")
    stores.repair("--delete", status=FAILED, writes=[f"{store}/{name}" for store in both for name in ("a", "a/b")],
                  says=[rf"^a: removed in .*/{store}$" for store in both])  # fmt: skip


@pytest.mark.parametrize("having", [["00"], ["00", "01"]], ids=["foreign", "shown"])
def test_a_leftover_keeps_no_directory_that_k_stores_lack(whole, having):
    """Nor is such a directory made in the other stores. Two of them show one."""
    whole.put("old/a", stores=having)
    whole.put("old/.b.Ab12xY", stores=["00"])
    whole.settle()
    removes = [f"{store}/{name}" for store in having for name in ("old", "old/a")] + ["00/old/.b.Ab12xY"]
    whole.repair("--delete", status=DAMAGED, removes=removes)
    whole.intact()


def test_what_k_stores_have_in_the_way_is_not_removed(make):
    """Most have a file; K have a directory there, and all of a file in it."""
    stores = make(3, 7)
    stores.put(stores=stores.names[3:])
    stores.put("a/inner", stores=stores.names[:3])
    stores.settle()
    stores.repair("--delete", status=FAILED, says=["a/inner is not removed: enough stores have it"])


def test_beside_an_empty_store_nothing_in_the_way_is_removed(whole):
    shutil.rmtree(whole.folder / "04")
    (whole.folder / "04").mkdir()
    whole.path("00", "dir/file-0").unlink()
    trees.write_file(whole.path("00", "dir/file-0") / "inner", b"of somebody")
    refuse(whole, FAILED, ["dir/file-0/inner is not removed: a store is empty"])


def test_a_conflict_is_lost_beside_what_is_removed(whole):
    """Status 2, however many names are removed."""
    whole.put("one", stores=["00"])
    for store in ("00", "01"):
        whole.symlink(store, "both", "one")
    for store in ("02", "03"):
        whole.symlink(store, "both", "two")
    whole.settle()
    whole.repair("--delete", status=LOST, removes=["00/one"])


@pytest.mark.parametrize("share_format", oracle.FORMATS)
@pytest.mark.parametrize("names", [("old", "new"), ("old/a", "new/a"), ("old/b/a", "other/a")])
def test_what_a_rename_left_under_two_names_is_not_removed(make, share_format, names):
    """Neither name has K shares and K stores lack each; together they restore the file."""
    stores = make(3, 5, share_format)
    data = stores.rng.randbytes(3000)
    stores.put(names[0], data, stores=["00", "01"])
    stores.put(names[1], data, stores=["02", "03"])
    stores.settle()
    # Two are enough for a directory.
    made = [f"{store}/{parent}" for name, others in zip(names, (["02", "03"], ["00", "01"]))
            for parent in parents_of(name) for store in [*others, "04"]]  # fmt: skip
    says = [rf"^zfec-fs: {one} is not removed: was it renamed\? .* of {other}$"
            for one, other in (names, reversed(names))]  # fmt: skip
    stores.repair("--delete", status=LOST, writes=made, says=says)
    for store in ("02", "03"):
        stores.path(store, names[0]).parent.mkdir(parents=True, exist_ok=True)
        stores.path(store, names[1]).rename(stores.path(store, names[0]))
    stores.settle()
    empty = dict.fromkeys(parents_of(names[1]), trusting.DIRECTORY)
    stores.decode(expected={names[0]: data, **empty})


def parents_of(name):
    return [str(parent) for parent in list(Path(name).parents)[:-1]]


def test_what_a_rename_of_a_single_share_left_is_not_removed(make):
    """At K = 2 each name is foreign, and the directory of one, too."""
    stores = make(2, 4)
    data = stores.put("old", stores=["00"])
    stores.put("new/new", data, stores=["01"])
    refuse(stores, FAILED, ["old is not removed: .* of new/new", "new is not removed: .* of old"])


def test_what_was_renamed_over_another_file_is_not_removed(make):
    """Two stores have the old content under the new name still, which has no version in K."""
    stores = make(3, 5)
    data = stores.put("one", stores=["00", "01"])
    stores.put("two", stores=["00", "01"], mtime_ns=OLDER)
    stores.put("two", data, stores=["02", "03"])
    refuse(stores, LOST, ["one is not removed: .* of two"])


def test_other_shares_of_one_size_and_time_do_not_keep_a_name(make):
    """They are too few, together as well."""
    stores = make(3, 5)
    stores.put("one", stores=["00", "01"])
    stores.put("two", stores=["00", "01"])
    stores.settle()
    removes = [f"{store}/{name}" for store in ("00", "01") for name in ("one", "two")]
    stores.repair("--delete", status=DAMAGED, removes=removes)


def test_a_store_of_another_tree_is_not_emptied(make):
    """Its shares are foreign here, and may be the last ones there."""
    stores = make(2, 4)
    for number in range(3):
        stores.put(f"theirs-{number}", stores=["03"])
    refuse(stores, FAILED, ["03 has mostly files .*another tree"])


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_a_store_of_another_tree_is_left_alone(make, share_format):
    """Its older file of a common name is intact, and may be the last one there."""
    stores = make(2, 4, share_format)
    for number in range(8):
        stores.put(f"theirs-{number}", stores=["03"])
    trees.write_file(stores.folder / "03" / "other-1", stores.share(b"theirs" * 100, "03", OLDER), OLDER)
    stores.settle()
    before = trusting.fingerprints(stores.folder)
    said = trusting.run("repair", *stores.words(), stores.folder)
    said.demand(FAILED, ["03 has mostly files .*another tree", "1 store left as it is"])
    assert trusting.fingerprints(stores.folder) == before


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_a_store_of_another_k_is_left_alone_under_however_many_names(make, share_format):
    """Three names of one share are one vote, and no majority over two other shares."""
    stores = make(2, 3, share_format)
    for name, data in stores.files.items():
        stores.put(name, data, stores=["02"], required=3)
    for further in ("one", "two"):
        (stores.folder / further).symlink_to("02")
    before = trusting.fingerprints(stores.folder)
    said = trusting.run("repair", *stores.words(), stores.folder)
    says = ["02 says k = 3, and most shares say 2", "stores? left as (it is|they are)"]
    said.demand(FAILED, says)
    assert trusting.fingerprints(stores.folder) == before


def test_a_mirror_that_lost_its_files_is_filled_from_the_other(make):
    """Where one share is enough, the store that has them is not taken for one of another tree."""
    stores = make(1, 2)
    for number in range(5):
        stores.put(f"more-{number}", stores=["00"])
    stores.settle()
    stores.repair(status=DAMAGED, writes=[f"01/more-{number}" for number in range(5)])


def put_others(stores, folder, count, index="03"):
    """Shares of other files in a folder that is no store yet."""
    for number in range(count):
        share = stores.share(stores.rng.randbytes(3000), index)
        trees.write_file(folder / f"theirs-{number}", share, MTIME_NS)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_shares_of_another_tree_are_not_added(make, tmp_path, share_format):
    """Neither what is in the place of other files is overwritten, nor the rest removed."""
    stores = make(2, 3, share_format, total=4)
    added = tmp_path / "added"
    put_others(stores, added, 3)
    trees.write_file(added / "other-1", stores.share(b"theirs" * 100, "03", OLDER), OLDER)
    before = trusting.fingerprints(added)
    said = trusting.run("repair", *stores.words(), "--delete", "--add", f"03={added}", stores.folder)
    said.demand(USAGE, ["--add 03=.*another tree"])
    assert trusting.fingerprints(added) == before


def test_a_stale_share_of_this_tree_is_added(make, tmp_path):
    stores = make(2, 3, total=4)
    added = tmp_path / "added"
    put_others(stores, added, 2)
    for name in stores.files:
        trees.write_file(added / name, stores.share(b"old" * 100, "03", OLDER), OLDER)
    stores.settle()
    trusting.run("repair", "--add", f"03={added}", stores.folder).demand(DAMAGED)
    for name, data in stores.files.items():
        assert (added / name).read_bytes() == stores.share(data, "03")


@pytest.mark.parametrize("share_format", ["fec", "classic"])
def test_files_that_look_like_shares_are_not_written_to(make, share_format):
    """All of them begin with the bytes of a header of the same k."""
    stores = make(2, 3, share_format, total=4)
    header = stores.share(b"", "03")
    for number in range(3):
        trees.write_file(stores.folder / "files" / f"theirs-{number}", header + b"plain text")
    trees.write_file(stores.folder / "files" / "other-1", header + b"of the same name")
    stores.settle()
    stores.repair(status=(FAILED,), says=["files has mostly files that no other store has"])


def test_a_directory_that_no_store_has_is_not_looked_for_in_stores(make):
    """Beside the stores, in a directory that is none."""
    stores = make(2, 4)
    trees.write_file(stores.folder / "else" / "x" / "y" / "z", b"plain")
    (stores.folder / "else" / "w").mkdir()
    refuse(stores, DAMAGED, ["else: holds no share yet"])
    said = trusting.run("repair", "--delete", stores.folder)
    assert "No such file" not in said.text
