# SPDX-License-Identifier: MIT
"""What encode, decode and repair refuse leaves nothing behind, and wrong arguments are status 3."""

import os
import shutil

import pytest

import commands
import disks
import encoding
import repairing
import trees
import users
from commands import FAILED, LOST, USAGE, run

K, N = 2, 3
ENCODE = ["-k", str(K), "-n", str(N)]
PLAIN = [*ENCODE, "--format", "classic"]
EACH = [f"--store=stores/{name}" for name in commands.all_shares(N)]
needs_root = users.needs_root


@pytest.fixture
def world(tmp_path, rng, monkeypatch):
    """A folder to work in: a source, its stores, and places that nothing can be written to."""
    folder = tmp_path / "world"
    encoding.make_source(folder / "source", rng)
    run("encode", *ENCODE, folder / "source", folder / "stores")
    trees.write_file(folder / "file", b"data")
    (folder / "dangling").symlink_to("gone")
    (folder / "behind").symlink_to("source")
    (folder / "empty").mkdir()
    run("encode", *PLAIN, folder / "source", folder / "plain")
    (folder / "swapped").mkdir()
    (folder / "swapped" / "00").symlink_to("../stores/01")
    (folder / "all").mkdir()
    repairing.copy_tree(folder / "stores", folder / "all")
    trees.write_file(folder / "own" / "00" / "notes", b"of the user's own")
    trees.write_file(folder / "own" / "pages" / "a.pdf", b"%PDF-1.7 and so on")
    trees.write_file(folder / "own" / "films" / "a.mp4", b"\0\0\0 ftypisom and so on")
    (folder / "folders" / "in" / "folders").mkdir(parents=True)
    (folder / "elsewhere").mkdir()
    (folder / "all" / "too").symlink_to("../elsewhere")
    (folder / "twice").mkdir()
    for number, place in enumerate(["00", "01", "02", "00/dir"]):
        (folder / "twice" / f"{number}").symlink_to(f"../stores/{place}")
    (folder / "sets.ini").write_text(
        f"[world]\nsource = {folder}/source\nrequired = 2\n"
        f"[world/a]\nshare = 00\nrsync = {folder}/stores/00\n"
        f"[world/b]\nshare = 01\nrsync = {folder}/stores/01\n"
    )
    (folder / "store").symlink_to("stores/00")
    (folder / "piece").symlink_to("stores/00/file-0")
    monkeypatch.chdir(folder)
    return folder


# What is seen before anything is made: (status, words, what is said).
SEEN = [
    (USAGE, ["encode", *ENCODE, "source", "source"], "lies in the source"),
    (USAGE, ["encode", *ENCODE, "source", "source/out"], "lies in the source"),
    (USAGE, ["encode", *ENCODE, "source", "behind/out"], "lies in the source"),
    (USAGE, ["encode", *ENCODE, "source", "source/dir/../out"], "lies in the source"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=new", "--to", "02=source/new"], "lies in"),
    (USAGE, ["encode", *ENCODE, "--exclude", "/other", "source", "source/out"], "lies in"),
    (USAGE, ["encode", *ENCODE, "--delete", "source", "--to", "02=.", "new"], "would remove"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "02=new/00", "new"], "the place of share 00"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=new", "--to", "01=./new/"],
     "new/: was given as the place of share 00 and of share 01"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=new", "--to", "01=new/in/it"], "lies in or around"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=new/in/it", "--to", "01=new"], "lies in or around"),
    (USAGE, ["encode", *ENCODE, "source", "new", "--to", "01=new/00/x"], "lies in or around"),
    (USAGE, ["encode", *ENCODE, "-x", "source", "source/out"], "lies in the source"),
    (USAGE, ["encode", "-k2", "-n6", "source", "--to", "05=stores/00"], "holds share 00 already"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=new", "--to", "01=stores/00"], "holds share 00"),
    (USAGE, ["encode", *ENCODE, "--dry-run", "source", "--to", "01=stores/00"], "holds share 00"),
    (USAGE, ["encode", *PLAIN, "source", "--to", "01=stores/00"], "holds share 00"),
    (USAGE, ["encode", *PLAIN, "source", "--to", "01=plain/00"], "holds share 00"),
    (USAGE, ["encode", *ENCODE, "source", "swapped"], "holds share 01"),
    (USAGE, ["encode", *ENCODE, "source", "own"], "not of share 00"),
    (USAGE, ["encode", *ENCODE, "--dry-run", "source", "own"], "not of share 00"),
    (USAGE, ["encode", *PLAIN, "source", "--to", "01=own"], "holds"),
    (USAGE, ["encode", "-k2", "-n9", "source", "--to", "08=own/pages"], "not of share 08"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=plain/01"], "not of share 00"),
    (USAGE, ["encode", *ENCODE, "--format=fec", "source", "--to", "00=own/films"], "not of share 00"),
    (USAGE, ["encode", "-k2", "-n99", "--format=classic", "source", "--to", "50=own/pages"],
     "not of share 50"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00=new/lost+found"], "never taken for a store"),
    (FAILED, ["encode", *ENCODE, "source", "--to", "02=file", "new"], "Not a directory"),
    (FAILED, ["encode", *ENCODE, "source", "--to", "02=file/new", "new"], "Not a directory"),
    (FAILED, ["encode", *ENCODE, "source", "--to", "02=dangling", "new"], "a dangling symlink"),
    (USAGE, ["check", ""], "an argument is empty"),
    (USAGE, ["decode", "stores", ""], "an argument is empty"),
    (USAGE, ["encode", *ENCODE, "", "new"], "an argument is empty"),
    (USAGE, ["info", ""], "an argument is empty"),
    (USAGE, ["check", "--store", "", "stores"], "--store : empty; give a path"),
    (USAGE, ["check", "--report", "", "stores"], "--report : empty; give a path"),
    (USAGE, ["check", "--log-file", "", "stores"], "--log-file : empty; give a path"),
    (USAGE, ["encode", *ENCODE, "source", "--to", "00="], "give a share in two hex digits"),
    (FAILED, ["encode", *ENCODE, "--delete", "empty", "stores"], "empty: is it mounted?"),
    (FAILED, ["encode", *ENCODE, "--delete", "folders", "stores"], "folders: is empty: is it"),
    (FAILED, ["encode", *ENCODE, "--delete", "--exclude=*", "source", "stores"], "is it mounted?"),
    (FAILED, ["encode", *ENCODE, "--delete", "--dry-run", "empty", "stores"], "is it mounted?"),
    (FAILED, ["encode", *ENCODE, "file", "new"], "cannot be the source"),
    (FAILED, ["encode", *ENCODE, "missing", "new"], "cannot be the source"),
    (USAGE, ["decode", "stores", "stores/new"], "lies in the stores"),
    (USAGE, ["decode", "stores", "stores/01/new"], "lies in the stores"),
    (USAGE, ["decode", "--delete", "stores", "."], "would remove"),
    (USAGE, ["decode", *EACH[:2], "stores/02"], "is a store, of share 02"),
    (USAGE, ["decode", "--dry-run", *EACH[:2], "stores/02"], "is a store, of share 02"),
    (FAILED, ["decode", "--delete", "empty", "new"], "no stores"),
    (FAILED, ["decode", "missing", "new"], "missing"),
    (FAILED, ["decode", "stores", "file"], "Not a directory"),
    (FAILED, ["decode", "stores", "dangling"], "a dangling symlink"),
    (FAILED, ["repair", "--add", "03=new", "--add", "04=file", "stores"], "Not a directory"),
    (FAILED, ["repair", "--add", "03=new", "--add", "04=dangling", "stores"], "a dangling symlink"),
    (FAILED, ["repair", "--dry-run", "--add", "03=new", "stores"], "create it for a dry run"),
    (USAGE, ["repair", "--add", "03=new", "--add", "04=./new/", "stores"], "the place of share 03"),
    (USAGE, ["repair", "--add", "03=new", "--add", "04=new/in", "stores"], "lies in or around"),
    (USAGE, ["repair", "--add", "03=new/in", "--add", "04=new", "stores"], "lies in or around"),
    (USAGE, ["repair", "--add", "03=stores/00/new", "stores"], "lies in the store"),
    (USAGE, ["repair", "--add", "03=new", "--add", "04=stores/00/dir", "stores"], "lies in the store"),
    (USAGE, ["repair", "--dry-run", "--add", "03=stores/00/dir", "stores"], "lies in the store"),
    (USAGE, ["repair", "--add", "03=elsewhere/new", "all"], "lies in the store"),
    (USAGE, ["repair", "--add", "03=stores", "stores"], "the stores lie in it"),
    (USAGE, ["repair", "--add", "03=stores/../stores/", "stores"], "the stores lie in it"),
    (USAGE, ["repair", "--add", "03=.", "--delete", "stores"], "the stores lie in it"),
    (USAGE, ["repair", "--add", "03=.", "all"], "lie"),
    (USAGE, ["repair", "--add", "03=stores", *EACH], "lies in it"),
    (USAGE, ["repair", "--add", "03=source", "stores"], "not of share 03"),
    (USAGE, ["repair", "--dry-run", "--add", "03=source", "stores"], "not of share 03"),
    (USAGE, ["repair", "--add", "04=new", "--add", "03=source/dir", "stores"], "not of share 03"),
    (USAGE, ["repair", "--add", "00=plain/00", "stores"], "not of share 00"),
    (USAGE, ["repair", "--add", "03=stores/lost+found", "stores"], "never taken for a store"),
    (USAGE, ["repair", "--add", "03=stores/.DS_Store/", "stores"], "never taken for a store"),
    (USAGE, ["repair", "--add", "03=stores/.zfec-fs-new-1", "stores"], "never taken for a store"),
    (USAGE, ["repair", "--store", "stores/00/dir", "stores"], "lies in another one"),
    (USAGE, ["check", "--store", "stores", "stores"], "lies in another one"),
    (USAGE, ["check", "twice"], "lies in another one"),
    (USAGE, ["decode", "--store", "stores/00/dir", "stores", "new"], "lies in another one"),
]

# Files beside the results, the log's and check's page, that would lie among shares or in a source.
BESIDE = "the command reads or writes"
SEEN += [
    (USAGE, ["check", "--log-file", "stores/00/log", "stores"], BESIDE),
    (USAGE, ["check", "--log-file", "stores/01/file-0", "stores"], BESIDE),
    (USAGE, ["check", "--log-file", "store/log", "stores"], BESIDE),
    (USAGE, ["check", "--log-file", "piece", "stores"], BESIDE),
    (USAGE, ["check", "--log-file", "store/log", *EACH], BESIDE),
    (USAGE, ["check", "--log-file", "store/log", "--store", "missing", *EACH], BESIDE),
    (USAGE, ["check", "--log-file", "store/log", "stores", "all"], BESIDE),
    (USAGE, ["check", "--log-file", "elsewhere/log", "all"], BESIDE),
    (USAGE, ["check", "--report", "stores/00/page.html", "stores"], BESIDE),
    (USAGE, ["check", "--report", "store/file-0", "stores"], BESIDE),
    (USAGE, ["check", "--report", "piece", "stores"], BESIDE),
    (USAGE, ["repair", "--log-file", "stores/00/log", "stores"], BESIDE),
    (USAGE, ["repair", "--log-file", "elsewhere/log", "--add", "03=elsewhere", "stores"], BESIDE),
    (USAGE, ["decode", "--log-file", "stores/00/log", "stores", "new"], BESIDE),
    (USAGE, ["decode", "--log-file", "store/log", *EACH, "new"], BESIDE),
    (USAGE, ["decode", "--log-file", "empty/log", "stores", "empty"], BESIDE),
    (USAGE, ["encode", *ENCODE, "--log-file", "stores/00/log", "source", "stores"], BESIDE),
    (USAGE, ["encode", *ENCODE, "--log-file", "new/00", "source", "new"], BESIDE),
    (USAGE, ["encode", *ENCODE, "--log-file", "store/log", "source", "--to", "00=stores/00"], BESIDE),
    (USAGE, ["encode", *ENCODE, "--log-file", "behind/log", "source", "new"], "lies in the source"),
    (USAGE, ["encode", *ENCODE, "--log-file", "source/file-0", "source", "new"], "lies in the source"),
    (USAGE, ["info", "--log-file", "store/file-0", "stores/00/file-0"], BESIDE),
    (USAGE, ["sync", "--config", "sets.ini", "--log-file", "behind/log"], "lies in the source"),
    (USAGE, ["sync", "--config", "sets.ini", "--log-file", "store/log"], "lies in the node"),
]

# What shows later: directories that were made are removed again.
FOUND = [
    (FAILED, ["encode", *ENCODE, "source", "missing/new"], "cannot be made"),
    (FAILED, ["encode", *ENCODE, "source", "--to", "01=missing/new", "new"], "cannot be made"),
    (FAILED, ["decode", "stores", "missing/new"], "cannot be made"),
    (FAILED, ["repair", "--add", "03=new", "--add", "04=missing/new", "stores"], "cannot be made"),
    (FAILED, ["repair", "--add", "03=new", "missing"], "missing"),
    (LOST, ["repair", "--add", "03=new", "empty"], "0 stores found"),
    (FAILED, ["repair", "--add", "03=new", "--store", "missing", "stores"], "missing"),
    (USAGE, ["repair", "--add", "03=new", "--add", "04=stores/00", "stores"], "holds share 00"),
]  # fmt: skip


def shown(case):
    return " ".join(word for word in case[1] if word not in ENCODE)


def check_refusal(world, case):
    status, words, text = case
    done = run(*words, status=status)
    assert text in done.errors.splitlines()[-1], done.errors
    assert done.json == []


@pytest.mark.parametrize("case", SEEN, ids=shown)
def test_before_anything_is_made(world, case):
    """Not even a time changes."""
    before = commands.snapshot(world)
    check_refusal(world, case)
    assert commands.snapshot(world) == before


@pytest.mark.parametrize("case", FOUND, ids=shown)
def test_nothing_is_left(world, case):
    before = repairing.state_of(world)
    check_refusal(world, case)
    assert repairing.state_of(world).keys() == before.keys()


def test_what_was_there_stays(world):
    """Only what the refused run itself has made is removed, empty or not."""
    for name in ("new", "other"):
        (world / name).mkdir()
    run("encode", *ENCODE, "source", "--to", "00=new", "--to", "01=missing/x", status=FAILED)
    run("repair", "--add", "03=other", "missing", status=FAILED)
    assert (world / "new").is_dir() and (world / "other").is_dir()


# Places that do not exist yet are no reason to refuse


@pytest.mark.parametrize("new", ["new", "./new/", "stores/../new", "empty/new"])
def test_delete_in_a_new_place(world, new):
    """The folder that it is made in is not what would be emptied."""
    run("decode", "--delete", "stores", new)
    commands.compare_trees(world / "source", world / new)
    run("encode", *ENCODE, "--delete", "source", "--to", "00=share")
    commands.compare_trees(world / "stores" / "00", world / "share")


def test_delete_in_a_new_place_beside_the_stores(world):
    """Of several stores, named one by one, none lies in it."""
    each = [f"--store=stores/{name}" for name in sorted(os.listdir("stores"))]
    run("decode", "--delete", *each, "stores/new")
    commands.compare_trees(world / "source", world / "stores" / "new")


def test_a_new_place_in_the_source_that_is_excluded(world):
    run("encode", *ENCODE, "--exclude", "/out", "source", "source/out")
    assert not (world / "source" / "out" / "00" / "out").exists()
    shutil.rmtree("source/out")
    run("encode", *ENCODE, "--exclude", "/o*", "source", "source/out")
    assert not (world / "source" / "out" / "00" / "out").exists()


@needs_root
@pytest.mark.parametrize("place", ["source/other", "source/other/new"])
def test_a_place_on_another_file_system(world, place):
    """With -x the source ends where it begins."""
    with disks.small_disk(world / "source" / "other", "4m"):
        before = commands.snapshot(world)
        run("encode", *ENCODE, "source", "--to", f"00={place}", status=USAGE)
        assert commands.snapshot(world) == before
        run("encode", *ENCODE, "-x", "source", "--to", f"00={place}")
        assert (world / place / "file-0").exists()
        assert os.listdir(world / place / "other") == []


def test_files_beside_the_results(world):
    """Beside the stores, in their folder, in an excluded part of the source, and to what is no file."""
    for log in ("log", "stores/log", "/dev/null"):
        run("check", "--log-file", log, "--report", "page.html", "stores")
    for log in ("source/log", "stores/log", "new-log"):
        run("encode", *ENCODE, "--exclude", "/log", "--log-file", log, "source", "stores")
    assert not (world / "stores" / "00" / "log").exists()
    (world / "stores" / "gone").symlink_to("missing")
    run("check", "--log-file", "new-log", "stores", status=commands.DAMAGED)
    assert "is left out" in (world / "new-log").read_text()


# What does not count as the user's own files


@pytest.mark.parametrize("words", [["--to", "00=place"], ["--format", "classic", "--to", "00=place"]])
def test_a_place_with_leftovers_alone(world, words):
    (world / "place" / "lost+found").mkdir(parents=True)
    trees.write_file(world / "place" / ".DS_Store", b"of a Mac")
    run("encode", *ENCODE, "source", *words)
    assert (world / "place" / "file-0").exists()
    run("encode", *ENCODE, "source", *words)


@pytest.mark.parametrize("first", ["checked", "classic", "fec"])
@pytest.mark.parametrize("second", ["checked", "classic", "fec"])
def test_shares_of_another_format_give_way(world, first, second):
    run("encode", *ENCODE, "--format", first, "source", "place")
    run("encode", *ENCODE, "--format", second, "--checksum", "source", "place")
    run("check", "--format", second, "place")


def test_an_add_goes_on_that_was_interrupted(world):
    """What is there are shares, and unfinished files."""
    shutil.copytree(world / "stores" / "02", world / "half", symlinks=True,
                    ignore=shutil.ignore_patterns("fifo", "dir", "file-1"))  # fmt: skip
    trees.write_file(world / "half" / ".zfec-fs-new-0123456789abcdef", b"unfinished")
    shutil.rmtree(world / "stores" / "02")
    run("repair", "--add", "02=half", "stores", status=commands.DAMAGED)
    assert (world / "half" / "dir" / "inner" / "file").exists()
