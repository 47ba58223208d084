# SPDX-License-Identifier: MIT
"""No key is made, and nothing written, where shares of another key or plain ones are, or may be."""

import shutil

import pytest

import commands
import keyfiles
import mounts as mounts_module
import sealed_sets
import syncing
import trees
from commands import FAILED, LOST, OK, USAGE
from sealed_sets import files, key_of, new_key, rsync_differences, write
from set_places import run
from syncing import NAMES, local, needs_rclone
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


@pytest.fixture
def home(sets, source, nodes):  # noqa: F811
    """A set that is in sync with directories of this machine."""
    write(sets, source, local(nodes, NAMES), "delete = yes")
    sets.run()
    return sets


def lose_state(sets):  # noqa: F811
    shutil.rmtree(sets.folder / "state")


def reasons(done):
    return {name: line["error"] for name, line in syncing.ends(done).items() if not line["up_to_date"]}


def set_id(sets):  # noqa: F811
    master = bytes.fromhex(key_of(sets).read_text().split("master ")[1][:64])
    return keyfiles.expand(master, b"id", 16).hex()


@pytest.mark.parametrize("left", ["key", "zset", "broken key"])
def test_a_key_that_is_missing(home, nodes, left):  # noqa: F811
    """One node that tells of a key is enough; the way to have it again is said."""
    lose_state(home)
    if left != "key":
        for path in list(nodes.rglob("key" if left == "zset" else "zset")):
            path.unlink()
    if left == "broken key":
        (nodes / "anna" / "key").write_bytes(b"broken")
        for name in NAMES[1:]:
            (nodes / name / "key").unlink()
    before = files(nodes)
    errors = home.run(status=FAILED).errors
    assert errors == (
        f"zfec-fs: home: its key, {key_of(home)}, is not there, but node anna holds shares that are sealed "
        "with one, so none is made: to have the same one from any k nodes: zfec-fs key recover --config "
        f"{home.file} home: {key_of(home)}\n")
    assert not key_of(home).exists() and files(nodes) == before
    if left == "key":
        commands.run(*errors.strip().rpartition(": zfec-fs ")[2].split(), env=home.environment)
        home.run()
        assert files(nodes) == before


def test_a_node_that_cannot_be_asked(sets, source, nodes):  # noqa: F811
    """It may hold shares of an earlier key. That none does, the user alone can say."""
    places = {**local(nodes, NAMES[:2]), "carl": "rsync = rsync://127.0.0.1:1/data/carl"}
    write(sets, source, places, "retries = 0")
    errors = sets.run(status=FAILED).errors
    assert "home/carl: " in errors and "make all nodes reachable" in errors
    command = errors.strip().rpartition(": zfec-fs ")[2]
    assert command == f"key new {key_of(sets)}" and list(nodes.iterdir()) == []
    commands.run(*command.split(), noisy=True, env=sets.environment)
    sets.run(status=commands.DAMAGED)
    assert (nodes / "anna" / "key").exists()


def test_a_disk_that_is_not_mounted(sets, source, nodes):  # noqa: F811
    """What the node lies in is gone: it may be back with shares."""
    write(sets, source, {**local(nodes, NAMES[:2]), "carl": f"rsync = {nodes}/mnt/carl"})
    assert "home/carl: " in sets.run(status=FAILED).errors
    assert not key_of(sets).exists() and list(nodes.iterdir()) == []


def test_a_set_that_was_in_sync(home, nodes):  # noqa: F811
    """Its nodes are empty now, or other disks; its shares may be elsewhere."""
    key_of(home).unlink()
    for name in NAMES:
        shutil.rmtree(nodes / name)
        (nodes / name).mkdir()
    assert "but this set was in sync before, so none is made" in home.run(status=FAILED).errors
    assert not list(nodes.rglob("*/*"))


@pytest.mark.parametrize("kind", ["rsync", pytest.param("rclone", marks=needs_rclone)])
@pytest.mark.parametrize("words", [[], ["--adopt"], ["--checksum"]])
def test_shares_of_another_key(sets, source, nodes, kind, words):  # noqa: F811
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    place = "rclone = cloud:{}" if kind == "rclone" else f"rsync = {nodes}/{{}}"
    write(sets, source, {name: place.format(name) for name in NAMES})
    sets.run()
    before = files(nodes)
    for forgotten in (False, True):
        new_key(key_of(sets))
        if forgotten:
            (sets.state_folder / "home.json").unlink()
        done = sets.run(*words, status=LOST)
        assert reasons(done) == dict.fromkeys(
            NAMES, "it holds shares that are sealed with another key; nothing is written there: give that "
            "key, or another place")  # fmt: skip
        assert files(nodes) == before


def test_a_place_that_is_not_empty(sets, source, nodes):  # noqa: F811
    trees.write_file(nodes / "anna" / "letter", b"mine")
    write(sets, source, local(nodes, NAMES))
    done = sets.run(status=commands.DAMAGED)
    assert list(reasons(done)) == ["anna"] and "its place is not empty (1 name)" in reasons(done)["anna"]
    assert files(nodes / "anna") == {"letter": b"mine"} and (nodes / "bert" / "key").exists()


@pytest.mark.parametrize("known", [True, False], ids=["known", "forgotten"])
@pytest.mark.parametrize("first", ["plain", "sealed"])
def test_sealed_and_plain_shares_are_not_mixed(sets, source, nodes, first, known, tmp_path):  # noqa: F811
    """Plain ones would stay readable, or be gone before enough sealed ones are there. New places do."""
    more = {"plain": "delete = yes", "sealed": "delete = yes\nformat = sealed"}
    second = {"plain": "sealed", "sealed": "plain"}[first]
    sets.write(source, local(nodes, NAMES), more=more[first])
    sets.run()
    before = files(nodes)
    if not known and first == "sealed":
        return  # as with any tree that is there, half of the names would be deleted
    if not known:
        (sets.state_folder / "home.json").unlink()
    sets.write(source, local(nodes, NAMES), more=more[second])
    done = sets.run(status=FAILED if known else LOST)
    if known:
        assert f"home: node anna holds {first} shares, and format = " in done.errors
    else:
        assert all("its place is not empty" in reason for reason in reasons(done).values())
    assert files(nodes) == before
    (nodes / "new").mkdir()
    sets.write(source, local(nodes / "new", NAMES), more=more[second])
    sets.run()
    run(sets, "decode", "home:", tmp_path / "back")
    assert rsync_differences(source, tmp_path / "back") == ""


def test_a_set_that_is_pinned(home, source, nodes, tmp_path):  # noqa: F811
    own = set_id(home)
    write(home, source, local(nodes, NAMES), f"id = {own}")
    home.run()
    run(home, "decode", "home:", tmp_path / "back")
    write(home, source, local(nodes, NAMES), f"id = {'0' * 32}")
    assert f"home: id = {'0' * 32} is of another set than its key, which is of {own}" in home.run(status=FAILED).errors
    errors = run(home, "decode", "home:", tmp_path / "none", status=USAGE).errors
    assert f"id={'0' * 32}: no store holds shares of that set" in errors
    other = new_key(tmp_path / "other.key")
    done = mounts_module.run("decode", "--key", other, "--id", own, nodes, tmp_path / "none")
    assert done.returncode == USAGE and f"and id={own} is another; give one of both" in done.stderr
    key_of(home).unlink()
    assert "id = names the set that is meant, so none is made" in home.run(status=FAILED).errors


@pytest.mark.parametrize("by", ["decode", "mount"])
def test_two_sets_among_the_stores(sets, source, nodes, tmp_path, mounts, by):  # noqa: F811
    """Both could be opened: which one is meant has to be said."""
    other = tmp_path / "other"
    trees.write_file(other / "file", b"of another set")
    write(sets, source, local(nodes, ["a0", "a1"]))
    sets.run()
    write(sets, other, local(nodes, ["b0", "b1"]), name="more")
    sets.run()
    done = mounts_module.run("decode", nodes, tmp_path / "none")
    assert done.returncode == USAGE and not (tmp_path / "none").exists()
    ids = {}
    for name in ("home", "more"):
        master = bytes.fromhex(key_of(sets, name).read_text().split("master ")[1][:64])
        ids[name] = keyfiles.expand(master, b"id", 16).hex()
    for name, tree, prefix in (("home", source, "b"), ("more", other, "a")):
        if by == "decode":
            done = mounts_module.run("decode", "--id", ids[name], nodes, tmp_path / name)
            assert done.returncode == OK, done.stderr
            found, log = tmp_path / name, done.stderr
        else:
            mount = mounts.restored(nodes, id=ids[name])
            mount.expect_log("is left out: it holds shares of another set", count=2)
            found, log = mount.path, None
        assert rsync_differences(tree, found) == ""
        for index in range(2 if log else 0):
            assert f"{nodes}/{prefix}{index} is left out: it holds shares of another set" in log


def test_plain_stores_where_an_id_is_given(sets, source, nodes, tmp_path):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    done = mounts_module.run("decode", "--id", "0" * 32, nodes, tmp_path / "none")
    assert done.returncode == USAGE and "do not hold sealed shares; leave the id out" in done.stderr


@pytest.mark.parametrize("what", ["none", "dir/none", "file 1"])
@pytest.mark.parametrize("command", ["decode", "restore"])
def test_a_part_that_is_no_directory(home, source, tmp_path, command, what):  # noqa: F811
    (source / "file 1").write_text("here")
    home.run()
    (tmp_path / "mnt").mkdir()
    words = ["decode", "--config", home.file, f"home:{what}", tmp_path / "out"] if command == "decode" else [
        "-f", "-o", f"restore,config={home.file}", f"home:{what}", tmp_path / "mnt"]  # fmt: skip
    done = mounts_module.run(*words, env=home.environment)
    reason = "not a directory; give the one that it is in" if what == "file 1" else "No such file or directory"
    assert done.returncode == FAILED and done.stderr == f"zfec-fs: home:{what}: {reason}\n"
    assert not (tmp_path / "out").exists()


def test_the_key_is_not_of_a_part(home, tmp_path):
    done = mounts_module.run("key", "recover", "--config", home.file, "home:dir", tmp_path / "key", env=home.environment)
    assert done.returncode == USAGE and "home:dir: the key is that of the whole set: give home:" in done.stderr


WRONG = {
    "key_on_nodes = no": "key, key_on_nodes, passphrase_file and id are of sealed shares",
    "key = /x": "key, key_on_nodes, passphrase_file and id are of sealed shares",
    "format = sealed\nkey = x": "key = x: write an absolute path",
    "format = sealed\nid = 12": "id = 12: write the 32 digits that zfec-fs key show shows",
    "format = sealed\nshares = 256": "[home]: sealed shares are 255 at most, 00 to fe",
    "format = sealed\nkey_on_nodes = maybe": "key_on_nodes = maybe: write yes or no",
}


@pytest.mark.parametrize("more", WRONG)
def test_sections_that_make_no_sense(sets, source, nodes, more):  # noqa: F811
    sets.write(source, local(nodes, NAMES), more=more)
    assert WRONG[more] in sets.run(status=USAGE).errors


def test_one_node_must_not_have_the_key(sets, source, nodes):  # noqa: F811
    write(sets, source, local(nodes, NAMES), required=1)
    errors = sets.run(status=USAGE).errors
    assert "with required = 1 each node alone would have the key; write key_on_nodes = no" in errors
