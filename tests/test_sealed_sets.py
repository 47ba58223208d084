# SPDX-License-Identifier: MIT
"""Sets whose shares are sealed: the first run makes the key, and any k nodes give everything back."""

import os
import re
import shutil
import stat
import subprocess

import pytest

import commands
import mounts as mounts_module
import sealed_sets
import syncing
import trees
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from sealed_sets import files, key_of, moves, rsync_differences, write
from set_places import everywhere, install, needs_sshfs, run
from syncing import NAMES, local, needs_rclone
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

# It fails before it sends contents.
FAILS_TO_SEND = f"""#!/bin/sh
case "$*" in *--exclude=zmanifest*) exit 12;; esac
exec {shutil.which("rsync")} "$@"
"""


@pytest.fixture
def home(sets, source, nodes):  # noqa: F811
    """A set that is in sync with directories of this machine."""
    write(sets, source, local(nodes, NAMES), "delete = yes")
    sets.run()
    return sets


def as_text(sets, *words):  # noqa: F811
    return mounts_module.run(*words, env=sets.environment)


def test_the_first_run_makes_the_key(sets, source, nodes, tmp_path):  # noqa: F811
    write(sets, source, local(nodes, NAMES))
    done = as_text(sets, "sync", "-c", sets.file)
    assert done.returncode == OK, done.stderr
    assert done.stdout.splitlines()[0] == (
        f"home: made the key of the set, {key_of(sets)}, which nobody but you can read. Any 2 of its "
        "nodes together have it, too, so that there is nothing to remember.")
    assert stat.S_IMODE(key_of(sets).stat().st_mode) == 0o600
    kept = key_of(sets).read_bytes()
    for index, name in enumerate(NAMES):
        found, expected = sealed_sets.share_of(sets, source, nodes, name, index, 3, tmp_path)
        assert found.pop("zset") and found == expected and len(found["key"]) == 128
    done = as_text(sets, "sync", "-c", sets.file)
    assert "key" not in done.stdout and "0 files, 0 bytes sent" in done.stdout
    assert key_of(sets).read_bytes() == kept


def test_a_dry_run_makes_none(sets, source, nodes):  # noqa: F811
    write(sets, source, local(nodes, NAMES))
    done = as_text(sets, "sync", "--dry-run", "-c", sets.file)
    assert f"home: there is no key yet; the first run makes {key_of(sets)}" in done.stdout
    assert "would be sent: zmanifest" in done.stdout
    assert not key_of(sets).exists() and list(nodes.iterdir()) == []


@pytest.mark.parametrize("more", ["", "describe = no", "key_on_nodes = no"])
def test_a_first_run_that_fails_goes_on(sets, source, nodes, more):  # noqa: F811
    write(sets, source, local(nodes, NAMES), f"retries = 0\n{more}")
    install(sets, "rsync", FAILS_TO_SEND)
    sets.run(status=LOST)
    assert set(files(nodes / "anna")) == {"key", "zset"} - {"zset" if "describe" in more else "key"} | (
        set() if more else {"key"})
    sets.environment["PATH"] = os.environ["PATH"]
    sets.run()


def test_another_place_for_the_key(sets, source, nodes, tmp_path):  # noqa: F811
    write(sets, source, local(nodes, NAMES), f"key = {tmp_path}/my.key")
    sets.run()
    assert (tmp_path / "my.key").exists() and not key_of(sets).exists()
    run(sets, "decode", "home:", tmp_path / "back")
    assert rsync_differences(source, tmp_path / "back") == ""


def test_a_key_in_a_node_is_refused(sets, source, nodes):  # noqa: F811
    (nodes / "anna").mkdir()
    write(sets, source, local(nodes, NAMES), f"key = {nodes}/anna/set.key")
    assert "lies in the node anna; choose another place" in sets.run(status=FAILED).errors
    assert list((nodes / "anna").iterdir()) == []


@needs_sshfs
@needs_rclone
def test_all_is_lost_but_k_nodes(sets, source, nodes, tmp_path):  # noqa: F811
    """A directory, a host behind ssh, a remote of rclone's, and a daemon: state and file are gone."""
    with syncing.rsync_daemon(nodes) as port:
        places = {**everywhere(sets, nodes), "dora": f"rsync = rsync://127.0.0.1:{port}/data/dora"}
        write(sets, source, places)
        sets.run()
        shutil.rmtree(sets.folder / "state")
        sets.file.unlink()
        words = {"anna": nodes / "anna", "bert": f"me@host:{nodes}/bert", "carl": "cloud:carl",
                 "dora": f"rsync://127.0.0.1:{port}/data/dora"}  # fmt: skip
        for name, place in words.items():
            sets.file.unlink(missing_ok=True)
            done = run(sets, "recover", place)
            (told,) = [line["set"] for line in done.json if line["message_type"] == "summary"]
            assert [line["agrees"] for line in done.json if line["message_type"] == "node"] == 4 * [True], name
        for lost in [("anna", "bert"), ("anna", "carl"), ("carl", "dora"), ("bert", "dora")]:
            for name in lost:
                (nodes / name).rename(nodes / f"{name}.lost")
            back = tmp_path / "-".join(lost)
            run(sets, "decode", f"{told}:", back)
            assert rsync_differences(source, back) == ""
            for name in lost:
                (nodes / f"{name}.lost").rename(nodes / name)


def test_a_recovered_set_goes_on(home, source, nodes, tmp_path):  # noqa: F811
    """With the key from the nodes, and a name that nodes can know."""
    shutil.rmtree(home.folder / "state")
    home.file.unlink()
    run(home, "recover", nodes / "bert")
    name = home.file.read_text().splitlines()[0].strip("[]")
    text = home.file.read_text().replace("format = sealed", f"format = sealed\nsource = {source}", 1)
    home.file.write_text(text)
    done = home.run(status=FAILED)
    command = f"zfec-fs key recover --config {home.file} {name}: {key_of(home, name)}"
    assert done.errors.endswith(f"to have the same one from any k nodes: {command}\n")
    commands.run(*command.split()[1:], env=home.environment)
    done = home.run("-v")
    assert set(syncing.health(done, name).values()) == {True}
    assert all(moves(done, f"{index:02x}") == [] for index in range(3))


def test_nothing_plain_is_told(sets, nodes, tmp_path):  # noqa: F811
    """What nodes hold together names neither the set, nor nodes, nor the source, nor what is in it."""
    folder = tmp_path / "very-private"
    trees.write_file(folder / "secretname" / "hiddenfile", b"confidential" * 100)
    write(sets, folder, {"annasdisk": f"rsync = {nodes}/a", "bobsdisk": f"rsync = {nodes}/b"}, name="myset")
    sets.run()
    words = [b"private", b"secretname", b"hiddenfile", b"confidential", b"myset", b"annasdisk", b"bobsdisk"]
    for path in nodes.rglob("*"):
        text = bytes(path) + (path.read_bytes() if path.is_file() else b"")
        assert not [word for word in words if word in text.replace(bytes(tmp_path), b"")], path
    lines = (nodes / "a" / "zset").read_text().splitlines()[3:]
    name = lines[0].strip("[]")
    assert lines == [f"[{name}]", "required = 2", "format = sealed", "",
                     f"[{name}/00]", "share = 00", f"rsync = {nodes}/a", "",
                     f"[{name}/01]", "share = 01", f"rsync = {nodes}/b"]  # fmt: skip


def test_an_edit_sends_the_file_and_its_manifest(home, source, nodes):  # noqa: F811
    before = files(nodes / "anna")
    with open(source / "dir" / "inner" / "file", "r+b") as file:
        file.seek(10)
        byte = file.read(1)
        file.seek(10)
        file.write(bytes([byte[0] ^ 1]))
    done = home.run("-v")
    after = files(nodes / "anna")
    changed = {path for path in before if before[path] != after[path]}
    sent = {path for action, path in moves(done, "anna") if action == "sent"}
    # It has another name at the root, whose manifest has its time as well.
    assert before.keys() == after.keys() and changed == sent
    assert len(sent) == 4 and len([path for path in sent if path.endswith("zmanifest")]) == 2


@pytest.mark.parametrize("kind", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_contents_then_manifests_then_deletes(sets, source, nodes, kind):  # noqa: F811
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    place = "rclone = cloud:{}" if kind == "rclone" else f"rsync = {nodes}/{{}}"
    write(sets, source, {name: place.format(name) for name in NAMES}, "delete = yes")
    sets.run()
    (source / "dir" / "inner").rename(source / "dir" / "other")
    trees.write_file(source / "a new directory" / "file", b"new")
    done = moves(sets.run("-v"), "anna")
    kinds = ["deleted" if action == "deleted" else "manifest" if path.endswith("zmanifest") else "content"
             for action, path in done if not path.endswith("/")]  # fmt: skip
    assert kinds == sorted(kinds, key=["content", "manifest", "deleted"].index) and len(set(kinds)) == 3


@needs_rclone
@pytest.mark.parametrize("kind", ["sftp", "webdav", "window"])
def test_manifests_are_compared_by_content_where_times_are_coarse(sets, source, nodes, rng, kind):  # noqa: F811
    """Of two with one size and time, as nodes see them, either may be there."""
    with syncing.sftp(nodes) as sftp, syncing.webdav(nodes) as webdav:
        port = webdav if kind == "webdav" else sftp
        if kind != "window":
            (sets.folder / "rclone.conf").write_text(syncing.remote(kind, port))
        place = f"rsync = {nodes}/{{}}\nmodify_window = 2" if kind == "window" else "rclone = remote:{}"
        write(sets, source, {name: place.format(name) for name in NAMES})
        sets.run()
        right = files(nodes / "anna")
        syncing.spoil(nodes / "anna" / "zmanifest", rng)
        sets.run()
        assert files(nodes / "anna") == right


@needs_rclone
@pytest.mark.parametrize("kind", ["rsync", "rclone"])
def test_the_key_is_compared_by_content(sets, source, nodes, rng, kind):  # noqa: F811
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    place = "rclone = cloud:{}" if kind == "rclone" else f"rsync = {nodes}/{{}}"
    write(sets, source, {name: place.format(name) for name in NAMES})
    sets.run()
    right = files(nodes / "anna")
    syncing.spoil(nodes / "anna" / "key", rng)
    sets.run()
    assert files(nodes / "anna") == right
    (nodes / "anna" / "key").unlink()
    sets.run()
    assert files(nodes / "anna") == right


def test_no_part_of_the_key_on_nodes(sets, source, nodes, tmp_path):  # noqa: F811
    write(sets, source, local(nodes, NAMES), "key_on_nodes = no")
    done = as_text(sets, "sync", "-c", sets.file)
    assert f"so keep a copy elsewhere: zfec-fs key show {key_of(sets)} prints it." in done.stdout
    assert not list(nodes.rglob("key"))
    run(sets, "decode", "home:", tmp_path / "back")
    assert rsync_differences(source, tmp_path / "back") == ""
    sets.run()
    kept = key_of(sets).rename(tmp_path / "kept.key")
    assert "give their key" in run(sets, "decode", "home:", tmp_path / "none", status=USAGE).errors
    run(sets, "decode", "--key", kept, "home:", tmp_path / "more")
    done = sets.run(status=FAILED)
    assert "so none is made: put your copy of it there" in done.errors


def test_nodes_lose_their_part_of_the_key(home, source, nodes):  # noqa: F811
    write(home, source, local(nodes, NAMES), "delete = yes\nkey_on_nodes = no")
    home.run()
    assert not list(nodes.rglob("key"))


def test_a_passphrase(sets, source, nodes, tmp_path):  # noqa: F811
    """With it, one node may be enough, and has nothing of the key by itself."""
    trees.write_file(tmp_path / "words", b"correct horse\n")
    write(sets, source, local(nodes, NAMES), f"passphrase_file = {tmp_path}/words", required=1)
    sets.run()
    assert (nodes / "anna" / "key").read_bytes()[11] == 1
    key_of(sets).unlink()
    run(sets, "decode", "home:", tmp_path / "back")
    assert rsync_differences(source, tmp_path / "back") == ""
    trees.write_file(tmp_path / "words", b"wrong\n")
    run(sets, "decode", "home:", tmp_path / "none", status=USAGE)


@pytest.mark.parametrize("has_key", [True, False])
def test_a_part_comes_back(home, mounts, source, nodes, tmp_path, has_key):  # noqa: F811
    """Its names stand in manifests from the root on; nodes have none like it."""
    (source / "dir" / "deeper").mkdir()
    (source / "dir" / "deeper" / "file").write_text("in it")
    home.run()
    if not has_key:
        key_of(home).unlink()
    for beneath in ["dir", "dir/deeper/"]:
        out = tmp_path / beneath.replace("/", "-")
        run(home, "decode", f"home:{beneath}", out)
        assert rsync_differences(source / beneath, out) == ""
    view = mounts.restored("home:dir/deeper", config=home.file)
    assert (view.path / "file").read_text() == "in it" and os.listdir(view.path) == ["file"]


def test_a_state_that_was_put_back_is_told(home, mounts, source, nodes, tmp_path):  # noqa: F811
    shutil.copytree(nodes, tmp_path / "older", symlinks=True)
    (source / "new").write_text("one more")
    home.run()
    done = run(home, "decode", "home:", tmp_path / "out")
    (told,) = [line["as_of"] for line in done.json if line["message_type"] == "root"]
    assert done.errors == ""
    for name in NAMES:
        subprocess.run(["rsync", "-a", "--delete", f"{tmp_path}/older/{name}/", nodes / name], check=True)
    done = run(home, "decode", "home:", tmp_path / "out 2")
    (older,) = [line["as_of"] for line in done.json if line["message_type"] == "root"]
    line = (f"home: the root is as of {older}, and sync has sent it as of {told}: these nodes are behind, or "
            "somebody has put an older state back")  # fmt: skip
    assert older <= told and done.errors.splitlines()[0].endswith(line), done.errors
    view = mounts.start("-o", f"restore,config={home.file}", "home:", env=home.environment)
    view.expect_log(re.escape(line))
    view.unmount()
    home.run()
    assert run(home, "decode", "home:", tmp_path / "out 3").errors == ""


def test_a_mount_of_the_set(home, mounts, source, nodes):  # noqa: F811
    shutil.rmtree(home.folder / "state")
    shutil.rmtree(nodes / "bert")
    mount = mounts.restored("home:", config=home.file)
    mount.expect_log(r"home/bert: .*; it is left out")
    assert rsync_differences(source, mount.path) == ""


@pytest.mark.parametrize("has_key", [True, False], ids=["key", "no key"])
def test_a_new_disk_is_filled(home, source, nodes, has_key, tmp_path):  # noqa: F811
    right = files(nodes / "bert")
    shutil.rmtree(nodes / "bert")
    if not has_key:
        key_of(home).rename(tmp_path / "kept.key")
    run(home, "repair", "--replace", "bert", "home:", status=DAMAGED)
    assert files(nodes / "bert") == right
    run(home, "check", "home:")
    if not has_key:
        (tmp_path / "kept.key").rename(key_of(home))
    assert moves(home.run("-v"), "bert") == []


def test_filling_a_disk_goes_on(home, source, nodes):  # noqa: F811
    """A run that was cut short has left the key there: by that it is known."""
    right = files(nodes / "bert")
    shutil.rmtree(nodes / "bert")
    install(home, "rsync", FAILS_TO_SEND)
    run(home, "repair", "--replace", "bert", "home:", status=FAILED)
    assert set(files(nodes / "bert")) == {"key", "zset"}
    home.environment["PATH"] = os.environ["PATH"]
    run(home, "repair", "--replace", "bert", "home:", status=DAMAGED)
    assert files(nodes / "bert") == right


@needs_rclone
@pytest.mark.parametrize("kind", ["rsync", "rclone"])
def test_repair_sends_the_key(sets, source, nodes, kind):  # noqa: F811
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    place = "rclone = cloud:{}" if kind == "rclone" else f"rsync = {nodes}/{{}}"
    write(sets, source, {name: place.format(name) for name in NAMES})
    sets.run()
    right = files(nodes / "anna")
    (nodes / "anna" / "key").unlink()
    assert run(sets, "check", "home:", status=DAMAGED)
    run(sets, "repair", "--dry-run", "home:", status=DAMAGED)
    assert not (nodes / "anna" / "key").exists()
    run(sets, "repair", "home:", status=DAMAGED)
    assert files(nodes / "anna") == right
    run(sets, "check", "home:")
    run(sets, "repair", "home:")


def test_repair_sends_lost_shares(home, source, nodes):  # noqa: F811
    right = files(nodes / "carl")
    for name in sorted(right.keys() - {"key", "zset"})[::2]:
        (nodes / "carl" / name).unlink()
    run(home, "repair", "home:", status=DAMAGED)
    assert files(nodes / "carl") == right


@pytest.mark.parametrize("what", ["another set", "swapped", "empty"])
def test_repair_sends_no_key_where_it_writes_nothing(home, source, nodes, tmp_path, what):  # noqa: F811
    """To a disk that is in another's place, or beneath one that is not mounted."""
    (nodes / "carl").rename(tmp_path / "away")
    if what == "another set":
        commands.run("encode", "--format", "sealed", "--key", sealed_sets.new_key(tmp_path / "other" / "key"),
                     "-k", "2", "-n", "3", source, tmp_path / "shares", noisy=True)  # fmt: skip
        (tmp_path / "shares" / "02").rename(nodes / "carl")
    elif what == "swapped":
        (nodes / "bert").rename(nodes / "carl")
        (tmp_path / "away").rename(nodes / "bert")
    else:
        (nodes / "carl").mkdir()
    before = commands.snapshot(nodes)
    done = run(home, "repair", "home:", status=FAILED)
    assert ("holds no share of the set" if what == "empty" else "nothing is written there") in done.errors
    assert commands.snapshot(nodes) == before
    if what == "empty":
        run(home, "repair", "--replace", "carl", "home:", status=DAMAGED)
        assert files(nodes / "carl").keys() == files(tmp_path / "away").keys()


def test_disks_of_two_sets_in_each_others_places(sets, source, nodes, tmp_path):  # noqa: F811
    """As many nodes of either set as are enough: what is another set's stays as it is."""
    names = [*NAMES, "dora"]
    other = tmp_path / "source"
    trees.write_file(other / "file", b"of another set")
    (tmp_path / "more").mkdir()
    write(sets, source, local(nodes, names))
    sets.run()
    write(sets, other, local(tmp_path / "more", names), name="more")
    sets.run()
    write(sets, source, local(nodes, names))
    for name in names[:2]:
        (nodes / name).rename(tmp_path / "away")
        (tmp_path / "more" / name).rename(nodes / name)
        (tmp_path / "away").rename(tmp_path / "more" / name)
    before = commands.snapshot(nodes)
    done = run(sets, "check", "home:", status=DAMAGED)
    assert done.errors.count("is left out: it holds shares of another set") == 2
    done = run(sets, "repair", "home:", status=FAILED)
    assert done.errors.count("is left out: it holds shares of another set") == 2
    assert commands.snapshot(nodes) == before


@pytest.mark.parametrize("remote", [False, pytest.param(True, marks=needs_sshfs)])
def test_repair_takes_no_passphrase_off(sets, source, nodes, tmp_path, remote):  # noqa: F811
    write(sets, source, everywhere(sets, nodes) if remote else local(nodes, NAMES))
    sets.run()
    old = key_of(sets).read_bytes()
    trees.write_file(tmp_path / "words", b"words\n")
    if remote:
        done = run(sets, "key", "passphrase", key_of(sets), "home:", "--passphrase-file", tmp_path / "words", status=USAGE)
        assert f"then zfec-fs repair --key {key_of(sets)} home: give the new passphrase to all nodes" in done.errors
        assert key_of(sets).read_bytes() == old
        run(sets, "key", "passphrase", key_of(sets), "--passphrase-file", tmp_path / "words")
        run(sets, "repair", "--key", key_of(sets), "home:", status=DAMAGED)
    else:
        run(sets, "key", "passphrase", key_of(sets), "home:", "--passphrase-file", tmp_path / "words")
    before = {name: (nodes / name / "key").read_bytes() for name in NAMES}
    assert {key[11] for key in before.values()} == {1}
    key_of(sets).write_bytes(old)
    done = run(sets, "repair", "--key", key_of(sets), "home:", status=FAILED)
    assert "its part of the key has a passphrase, and" in done.errors
    assert {name: (nodes / name / "key").read_bytes() for name in NAMES} == before


@pytest.mark.parametrize("by", ["sync", "repair"])
def test_an_old_passphrase_is_told(home, nodes, tmp_path, by):  # noqa: F811
    for number in range(2):
        old = key_of(home).read_bytes()
        trees.write_file(tmp_path / "words", b"words %d\n" % number)
        run(home, "key", "passphrase", key_of(home), "home:", "--passphrase-file", tmp_path / "words")
    key_of(home).write_bytes(old)
    if by == "sync":
        assert home.run(noisy=True).errors.count("has another passphrase than the key, and is replaced") == len(NAMES)
        assert "another passphrase" not in home.run().errors
    else:
        done = run(home, "repair", "--key", key_of(home), "home:", status=DAMAGED)
        assert "home: 3 nodes have another passphrase than" in done.errors


def test_the_key_of_another_set_is_not_changed(home, nodes, tmp_path):  # noqa: F811
    other = sealed_sets.new_key(tmp_path / "keys" / "other")
    before = commands.snapshot(nodes), other.read_bytes()
    trees.write_file(tmp_path / "words", b"words\n")
    done = run(home, "key", "passphrase", other, "home:", "--passphrase-file", tmp_path / "words", status=USAGE)
    assert done.errors.endswith("nothing was changed\n")
    assert (commands.snapshot(nodes), other.read_bytes()) == before


def test_an_old_copy_of_the_key_takes_no_passphrase_off(home, nodes, tmp_path):  # noqa: F811
    old = key_of(home).read_bytes()
    trees.write_file(tmp_path / "words", b"words\n")
    run(home, "key", "passphrase", key_of(home), "home:", "--passphrase-file", tmp_path / "words")
    before = {name: (nodes / name / "key").read_bytes() for name in NAMES}
    assert {key[11] for key in before.values()} == {1}
    key_of(home).write_bytes(old)
    told = syncing.ends(home.run(status=LOST))["anna"]["error"]
    assert "its part of the key has a passphrase, and the key has none" in told
    assert {name: (nodes / name / "key").read_bytes() for name in NAMES} == before
    home.run("--adopt")
    assert {(nodes / name / "key").read_bytes()[11] for name in NAMES} == {0}


def test_a_passphrase_that_the_key_does_not_have_is_refused(sets, source, nodes, tmp_path):  # noqa: F811
    write(sets, source, local(nodes, NAMES))
    sets.run()
    trees.write_file(tmp_path / "words", b"words\n")
    write(sets, source, local(nodes, NAMES), f"passphrase_file = {tmp_path}/words")
    done = sets.run(status=FAILED)
    assert f"has no passphrase: zfec-fs key passphrase {key_of(sets)} home: sets it" in done.errors
    run(sets, "key", "passphrase", key_of(sets), "home:", "--passphrase-file", tmp_path / "words")
    sets.run()


def test_status_tells_of_it(home):
    assert syncing.told(home)["problems"] == []
