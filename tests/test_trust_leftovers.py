# SPDX-License-Identifier: MIT
"""What other programs leave in stores is told and is no file, and decode takes away nothing that is one."""

import os
import shutil

import pytest

import commands
import repairing
import trees
import trusting
from commands import DAMAGED, FAILED, LOST, OK

make = trusting.make  # a fixture


# What others leave in stores


def put_leftovers(stores):
    """Stopped runs of rsync, and what systems leave on disks of theirs."""
    data = stores.put(size=1_300_000)
    share = stores.path("04").read_bytes()
    stores.path("04").unlink()
    trees.write_file(stores.path("04", ".rsync-partial/a"), share[:400_000])
    movie = stores.put("movie", size=20_000)
    half = stores.path("04", "movie").read_bytes()[:900]
    trees.write_file(stores.path("04", ".movie.HEPgLa"), half)
    trees.write_file(stores.path("03", "System Volume Information/x"), b"12345")
    trees.write_file(stores.path("02", ".DS_Store"), b"desktop")
    trees.write_file(stores.path("01", ".~tmp~/movie"), share[:100])
    for store in ("02", "03", "04"):  # as many as it takes to be believed
        trees.write_file(stores.path(store, "movie.5a8d90e6.zfec-fs-partial"), half[:700])
    for name in ("lost+found", ".rsync-partial", "System Volume Information"):
        (stores.folder / name).mkdir()
    return {"a": data, "movie": movie}


LEFTOVERS = [".rsync-partial", ".movie.HEPgLa", "System Volume Information", ".DS_Store", ".~tmp~",
             "movie.5a8d90e6.zfec-fs-partial"]  # fmt: skip


def test_leftovers_are_told_and_are_no_files(make, mounts):
    stores = make(3, 5)
    contents = put_leftovers(stores)
    stores.settle()
    said = trusting.run("check", stores.folder).demand(DAMAGED)
    for name in LEFTOVERS:
        lines = [line for line in said.text.splitlines() if name in line]
        assert len(lines) == 1, lines
    stores.holds(mounts, contents, check=DAMAGED, absent=LEFTOVERS,
                 writes=stores.shares(contents["a"], ["04"]))  # fmt: skip
    for share in ("02", "03", "04"):
        assert not set(LEFTOVERS) & set(os.listdir(stores.out))
    said = stores.check(status=OK)
    held = {os.path.basename(store["store"]) for store in said.json[-1]["stores"]}
    assert held == set(stores.names)
    assert said.json[-1]["may_lose"] == 2


@pytest.mark.parametrize("name", [".bashrc.backup", ".env.sample", ".data.sqlite", ".a.123456"])
@pytest.mark.parametrize("harm", ["gone", "cut off"])
def test_what_looks_like_a_word_is_no_leftover(make, name, harm):
    """It is a file like others, and told where it is lost."""
    stores = make(3, 5)
    stores.put(name)
    for store in ("00", "01", "02"):
        if harm == "gone":
            stores.path(store, name).unlink()
        else:
            os.truncate(stores.path(store, name), 20)
    stores.settle()
    stores.check(status=LOST, health={name: ("lost",)})
    said = stores.decode(expected={}, status=LOST)
    assert said.json[-1]["lost"] == 1
    stores.repair(status=LOST)


def test_leftovers_of_repair_are_no_files(make, mounts):
    stores = make(3, 5)
    name = f"{repairing.TEMPORARY}0123456789abcdef"
    stores.put(name, stores=["01", "02"])
    stores.settle()
    stores.show(mounts, {}, absent=[name])
    stores.decode(expected={})
    stores.check(status=OK)


LIKE_LEFTOVERS = [".DS_Store", ".movie.HEPgLa", "movie.5a8d90e6.zfec-fs-partial", "System Volume Information/x", ".rsync-partial/x"]


@pytest.mark.parametrize("name", LIKE_LEFTOVERS)
def test_what_the_source_had_under_such_a_name_is_restored(make, mounts, name):
    stores = make(3, 5)
    stores.files[name] = stores.put(name)
    stores.holds(mounts, {})
    stores.path("03", name).unlink()
    stores.holds(mounts, {}, check=DAMAGED,
                 writes=stores.shares(stores.files[name], ["03"], name))  # fmt: skip


@pytest.mark.parametrize("name", LIKE_LEFTOVERS)
def test_incomplete_it_is_not_even_lost(make, mounts, name):
    """Two of three shares of such a name are a leftover, as one is."""
    stores = make(3, 5)
    stores.put(name, stores=["01", "02"])
    stores.holds(mounts, {}, absent=[name, name.partition("/")[0]])


@pytest.mark.parametrize("name", [".movie.HEPgL", "movie.HEPgLa", "..HEPgLa", ".DS_Store2"])
def test_what_only_looks_like_one_counts(make, mounts, name):
    stores = make(3, 5)
    stores.put(name, stores=["04"])
    stores.holds(mounts, {}, decode=DAMAGED, check=DAMAGED, absent=[name], says=["only 04 has it"])


def test_a_disk_that_is_not_mounted_is_no_store_by_its_leftovers(make, mounts):
    """What lies beneath its mountpoint is a system's, and it holds nothing."""
    stores = make(2, 5)
    for store in ("03", "04"):
        shutil.rmtree(stores.folder / store)
        trees.write_file(stores.path(store, ".DS_Store"), b"desktop")
    stores.holds(mounts, {}, check=DAMAGED, says=["03.*holds nothing", "04.*holds nothing"])


def test_a_second_directory_for_a_share_is_no_second_say(make, mounts):
    """The same store by a symlink beside it changes nothing."""
    stores = make(2, 3)
    data = stores.put()
    for name in commands.all_shares(3):
        (stores.folder / f"{name}-again").symlink_to(name)
    stores.holds(mounts, {"a": data})
    assert stores.may_lose() == 1


def test_decode_deletes_nothing_that_some_store_has(make):
    """What is not confirmed may be the last copy; what no store has goes."""
    stores = make(3, ["00", "01", "02", "03", "04"])
    data, kept = stores.put("a"), stores.put("b")
    place = stores.folder.parent / "decoded"
    trusting.run("decode", stores.folder, place).demand(OK)
    for store in ("00", "01", "02", "03"):
        stores.path(store, "a").unlink()
    (place / "gone").write_bytes(b"no store has it")
    said = trusting.run("decode", "--delete", stores.folder, place)
    said.demand(DAMAGED, ["only 04 has it"])
    assert {name: (place / name).read_bytes() for name in ("a", "b")} == {"a": data, "b": kept}
    assert not (place / "gone").exists()


# What decode takes away


def lose_sight(stores, how):
    """Three of six stores have a newer file, and cannot be looked at."""
    for store in ("00", "01", "02"):
        shutil.rmtree(stores.folder / store)
        if how == "empty":
            (stores.folder / store).mkdir()
        else:
            (stores.folder / store).symlink_to("gone")


@pytest.mark.parametrize("how", ["empty", "not there"])
def test_decode_removes_nothing_that_a_store_may_have(make, how):
    stores = make(3, 6)
    stores.settle()
    lose_sight(stores, how)
    out = stores.base / "out"
    trusting.run("decode", stores.folder, out)
    trees.write_file(out / "newest", b"it is in the stores that are away")
    said = trusting.run("decode", "--delete", stores.folder, out).demand(FAILED)
    assert "newest is not removed: " in said.text
    assert (out / "newest").exists()


def test_decode_removes_nothing_that_a_store_has(make):
    """Not confirmed, or left over."""
    stores = make(3, 5)
    for name in ("once", ".file.aB3xY9"):
        stores.put(name, stores=["04"])
    stores.settle()
    out = stores.base / "out"
    trusting.run("decode", stores.folder, out)
    for name in ("once", ".file.aB3xY9", "none"):
        trees.write_file(out / name, b"the user's")
    trusting.run("decode", "--delete", stores.folder, out).demand(DAMAGED)
    assert (out / "once").exists() and (out / ".file.aB3xY9").exists()
    assert not (out / "none").exists()
