# SPDX-License-Identifier: MIT
"""Each node tells of the others, so that one is enough to recover a set; and what it tells keeps a
node of another set, or with another share, from being overwritten."""

import os
import shutil
import stat
import subprocess
import time

import pytest

import commands
import mounts as mounts_module
import syncing
import trees
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from set_places import SSH, contents, everywhere, install_ssh, needs_sshfs
from syncing import DESCRIPTION, NAMES, compare_with_encode, ends, local, needs_rclone, places
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

LIMIT_S = 60


@pytest.fixture
def home(sets, source, nodes):  # noqa: F811
    """A set that is in sync with directories of this machine."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    return sets


def recover(sets, *words, status=OK, **how):  # noqa: F811
    done = commands.run("recover", "--config", sets.file, *words, status=status,
                        env=sets.environment, noisy=True, **how)  # fmt: skip
    sets.nothing_left()
    return done


def shown(sets, place):  # noqa: F811
    """As text."""
    words = [mounts_module.BINARY, "recover", "-c", sets.file, place]
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=sets.environment)
    return done.stdout


def lose(sets):  # noqa: F811
    """The machine, but for what rclone was told anew."""
    shutil.rmtree(sets.state_folder.parent)
    sets.file.unlink()


def told(done):
    return {line["node"]: line for line in done.json if line["message_type"] == "node"}


def described(place):
    return (place / DESCRIPTION).read_text().split("\n\n", 1)[1]


SECTIONS = """[home]
required = 2
format = checked

[home/anna]
share = 00
rsync = {nodes}/anna

[home/bert]
share = 01
rsync = {nodes}/bert

[home/carl]
share = 02
rsync = {nodes}/carl
"""

# What is left at nodes


def test_each_node_tells_of_all_and_of_nothing_else(sets, source, nodes, tmp_path):  # noqa: F811
    """The first is itself. No source, rules, passwords or commands."""
    rules = tmp_path / "rules"
    rules.write_text("secret*\n")
    sets.write(source, local(nodes, NAMES), more=(
        f"exclude = secret\nexclude_from = {rules}\nxdev = yes\ntorn = error\ndelete = yes\n"
        f"retries = 1\nssh_key = {tmp_path}/key\npassword_file = {tmp_path}/word\nbwlimit = 9G"
    ))  # fmt: skip
    sets.run()
    head, anna, bert, carl = SECTIONS.format(nodes=nodes).rstrip().split("\n\n")
    assert described(nodes / "anna") == "\n\n".join([head, anna, bert, carl]) + "\n"
    assert described(nodes / "carl") == "\n\n".join([head, carl, anna, bert]) + "\n"


@pytest.mark.parametrize("more", ["format = fec\nshares = 7", "block_size = 4K"])
def test_what_decides_of_which_bytes_shares_are_made_is_told(sets, source, nodes, tmp_path, more):  # noqa: F811
    """With what is recovered, the next sync sends nothing."""
    sets.write(source, local(nodes, NAMES), more=more)
    sets.run()
    lose(sets)
    recover(sets, nodes / "bert")
    sets.file.write_text(sets.file.read_text().replace("[home]", f"[home]\nsource = {source}"))
    assert {node["files"] for node in ends(sets.run()).values()} == {0}


@pytest.mark.parametrize("program", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_it_is_sent_only_where_it_has_changed(sets, source, nodes, program):  # noqa: F811
    (sets.folder / "rclone.conf").write_text(f"[near]\ntype = alias\nremote = {nodes}\n")
    place = f"rsync = {nodes}/" if program == "rsync" else "rclone = near:"
    sets.write(source, {name: place + name for name in NAMES}, more="delete = yes")
    sets.run()
    before = commands.snapshot(nodes)
    assert {node["files"] for node in ends(sets.run()).values()} == {0}
    assert commands.snapshot(nodes) == before
    sets.write(source, {name: place + name for name in [*NAMES, "dora"]}, more="delete = yes")
    sets.run()
    assert all("[home/dora]" in described(nodes / name) for name in [*NAMES, "dora"])
    assert [node["files"] for node in ends(sets.run("--verify", "1")).values()] == [0] * 4


def test_it_can_be_left_out(sets, source, nodes, tmp_path):  # noqa: F811
    sets.write(source, local(nodes, NAMES), more="describe = no")
    sets.run()
    made = tmp_path / "made"
    commands.run("encode", "-k", "2", "-n", "3", source, made)
    for index, place in enumerate(places(nodes)):
        commands.compare_trees(made / trees.share_name(index), place)


def test_a_file_of_the_source_of_that_name(sets, source, nodes, tmp_path):  # noqa: F811
    """It has a share, like any other, which is no description; that is told once."""
    (source / DESCRIPTION).write_text("mine")
    sets.write(source, local(nodes, NAMES))
    for _ in range(2):
        errors = sets.run(noisy=True).errors
        assert errors.count(DESCRIPTION) == errors.count("\n") == 1
        assert f"home: the source has a file {DESCRIPTION}, so the nodes are not told" in errors
    commands.run("decode", nodes, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
    recover(sets, nodes / "anna", status=FAILED)
    for name in NAMES[:2]:
        (nodes / name / DESCRIPTION).unlink()
    done = commands.run("check", nodes, status=DAMAGED)
    assert any(line.get("path") == DESCRIPTION for line in done.json)


def test_a_file_of_that_name_that_was_renamed(sets, source, nodes):  # noqa: F811
    """As is advised: its share is no description, and gives way to one."""
    (source / DESCRIPTION).write_text("mine")
    sets.write(source, local(nodes, NAMES))
    sets.run(noisy=True)
    os.rename(source / DESCRIPTION, source / "mine.ini")
    sets.run()
    assert all(b"[home/" in (nodes / name / DESCRIPTION).read_bytes() for name in NAMES)


def test_a_place_that_nobody_may_be_told_of(sets, source, nodes):  # noqa: F811
    """What names a program, or may hold a password, is not told, and that is said."""
    sets.write(source, local(nodes, NAMES[:2]) | {
        "carl": f"rclone = :local:{nodes}/carl\nretries = 0"})  # fmt: skip
    done = sets.run(status=OK if shutil.which("rclone") else DAMAGED, noisy=True)
    assert "home: one of the places is nothing to tell other nodes of: write describe = no" in done.errors
    assert not (nodes / "anna" / DESCRIPTION).exists()


@pytest.mark.parametrize("form", ["checked", "classic", "fec"])
def test_it_is_no_file_of_the_tree(sets, source, nodes, mounts, tmp_path, form):  # noqa: F811
    sets.write(source, local(nodes, NAMES), more=f"format = {form}")
    sets.run()
    before = commands.snapshot(nodes)
    how = ["--format", form]
    done = commands.run("check", *how, nodes)
    assert (done.summary["leftovers"], done.summary["foreign"], done.summary["lost"]) == (0, 0, 0)
    assert not any(line.get("path") == DESCRIPTION for line in done.json)
    commands.run("decode", *how, nodes, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
    commands.run("repair", *how, "--delete", nodes)
    assert commands.snapshot(nodes) == before
    mount = mounts.start("-o", f"restore,format={form}", nodes)
    assert sorted(os.listdir(mount.path)) == sorted(os.listdir(source))
    assert not (mount.path / DESCRIPTION).exists()
    mount.unmount()
    mount = mounts.start("-o", f"rebuild,shares=3,format={form}", nodes)
    assert sorted(os.listdir(mount.path / "02")) == sorted(os.listdir(source))


def test_encode_spares_it(home, source, nodes, tmp_path):
    before = commands.snapshot(nodes)
    commands.run("encode", "-k", "2", "-n", "3", "--delete", source, "--to", f"00={nodes}/anna")
    assert commands.snapshot(nodes) == before
    (source / "file-0").unlink()
    commands.run("encode", "-k", "2", "-n", "3", "--delete", source, "--to", f"00={nodes}/anna")
    assert (nodes / "anna" / DESCRIPTION).exists() and not (nodes / "anna" / "file-0").exists()


def test_a_store_with_nothing_else_is_empty(home, nodes):
    for path in (nodes / "carl").iterdir():
        if path.name != DESCRIPTION:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with_it = commands.run("check", nodes, status=DAMAGED).summary
    (nodes / "carl" / DESCRIPTION).unlink()
    without = commands.run("check", nodes, status=DAMAGED).summary
    assert {**with_it, "seconds": 0} == {**without, "seconds": 0}


# What a node says before it is written


def refused(result, name, text):
    end = ends(result)[name]
    assert end["error"] == f"{text}; nothing is written there; --adopt makes it this share"
    assert end["try"] == 1 and end["files"] == 0


@pytest.mark.parametrize("program", ["rsync", "ssh", pytest.param("rclone", marks=needs_rclone)])
def test_a_node_of_another_set_is_not_overwritten(sets, source, nodes, tmp_path, program):  # noqa: F811
    install_ssh(sets, SSH)
    (sets.folder / "rclone.conf").write_text(f"[near]\ntype = alias\nremote = {nodes}\n")
    place = {"rsync": f"rsync = {nodes}/", "ssh": f"rsync = host:{nodes}/", "rclone": "rclone = near:"}
    other = trees.write_file(tmp_path / "work" / "file", b"of the other").parent
    sets.write(other, {name: place[program] + name for name in NAMES}, name="work")
    sets.run()
    before = commands.snapshot(nodes)
    targets = {name: place[program] + name for name in ["new", "anna", "else"]}
    sets.write(source, targets, more="delete = yes\nsymlinks = no")
    for words in ([], ["--dry-run"], ["--checksum"], ["--delete-most"]):
        result = sets.run(*words, status=DAMAGED)
        refused(result, "anna", "it says that it holds share 00 of the set work")
        assert result.errors == ""
        now = commands.snapshot(nodes)
        assert {path: now[path] for path in before if path.startswith("anna")} == {
            path: facts for path, facts in before.items() if path.startswith("anna")}  # fmt: skip
    sets.run("--adopt", "--delete-most")
    assert "[home/anna]\nshare = 01" in described(nodes / "anna")
    sets.run()


def test_wrong_share_numbers_overwrite_nothing(home, source, nodes, tmp_path):
    """As of a file of sets that was written anew by heart."""
    shutil.rmtree(home.state_folder)
    home.write(source, local(nodes, NAMES[::-1]))
    before = commands.snapshot(nodes)
    result = home.run(status=LOST)
    refused(result, "anna", "it says that it holds share 00 of the set home")
    refused(result, "carl", "it says that it holds share 02 of the set home")
    assert ends(result)["bert"]["up_to_date"]
    assert commands.snapshot(nodes).keys() == before.keys()
    home.run("--adopt", noisy=True)
    compare_with_encode(source, places(nodes)[::-1], tmp_path)


def test_disks_that_changed_places(home, source, nodes):
    """Without any state, and though both have the same nodes."""
    (nodes / "anna").rename(nodes / "away")
    (nodes / "bert").rename(nodes / "anna")
    (nodes / "away").rename(nodes / "bert")
    refused(home.run(status=LOST), "anna", "it says that it holds share 01 of the set home")


def test_an_older_description_is_no_other_set(home, source, nodes, tmp_path):
    """A node was away, and by now nodes have other names, other places, and company."""
    old = described(nodes / "carl")
    shutil.rmtree(home.state_folder)
    (nodes / "anna").rename(nodes / "moved")
    targets = {"anna": f"rsync = {nodes}/moved", "bea": f"rsync = {nodes}/bert",
               "carl": f"rsync = {nodes}/carl", "dora": f"rsync = {nodes}/dora"}  # fmt: skip
    home.write(source, targets)
    home.run()
    assert described(nodes / "carl") != old
    assert f"rsync = {nodes}/moved" in described(nodes / "dora")


def test_another_encoding_goes_its_way(home, source, nodes, tmp_path):
    home.write(source, local(nodes, NAMES), required=3)
    home.run()
    compare_with_encode(source, places(nodes), tmp_path, required=3)
    assert "required = 3" in described(nodes / "anna")


def test_a_description_that_cannot_be_read(home, source, nodes):
    (nodes / "bert" / DESCRIPTION).write_text("[home]\nrequired = 2\nsource = /\n")
    before = commands.snapshot(nodes)
    refused(home.run(status=DAMAGED), "bert", f"its {DESCRIPTION} cannot be read")
    assert commands.snapshot(nodes) == before
    home.run("--adopt")
    home.run()


def test_a_daemon_that_is_never_read(sets, source, nodes):  # noqa: F811
    with syncing.rsync_daemon(nodes, more="write only = yes\n") as port:
        sets.write(source, {"a": f"rsync = rsync://127.0.0.1:{port}/data/a"}, required=1)
        for _ in range(2):
            sets.run(noisy=True)
        assert (nodes / "a" / DESCRIPTION).exists()


# Recovery


@needs_sshfs
@needs_rclone
@pytest.mark.parametrize("place", ["{nodes}/anna", "me@host:{nodes}/bert", "cloud:carl"])
def test_one_node_and_two_commands_bring_all_back(sets, source, nodes, tmp_path, place):  # noqa: F811
    os.unlink(source / "fifo")
    sets.write(source, everywhere(sets, nodes))
    sets.run()
    lose(sets)
    done = recover(sets, place.format(nodes=nodes))
    assert {name: node["answers"] for name, node in told(done).items()} == dict.fromkeys(NAMES, True)
    assert done.summary["written"] is True
    assert stat.S_IMODE(sets.file.stat().st_mode) == 0o600
    commands.run("decode", "--config", sets.file, "home:", tmp_path / "back", env=sets.environment)
    assert contents(tmp_path / "back") == contents(source)
    for command in ("check", "status"):
        commands.run(command, "--config", sets.file, "home:", env=sets.environment, noisy=True,
                     status=OK if command == "check" else LOST)  # fmt: skip


def test_without_a_source_nodes_are_asked_what_they_are(home, nodes):
    lose(home)
    recover(home, nodes / "bert")
    for status in (OK, DAMAGED, LOST):
        done = commands.run("status", "--config", home.file, "--ask", status=status, env=home.environment, noisy=True)
        answers = {name: node["answers"] and node["agrees"] for name, node in told(done).items()}
        assert list(answers.values()).count(True) == 3 - [OK, DAMAGED, LOST].index(status)
        assert "nothing is known" not in done.errors
        shutil.rmtree(next(place for place in places(nodes) if place.exists()))


def test_it_says_what_is_known_and_what_to_do(home, nodes):
    lose(home)
    text = shown(home, nodes / "bert")
    for line in (f"home/anna 00 rsync = {nodes}/anna: answers", "home: 3 of 3 nodes are there, 2 are enough",
                 f"home: written to {home.file}",
                 f"To restore all of it: zfec-fs decode --config {home.file} home: DIR",
                 "Also write exclude, delete, on_problem and the like again: the nodes do not have them"):  # fmt: skip
        assert line in text.splitlines()
    assert home.file.read_text() == SECTIONS.format(nodes=nodes)


def test_sync_goes_on_with_a_source(home, source, nodes):
    lose(home)
    recover(home, nodes / "bert")
    errors = home.run(status=USAGE).errors
    assert errors == f"zfec-fs: {home.file}:1: [home]: write source = DIR, what to keep in sync\n"
    home.file.write_text(home.file.read_text().replace("[home]", f"[home]\nsource = {source}"))
    assert {node["files"] for node in ends(home.run()).values()} == {0}


def test_the_default_file_is_made(home, nodes, tmp_path):
    home.environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    if os.geteuid() == 0:
        pytest.skip("root's is the system's")
    commands.run("recover", nodes / "anna", env=home.environment)
    assert (tmp_path / "config" / "zfec-fs" / "sets.ini").exists()


def test_a_file_of_sets_that_is_empty(home, nodes):
    home.file.write_text("")
    home.file.chmod(0o640)
    recover(home, nodes / "anna")
    assert home.file.read_text() == SECTIONS.format(nodes=nodes)
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o640


def test_an_empty_description_is_called_by_its_place(home, nodes):
    lose(home)
    (nodes / "anna" / DESCRIPTION).write_text("")
    errors = recover(home, nodes / "anna", status=FAILED).errors
    assert errors == f"zfec-fs: {nodes}/anna: has no sets; zfec-fs-sets(5) says how to write them\n"


def test_a_set_that_is_there_stays(home, source, nodes, tmp_path):
    before = home.file.read_bytes()
    errors = recover(home, nodes / "anna", status=FAILED).errors
    assert errors.count("\n") == 1 and "a set home, or a node at one of its places, is there already" in errors
    assert home.file.read_bytes() == before
    home.write(source, {"x": f"rsync = {tmp_path}/x"}, name="other", required=1)
    home.file.chmod(0o640)
    before = home.file.read_text()
    recover(home, nodes / "anna")
    assert home.file.read_text() == f"{before}\n{SECTIONS.format(nodes=nodes)}"
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o640


def test_nodes_that_tell_different_things(home, source, nodes):
    """All of it is shown; and only a choice writes one."""
    shutil.copytree(nodes / "carl", nodes / "kept", symlinks=True, ignore=shutil.ignore_patterns("fifo"))
    targets = local(nodes, [*NAMES, "dora"])
    home.write(source, targets)
    home.run()
    shutil.rmtree(nodes / "carl")
    (nodes / "kept").rename(nodes / "carl")
    lose(home)
    for place, other in (("anna", "carl"), ("carl", "anna")):
        done = recover(home, nodes / place, status=FAILED)
        assert "tell different things, and nothing is written" in done.errors
        assert not home.file.exists()
        assert not told(done)[other]["agrees"]
        text = shown(home, nodes / place)
        assert f"{other} tells:" in text and text.splitlines().count("    [home]") == 2
        assert text.count("[home/dora]") == 1
    recover(home, "--as-told", nodes / "anna")
    assert "[home/dora]" in home.file.read_text()


def test_nodes_that_do_not_answer(home, source, nodes):
    """One hangs, one is away: the others are told of at once, and the set is written."""
    install_ssh(home, SSH)
    targets = local(nodes, NAMES[:2]) | {"carl": f"rsync = far:{nodes}/carl",
                                         "dora": f"rsync = host:{nodes}/dora"}  # fmt: skip
    home.write(source, targets)
    home.run()
    lose(home)
    shutil.rmtree(nodes / "dora")
    install_ssh(home, SSH.replace("for last", 'case "$*" in *far*) exec sleep 300;; esac\nfor last'))
    began = time.monotonic()
    done = recover(home, nodes / "anna", status=DAMAGED)
    assert time.monotonic() - began < LIMIT_S
    answers = {name: node["answers"] for name, node in told(done).items()}
    assert answers == {"anna": True, "bert": True, "carl": False, "dora": True}
    assert told(done)["dora"]["agrees"] is False
    home.file.unlink()
    shutil.rmtree(nodes / "bert")
    (nodes / "bert").write_text("no directory")
    assert recover(home, nodes / "anna", status=LOST).summary["written"] is True


@needs_rclone
def test_a_directory_that_is_not_there(sets, nodes):  # noqa: F811
    """Which is another mistake than one that is no node's."""
    install_ssh(sets, SSH)
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    (nodes / "empty").mkdir()
    with syncing.rsync_daemon(nodes) as port:
        for place in ("cloud:", f"host:{nodes}/", f"rsync://127.0.0.1:{port}/data/"):
            errors = recover(sets, f"{place}no/such", status=FAILED).errors
            assert errors == (f"zfec-fs: {place}no/such: there is no such directory: correct the path, "
                              "or give the place of another node\n")  # fmt: skip
            assert f"has no {DESCRIPTION}" in recover(sets, f"{place}empty", status=FAILED).errors


def test_a_disk_that_is_somewhere_else_now(home, nodes, tmp_path):
    lose(home)
    (nodes / "anna").rename(tmp_path / "disk")
    recover(home, "disk", cwd=tmp_path)
    assert f"[home/anna]\nshare = 00\nrsync = {tmp_path}/disk\n" in home.file.read_text()
    commands.run("decode", "--config", home.file, "home:", tmp_path / "back", env=home.environment)


def test_a_daemon_tells_as_well(sets, source, nodes):  # noqa: F811
    with syncing.rsync_daemon(nodes) as port:
        url = f"rsync://127.0.0.1:{port}/data"
        sets.write(source, {name: f"rsync = {url}/{name}" for name in NAMES})
        sets.run()
        lose(sets)
        assert len(told(recover(sets, f"{url}/anna"))) == 3


EVIL = {
    "source": ("required = 2\n", "required = 2\nsource = /\n"),
    "a command": ("required = 2\n", "required = 2\non_problem = reboot\n"),
    "a key": ("share = 00\n", "share = 00\nssh_key = /etc/passwd\n"),
    "ssh's configuration": ("share = 00\n", "share = 00\nssh_config = /tmp/x\n"),
    "deletions": ("required = 2\n", "required = 2\ndelete = yes\n"),
    "what a remote runs": ("rsync = {nodes}/carl", "rclone = :sftp,ssh=reboot:x"),
    "what a known remote runs": ("rsync = {nodes}/carl", 'rclone = nas,ssh="reboot":x'),
    "an option of ssh": ("rsync = {nodes}/carl", "rsync = -oProxyCommand=reboot:x"),
    "what a shell runs": ("rsync = {nodes}/carl", "rsync = host:$(reboot)"),
    "another set": ("[home/carl]", "[more]\nrequired = 1\n[more/carl]"),
    "a name": ("[home/carl]", "[home/../carl]"),
    "no share": ("share = 02\n", ""),
    "a control character": ("rsync = {nodes}/carl", "rsync = host:\x1bx"),
    "any length": ("share = 02\n", "share = 02\n" + "# long\n" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("what", EVIL)
def test_nothing_else_is_taken(home, nodes, what):
    lose(home)
    text = (nodes / "anna" / DESCRIPTION).read_text()
    old, new = (part.replace("{nodes}", str(nodes)) for part in EVIL[what])
    assert old in text
    (nodes / "anna" / DESCRIPTION).write_text(text.replace(old, new))
    errors = recover(home, nodes / "anna", status=FAILED).errors
    assert errors.count("\n") == 1 and str(nodes / "anna") in errors
    assert not home.file.exists()


@pytest.mark.parametrize("what", ["symlink", "directory", "fifo", "missing", "large"])
def test_what_is_no_description(home, nodes, tmp_path, what):
    lose(home)
    path = nodes / "anna" / DESCRIPTION
    text = path.read_text()
    path.unlink()
    if what == "symlink":
        path.symlink_to(trees.write_file(tmp_path / "text", text.encode()))
    elif what == "directory":
        trees.write_file(path / DESCRIPTION, text.encode())
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "large":  # which is not fetched
        path.write_text(text)
        os.truncate(path, 1 << 40)
    errors = recover(home, nodes / "anna", status=FAILED).errors
    assert f"{nodes}/anna: has no {DESCRIPTION}, which tells of the other nodes" in errors
    assert not home.file.exists()


def test_words_that_are_no_place(sets, tmp_path):  # noqa: F811
    for words in ([], ["a", "b"], ["-oProxyCommand=x:y"], ["host:"]):
        recover(sets, *words, status=USAGE)
    errors = recover(sets, tmp_path / "nowhere", status=FAILED).errors
    assert errors == f"zfec-fs: {tmp_path}/nowhere: No such file or directory\n"
