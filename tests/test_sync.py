# SPDX-License-Identifier: MIT
"""zfec-fs sync: what lands on the nodes, what holds up nothing, and what a run leaves behind."""

import os
import shutil
import time

import pytest

import commands
import set_places
import syncing
import trees
import whole_tree
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from syncing import (
    NAMES, compare_with_encode, ends, health, large_file, local, needs_rclone, places, settle,
)  # fmt: skip
from syncing import nodes, sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


# What lands on the nodes


def test_nodes_hold_what_encode_makes(sets, source, nodes, tmp_path):
    sets.write(source, local(nodes, NAMES), more="exclude = file-1")
    result = sets.run()
    compare_with_encode(source, places(nodes), tmp_path, exclude=["file-1"])
    assert health(result) == dict.fromkeys(NAMES, True)
    assert result.summary == {
        "message_type": "summary", "command": "sync", "dry_run": False, "sets": 1,
        "seconds": result.summary["seconds"], "exit_status": OK,
    }  # fmt: skip


def test_everything_that_a_tree_may_have(sets, tmp_path, module_rng):
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is missing")
    source, nodes = tmp_path / "source", tmp_path / "nodes"
    nodes.mkdir()
    whole_tree.make_tree(source, module_rng)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path)


def change(source, rng):
    """An edit, one that keeps the size within the same second, a rename, and something new."""
    trees.write_file(source / "file-0", rng.randbytes(12345), mtime_ns=trees.MTIME_NS + 10**9)
    kept = source / "file-1"
    trees.write_file(kept, rng.randbytes(kept.stat().st_size), mtime_ns=trees.MTIME_NS + 1)
    os.rename(source / "file-2", source / "renamed")
    trees.write_file(source / "new" / "file", rng.randbytes(999))


@pytest.mark.parametrize("delete", ["yes", "no"])
def test_changes(sets, source, nodes, tmp_path, rng, delete):
    sets.write(source, local(nodes, NAMES), more=f"delete = {delete}")
    sets.run()
    change(source, rng)
    before = (nodes / "anna" / "file-2").read_bytes()
    result = sets.run()
    for node in ends(result).values():
        assert (node["files"], node["deleted"]) == (4, 1 if delete == "yes" else 0)
    if delete == "no":
        for place in places(nodes):
            assert (place / "file-2").exists()
        assert (nodes / "anna" / "file-2").read_bytes() == before
        for place in places(nodes):
            (place / "file-2").unlink()
            times = (source.stat().st_atime_ns, source.stat().st_mtime_ns)
            os.utime(place, ns=times)
    compare_with_encode(source, places(nodes), tmp_path)
    again = ends(sets.run())
    assert {node["files"] for node in again.values()} == {0}


def test_deletions_have_a_limit(sets, source, nodes):
    more = "delete = yes\nmax_delete = 2"
    sets.write(source, local(nodes, NAMES), more=more)
    sets.run()
    for number in range(4):
        (source / f"file-{number}").unlink()
    result = sets.run(status=LOST)
    for name, node in ends(result).items():
        assert node["error"] == "more to delete than max_delete allows; the rest is left"
        assert node["try"] == 1
        assert len(list((nodes / name).glob("file-*"))) == 4
    sets.run()
    assert len(list((nodes / "anna").glob("file-*"))) == 2


@pytest.mark.parametrize("missing", ["known", "new"])
def test_a_dry_run_sees_a_place_that_is_missing(sets, source, nodes, tmp_path, missing):
    """A node that was there, or the directory in which a new one is to be made; by a daemon, too."""
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    with syncing.rsync_daemon(daemon) as port:
        targets = local(nodes / "disk", ["anna"]) | local(nodes, ["bert"])
        targets["carl"] = f"rsync = rsync://127.0.0.1:{port}/data/disk/carl"
        sets.write(source, targets, more="retries = 0", required=1)
        if missing == "known":
            (nodes / "disk").mkdir()
            (daemon / "disk").mkdir()
            sets.run()
            assert health(sets.run("--dry-run")) == dict.fromkeys(NAMES, True)
            shutil.rmtree(nodes / "disk" / "anna")
            shutil.rmtree(daemon / "disk" / "carl")
        result = sets.run("--dry-run", status=DAMAGED)
    assert health(result) == {"anna": False, "bert": True, "carl": False}
    gone = {name: f"the directory of node {name} is gone: is the disk mounted? For a new disk: "
            f"zfec-fs repair --replace {name} home:" for name in NAMES}  # fmt: skip
    for name in ("anna", "carl"):
        error = ends(result)[name]["error"]
        assert (error == gone[name]) if missing == "known" else "No such file" in error
    assert not (nodes / "disk" / "anna").exists()
    assert not (daemon / "disk" / "carl").exists()


def test_dry_run(sets, source, nodes, rng):
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    change(source, rng)
    before, state = commands.snapshot(nodes), sets.state()
    result = sets.run("--dry-run")
    assert commands.snapshot(nodes) == before
    assert sets.state() == state
    told = {(line["node"], line["action"], line["path"])
            for line in result.json if line["message_type"] == "file"}  # fmt: skip
    expected = [("sent", name) for name in ("file-0", "file-1", "renamed", "new/file")]
    assert told >= {(node, *each) for node in NAMES for each in [*expected, ("deleted", "file-2")]}
    assert result.summary["dry_run"] is True


OURS = os.fsencode(syncing.DESCRIPTION)
NAMES_OF_ALL_BYTES = [
    b"new\nline", b"\x1b[31m", "\u00fc \u00f6".encode(), b"\xff", b"back\\slash", b"back\\#012slash",
]  # fmt: skip


@pytest.mark.parametrize("program", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_names_of_all_bytes(sets, nodes, tmp_path, program):
    """They arrive; and with rsync, what is told of them is what they are called."""
    for name in NAMES_OF_ALL_BYTES:
        trees.write_file(tmp_path / "source" / os.fsdecode(name), b"x")
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    target = f"rsync = {nodes}/a" if program == "rsync" else "rclone = remote:a"
    sets.write(tmp_path / "source", {"a": target}, required=1)
    result = sets.run("--verbose", noisy=True)
    assert sorted(os.listdir(os.fsencode(nodes / "a"))) == sorted([*NAMES_OF_ALL_BYTES, OURS])
    told = [commands.path_in(line) for line in result.json if line["message_type"] == "file"]
    if program == "rsync":
        assert sorted(told) == sorted([b"./", *NAMES_OF_ALL_BYTES, OURS])


@needs_rclone
def test_a_remote_that_is_none(sets, source):
    """rclone ends before it has begun to speak JSON."""
    sets.write(source, {"a": "rclone = nowhere:a\nretries = 0"}, required=1)
    error = ends(sets.run(status=LOST))["a"]["error"]
    assert error == 'Failed to create file system for "nowhere:a": didn\'t find section in config file'


def test_names_of_sets(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    text = sets.file.read_text()
    sets.write(source, local(nodes, ["x", "y"]), name="other")
    sets.file.write_text(text + sets.file.read_text())
    result = sets.run("other")
    assert sorted(os.listdir(nodes)) == ["x", "y"]
    assert [line["set"] for line in result.json if line["message_type"] == "set"] == ["other"]
    assert sets.run().summary["sets"] == 2
    assert sorted(os.listdir(nodes)) == [*NAMES, "x", "y"]
    errors = sets.run("nobody", status=USAGE).errors
    assert errors == f"zfec-fs: nobody: there is no such set in {sets.file}; it has home, other\n"
    errors = sets.run("home/anna", status=USAGE).errors
    assert "all nodes of a set are brought up to date at once; write home" in errors
    errors = sets.run(str(source), status=USAGE).errors
    assert "write the name of a set, not a path: home, other" in errors


def test_a_node_in_the_source_is_refused(sets, source):
    sets.write(source, local(source, NAMES))
    result = sets.run(status=FAILED)
    assert f"{source}/anna lies in the source; choose another place, or exclude it" in result.errors
    assert not (source / "anna").exists()
    sets.write(source, local(source, NAMES), more="exclude = anna\nexclude = bert\nexclude = carl")
    sets.run()
    assert not (source / "bert" / "anna").exists()


@pytest.mark.parametrize("kind", ["it", "symlink"])
def test_a_node_around_the_source_is_refused(sets, source, tmp_path, kind):
    """With delete = yes, it would be deleted."""
    (tmp_path / "symlink").symlink_to(tmp_path)
    place = {"it": tmp_path, "symlink": tmp_path / "symlink"}[kind]
    sets.write(source, {"a": f"rsync = {place}\ndelete = yes"}, required=1)
    before = commands.snapshot(source)
    result = sets.run(status=FAILED)
    assert f"home/a: the source lies in {place}; choose another place" in result.errors
    assert commands.snapshot(source) == before


def test_a_node_in_the_source_by_a_symlink_is_refused(sets, source, tmp_path):
    (tmp_path / "symlink").symlink_to(source)
    place = tmp_path / "symlink" / "a"
    sets.write(source, {"a": f"rsync = {place}"}, required=1)
    assert f"{place} lies in the source" in sets.run(status=FAILED).errors
    assert not place.exists()


@pytest.mark.parametrize("more", ["", "describe = no"])
@pytest.mark.parametrize("kind", ["local", "ssh", "daemon"])
def test_a_disk_that_is_not_mounted_is_not_filled_anew(sets, source, nodes, kind, more):
    """The directory in which it is mounted is still there, and empty."""
    set_places.install_ssh(sets, set_places.SSH)
    with syncing.rsync_daemon(nodes) as port:
        before = {"local": f"{nodes}/", "ssh": f"host:{nodes}/", "daemon": f"rsync://127.0.0.1:{port}/data/"}
        sets.write(source, {name: f"rsync = {before[kind]}{name}" for name in NAMES}, more=more)
        sets.run()
        shutil.rmtree(nodes / "anna")
        result = sets.run(status=DAMAGED)
    end = ends(result)["anna"]
    assert end["error"] == ("the directory of node anna is gone: is the disk mounted? For a new disk: "
                            "zfec-fs repair --replace anna home:")  # fmt: skip
    assert (end["try"], result.errors) == (1, "")
    assert not (nodes / "anna").exists()


@pytest.mark.parametrize("program", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_a_place_that_holds_another_share(sets, source, nodes, tmp_path, program):
    """Its files have the same sizes and times, by which rsync and rclone tell files apart."""
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    place = f"rsync = {nodes}/" if program == "rsync" else "symlinks = no\nrclone = remote:"
    sets.write(source, {name: place + name for name in NAMES}, more="describe = no")
    sets.run()
    sets.write(source, {name: place + name for name in NAMES[::-1]}, more="describe = no")
    result = sets.run(noisy=True)
    assert health(result) == dict.fromkeys(NAMES, True)
    made = tmp_path / "made"
    commands.run("encode", "-k", "2", "-n", "3", source, made)
    for index, name in enumerate(NAMES[::-1]):
        for path in ("file-0", "again", "dir/inner/file"):
            share = made / trees.share_name(index) / path
            assert (nodes / name / path).read_bytes() == share.read_bytes(), (name, path)
    if program == "rsync":
        assert "home/anna: holds a share other than 02, one of another" in result.errors
        assert "bert" not in result.errors


def test_a_place_that_holds_the_share(sets, source, nodes, tmp_path):
    """Its first copy came on a disk: nothing is sent, and nothing is said."""
    commands.run("encode", "-k", "2", "-n", "3", source, nodes)
    places = {name: f"rsync = {nodes / trees.share_name(i)}" for i, name in enumerate(NAMES)}
    sets.write(source, places)
    assert {node["files"] for node in ends(sets.run()).values()} == {1}  # that tells of the others
    compare_with_encode(source, [nodes / f"{i:02x}" for i in range(3)], tmp_path)


def test_the_run_itself_is_not_in_a_share(sets, source, nodes):
    sets.environment["XDG_RUNTIME_DIR"] = str(source)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    assert sorted(os.listdir(nodes / "anna")) == sorted([*os.listdir(source), syncing.DESCRIPTION])


# Daemons and remotes


def test_rsync_daemon(sets, source, nodes, tmp_path):
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    with syncing.rsync_daemon(daemon) as port:
        targets = local(nodes, NAMES[:2])
        targets["carl"] = f"rsync = rsync://127.0.0.1:{port}/data/carl"
        sets.write(source, targets)
        settle(source)
        result = sets.run("--verify", "1")
    compare_with_encode(source, [nodes / "anna", nodes / "bert", daemon / "carl"], tmp_path)
    assert {node["different"] for node in ends(result).values()} == {0}
    assert all(node["compared"] > 0 for node in ends(result).values())


@needs_rclone
@pytest.mark.parametrize("kind", ["alias", "webdav"])
def test_rclone(sets, source, nodes, rng, kind):
    """Without links and what a remote cannot hold: names and bytes are those of the share."""
    away = nodes / "away"
    away.mkdir()
    with syncing.webdav(away) as port:
        remote = {
            "alias": f"[remote]\ntype = alias\nremote = {away}\n",
            "webdav": f"[remote]\ntype = webdav\nurl = http://127.0.0.1:{port}/\nvendor = other\n",
        }[kind]
        (sets.folder / "rclone.conf").write_text(remote)
        targets = local(nodes, NAMES[:2]) | {"carl": "rclone = remote:carl\ndelete = yes"}
        sets.write(source, targets)
        sets.run()
        change(source, rng)
        # A server without times and checksums: all is sent, for nothing shows what has changed.
        again = ends(sets.run())["carl"]["files"]
        assert again == 4 if kind == "alias" else again > 4
        settle(source)
        result = sets.run("--verify", "100%")
    assert ends(result)["carl"]["different"] == 0
    for path in sorted((nodes / "anna").rglob("*")):
        other = away / "carl" / path.relative_to(nodes / "anna")
        if path.is_file() and not path.is_symlink() and path.name != "file-2":
            assert os.path.getsize(other) == os.path.getsize(path), other
    assert not (away / "carl" / "file-2").exists()


# Nodes that are dead, slow, or break


def dead_and_alive(nodes, port, more=""):
    return local(nodes, ["anna", "bert"]) | {
        "dead": f"rsync = rsync://127.0.0.1:{port}/data/x\n{more}"
    }


def test_a_dead_node_stops_no_other(sets, source, nodes, tmp_path):
    port = syncing.free_port()
    sets.write(source, dead_and_alive(nodes, port, "retries = 1"))
    result = sets.run(status=DAMAGED)
    assert health(result) == {"anna": True, "bert": True, "dead": False}
    assert "Connection refused" in ends(result)["dead"]["error"]
    assert ends(result)["dead"]["try"] == 2
    retries = [line for line in result.json if line.get("event") == "retry"]
    assert [line["node"] for line in retries] == ["dead"]
    compare_with_encode(source, [nodes / "anna", nodes / "bert"], tmp_path, shares=3)


def test_a_silent_node_ends_at_its_deadline(sets, source, nodes):
    with syncing.Silent() as silent:
        sets.write(source, dead_and_alive(nodes, silent.port, "deadline = 2s"))
        began = time.monotonic()
        result = sets.run(status=DAMAGED)
    assert ends(result)["dead"]["error"] == "the deadline is over"
    assert time.monotonic() - began < 60
    for name in ("anna", "bert"):
        assert ends(result)[name]["seconds"] < ends(result)["dead"]["seconds"]


def test_a_silent_node_fails_at_its_timeout(sets, source, nodes):
    with syncing.Silent() as silent:
        sets.write(source, dead_and_alive(nodes, silent.port, "timeout = 1s\nretries = 0"))
        result = sets.run(status=DAMAGED)
    error = ends(result)["dead"]["error"]
    assert "imeout" in error or error == "it did not answer in time"


def test_fewer_than_enough(sets, source, nodes):
    port = syncing.free_port()
    sets.write(source, dead_and_alive(nodes, port, "retries = 0"), required=3)
    result = sets.run(status=LOST)
    assert result.summary["exit_status"] == LOST


def test_a_node_that_breaks_is_tried_again(sets, source, nodes, tmp_path, rng):
    large_file(source, rng)
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    with syncing.rsync_daemon(daemon) as port, syncing.Breaking(port, 400_000) as breaking:
        targets = local(nodes, NAMES[:2])
        targets["carl"] = f"rsync = rsync://127.0.0.1:{breaking.port}/data/carl"
        sets.write(source, targets)
        result = sets.run(noisy=True)
        assert breaking.cuts == 1
    assert ends(result)["carl"]["try"] == 2
    assert "carl" in result.errors
    compare_with_encode(source, [nodes / "anna", nodes / "bert", daemon / "carl"], tmp_path)


def test_a_file_that_cannot_be_sent(sets, source, nodes):
    """The others are; the node is behind."""
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    (nodes / "carl" / "file-0" / "in the way").mkdir(parents=True)
    result = sets.run(status=DAMAGED)
    assert health(result) == {"anna": True, "bert": True, "carl": False}
    assert "file-0" in ends(result)["carl"]["error"]
    assert (nodes / "carl" / "file-1").is_file()


def test_only_so_many_at_once(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    result = sets.run("-j", "1")
    order = [line["event"] for line in result.json if line["message_type"] == "node"][:3]
    assert order == ["begin", "begin", "begin"]
    begun = [line["node"] for line in result.json if line.get("event") == "begin"]
    assert begun == NAMES


def test_a_program_that_is_missing(sets, source, nodes, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "fusermount3").symlink_to(shutil.which("fusermount3"))
    sets.write(source, local(nodes, NAMES))
    result = sets.run(status=LOST, environment={"PATH": str(tools)})
    assert {node["error"] for node in ends(result).values()} == {
        "rsync cannot be run; is it installed?"
    }
