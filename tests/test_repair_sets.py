# SPDX-License-Identifier: MIT
"""`repair SET:`: what is wrong at the nodes of a set is sent to them by what keeps them in sync."""

import os
import shutil
import signal
import stat
import subprocess
import time

import pytest

import commands
import repairing
import syncing
import trees
from commands import DAMAGED, FAILED, OK, USAGE
from set_places import SSH, everywhere, install_ssh, needs_sshfs, nothing_left, run, wait_until
from syncing import DESCRIPTION, ends, local, needs_rclone
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

NAMES = ["anna", "bert", "carl", "dora"]


def flip(path, offset=70):
    """Flips a bit, and leaves size and time as they are: rot."""
    before = path.stat()
    repairing.change_bytes(path, offset)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def state_of(folder):
    """Without what sync tells a node of its set: repair makes shares."""
    state = repairing.state_of(folder)
    state.pop(DESCRIPTION, None)
    return state


def states(nodes, names=NAMES):  # noqa: F811
    return {name: state_of(nodes / name) for name in names}


def assert_sent_nothing(sets):  # noqa: F811
    """By the next run of sync, which finds all as it left it."""
    done = sets.run()
    sent = {name: end["files"] for name, end in ends(done).items()}
    assert sent == dict.fromkeys(sent, 0)
    assert all(end["up_to_date"] and not end.get("differs_since") for end in ends(done).values())


def assert_mended(sets, nodes, before, of_rclone=()):  # noqa: F811
    run(sets, "check", "home:")
    assert all((nodes / name / DESCRIPTION).is_file() for name in before)
    for name, state in before.items():
        now = state_of(nodes / name)
        if name in of_rclone:  # which gives directories nothing
            now, state = ({path: item for path, item in items.items() if not stat.S_ISDIR(item.kind)}
                          for items in (now, state))  # fmt: skip
        assert now == state, "\n".join(repairing.differences(now, state))
    assert_sent_nothing(sets)


def test_names_that_look_like_comments(sets, source, nodes):  # noqa: F811
    """In rsync's lists of files."""
    paths = ["#recycle/file", ";old", "#auto#"]
    for path in paths:
        trees.write_file(source / path, path.encode() * 200)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    syncing.settle(source)
    for path in paths:
        flip(nodes / "anna" / path)
    run(sets, "repair", "home:", status=DAMAGED)
    assert_mended(sets, nodes, before)


def test_local_nodes_are_mended(sets, source, nodes):  # noqa: F811
    subprocess.run(["setfacl", "-m", "u:12345:r", source / "file-1"], check=True)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    flip(nodes / "anna" / "file-1")
    repairing.remove(nodes / "bert" / "dir")
    repairing.remove(nodes / "bert" / "link")
    os.chmod(nodes / "carl" / "file-2", 0o600)
    trees.write_file(nodes / "dora" / "file-3", b"short")
    run(sets, "check", "home:", status=DAMAGED)
    done = run(sets, "repair", "home:", status=DAMAGED)
    assert done.summary["failed"] == 0 and done.summary["metadata"] == 1
    assert_mended(sets, nodes, before)


def wrong_everywhere(sets, source, nodes, rng):  # noqa: F811
    """Rot on one node, names missing on another, a third a month behind, metadata wrong on a
    fourth. Returns how they were before."""
    syncing.large_file(source, rng)
    subprocess.run(["setfacl", "-m", "u:12345:r", source / "file-1"], check=True)
    sets.write(source, {**everywhere(sets, nodes), "dora": f"rsync = {nodes}/dora",
                        "emil": f"rsync = {nodes}/emil"}, required=3)  # fmt: skip
    sets.run()
    subprocess.run(["cp", "-a", nodes / "dora", nodes / "month"], check=True)
    for name in ("file-0", "file-4"):
        trees.write_file(source / name, rng.randbytes(5000))
        os.utime(source / name, ns=(1, 1_700_000_000_123_456_789))
    sets.run()
    before = states(nodes, [*NAMES, "emil"])
    shutil.rmtree(nodes / "dora")
    (nodes / "month").rename(nodes / "dora")
    flip(nodes / "bert" / "file-1")
    flip(nodes / "bert" / "large", 500_000)
    repairing.remove(nodes / "carl" / "dir" / "inner" / "file")
    repairing.remove(nodes / "carl" / "file-2")
    os.chmod(nodes / "emil" / "dir", 0o700)
    os.utime(nodes / "emil" / "file-3", ns=(1, 1))
    return before


@needs_sshfs
@needs_rclone
def test_nodes_of_any_kind_are_mended(sets, source, nodes, rng):  # noqa: F811
    os.unlink(source / "fifo")
    before = wrong_everywhere(sets, source, nodes, rng)
    run(sets, "check", "home:", status=DAMAGED)
    done = run(sets, "repair", "--dry-run", "home:", status=DAMAGED)
    would = done.actions()
    assert would["made", "file-1"] == {"01"} and would["made", "file-0"] == {"03"}
    done = run(sets, "repair", "-v", "home:", status=DAMAGED)
    assert done.actions() == would and done.summary["failed"] == 0, done.errors
    assert_mended(sets, nodes, before, of_rclone=["carl"])


@needs_sshfs
def test_a_node_out_of_reach_is_left_out(sets, source, nodes):  # noqa: F811
    install_ssh(sets, SSH)
    sets.write(source, {**local(nodes, NAMES[:3]), "dora": f"rsync = host:{nodes}/dora"})
    sets.run()
    before = states(nodes)
    flip(nodes / "anna" / "file-1")
    install_ssh(sets, "#!/bin/sh\necho 'ssh: no route' >&2\nexit 255\n")
    done = run(sets, "repair", "home:", status=FAILED)
    assert f"home/dora: host:{nodes}/dora: ssh: no route; it is left out" in done.errors
    assert done.actions() == {} and done.summary["made"] == 1
    install_ssh(sets, SSH)
    assert_mended(sets, nodes, before)


def test_too_few_nodes_is_one_line(sets, source, nodes):  # noqa: F811
    sets.write(source, local(nodes, NAMES), required=3)
    sets.run()
    shutil.rmtree(nodes / "anna")
    shutil.rmtree(nodes / "bert")
    done = run(sets, "repair", "home:", status=FAILED)
    assert done.errors.count("\n") == 1 and "2 of 4 nodes can be read, 3 needed" in done.errors


def test_links_stay_links(sets, source, nodes):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    flip(nodes / "anna" / "again")  # both names of it
    repairing.remove(nodes / "bert" / "again")
    repairing.remove(nodes / "carl" / "dir" / "inner" / "file")
    done = run(sets, "repair", "home:", status=DAMAGED)
    assert done.summary["made"] == 4
    assert_mended(sets, nodes, before)


def test_a_part_of_a_set_is_mended(sets, source, nodes):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    repairing.remove(nodes / "anna" / "dir" / "empty")
    flip(nodes / "anna" / "file-1")
    rotten = (nodes / "anna" / "file-1").read_bytes()
    done = run(sets, "repair", "home:dir", status=DAMAGED)
    assert done.summary["made"] == 1
    assert (nodes / "anna" / "file-1").read_bytes() == rotten
    run(sets, "repair", "home:", status=DAMAGED)
    assert_mended(sets, nodes, before)


def test_what_repair_of_a_set_does_not_do(sets, source, nodes, tmp_path):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    for words, told in (
        (["--delete", "home:"], "--delete: repair removes nothing from the nodes of a set"),
        ([f"--add=07={tmp_path}/new", "home:"], "--add: a set has its places"),
        (["--store", tmp_path, "home:"], "--store: repair of a set writes to its nodes alone"),
        (["--replace", "nobody", "home:"], "no such node; it has anna, bert, carl"),
        (["--replace", "anna", "home:dir"], "--replace: fills the whole place of a node"),
        (["--replace", "anna", nodes], "give SET: as STORES"),
    ):
        done = run(sets, "repair", *words, status=USAGE)
        assert told in done.errors and done.errors.count("\n") == 1
    run(sets, "repair", "home:")


def test_the_rules_of_repair_hold(sets, source, nodes):  # noqa: F811
    """A newer share, the disk of another node, and a name of one node stay as they are."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    old = {name: (nodes / name / "file-1").read_bytes() for name in NAMES[1:]}
    status = (nodes / "bert" / "file-1").stat()
    trees.write_file(source / "file-1", b"newer" * 1000)
    os.utime(source / "file-1", ns=(1, 1_700_000_000_123_456_789))
    sets.run()
    flip(nodes / "anna" / "file-2")  # a name beside that of the newer one
    for name, data in old.items():
        with repairing.same_time(nodes / name):
            (nodes / name / "file-1").write_bytes(data)
        os.utime(nodes / name / "file-1", ns=(1, status.st_mtime_ns))
    with repairing.same_time(nodes / "bert"):
        trees.write_file(nodes / "bert" / "foreign", b"not a share")
    before = states(nodes)
    subprocess.run(["cp", "-a", nodes / "carl", nodes / "swapped"], check=True)
    shutil.rmtree(nodes / "dora")
    (nodes / "swapped").rename(nodes / "dora")  # the disk of another node
    done = run(sets, "repair", "home:", status=FAILED)
    assert "store home/dora holds share 02, and not 03 as the file of sets says" in done.errors
    after = states(nodes)
    assert "file-1 in " in done.errors and "which is newer" in done.errors
    assert after["anna"].pop("file-2") != before["anna"].pop("file-2")
    assert after["dora"] == after["carl"] and {**after, "dora": before["dora"]} == before



def replace(sets, name, status=DAMAGED):  # noqa: F811
    return run(sets, "repair", "--replace", name, "home:", status=status)


@needs_sshfs
@needs_rclone
@pytest.mark.parametrize("lost", ["anna", "bert", "carl"])
def test_a_new_place_is_filled(sets, source, nodes, lost):  # noqa: F811
    os.unlink(source / "fifo")
    os.unlink(source / "again")  # of what is one file, sshfs and rclone show nothing
    sets.write(source, {**everywhere(sets, nodes), "dora": f"rsync = {nodes}/dora"})
    sets.run()
    before = states(nodes)
    shutil.rmtree(nodes / lost)
    if lost == "bert":  # an empty one is as good as none
        (nodes / lost).mkdir()
    flip(nodes / "dora" / "file-1")
    if lost == "anna":
        done = sets.run(status=DAMAGED)
        assert ("the directory of node anna is gone: is the disk mounted? For a new disk: "
                "zfec-fs repair --replace anna home:") in ends(done)["anna"]["error"]  # fmt: skip
        flip(nodes / "dora" / "file-1")
    done = replace(sets, lost)
    assert done.summary["failed"] == 0, done.errors
    assert done.summary["made"] >= 8
    [filled] = [line for line in done.json if line["message_type"] == "filled"]
    assert (filled["set"], filled["node"], filled["files"] >= 8) == ("home", lost, True)
    assert_mended(sets, nodes, before, of_rclone=["carl"])


def test_a_place_that_holds_something_is_not_filled(sets, source, nodes, rng):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    flip(nodes / "bert" / "file-1")
    for _ in range(2):  # a refusal leaves no mark
        done = replace(sets, "anna", status=FAILED)
        assert "home/anna: its place is not empty (13 names): empty it, or choose another" in done.errors
    assert_mended(sets, nodes, before)


def test_lost_and_found_is_nothing(sets, source, nodes):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    shutil.rmtree(nodes / "anna")
    (nodes / "anna" / "lost+found").mkdir(parents=True)
    replace(sets, "home/anna")  # as messages call it
    os.rmdir(nodes / "anna" / "lost+found")
    os.utime(nodes / "anna", ns=(1, before["anna"][""].mtime_ns))
    assert_mended(sets, nodes, before)


def begin_filling(sets, source, nodes, rng):  # noqa: F811
    """Until it is stopped. Returns what the nodes were before."""
    syncing.large_file(source, rng)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    shutil.rmtree(nodes / "anna")
    slow = {**local(nodes, NAMES), "anna": f"rsync = {nodes}/anna\nbwlimit = 100K"}
    sets.write(source, slow)
    words = commands.command_line("repair", "-c", sets.file, "--replace", "anna", "home:")
    with subprocess.Popen(words, env=sets.environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        wait_until(lambda: (nodes / "anna" / "file-0").exists())
        process.send_signal(signal.SIGINT)
    assert sets.state()["nodes"]["anna"]["filling_since"]
    nothing_left(sets)
    sets.write(source, local(nodes, NAMES))
    return before


@pytest.mark.parametrize("other", ["files", "share", "nothing"])
def test_a_filling_goes_on_at_its_own_place_alone(sets, source, nodes, rng, other):  # noqa: F811
    begin_filling(sets, source, nodes, rng)
    shutil.rmtree(nodes / "anna")
    (nodes / "anna").mkdir()
    if other == "files":
        trees.write_file(nodes / "anna" / "file-1", b"precious")
    elif other == "share":
        repairing.copy_tree(nodes / "bert", nodes / "anna")
    there = commands.snapshot(nodes / "anna")
    done = replace(sets, "anna", status=DAMAGED if other == "nothing" else FAILED)
    said = {"files": "its place is not empty (1 name)", "share": "it says that it holds share 01 of the set home; empty"}
    assert said.get(other, "") in done.errors
    assert (commands.snapshot(nodes / "anna") == there) == (other != "nothing")


def test_an_interrupted_filling_goes_on(sets, source, nodes, rng):  # noqa: F811
    before = begin_filling(sets, source, nodes, rng)
    replace(sets, "anna")
    known = sets.state()["nodes"]
    assert "filling_since" not in known["anna"]
    assert known["anna"]["as_of"] == known["bert"]["as_of"] and known["anna"]["up_to_date"]
    sets.run()  # which removes what the stopped run has left
    assert_mended(sets, nodes, before)


def test_a_dry_run_fills_nothing(sets, source, nodes):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    shutil.rmtree(nodes / "anna")
    done = run(sets, "repair", "--dry-run", "--replace", "anna", "home:", status=OK)
    assert done.json and not (nodes / "anna").exists()
    (nodes / "anna").mkdir()
    (nodes / "anna" / "mine").touch()
    run(sets, "repair", "--dry-run", "--replace", "anna", "home:", status=FAILED)


@needs_sshfs
@needs_rclone
@pytest.mark.parametrize("name", ["anna", "bert", "carl"])
def test_a_symlink_at_a_directorys_name_leads_nowhere(sets, source, nodes, tmp_path, name):  # noqa: F811
    """The mover writes nothing where a node's symlink leads."""
    os.unlink(source / "fifo")
    os.unlink(source / "again")
    sets.write(source, {**everywhere(sets, nodes), "dora": f"rsync = {nodes}/dora"})
    sets.run()
    before = states(nodes)
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    trees.write_file(outside / "inner" / "file", b"mine")
    kept = repairing.state_of(outside)
    with repairing.same_time(nodes / name):
        repairing.remove(nodes / name / "dir")
        (nodes / name / "dir").symlink_to(outside)
    done = run(sets, "repair", "home:", status=FAILED if name == "carl" else DAMAGED)
    assert repairing.state_of(outside) == kept
    if name == "carl":
        assert "dir in home/carl: a symlink is there in its place, or on the way" in done.errors
        (nodes / name / "dir").unlink()
        run(sets, "repair", "home:", status=DAMAGED)
    assert_mended(sets, nodes, before, of_rclone=["carl"])


def coarse(state):
    """Times as sshfs shows them."""
    return {path: item._replace(mtime_ns=item.mtime_ns // 10**9) for path, item in state.items()}


@needs_sshfs
def test_nodes_behind_ssh_alone_are_mended(sets, source, nodes):  # noqa: F811
    """Attributes are not known then; the next sync sets them."""
    os.unlink(source / "again")
    install_ssh(sets, SSH)
    sets.write(source, {name: f"rsync = host:{nodes}/{name}" for name in NAMES})
    sets.run()
    before = states(nodes)
    flip(nodes / "anna" / "file-0")
    repairing.remove(nodes / "bert" / "dir")
    with repairing.same_time(nodes / "carl" / "file-0"):
        os.chmod(nodes / "carl" / "file-0", 0o600)
    run(sets, "repair", "home:", status=DAMAGED)
    run(sets, "check", "home:")
    assert coarse(state_of(nodes / "carl")) == coarse(before["carl"])
    assert_sent_nothing(sets)
    assert states(nodes) == before


@needs_sshfs
@needs_rclone
@pytest.mark.parametrize("kind", ["rsync", "rclone", "both"])
@pytest.mark.parametrize("nanoseconds", [0, 5 * 10**8])
@pytest.mark.parametrize("share_format", ["checked", "classic"])
def test_times_before_1970_are_no_difference(sets, source, nodes, tmp_path, share_format, nanoseconds, kind):  # noqa: F811
    """sshfs shows them as 136 years later; rclone's mount, where they have fractions, as a second later."""
    os.unlink(source / "again")
    old = -10 * 365 * syncing.DAY_S * 10**9 + nanoseconds
    paths = ["file-0", "file-1", "dir", "link"]
    for path in paths:
        os.utime(source / path, ns=(old, old), follow_symlinks=False)
    places = everywhere(sets, nodes)
    if kind == "rclone":
        places["bert"] = "rclone = cloud:bert"
    places["dora"] = f"rsync = host:{nodes}/dora" if kind == "rsync" else f"rsync = {nodes}/dora"
    if kind == "rsync":
        places["carl"] = f"rsync = host:{nodes}/carl"
    sets.write(source, places, more=f"format = {share_format}")
    sets.run()
    checked = run(sets, "check", "-v", "home:").summary
    assert [store["other_metadata"] for store in checked["stores"]] == [0] * 4, checked
    before = states(nodes)
    assert run(sets, "repair", "home:").summary["made"] == 0
    assert states(nodes) == before
    run(sets, "decode", "home:", tmp_path / "back")
    for path in paths:
        assert (tmp_path / "back" / path).lstat().st_mtime_ns == old
    assert_sent_nothing(sets)


@needs_sshfs
@needs_rclone
def test_symlinks_as_rclone_keeps_them_are_no_names(sets, source, nodes):  # noqa: F811
    os.unlink(source / "fifo")
    os.unlink(source / "again")
    places = everywhere(sets, nodes)
    places["bert"] = "rclone = cloud:bert"
    sets.write(source, {**places, "dora": f"rsync = {nodes}/dora", "emil": f"rsync = {nodes}/emil"})
    sets.run()
    before = states(nodes, [*NAMES, "emil"])
    shutil.rmtree(nodes / "dora")
    flip(nodes / "carl" / "file-1")
    replace(sets, "dora")
    assert_mended(sets, nodes, before, of_rclone=["bert", "carl"])


def test_a_place_at_an_rsync_daemon_is_filled(sets, source, nodes, tmp_path):  # noqa: F811
    (tmp_path / "served").mkdir()
    with syncing.rsync_daemon(tmp_path / "served") as port:
        place = f"rsync = rsync://127.0.0.1:{port}/data/dora"
        sets.write(source, {**local(nodes, NAMES[:3]), "dora": place})
        sets.run()
        before = state_of(tmp_path / "served" / "dora")
        shutil.rmtree(tmp_path / "served" / "dora")
        done = replace(sets, "dora")
        assert done.summary["failed"] == 0
        now = state_of(tmp_path / "served" / "dora")
        assert now == before, "\n".join(repairing.differences(now, before))
        assert_sent_nothing(sets)


@needs_sshfs
@needs_rclone
def test_rclone_has_no_say_on_the_times_of_directories(sets, source, nodes, tmp_path):  # noqa: F811
    """One store against one of rclone's, which has times of its own for them, and later ones."""
    os.unlink(source / "fifo")
    sets.write(source, everywhere(sets, nodes))
    sets.run()
    before = state_of(nodes / "anna")
    shutil.rmtree(nodes / "bert")
    commands.run("repair", "--config", sets.file, "home:", status=FAILED, env=sets.environment, noisy=True)
    assert state_of(nodes / "anna") == before
    run(sets, "decode", "home:", tmp_path / "back")
    for folder in ("", "dir", "dir/inner"):
        assert (tmp_path / "back" / folder).stat().st_mtime_ns == (source / folder).stat().st_mtime_ns


def test_what_verify_has_found_is_mended(sets, source, nodes, rng):  # noqa: F811
    """And the next sync neither sends it again nor calls the node wrong."""
    syncing.large_file(source, rng)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = states(nodes)
    syncing.settle(source)
    flip(nodes / "anna" / "large", 500_000)
    sets.run("--verify", "100%", status=DAMAGED)
    assert sets.state()["nodes"]["anna"]["different"] == ["large"]
    run(sets, "repair", "home:", status=DAMAGED)
    assert "differs_since" not in sets.state()["nodes"]["anna"]
    assert_mended(sets, nodes, before)


def assert_same_modes(folder, before):
    """Setuid and the like need two stores that say so. rclone gives symlinks times of its own."""
    for path, item in state_of(folder).items():
        assert (item.mode & 0o777, item.uid, item.gid) == (before[path].mode & 0o777, before[path].uid, before[path].gid)


@needs_rclone
def test_made_up_modes_are_written_over_no_kept_ones(sets, source, nodes, tmp_path):  # noqa: F811
    """WebDAV shows one mode for everything: where one store has the true ones, no count of others is against it."""
    for name in ("one", "two", "three"):
        trees.write_file(source / "private" / name, name.encode())
        os.chmod(source / "private" / name, 0o600)
    os.chmod(source / "private", 0o700)
    os.unlink(source / "fifo")
    with syncing.webdav(nodes) as port:
        (sets.folder / "rclone.conf").write_text(syncing.remote("webdav", port))
        clouds = {name: f"rclone = remote:{name}" for name in ("carl", "dora", "emil")}
        sets.write(source, {**local(nodes, NAMES[:2]), **clouds})
        sets.run()
        before = state_of(nodes / "anna")
        (nodes / "bert").rename(tmp_path / "bert")
        run(sets, "repair", "home:", status=FAILED)
        assert_same_modes(nodes / "anna", before)
        replace(sets, "bert", status=DAMAGED)
        assert_same_modes(nodes / "anna", before)
        assert_same_modes(nodes / "bert", before)


@needs_rclone
@pytest.mark.parametrize("links", [0, 1])
def test_what_rclone_gives_times_is_no_damage(sets, tmp_path, nodes, links):  # noqa: F811
    """The one directory is the root; and one symlink is not enough to see that WebDAV keeps no times."""
    flat = tmp_path / "flat"
    for name in ("one", "two"):
        trees.write_file(flat / name, name.encode())
    for number in range(links):
        os.symlink("one", flat / f"link-{number}")
    with syncing.webdav(nodes) as port:
        (sets.folder / "rclone.conf").write_text(syncing.remote("webdav", port))
        sets.write(flat, {**local(nodes, NAMES[:2]), "carl": "rclone = remote:carl"})
        sets.run()
        time.sleep(2)  # so that times that storage gives are others
        os.utime(nodes / "carl")
        for command in ("check", "repair"):
            run(sets, command, "home:")
