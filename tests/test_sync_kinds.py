# SPDX-License-Identifier: MIT
"""rclone, and a node that has another kind of thing than the source, or another share."""

import os
import shutil

import pytest

import commands
import set_places
import syncing
import trees
from commands import DAMAGED, LOST, OK
from syncing import NAMES, ends, local, spoil
from syncing import nodes, sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = [
    syncing.needs_rclone,
    pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing"),
]


@pytest.fixture
def outside(tmp_path):
    """Where symlinks lead."""
    trees.write_file(tmp_path / "outside" / "file", b"mine")
    trees.write_file(tmp_path / "outside" / "inner" / "file", b"mine as well")
    return tmp_path / "outside"


def write(sets, source, nodes, more=""):  # noqa: F811
    (sets.folder / "rclone.conf").write_text(f"[near]\ntype = alias\nremote = {nodes}\n")
    names = {**local(nodes, ["anna"]), "bert": "rclone = near:bert"}
    sets.write(source, names, required=1, more=more)


def contents(folder):
    """Without what is no file of the share, and what rclone sends to no directory of this machine."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif name != syncing.DESCRIPTION and not path.is_fifo():
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def same_as(nodes, made, folder):  # noqa: F811
    """What is at the node is its share."""
    shutil.rmtree(folder, ignore_errors=True)
    commands.run("encode", "-k", "1", "-n", "2", made, folder)
    assert contents(nodes / "bert") == contents(folder / "01")


def put_link(path, target):
    """In the place of what is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


ODD = "a[1]{b,c}*?\\ "


@pytest.mark.parametrize("more", ["", "delete = yes", "symlinks = no"])
def test_nothing_is_written_through_a_symlink(sets, source, nodes, outside, tmp_path, more):  # noqa: F811
    (source / "link").unlink()
    for name in (ODD, f"dir/{ODD}"):
        trees.write_file(source / name, b"odd")
    write(sets, source, nodes, more)
    sets.run()
    before = contents(outside)
    for name in ("file-0", ODD, f"dir/{ODD}", syncing.DESCRIPTION):
        put_link(nodes / "bert" / name, outside / "file")
    put_link(nodes / "bert" / "dir" / "inner", outside / "inner")
    put_link(nodes / "bert" / "file-1", outside / "made-anew")
    assert sets.run("--dry-run", status=OK)
    assert contents(outside) == before and (nodes / "bert" / "file-1").is_symlink()
    sets.run()
    assert contents(outside) == before
    assert not (nodes / "bert" / syncing.DESCRIPTION).is_symlink()
    assert (nodes / "bert" / syncing.DESCRIPTION).is_file()
    same_as(nodes, source, tmp_path / "made")


def test_what_became_real_at_the_source_does_at_a_node(sets, source, nodes, outside, tmp_path):  # noqa: F811
    (source / "to-file").symlink_to(outside / "file")
    (source / "to-directory").symlink_to(outside / "inner")
    write(sets, source, nodes)
    sets.run()
    before = contents(outside)
    (source / "to-file").unlink()
    (source / "to-directory").unlink()
    trees.write_file(source / "to-file", b"edited")
    trees.write_file(source / "to-directory" / "file", b"edited as well")
    sets.run()
    assert contents(outside) == before
    same_as(nodes, source, tmp_path / "made")


def test_nor_when_a_file_is_sent_again(sets, source, nodes, outside, rng, tmp_path):  # noqa: F811
    for name in ("file-0", "dir/inner/file"):
        trees.write_file(source / name, rng.randbytes(300_000))  # too large for the look at a few
    write(sets, source, nodes)
    sets.run()
    syncing.settle(source)
    spoil(nodes / "bert" / "file-0", rng)
    spoil(nodes / "bert" / "dir" / "inner" / "file", rng)
    sets.run("--verify", "100%", status=DAMAGED)
    before = contents(outside)
    put_link(nodes / "bert" / "file-0", outside / "file")
    put_link(nodes / "bert" / "dir" / "inner", outside / "inner")
    sets.run("--verify", "100%")
    assert contents(outside) == before
    same_as(nodes, source, tmp_path / "made")


def test_what_cannot_be_removed_is_refused(sets, source, nodes, outside, tmp_path):  # noqa: F811
    """By a program that says that it has."""
    write(sets, source, nodes)
    sets.run()
    tools = tmp_path / "tools"
    tools.mkdir()
    program = shutil.which("rclone")
    (tools / "rclone").write_text(f'#!/bin/sh\n[ "$1" = delete ] || exec {program} "$@"\n')
    (tools / "rclone").chmod(0o755)
    before = contents(outside)
    put_link(nodes / "bert" / "file-0", outside / "file")
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = sets.run(status=DAMAGED, environment=environment)
    error = "file-0.rclonelink is in the way there, and could not be removed: remove it"
    assert ends(done)["bert"]["error"] == error
    assert contents(outside) == before


def test_a_new_place_with_a_symlink_is_not_filled(sets, source, nodes, outside):  # noqa: F811
    write(sets, source, nodes)
    sets.run()
    shutil.rmtree(nodes / "bert")
    (nodes / "bert").mkdir()
    (nodes / "bert" / "file-0").symlink_to(outside / "file")
    before = contents(outside)
    done = commands.run("repair", "-c", sets.file, "--replace", "bert", "home:",
                        status=commands.FAILED, env=sets.environment)  # fmt: skip
    assert "home/bert: its place is not empty (1 name)" in done.errors
    assert contents(outside) == before


def file(path):
    trees.write_file(path, b"a file")


def directory(path):
    trees.write_file(path / "inner" / "file", b"in a directory")
    (path / "empty").mkdir()


def link(path):
    path.symlink_to("file-0")


@pytest.mark.parametrize("after", [file, directory, link])
@pytest.mark.parametrize("before", [file, directory, link])
def test_another_kind_of_thing(sets, source, nodes, tmp_path, before, after):  # noqa: F811
    """As at a node of rsync's, it takes the place of what was there."""
    for name in ("x", "dir/y "):
        before(source / name)
    write(sets, source, nodes, "delete = yes\nretries = 0")
    sets.run()
    for name in ("x", "dir/y "):
        path = source / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        after(path)
    sets.run()
    same_as(nodes, source, tmp_path / "made")


def test_a_directory_that_a_node_keeps_stays(sets, source, nodes):  # noqa: F811
    write(sets, source, nodes, "delete = no\nretries = 0")
    directory(source / "x")
    sets.run()
    shutil.rmtree(source / "x")
    file(source / "x")
    sets.run(status=LOST)
    assert (nodes / "bert" / "x" / "inner" / "file").is_file()


def test_a_file_makes_way_for_a_directory_where_nothing_is_deleted(sets, source, nodes, tmp_path):  # noqa: F811
    write(sets, source, nodes, "retries = 0")
    file(source / "x")
    sets.run()
    (source / "x").unlink()
    directory(source / "x")
    sets.run()
    same_as(nodes, source, tmp_path / "made")


@pytest.mark.parametrize("damaged", [False, True])
def test_another_share_in_the_place_of_one(sets, source, nodes, rng, tmp_path, damaged):  # noqa: F811
    """By a copied disk, which says nothing of itself; and by files that are damaged."""
    (sets.folder / "rclone.conf").write_text(f"[near]\ntype = alias\nremote = {nodes}\n")
    sets.write(source, {name: f"rclone = near:{name}" for name in NAMES}, more="describe = no")
    syncing.settle(source)
    sets.run()
    if damaged:
        spoil(nodes / "bert" / "file-0", rng)
    else:
        shutil.rmtree(nodes / "bert")
        shutil.copytree(nodes / "anna", nodes / "bert", symlinks=True)
    before = contents(nodes / "bert")
    done = sets.run(status=OK if damaged else DAMAGED, noisy=True)
    if damaged:
        assert "home/bert: holds a share other than 01, one of another" in done.errors
    else:
        assert ends(done)["bert"]["error"].startswith("it holds another share than 01; is another")
        assert contents(nodes / "bert") == before
        sets.run("--checksum")
    commands.run("encode", "-k", "2", "-n", "3", source, tmp_path / "made")
    assert contents(nodes / "bert") == contents(tmp_path / "made" / "01")


def test_what_the_source_has_changed_contradicts_nothing(sets, source, nodes, tmp_path):  # noqa: F811
    write(sets, source, nodes)
    sets.run()
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(b"edited")
    sets.run()
    same_as(nodes, source, tmp_path / "made")


PICTURES = ["Icon\r", "two\nlines", "a\tb", "\x01\x1f", "del\x7f", "␍", "a␊b", "␡", "␀", "／", "x␍\r", " ", "␠"]


def test_names_that_rclone_spells_otherwise(sets, source, nodes, outside, tmp_path):  # noqa: F811
    """Read back, they are as they were; and nothing is taken for surplus, or not for what is in the way."""
    for name in PICTURES:
        trees.write_file(source / name, name.encode())
        trees.write_file(source / f"in {name}" / name, name.encode())
        (source / f"link {name}").symlink_to("file-0")
    for name in ("fifo", "again"):
        (source / name).unlink()
    (sets.folder / "rclone.conf").write_text(f"[near]\ntype = alias\nremote = {nodes}\n")
    names = {**local(nodes, ["anna"]), "bert": "rclone = near:bert", "carl": "rclone = near:carl"}
    sets.write(source, names, more="delete = yes")
    sets.run()
    sets.run("--verify", "100%")
    put_link(nodes / "bert" / "Icon\r", outside / "file")
    before = contents(outside)
    sets.run()
    assert contents(outside) == before
    shutil.move(nodes / "anna", tmp_path / "away")
    commands.run("decode", "--config", sets.file, "home:", tmp_path / "back", noisy=True, env=sets.environment)
    assert contents(tmp_path / "back") == contents(source)
    shutil.move(tmp_path / "away", nodes / "anna")
    done = commands.run("check", "--config", sets.file, "home:", noisy=True, env=sets.environment)
    assert done.summary["lost"] == 0
    assert not [line for line in done.json if line.get("path", "") in PICTURES], done.errors


def test_a_directory_that_is_kept_is_in_the_way(sets, source, nodes):  # noqa: F811
    """Of a file, where nothing is deleted: it is told what to do, which helps."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    shutil.rmtree(source / "dir")
    (source / "dir").write_bytes(b"x" * 5000)
    done = sets.run(status=LOST)
    assert {end["error"] for end in ends(done).values()} == {
        "could not make way for new regular file: dir: a directory with names in it is there, which delete = no "
        "keeps; remove it, or write delete = yes"
    }
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    assert all((nodes / name / "dir").is_file() for name in NAMES)


def test_two_nodes_at_one_place_are_none(sets, source, nodes):  # noqa: F811
    """Where that shows only by what the place says after both have filled it."""
    set_places.install_ssh(sets, set_places.SSH)
    places = {**local(nodes, NAMES[:2]), "carl": f"rsync = host:{nodes}/bert"}
    sets.write(source, places)
    done = sets.run(status=LOST)
    errors = {name: end.get("error", "") for name, end in ends(done).items()}
    assert errors["anna"] == ""
    assert "the places of" in errors["bert"] and errors["bert"] == errors["carl"]
