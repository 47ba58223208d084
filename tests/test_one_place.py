# SPDX-License-Identifier: MIT
"""One directory under two names, by a bind mount: nothing is read and written at once."""

import contextlib
import subprocess

import pytest

import commands
import encoding
import trees
import trusting
import users
from commands import FAILED, USAGE, run
from syncing import nodes, sets, source  # noqa: F401

pytestmark = users.needs_root
ENCODE = ["-k", "2", "-n", "3"]


@pytest.fixture
def world(tmp_path, rng):
    encoding.make_source(tmp_path / "source", rng)
    run("encode", *ENCODE, tmp_path / "source", tmp_path / "stores")
    return tmp_path


@contextlib.contextmanager
def bound(folder, to):
    to.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "--bind", folder, to], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no bind mount: {done.stderr}")
    try:
        yield to
    finally:
        subprocess.run(["umount", to], check=True)


REFUSED = [
    ("stores", ["decode", "--delete", "--delete-most", "stores", "twin"], "would remove"),
    ("stores", ["decode", "stores", "twin"], "lies in the stores"),
    ("stores/00", ["decode", "stores", "twin/dir/new"], "lies in the stores"),
    ("stores", ["repair", "--add", "03=twin", "stores"], "stores lie in it"),
    ("stores/00", ["repair", "--add", "03=twin/new", "stores"], "lies in the store"),
    ("stores/00", ["check", "--log-file", "twin/log", "stores"], "lies in"),
    ("stores/00", ["check", "--report", "twin/dir/page", "stores"], "lies in"),
    ("stores/00", ["check", "--store", "twin/dir", "stores"], "lies in another one"),
    ("source", ["encode", *ENCODE, "source", "twin/new"], "lies in the source"),
    ("source", ["encode", *ENCODE, "--log-file", "twin/log", "source", "new"], "lies in the source"),
    ("empty", ["encode", *ENCODE, "source", "--to", "00=empty", "--to", "01=twin"], "the place of"),
    ("empty", ["encode", *ENCODE, "source", "--to", "00=empty", "--to", "01=twin/sub"], "lies in"),
    ("empty", ["encode", *ENCODE, "source", "--to", "00=empty/x", "--to", "01=twin/x"], "place of"),
    ("empty", ["encode", *ENCODE, "source", "--to", "00=empty/x/y", "--to", "01=twin/x"], "lies in"),
]  # fmt: skip


@pytest.mark.parametrize(("folder", "words", "says"), REFUSED)
def test_what_lies_in_another_by_its_mount_is_refused(world, monkeypatch, folder, words, says):
    monkeypatch.chdir(world)
    (world / "empty").mkdir()
    before = trusting.fingerprints(world)
    with bound(world / folder, world / "twin"):
        done = run(*words, status=USAGE)
        assert says in done.errors
        assert len(done.errors.splitlines()) == 1, done.errors
    (world / "twin").rmdir()
    assert trusting.fingerprints(world) == before


def test_other_places_beside_a_mount_are_taken(world):
    with bound(world / "source", world / "twin"):
        run("decode", world / "stores", world / "restored")
        words = ["--to", f"00={world}/a", "--to", f"01={world}/b"]
        run("encode", *ENCODE, "--exclude", "/new", world / "source", world / "twin" / "new", *words)


def test_a_target_that_is_mounted_from_within_the_source_is_left_out(world):
    """It would be encoded without end."""
    (world / "source" / "backup").mkdir()
    trees.write_file(world / "source" / "backup" / "notes", b"mine")
    with bound(world / "source" / "backup", world / "twin"):
        for _ in range(2):
            done = run("encode", *ENCODE, world / "source", world / "twin", noisy=True)
            assert "left out" in done.errors, done.errors
    backup = world / "source" / "backup" / "00" / "backup"
    assert [path.name for path in backup.iterdir()] == ["notes"]


def test_stores_that_are_mounted_in_the_destination_stay(world):
    restored = world / "restored"
    run("decode", world / "stores", restored)
    before = trusting.fingerprints(world / "stores")
    (restored / "in").mkdir()
    with bound(world / "stores", restored / "in"):
        words = ["--delete", "--delete-most"]
        done = run("decode", *words, world / "stores", restored, status=FAILED)
        assert "nothing in it is removed" in done.errors, done.errors
    assert trusting.fingerprints(world / "stores") == before


def test_a_node_that_is_the_source_by_its_mount_is_refused(sets, source, tmp_path):  # noqa: F811
    """Its shares would take the places of the files."""
    before = commands.snapshot(source)
    with bound(source, tmp_path / "twin") as twin:
        for place in (twin, twin / "new"):
            sets.write(source, {"a": f"rsync = {place}"}, required=1)
            assert f"{place} lies in the source" in sets.run(status=FAILED).errors
    assert commands.snapshot(source) == before


def test_nodes_in_one_place_by_its_mount_are_refused(sets, source, nodes, tmp_path):  # noqa: F811
    """Both would count, and hold one share."""
    with bound(nodes, tmp_path / "twin") as twin:
        for one, other in ((nodes, twin), (nodes / "x", twin / "x"), (nodes / "x", twin), (nodes, twin / "x")):
            sets.write(source, {"a": f"rsync = {one}", "b": f"rsync = {other}"}, required=1)
            assert "is the place of home/a" in sets.run(status=FAILED).errors
    assert not list(nodes.iterdir())
