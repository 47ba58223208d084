# SPDX-License-Identifier: MIT
"""zfec-fs sync: what lands on the nodes, what holds up nothing, and what a run leaves behind."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
from datetime import datetime, timezone

import pytest

import commands
import mounts as mounts_module
import syncing
import trees
import whole_tree
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from syncing import (
    compare_with_encode, ends, health, local, nodes, sets, settle, source,
)  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")
needs_rclone = pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is missing")

NAMES = ["anna", "bert", "carl"]


def places(nodes):
    return [nodes / name for name in NAMES]


def large_file(source, rng, size=3_000_000, name="large"):
    return trees.write_file(source / name, rng.randbytes(size))


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


def test_an_empty_source_deletes_nothing(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    before = commands.snapshot(nodes)
    shutil.rmtree(source)
    source.mkdir()
    result = sets.run(status=FAILED)
    assert f"{source}: is empty: is it mounted?" in result.errors
    assert commands.snapshot(nodes) == before


def test_a_stray_file_in_a_mountpoint_deletes_nothing(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    before = commands.snapshot(nodes)
    shutil.rmtree(source)
    trees.write_file(source / "stray", b"x")
    for words in ([], ["--dry-run"]):
        errors = sets.run(*words, status=FAILED).errors
        assert f"{source}: the source lacks more than half of the names that home/anna has" in errors
        assert commands.snapshot(nodes) == before
    sets.run("--delete-most")
    assert os.listdir(nodes / "anna") == ["stray"]
    sets.run()


def test_the_names_that_count_are_those_of_the_last_good_run(sets, source, nodes):
    """A node that keeps what the source lacks is no reason to refuse."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    assert sets.state()["nodes"]["anna"]["names"] == len(list(source.rglob("*")))
    for path in source.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    trees.write_file(source / "only", b"x")
    sets.run()
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    assert os.listdir(nodes / "anna") == ["only"]


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
    assert "No such file or directory" in ends(result)["anna"]["error"]
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
    assert sorted(os.listdir(os.fsencode(nodes / "a"))) == sorted(NAMES_OF_ALL_BYTES)
    told = [commands.path_in(line) for line in result.json if line["message_type"] == "file"]
    if program == "rsync":
        assert sorted(told) == sorted([b"./", *NAMES_OF_ALL_BYTES])


@needs_rclone
def test_a_remote_that_is_none(sets, source):
    """rclone ends before it has begun to speak JSON."""
    sets.write(source, {"a": "rclone = nowhere:a\nretries = 0"}, required=1)
    error = ends(sets.run(status=LOST))["a"]["error"]
    assert error == "Failed to backend: didn't find section in config file"


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


def test_a_disk_that_is_not_mounted_is_not_filled_anew(sets, source, nodes):
    """Its mountpoint is still there, and empty."""
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    shutil.rmtree(nodes / "anna")
    result = sets.run(status=DAMAGED)
    assert "No such file or directory" in ends(result)["anna"]["error"]
    assert not (nodes / "anna").exists()


@pytest.mark.parametrize("program", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_a_place_that_holds_another_share(sets, source, nodes, tmp_path, program):
    """Its files have the same sizes and times, by which rsync and rclone tell files apart."""
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    place = f"rsync = {nodes}/" if program == "rsync" else "symlinks = no\nrclone = remote:"
    sets.write(source, {name: place + name for name in NAMES})
    sets.run()
    sets.write(source, {name: place + name for name in NAMES[::-1]})
    result = sets.run(noisy=True)
    assert health(result) == dict.fromkeys(NAMES, True)
    made = tmp_path / "made"
    commands.run("encode", "-k", "2", "-n", "3", source, made)
    for index, name in enumerate(NAMES[::-1]):
        for path in ("file-0", "again", "dir/inner/file"):
            share = made / trees.share_name(index) / path
            assert (nodes / name / path).read_bytes() == share.read_bytes(), (name, path)
    if program == "rsync":
        assert "home/anna: holds a share other than 02, or a damaged one; comparing" in result.errors
        assert "bert" not in result.errors


def test_a_place_that_holds_the_share(sets, source, nodes):
    """Its first copy came on a disk: nothing is sent, and nothing is said."""
    commands.run("encode", "-k", "2", "-n", "3", source, nodes)
    places = {name: f"rsync = {nodes / trees.share_name(i)}" for i, name in enumerate(NAMES)}
    sets.write(source, places)
    assert {node["files"] for node in ends(sets.run()).values()} == {0}


def test_the_run_itself_is_not_in_a_share(sets, source, nodes):
    sets.environment["XDG_RUNTIME_DIR"] = str(source)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    assert sorted(os.listdir(nodes / "anna")) == sorted(os.listdir(source))


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


# What is remembered


def when(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def test_state(sets, source, nodes):
    """The time as of which a node holds all is that of its last good run."""
    before = datetime.now(timezone.utc).replace(microsecond=0)
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    state = sets.state()
    assert (state["version"], state["set"], state["required"]) == (1, "home", 2)
    assert list(state["nodes"]) == NAMES
    for index, name in enumerate(NAMES):
        node = state["nodes"][name]
        assert before <= when(node["as_of"]) <= datetime.now(timezone.utc)
        assert node == {
            "share": f"{index:02x}", "target": f"{nodes}/{name}", "up_to_date": True,
            "tried": node["as_of"], "as_of": node["as_of"], "names": len(list(source.rglob("*"))),
        }  # fmt: skip
    good = state["nodes"]["carl"]["as_of"]
    while datetime.now(timezone.utc).replace(microsecond=0) <= when(good):
        threading.Event().wait(0.05)
    shutil.rmtree(nodes / "carl")
    result = sets.run(status=DAMAGED)
    assert ends(result)["carl"]["as_of"] == good
    node = sets.state()["nodes"]["carl"]
    assert (node["up_to_date"], node["as_of"]) == (False, good)
    assert when(node["tried"]) > when(good)
    assert node["error"] == ends(result)["carl"]["error"]
    assert when(sets.state()["nodes"]["anna"]["as_of"]) > when(good)
    shown = subprocess.run(
        sets.command(), check=False, capture_output=True, text=True, env=sets.environment
    )
    assert f"home/carl 02 BEHIND since {good}: " in shown.stdout
    assert "home: 2 of 3 nodes are up to date, 2 are enough" in shown.stdout


def test_another_place_was_never_up_to_date(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    (nodes / "file").write_text("")
    targets = local(nodes, NAMES[:2]) | {"carl": f"rsync = {nodes}/file"}
    sets.write(source, targets, more="retries = 0")
    result = sets.run(status=DAMAGED)
    assert ends(result)["carl"]["as_of"] is None
    assert sets.state()["nodes"]["carl"]["as_of"] is None


def test_a_state_that_makes_no_sense_is_told_and_forgotten(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    (sets.state_folder / "home.json").write_text('{"nodes": [')
    result = sets.run(noisy=True)
    assert "home.json: corrupt" in result.errors
    assert sets.state()["nodes"]["anna"]["up_to_date"] is True


# Verifying


def spoil(path, rng):
    """Another byte, and the same size and time."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("kind", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_a_spoiled_byte_is_found_and_mended(sets, source, nodes, tmp_path, rng, kind):
    targets = local(nodes, NAMES)
    if kind == "rclone":
        remote = f"[remote]\ntype = alias\nremote = {nodes}\n"
        (sets.folder / "rclone.conf").write_text(remote)
        targets["bert"] = "rclone = remote:bert"
    sets.write(source, targets)
    sets.run()
    spoil(nodes / "bert" / "file-3", rng)
    settle(source)
    assert health(sets.run()) == dict.fromkeys(NAMES, True)
    result = sets.run("--verify", "1", status=DAMAGED)
    assert health(result) == {"anna": True, "bert": False, "carl": True}
    assert ends(result)["bert"]["different"] == 1
    assert result.actions() == {("different", "file-3"): {None}}
    assert sets.state()["nodes"]["bert"]["up_to_date"] is False
    result = sets.run("--checksum", "--verify", "1")
    assert ends(result)["bert"]["files"] == 1
    assert ends(result)["bert"]["different"] == 0
    if kind == "rsync":
        compare_with_encode(source, places(nodes), tmp_path)


def found_different(sets, source, nodes, rng, line):
    """A node called bert, of which verification has found a file that differs; since when."""
    trees.write_file(source / "dir" / "f\u00fcr", rng.randbytes(5000))
    sets.write(source, local(nodes, NAMES) | {"bert": line}, more="retries = 0")
    sets.run()
    spoil(nodes / "bert" / "dir" / "f\u00fcr", rng)
    settle(source)
    node = ends(sets.run("--verify", "1", status=DAMAGED))["bert"]
    assert node["differs_since"] == sets.state()["nodes"]["bert"]["tried"]
    return node["differs_since"]


@pytest.mark.parametrize("kind", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_what_verification_found_is_remembered_until_it_is_mended(
    sets, source, nodes, rng, kind
):
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    line = {"rsync": f"rsync = {nodes}/bert", "rclone": "rclone = remote:bert"}[kind]
    since = found_different(sets, source, nodes, rng, line)
    remembered = {"differs_since": since, "different": ["dir/f\u00fcr"], "up_to_date": False}
    assert sets.state()["nodes"]["bert"].items() >= remembered.items()
    # It does not answer for a while; and looking changes nothing.
    away = nodes / "bert"
    away.rename(nodes / "away")
    away.write_text("")
    failed = ends(sets.run(status=DAMAGED))["bert"]
    assert (failed["up_to_date"], failed["differs_since"]) == (False, since)
    assert "mended_since" not in failed
    away.unlink()
    (nodes / "away").rename(away)
    assert ends(sets.run("--dry-run", noisy=True))["bert"]["differs_since"] == since
    assert sets.state()["nodes"]["bert"].items() >= remembered.items()
    # A plain run compares all of this node, and nothing of the others.
    spoil(nodes / "bert" / "file-3", rng)
    spoil(nodes / "carl" / "file-3", rng)
    result = ends(sets.run())
    assert {name: node["files"] for name, node in result.items()} == dict(anna=0, bert=2, carl=0)
    assert result["bert"]["up_to_date"] is True
    assert result["bert"]["mended_since"] == since
    assert "differs_since" not in result["bert"]
    state = sets.state()["nodes"]["bert"]
    assert (state["up_to_date"], state["as_of"]) == (True, state["tried"])
    assert not {"differs_since", "different"} & {*state}
    node = ends(sets.run("--verify", "1", status=DAMAGED))
    assert (node["bert"]["different"], node["carl"]["different"]) == (0, 1)
    assert "mended_since" not in node["bert"]


def test_since_when_a_node_differs_is_shown(sets, source, nodes, rng):
    def shown(*words):
        done = subprocess.run(
            sets.command(*words), check=False, capture_output=True, text=True, env=sets.environment
        )
        return next(line for line in done.stdout.splitlines() if line.startswith("home/bert 01"))

    since = found_different(sets, source, nodes, rng, f"rsync = {nodes}/bert")
    assert f"; differs since {since}" in shown("--dry-run")
    assert f"up to date; 1 file, " in (line := shown())
    assert line.endswith(f"; mended, it differed since {since}")
    assert "differ" not in shown()
    spoil(nodes / "bert" / "file-3", rng)
    line = shown("--verify", "1")
    since = sets.state()["nodes"]["bert"]["differs_since"]
    assert f"DIFFERS since {since}: it holds other bytes than were sent; " in line


@needs_rclone
@pytest.mark.parametrize("known", [True, False], ids=["by name", "by number"])
def test_a_cloud_whose_checksums_are_not_of_its_bytes(sets, source, nodes, rng, known):
    """A plain run sends again what was found to differ, or everything; checksums show nothing."""
    (sets.folder / "rclone.conf").write_text(
        f"[remote]\ntype = chunker\nremote = {nodes}\nhash_type = md5all\n"
    )
    sets.write(source, {"bert": "rclone = remote:bert\nsymlinks = no"}, required=1)
    sets.run()
    spoil(nodes / "bert" / "file-3.rclone_chunk.001", rng)
    settle(source)
    assert ends(sets.run("--checksum"))["bert"]["files"] == 0
    assert ends(sets.run("--verify", "1", status=LOST))["bert"]["different"] == 1
    if not known:
        state = sets.state()
        del state["nodes"]["bert"]["different"]
        (sets.state_folder / "home.json").write_text(json.dumps(state))
    sent = ends(sets.run())["bert"]["files"]
    assert sent == 1 if known else sent > 1
    assert ends(sets.run("--verify", "1"))["bert"]["different"] == 0


@needs_rclone
def test_a_difference_is_not_looked_for_twice(sets, source, nodes, rng):
    """rclone ends with an error where it finds one, which is no reason to try again."""
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    sets.write(source, {"bert": "rclone = remote:bert\nretries = 2"}, required=1)
    sets.run()
    spoil(nodes / "bert" / "file-3", rng)
    settle(source)
    result = sets.run("--verify", "1", status=LOST)
    assert [line["path"] for line in result.json if line["message_type"] == "file"] == ["file-3"]


def test_a_part_is_a_part(sets, tmp_path, nodes, rng):
    for number in range(200):
        trees.write_file(tmp_path / "source" / f"{number}", rng.randbytes(10))
    sets.write(tmp_path / "source", local(nodes, NAMES))
    settle(tmp_path / "source")
    result = sets.run("--verify", "20%")
    compared = [node["compared"] for node in ends(result).values()]
    assert all(5 <= count <= 100 for count in compared), compared
    # Of few files, one at least.
    result = sets.run("--verify", "0.0000001")
    assert [node["compared"] for node in ends(result).values()] == [1, 1, 1]


# Runs that meet, and runs that are ended


def slow_run(sets, source, nodes, rng, *words):
    """One that takes long: its second node is slow. Returns it once that has begun."""
    large_file(source, rng)
    targets = local(nodes, NAMES)
    targets["bert"] += "\nbwlimit = 10K"
    sets.write(source, targets)
    process = sets.start(*words)
    seen = b""
    while b'"node":"bert"' not in seen:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        seen += line
    return process, seen


def test_two_runs_of_one_set(sets, source, nodes, rng):
    process, seen = slow_run(sets, source, nodes, rng)
    try:
        second = commands.run("sync", "-c", sets.file, status=FAILED, env=sets.environment)
        assert "zfec-fs: home: another run of this set is under way; wait for its end\n" == (
            second.errors
        )
    finally:
        process.send_signal(signal.SIGINT)
        commands.finish(process, seen)
    sets.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(sets, source, nodes, tmp_path, rng, number):
    process, seen = slow_run(sets, source, nodes, rng)
    assert mounts_module.mounted_beneath(sets.runtime)
    (private,) = sets.runtime.iterdir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    process.send_signal(number)
    result = commands.finish(process, seen)
    assert result.status == FAILED
    assert "stopping; what is done stays done" in result.errors
    assert ends(result)["bert"]["error"] == "it was stopped"
    sets.nothing_left()
    assert syncing.programs_of(sets.folder) == []
    assert sets.state()["nodes"]["bert"]["up_to_date"] is False
    sets.write(source, local(nodes, NAMES))
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path)


def processes_of(process):
    """All that descend from it."""
    found, more = [], [process.pid]
    while more:
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", ",".join(map(str, more))],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        more = [int(pid) for pid in children.stdout.split()]
        found += more
    return found


def test_killed_a_run_leaves_nothing(sets, source, nodes, rng):
    process, _ = slow_run(sets, source, nodes, rng)
    descendants = processes_of(process)
    process.kill()
    process.communicate()
    for pid in descendants:
        assert mounts_module.wait_for_exit(pid)
    sets.nothing_left()
    syncing.wait_until_programs_end(sets.folder)


def test_after_all_was_killed_the_next_run_cleans_up(sets, source, nodes, tmp_path, rng):
    process, _ = slow_run(sets, source, nodes, rng)
    stopped = [process.pid, *processes_of(process)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):  # one of a node that is done
                os.kill(pid, number)
    process.communicate()
    for pid in stopped:
        assert mounts_module.wait_for_exit(pid)
    assert mounts_module.mounted_beneath(sets.runtime)
    # What rsync was writing when it was killed is deleted like all that is not in the source.
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path)


def test_usr1_tells_how_far_it_is(sets, source, nodes, rng):
    process, seen = slow_run(sets, source, nodes, rng)
    process.send_signal(signal.SIGUSR1)
    told = process.stderr.readline()
    while b"home/bert" not in told:
        told = process.stderr.readline()
    assert re.match(rb"home/bert 01 running, [\d,]+ files?, .*/s", told)
    process.send_signal(signal.SIGINT)
    assert commands.finish(process, seen).status == FAILED


def test_lines_on_a_terminal(sets, source, nodes, rng):
    """One for each node, in place; in the end what came of them."""
    large_file(source, rng, 600_000)
    targets = local(nodes, NAMES)
    targets["bert"] += "\nbwlimit = 200K"
    sets.write(source, targets)
    screen, theirs = pty.openpty()
    process = subprocess.Popen(
        sets.command(), stdin=theirs, stdout=theirs, stderr=theirs,
        env={**sets.environment, "TERM": "xterm", "NO_COLOR": "1"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(screen, 65536):
            shown += part
    except OSError:
        pass  # its other end is closed
    os.close(screen)
    assert process.wait() == OK
    text = shown.decode()
    assert re.search(r"home/bert 01 running, [\d,]+ files?, \d[\d.]* [kM]?B(ytes)?.*/s", text)
    assert "\x1b[A" in text
    last = re.sub(r"\x1b\[[AK]", "", text.rpartition("\x1b[K")[2]).replace("\r", "").splitlines()
    assert [line.partition(";")[0] for line in last] == [
        "home/anna 00 up to date", "home/bert 01 up to date", "home/carl 02 up to date",
        "home: 3 of 3 nodes are up to date, 2 are enough",
    ]  # fmt: skip


# The file of sets

GOOD = """[home]
source = /
required = 1
[home/a]
share = 00
rsync = host:path
[home/b]
share = 01
rclone = remote:path
"""


def with_line(number, line, text=GOOD):
    """TEXT with one more line before line NUMBER."""
    lines = text.splitlines()
    lines.insert(number - 1, line)
    return "\n".join(lines) + "\n"


WRONG = {
    "unknown key": (
        with_line(4, "speed = 3"), 4, "speed: unknown key; zfec-fs-sets(5) has them all"),
    "no key": (with_line(4, "delete"), 4, "write key = value, or [SET], or [SET/NODE]"),
    "no value": (with_line(4, "delete ="), 4, "delete: write a value behind the ="),
    "no section": ("source = /\n", 1, "source: write a [section] before it"),
    "section without end": (with_line(4, "[home"), 4, 'this section has no "]" at its end'),
    "empty section": (GOOD + "[empty]\n", 10, "[empty]: write source = DIR, what to keep in sync"),
    "empty section before another": (
        with_line(4, "[home/c]"), 4, "[home/c]: write share = 00, or another one"),
    "long section": (
        GOOD + f"[{'x' * 50}]\nsource = /\n", 10, "give a name of at most 49 bytes"),
    "name of a set": (
        GOOD + "[a b]\nsource = /\n", 10,
        "[a b]: write [SET] or [SET/NODE], names of letters, digits, . _ and -"),
    "name that leads elsewhere": (
        GOOD + "[..]\nsource = /\n", 10,
        "[..]: write [SET] or [SET/NODE], names of letters, digits, . _ and -"),
    "set twice": (GOOD + "[home]\nsource = /\n", 10, "[home] is there already; write another name"),
    "node twice": (
        GOOD + "[home/a]\nshare = 02\n", 10, "[home/a] is there already; write another name"),
    "node before its set": (
        "[x/a]\nshare = 00\n", 1, "[x/a]: write the section [x] before its nodes"),
    "two nodes with one share": (
        GOOD.replace("share = 01", "share = 00"), 8,
        "share = 00: [home/a] has it already; write another one"),
    "index of 256": (
        GOOD.replace("share = 01", "share = 100"), 8,
        "share = 100: write two hex digits, 00 to ff"),
    "index beyond shares": (
        with_line(4, "shares = 1"), 9, "share = 01: [home] has shares = 1; write 00 to 00"),
    "more required than nodes": (
        GOOD.replace("required = 1", "required = 3"), 3,
        "required = 3: [home] has 2 nodes; write more, or less"),
    "required of 256": (
        GOOD.replace("required = 1", "required = 256"), 3,
        "required = 256: write a whole number from 1 to 255"),
    "required of 0": (
        GOOD.replace("required = 1", "required = 0"), 3,
        "required = 0: write a whole number from 1 to 255"),
    "shares of 257": (
        with_line(4, "shares = 257"), 4, "shares = 257: write a whole number from 1 to 256"),
    "required missing": (
        GOOD.replace("required = 1\n", ""), 1,
        "[home]: write required = K, how many nodes are enough"),
    "source missing": (
        GOOD.replace("source = /\n", ""), 1, "[home]: write source = DIR, what to keep in sync"),
    "share missing": (
        GOOD.replace("share = 01\n", ""), 7,
        "[home/b]: write share = 00, or another one"),
    "target missing": (
        GOOD.replace("rclone = remote:path\n", ""), 7,
        "[home/b]: write rsync = HOST:PATH or rclone = REMOTE:PATH"),
    "two targets": (
        GOOD + "rsync = host:other\n", 10,
        "rsync = host:other: this node has a target already; write either rsync or rclone"),
    "one target twice": (
        GOOD.replace("rclone = remote:path", "rsync = host:path"), 9,
        "rsync = host:path: [home/a] is there already; write another place"),
    "target of another set": (
        GOOD + "[b]\nsource = /\nrequired = 1\n[b/x]\nshare = 00\nrsync = host:path/\n", 15,
        "rsync = host:path/: [home/a] is there already; write another place"),
    "target in another": (
        GOOD.replace("rclone = remote:path", "rsync = host:path/more"), 9,
        "rsync = host:path/more: [home/a] is there already; write another place"),
    "target around another": (
        GOOD + "[home/c]\nshare = 02\nrclone = remote:\n", 12,
        "rclone = remote:: [home/b] is there already; write another place"),
    "key twice": (with_line(4, "source = /"), 4, "source: it is there twice; leave one out"),
    "key of a node": (with_line(4, "share = 00"), 4, "share: write it in the section of a node"),
    "key of a set": (GOOD + "format = fec\n", 10, "format: write it in the section of a set"),
    "relative source": (
        GOOD.replace("source = /", "source = home"), 2,
        "source = home: write an absolute path"),
    "format": (with_line(4, "format = x"), 4, "format = x: write checked, classic or fec"),
    "block size": (
        with_line(4, "block_size = 5K"), 4,
        "block_size = 5K: write a power of two from 4K to 1M"),
    "truth": (with_line(4, "delete = 1"), 4, "delete = 1: write yes or no"),
    "torn": (with_line(4, "torn = yes"), 4, "torn = yes: write allow or error"),
    "number": (
        with_line(4, "retries = many"), 4,
        "retries = many: write a whole number from 0 to 100"),
    "negative": (
        with_line(4, "max_delete = -1"), 4,
        "max_delete = -1: write a whole number from 1 to 1000000000"),
    "time": (
        with_line(4, "deadline = 5w"), 4,
        "deadline = 5w: write a time like 90s, 15m, 6h or 2d, at most 30 days"),
    "long time": (
        with_line(4, "timeout = 2d"), 4,
        "timeout = 2d: write a time like 90s, 15m, 6h or 2d, at most 1 days"),
    "rate": (
        with_line(4, "bwlimit = 500"), 4,
        "bwlimit = 500: write bytes a second like 500K or 2M"),
    "exclude_from": (
        with_line(4, "exclude_from = /nowhere"), 4,
        "exclude_from = /nowhere: No such file or directory; "
        "write the path of a file with a pattern a line"),
    "relative key": (
        with_line(7, "ssh_key = id"), 7, "ssh_key = id: write an absolute path"),
    "option as a target": (
        GOOD.replace("host:path", "-e:sh"), 6,
        'rsync = -e:sh: write a target that does not begin with "-"'),
    "option as a host": (
        GOOD.replace("host:path", "me@-oProxyCommand=x:path"), 6,
        'rsync = me@-oProxyCommand=x:path: write a host that does not begin with "-"'),
    "option as a daemon": (
        GOOD.replace("host:path", "rsync://-x/y"), 6,
        'rsync = rsync://-x/y: write a host that does not begin with "-"'),
    "option as a remote": (
        GOOD.replace("remote:path", "--config=x:y"), 9,
        'rclone = --config=x:y: write a target that does not begin with "-"'),
    "relative target": (
        GOOD.replace("host:path", "some/path"), 6,
        "rsync = some/path: write HOST:PATH, rsync://HOST/MODULE/PATH or an absolute path"),
    "host without a path": (
        GOOD.replace("host:path", "host:"), 6,
        "rsync = host:: write HOST:PATH, rsync://HOST/MODULE/PATH or an absolute path"),
    "climbing target": (
        GOOD.replace("host:path", "/some/../path"), 6,
        "rsync = /some/../path: write a path without .."),
    "directory as a remote": (
        GOOD.replace("remote:path", "/some/path"), 9,
        "rclone = /some/path: write REMOTE:PATH; "
        "for a directory of this machine write rsync = instead"),
    "control character": (
        GOOD.replace("host:path", "host:\x1bpath"), 6,
        "rsync = host:\\x1bpath: write it without control characters"),
    "long line": (
        with_line(4, f"exclude = {'x' * 9000}"), 4,
        "give a line of less than 8190 bytes, without NUL"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_line(sets, name):
    text, line, message = WRONG[name]
    sets.file.write_text(text)
    result = sets.run(status=USAGE)
    assert result.errors == f"zfec-fs: {sets.file}:{line}: {message}\n"
    assert result.json == []
    assert not sets.state_folder.exists()


def test_the_good_one_is_good(sets, source, nodes):
    """What the wrong ones differ from; and comments, spaces and a byte order mark."""
    sets.file.write_text(
        "\ufeff; home\n# of all\n\n  [home]  \n source=" + str(source) + "\nrequired = 2\n"
        "exclude = a;b ; c\n"
        f"[home/a]\nshare = 00\nrsync = {nodes}/b # b\n"
        f"[home/b]\r\nshare = 01\r\nrsync={nodes}/b\r\n"
    )
    sets.run()
    assert sorted(os.listdir(nodes)) == ["b", "b # b"]


def test_a_file_that_is_not_there(sets):
    result = sets.run(status=FAILED)
    assert result.errors == (
        f"zfec-fs: {sets.file}: there is no such file; write one after the example in "
        "zfec-fs-sets(5), or name another with --config\n"
    )


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_a_file_that_is_none(sets, tmp_path, kind):
    """Reading it might never end."""
    path = {"fifo": tmp_path / "fifo", "folder": tmp_path, "device": "/dev/zero"}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    done = commands.run("sync", "-c", path, status=USAGE, env=sets.environment)
    assert done.errors == f"zfec-fs: {path}: is not a file; give the path of one\n"


def test_a_file_without_sets(sets):
    sets.file.write_text("; nothing\n")
    assert "has no sets" in sets.run(status=USAGE).errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root has another default")
def test_default_file_of_a_user(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    place = sets.folder / "zfec-fs" / "sets.ini"
    place.parent.mkdir()
    sets.file.rename(place)
    environment = {**sets.environment, "XDG_CONFIG_HOME": str(sets.folder)}
    done = mounts_module.run("sync", env=environment)
    assert done.returncode == OK


# How rsync, ssh and rclone are called


def recorder(tmp_path, name):
    """A program that writes its words down, and ends well."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    program = tools / name
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{tmp_path}/{name}.words"\nexit 0\n')
    program.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def words_of(tmp_path, name):
    return (tmp_path / f"{name}.words").read_text().splitlines()


def test_what_is_passed_on_to_rsync(sets, source, tmp_path):
    key = tmp_path / "a key's"
    sets.write(source, {
        "a": f"rsync = me@host:some path\nssh_key = {key}\nbwlimit = 500K\ntimeout = 9",
        "b": "rsync = rsync://host/module/path\npassword_file = /secret\n"
             "delete = yes\nmax_delete = 7",
    })  # fmt: skip
    sets.run(environment=recorder(tmp_path, "rsync"))
    words = words_of(tmp_path, "rsync")
    quoted = str(key).replace("'", "''")
    shell = [word for word in words if word.startswith("--rsh=")]
    assert shell == [
        "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=9 -o ServerAliveInterval=4"
        f" -i '{quoted}'"
    ] * 3
    for word in ("--bwlimit=500K", "--timeout=10", "me@host:some path/", "--password-file=/secret",
                 "rsync://host/module/path/"):  # fmt: skip
        assert words.count(word) == 3, word  # asking, copying, looking for what was left
    assert words.count("--delete-delay") == words.count("--max-delete=7") == 1
    assert words.count("--") == 6
    # What was there before is not made again: see the disk that is not mounted.
    sets.run(environment=recorder(tmp_path, "rsync"))
    assert "rsync://host/module/path/./" in words_of(tmp_path, "rsync")


def test_what_is_passed_on_to_rclone(sets, source, tmp_path):
    sets.write(source, {
        "a": "rclone = one:a\nbwlimit = 2M\nrclone_config = /c\nmetadata = yes",
        "b": "rclone = two:b\ndelete = yes\nsymlinks = no",
    })  # fmt: skip
    sets.run(environment=recorder(tmp_path, "rclone"))
    words = words_of(tmp_path, "rclone")
    assert {"copy", "sync", "one:a", "two:b", "--bwlimit=2M", "--config=/c"} <= {*words}
    assert words.count("--metadata") == 1
    # Asking, copying, looking for what was left.
    assert words.count("--links") == words.count("--skip-links") == 3
    assert words.count("--max-delete=1000") == 1


def test_a_child_has_clean_signals_and_no_other_files(sets, source, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "rsync"
    program.write_text(
        f"#!/bin/sh\ngrep ^Sig /proc/self/status >{tmp_path}/signals\n"
        f"ls -l /proc/self/fd >{tmp_path}/files\nps -o pid=,pgid=,sid= -p $$ >{tmp_path}/group\n"
    )
    program.chmod(0o755)
    sets.write(source, {"a": "rsync = h:p"}, required=1)
    sets.run(environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    signals = dict(
        line.split(":\t") for line in (tmp_path / "signals").read_text().splitlines()
    )
    assert int(signals["SigBlk"], 16) == 0
    assert int(signals["SigIgn"], 16) == 0
    opened = re.findall(r" (\d+) -> (\S+)", (tmp_path / "files").read_text())
    assert {number for number, _ in opened} <= {"0", "1", "2", "3"}  # the last is of ls itself
    assert dict(opened)["0"] == "/dev/null"
    # A session of its own: no terminal to ask for a password on.
    pid, group, session = (tmp_path / "group").read_text().split()
    assert pid == group == session


# What is installed for systemd


@pytest.fixture(scope="module")
def installed(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        ["meson", "install", "-C", binary.parent, "--no-rebuild", "--quiet", "--destdir", folder],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def installed_at(folder, name):
    (path,) = folder.rglob(name)
    return path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is missing")
@pytest.mark.parametrize("unit", [
    "zfec-fs-sync@.service", "zfec-fs-sync@.timer", "mnt-zfec.mount", "mnt-restored.mount",
])  # fmt: skip
def test_units(binary, installed, tmp_path, unit):
    """Each with the others beside it, and the program where it really is."""
    for name in ("zfec-fs-sync@.service", "zfec-fs-sync@.timer", unit):
        text = installed_at(installed, name).read_text()
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={binary}", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", tmp_path / unit]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "zfec" in line or "mnt-" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is missing")
def test_units_could_be_wrong(tmp_path):
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/nowhere\nType=twice\n")
    command = ["systemd-analyze", "verify", "--man=no", unit]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "wrong.service" in done.stderr


def test_the_service_runs_what_is_installed(installed):
    text = installed_at(installed, "zfec-fs-sync@.service").read_text()
    program = re.search(r"^ExecStart=(\S+) sync -- %i$", text, re.MULTILINE)[1]
    assert (installed / program.lstrip("/")).is_file()


def test_lines_of_fstab(installed):
    text = installed_at(installed, "fstab").read_text()
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [(len(line), line[2]) for line in lines] == [(6, "fuse.zfec-fs")] * 2
    if shutil.which("findmnt"):
        done = subprocess.run(
            ["findmnt", "--tab-file", installed_at(installed, "fstab"), "-n", "-o", "TARGET"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.split() == ["/mnt/zfec", "/mnt/restored"]


# The manual


def test_the_manual_has_all_keys():
    text = (mounts_module.REPOSITORY / "src" / "sync" / "sets.c").read_text()
    known = set(re.findall(r'^    \{"(\w+)", VALUE_', text, re.MULTILINE))
    page = (mounts_module.REPOSITORY / "docs" / "zfec-fs-sets.5.scd").read_text()
    keys = page.partition("# KEYS OF A SET")[2].partition("# WHAT IS SENT")[0]
    heads = re.findall(r"^(\*\w+\*(?:, \*\w+\*)*)$", keys, re.MULTILINE)
    assert {key for head in heads for key in re.findall(r"\w+", head)} == known
    assert len(known) > 20


def example_of_the_manual():
    page = (mounts_module.REPOSITORY / "docs" / "zfec-fs-sets.5.scd").read_text()
    return page.split("```\n")[1]


def example_of_the_readme():
    text = (mounts_module.REPOSITORY / "README.md").read_text()
    lines = text.partition("## Keep many places in sync")[2].partition("`zfec-fs sync`")[0]
    return "".join(re.findall(r"^ {4}(.*\n)", lines, re.MULTILINE))


@pytest.mark.parametrize("example", [example_of_the_manual, example_of_the_readme])
def test_examples_are_right(sets, example):
    sets.file.write_text(example())
    errors = sets.run("another", status=USAGE).errors
    assert errors == f"zfec-fs: another: there is no such set in {sets.file}; it has home\n"
