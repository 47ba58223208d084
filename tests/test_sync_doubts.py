# SPDX-License-Identifier: MIT
"""What sync leaves alone, or compares as a whole: the wrong source, disk, encoding or name."""

import os
import shutil
import subprocess
import time

import pytest

import commands
import disks
import syncing
import trees
from commands import DAMAGED, FAILED, LOST, OK
from syncing import NAMES, compare_with_encode, ends, local, places
from syncing import nodes, sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


def empty(source):
    for path in source.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("state", ["state", "no state"])
@pytest.mark.parametrize("left", [[], ["stray"], ["stray", "many"]])
def test_most_of_a_node_is_not_deleted(sets, source, nodes, left, state):
    """A source that is not mounted, or another disk there; the state does not matter."""
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    before = commands.snapshot(nodes)
    empty(source)
    for name in left:
        count = len(before) if name == "many" else 1
        for number in range(count):
            trees.write_file(source / f"{name}-{number}", b"x")
    if state == "no state":
        shutil.rmtree(sets.state_folder)
    for words in ([], ["--dry-run"], []):
        if not left and state == "state":  # that there were files is known
            done = sets.run(*words, status=FAILED, noisy=True)
            assert f"there is no file in the source {source}, and there were 8: " in done.errors
            assert commands.snapshot(nodes) == before
            continue
        result = sets.run(*words, status=LOST)
        for name, node in ends(result).items():
            count = len(list((nodes / name).rglob("*"))) - 1  # what tells of the others
            assert node["error"] == (
                f"{count} of {count} names there would be deleted; is all of the source mounted? "
                "--delete-most deletes them"
            )
        assert commands.snapshot(nodes) == before
    sets.run("--delete-most")
    assert sorted(os.listdir(nodes / "anna")) == sorted([*os.listdir(source), syncing.DESCRIPTION])
    sets.run()


@pytest.mark.parametrize("gone", [5, 6])
def test_half_of_a_node_may_be_deleted(sets, source, nodes, gone):
    """What a stopped rsync has left does not count."""
    empty(source)
    for number in range(10):
        trees.write_file(source / f"file-{number}", b"x")
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    for number in range(gone):
        (source / f"file-{number}").unlink()
        trees.write_file(source / f"new-{number}", b"x")
    trees.write_file(nodes / "anna" / ".file-9.Ab3dEf", b"x")
    result = sets.run(status=OK if gone == 5 else LOST)
    assert ends(result)["anna"].get("error", "").startswith("" if gone == 5 else "6 of 10 names")
    assert len(list((nodes / "anna").iterdir())) == 1 + (10 if gone == 5 else 11)


@pytest.mark.parametrize("then", ["nothing", "checksum"])
def test_a_disk_that_was_in_the_place_of_another(sets, source, nodes, tmp_path, then):
    """What would be sent to it is of the wrong share, and has the right size and time."""
    for number in range(40):
        trees.write_file(source / "old" / f"{number:02}", b"old")
    sets.write(source, local(nodes, NAMES), more="retries = 0\ndescribe = no")
    sets.run()
    (nodes / "bert").rename(nodes / "away")
    (nodes / "anna").rename(nodes / "bert")
    trees.write_file(source / "edited", b"new")
    before = commands.snapshot(nodes / "bert")
    for words in ([], ["--dry-run"]):
        assert ends(sets.run(*words, status=LOST))["bert"]["error"] == (
            "it holds another share than 01; is another disk in its place? --checksum makes it "
            "this share"
        )
        assert commands.snapshot(nodes / "bert") == before
    if then == "checksum":
        sets.run("--checksum", status=DAMAGED)
    (nodes / "bert").rename(nodes / "anna")
    (nodes / "away").rename(nodes / "bert")
    sets.run(*(["--checksum"] if then == "checksum" else []))
    sets.write(source, local(nodes, NAMES))
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path)


def test_the_newest_files_are_looked_at(sets, source, nodes, tmp_path):
    for number in range(40):
        trees.write_file(source / f"0-{number:02}", b"old")
    sets.write(source, local(nodes, NAMES))
    sets.run()
    late = time.time_ns()
    for number in range(20):
        path = trees.write_file(source / f"1-{number:02}", b"new")
        os.utime(path, ns=(late, late + number))
    sets.run()
    for path in (nodes / "bert").glob("1-*"):
        shutil.copy2(path, nodes / "anna")
    assert "home/anna: holds a share other than 00" in sets.run(noisy=True).errors
    compare_with_encode(source, places(nodes), tmp_path)


@pytest.mark.parametrize("then", ["block_size = 4K", "required = 3", "format = classic"])
def test_another_encoding_is_sent_as_a_whole(sets, source, nodes, tmp_path, then):
    """Also what keeps its size; and after a run that did not reach all, whatever the set says."""
    empty(source)
    for number in range(40):
        trees.write_file(source / f"{number:02}", b"y" * 70_000)  # no size that is looked at
        trees.write_file(source / f"{number:02}.empty", b"")
    targets = local(nodes, NAMES)
    sets.write(source, targets, required=1, more="retries = 0")
    sets.run()
    first = sets.file.read_text()
    text = first.replace("required = 1", then) if "required" in then else f"{first}"
    if "required" not in then:
        text = first.replace("retries = 0", f"retries = 0\n{then}")
    sets.file.write_text(text)
    sets.run(noisy=True)
    words = ["--format", "classic"] if "format" in then else []
    words += ["--block-size", "4K"] if "block" in then else []
    for index, place in enumerate(places(nodes)):
        made = tmp_path / "made"
        shutil.rmtree(made, ignore_errors=True)
        commands.run("encode", "-k", "3" if "required" in then else "1", "-n", "3", *words, source,
                     made)  # fmt: skip
        syncing.compare_described(made / trees.share_name(index), place)
    assert {node["files"] for node in ends(sets.run()).values()} == {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("place", ["", "/share"])
@pytest.mark.parametrize("first", ["done", "broken off"])
def test_the_directory_beneath_a_disk_is_not_filled(sets, source, nodes, place, first):
    """Also where a first run had not sent all; another disk is; and so is it where that is said."""
    disk = nodes / "disk"
    sets.write(source, local(nodes, NAMES[:2]) | {"carl": f"rsync = {disk}{place}\nretries = 0"})
    with disks.small_disk(disk, "9m"):
        if first == "broken off":
            in_the_way = disk / place.strip("/") / "file-0" / "in the way"
            in_the_way.mkdir(parents=True)
        sets.run(status=OK if first == "done" else DAMAGED)
        assert sets.state()["nodes"]["carl"]["mount"] == str(disk)
    for words in ([], ["--dry-run"], ["--checksum"]):
        error = ends(sets.run(*words, status=DAMAGED))["carl"]["error"]
        assert error == (
            f"nothing is mounted at {disk}; mount it, or, to do without, remove this node's "
            '"mount" from the state (see zfec-fs-sets(5))'
        )
        assert os.listdir(disk) == []
    with disks.small_disk(disk, "9m"):
        (disk / place.strip("/")).mkdir(exist_ok=True)
        sets.run()
        assert (disk / place.strip("/") / "file-1").exists()
    state = sets.state_folder / "home.json"
    lines = state.read_text().splitlines(keepends=True)
    state.write_text("".join(line for line in lines if f'"mount": "{disk}"' not in line))
    (disk / place.strip("/")).mkdir(exist_ok=True)
    sets.run()
    assert (disk / place.strip("/") / "file-1").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_disk_that_goes_away_in_a_run(sets, source, nodes, tmp_path):
    """The next try sees it. An rsync that takes the disk away the first time it is to send."""
    disk, tools = nodes / "disk", tmp_path / "tools"
    tools.mkdir()
    (tools / "rsync").write_text(
        f"#!/bin/sh\ncase \"$*\" in *progress2*{disk}*) umount {disk} && exit 12;; esac\n"
        f'exec {shutil.which("rsync")} "$@"\n'
    )
    (tools / "rsync").chmod(0o755)
    sets.write(source, local(nodes, NAMES[:2]) | {"carl": f"rsync = {disk}"})
    with disks.small_disk(disk, "9m"):
        result = sets.run(
            status=DAMAGED, noisy=True, environment={"PATH": f"{tools}:{os.environ['PATH']}"}
        )
        assert f"nothing is mounted at {disk};" in ends(result)["carl"]["error"]
        assert os.listdir(disk) == []
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)


def change_encoding(sets, old, new):
    sets.file.write_text(sets.file.read_text().replace(old, new))


def test_another_encoding_begins_only_where_enough_nodes_can_have_it(sets, source, nodes, tmp_path):
    """Else no k shares of one encoding would be left at the nodes."""
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    (nodes / "carl").rename(tmp_path / "away")
    change_encoding(sets, "required = 2", "required = 3")
    before, state = commands.snapshot(nodes), sets.state()
    for words in ([], ["--dry-run"]):
        errors = sets.run(*words, status=FAILED).errors
        assert "home/carl: cannot be reached: the directory of node carl is gone" in errors
        assert (
            'home: the encoding was changed (format, required, block size) from "checked, 2, 65536"'
            ' to "checked, 3, 65536", which needs 3 nodes that can be reached; only 2 of 3 can, so '
            "nothing is done: make more of them reachable, or undo the change in the file of sets\n"
        ) in errors
        assert commands.snapshot(nodes) == before
        assert sets.state() == state
    change_encoding(sets, "required = 3", "required = 2")
    sets.run(status=DAMAGED)  # undone
    change_encoding(sets, "required = 2", "required = 3")
    (tmp_path / "away").rename(nodes / "carl")
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path, required=3)


def test_another_encoding_begins_without_those_that_it_does_not_need(
    sets, source, nodes, tmp_path
):
    """A node that was away still holds the old one, and is known to."""
    sets.write(source, local(nodes, NAMES), required=3, more="retries = 0")
    sets.run()
    (nodes / "carl").rename(tmp_path / "away")
    change_encoding(sets, "required = 3", "required = 2")
    sets.run(status=DAMAGED)
    kept = {name: node["encoding"] for name, node in sets.state()["nodes"].items()}
    new = "checked, 2, 65536"
    assert kept == {"anna": new, "bert": new, "carl": "checked, 3, 65536"}
    sets.run(status=DAMAGED)
    (tmp_path / "away").rename(nodes / "carl")
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path)


def test_another_encoding_that_was_forgotten_is_seen(sets, source, nodes, tmp_path):
    """Its files may have the right sizes."""
    trees.write_file(source / "small", b"x")
    sets.write(source, local(nodes, NAMES), required=3)
    sets.run()
    shutil.rmtree(sets.state_folder)
    change_encoding(sets, "required = 3", "required = 2")
    before = commands.snapshot(nodes)
    assert ends(sets.run(status=LOST))["anna"]["error"] == (
        'it says that its share is made with "checked, 3, 65536", not with "checked, 2, 65536"; '
        "nothing is written there; --adopt makes it this share"
    )
    assert commands.snapshot(nodes) == before
    for place in places(nodes):
        (place / syncing.DESCRIPTION).unlink()
    told = "holds a share other than 00, one of another encoding (required, format, block size), or"
    assert f"home/anna: {told} a damaged one" in sets.run(noisy=True).errors
    compare_with_encode(source, places(nodes), tmp_path)


@syncing.needs_rclone
def test_another_encoding_and_clouds(sets, source, nodes, tmp_path):
    """One that does not answer is away; one that holds nothing is there."""
    away = tmp_path / "cloud"
    away.mkdir()
    with syncing.webdav(away) as port:
        (sets.folder / "rclone.conf").write_text(
            f"[near]\ntype = alias\nremote = {nodes}\n"
            f"[far]\ntype = webdav\nurl = http://127.0.0.1:{port}/\nvendor = other\n"
        )
        targets = local(nodes, ["anna"])
        targets |= {"bert": "rclone = near:bert", "carl": "rclone = far:carl"}
        sets.write(source, targets, more="retries = 0\nsymlinks = no")
        sets.run()
    shutil.rmtree(nodes / "bert")
    change_encoding(sets, "required = 2", "required = 3")
    errors = sets.run(status=FAILED).errors
    assert "home/carl: cannot be reached: " in errors
    assert "only 2 of 3 can" in errors
    assert os.listdir(nodes) == ["anna"]


@syncing.needs_rclone
def test_a_link_and_a_file_of_one_name_in_a_cloud(sets, source, nodes):
    (sets.folder / "rclone.conf").write_text("[near]\ntype = local\n")
    (source / "lnk").symlink_to("file-0")
    trees.write_file(source / "lnk.rclonelink", b"x")
    sets.write(source, {"anna": f"rclone = near:{nodes}/anna"}, required=1)
    for _ in range(2):
        node = ends(sets.run(status=LOST))["anna"]
        assert node["error"] == (
            "lnk.rclonelink: a symlink and a file have this name there; rename one of them"
        )
    (source / "lnk.rclonelink").unlink()
    sets.run()


@syncing.needs_rclone
@pytest.mark.parametrize("gone", [5, 6])
def test_half_of_a_cloud_may_be_deleted(sets, source, nodes, gone):
    (sets.folder / "rclone.conf").write_text("[near]\ntype = local\n")
    empty(source)
    for number in range(9):
        trees.write_file(source / f"file-{number}", b"x")
    (source / "link").symlink_to("file-0")
    names = {name: f"rclone = near:{nodes}/{name}" for name in NAMES}
    sets.write(source, names, more="delete = yes")
    sets.run()
    before = commands.snapshot(nodes)
    for number in range(gone):
        (source / f"file-{number}").unlink()
    shutil.rmtree(sets.state_folder)
    result = sets.run(status=OK if gone == 5 else LOST)
    if gone == 5:
        assert len(list((nodes / "anna").iterdir())) == 6
        return
    assert ends(result)["anna"]["error"].startswith("6 of 10 names there would be deleted")
    assert commands.snapshot(nodes) == before
    sets.run("--delete-most")
    assert len(list((nodes / "anna").iterdir())) == 5
