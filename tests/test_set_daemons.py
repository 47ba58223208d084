# SPDX-License-Identifier: MIT
"""Sets with nodes behind rsync daemons, which cannot be mounted: their shares are fetched."""

import os
import re
import shutil
import signal
import subprocess

import pytest

import commands
import mounts as mounts_module
import syncing
from commands import DAMAGED, FAILED, LOST, OK
from set_places import contents, install, nothing_left, run, wait_until
from syncing import NAMES, local, settle
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")
WORD = re.compile(r"home: fetching (\d+) files?, [\d.]+ k?B, from (.*) to (/.*), since an rsync daemon")


@pytest.fixture
def port(nodes):  # noqa: F811
    with syncing.rsync_daemon(nodes) as number:
        yield number


def served(port, names):
    return {name: f"rsync = rsync://127.0.0.1:{port}/data/{name}" for name in names}


def write(sets, source, places, **more):  # noqa: F811
    sets.write(source, places, **more)
    sets.run()


@pytest.mark.parametrize("beneath", ["", "dir", "dir/inner"])
def test_all_comes_back_from_daemons_alone(sets, source, tmp_path, port, beneath):  # noqa: F811
    write(sets, source, served(port, NAMES))
    done = run(sets, "decode", f"home:{beneath}", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source / beneath)
    [(files, names, folder)] = WORD.findall(done.errors)
    assert (int(files) < 15) == (beneath != "")
    assert names == f"{NAMES[0]}, {NAMES[1]}"  # as many as are needed
    assert folder.startswith(str(sets.runtime))


def test_a_name_that_looks_like_a_pattern(sets, source, tmp_path, port):  # noqa: F811
    for name in ("[ab]*", "a x", "-v"):
        (source / name / "in it").mkdir(parents=True)
        (source / name / "in it" / "file").write_bytes(name.encode())
    write(sets, source, served(port, NAMES))
    for name in ("[ab]*", "a x", "-v"):
        run(sets, "decode", f"home:{name}/in it", tmp_path / f"back{name}")
        assert (tmp_path / f"back{name}" / "file").read_bytes() == name.encode()


def test_a_check_of_a_part_leaves_daemons_out_on_purpose(sets, source, nodes, port):  # noqa: F811
    """That is no problem of theirs, and ends none."""
    write(sets, source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    for words in (["--due"], ["--quick"], ["--sample=5%"]):
        run(sets, "check", *words, "home:")
        assert syncing.told(sets)["problems"] == []
    (nodes / NAMES[2]).rename(nodes / "away")
    run(sets, "check", "home:", status=DAMAGED)
    (nodes / "away").rename(nodes / NAMES[2])
    run(sets, "check", "--due", "home:")
    assert syncing.told(sets, status=DAMAGED)["problems"] == [f"{NAMES[2]}: check could not read it"]
    run(sets, "check", "home:")
    assert syncing.told(sets)["problems"] == []


def test_nothing_is_fetched_where_others_are_enough(sets, source, nodes, tmp_path, port):  # noqa: F811
    write(sets, source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    done = run(sets, "decode", "home:", tmp_path / "back")
    assert done.errors == ""
    assert contents(tmp_path / "back") == contents(source)


@pytest.mark.parametrize("remembered", [True, False])
def test_old_shares_of_others_are_not_enough(
    sets, source, nodes, tmp_path, port, remembered  # noqa: F811
):
    """Two disks were away while a file changed: the daemons have its newest version."""
    at_hand = NAMES[:2]
    write(sets, source, {**local(nodes, at_hand), **served(port, [NAMES[2], "dora"])})
    for name in at_hand:
        (nodes / name).rename(nodes / f"{name}-away")
    (source / "file-1").write_bytes(b"edited")
    (source / "new").write_bytes(b"new")
    sets.run(status=DAMAGED)
    for name in at_hand:
        (nodes / f"{name}-away").rename(nodes / name)
    if not remembered:  # as on a new machine
        shutil.rmtree(sets.state_folder)
    done = run(sets, "decode", "home:", tmp_path / "back")
    assert WORD.search(done.errors)
    assert contents(tmp_path / "back") == contents(source)


def test_damage_at_the_others_does_not_hide_a_daemon(sets, source, nodes, rng, tmp_path, port):  # noqa: F811
    write(sets, source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    syncing.spoil(nodes / NAMES[0] / "file-1", rng)
    (nodes / NAMES[1] / "file-2").unlink()
    done = run(sets, "decode", "home:", tmp_path / "back", status=LOST)
    assert f"home/{NAMES[2]} was not read" in done.errors
    run(sets, "check", "home:", status=DAMAGED)
    done = run(sets, "decode", "home:", tmp_path / "back")
    assert WORD.search(done.errors)
    assert contents(tmp_path / "back") == contents(source)


@pytest.mark.parametrize("how", ["damaged", "listed", "looked at", "lost"])
def test_a_view_tells_of_a_daemon_that_may_have_what_is_lost(
    mounts, sets, source, nodes, rng, port, how  # noqa: F811
):
    write(sets, source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    if how == "damaged":
        syncing.spoil(nodes / NAMES[0] / "file-1", rng)
    elif how == "lost":
        (nodes / NAMES[0] / "file-1").write_bytes(b"no share")
    else:
        (nodes / NAMES[0] / "file-1").unlink()
    mount = mounts.start("-o", f"restore,config={sets.file}", "home:", env=sets.environment)
    assert (mount.path / "file-2").read_bytes() == (source / "file-2").read_bytes()
    assert "was not read" not in mount.log()
    mount.expect_log("file-1", 0)
    for _ in range(2):  # and once for all
        if how == "listed":
            assert "file-1" not in os.listdir(mount.path)
        else:
            with pytest.raises(OSError):
                (mount.path / "file-1").read_bytes()
    mount.expect_log(f"home/{NAMES[2]} was not read.*zfec-fs check home:, and mount this again", 1)
    mount.unmount()


def test_daemons_without_room_are_left_out_where_others_are_enough(
    sets, source, nodes, rng, tmp_path, port  # noqa: F811
):
    if os.geteuid() != 0:
        pytest.skip("makes a small file system")
    (source / "large").write_bytes(rng.randbytes(4_000_000))
    write(sets, source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    shutil.rmtree(sets.state_folder)  # so that nothing is known of them
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", small], check=True)
    try:
        environment = {**sets.environment, "TMPDIR": str(small)}
        done = commands.run("decode", "--config", sets.file, "home:", tmp_path / "back",
                            env=environment, noisy=True)  # fmt: skip
    finally:
        subprocess.run(["umount", small], check=True)
    assert f"home/{NAMES[2]}: " in done.errors and "no room for it; it is left out" in done.errors
    assert contents(tmp_path / "back") == contents(source)


def test_those_that_can_be_reached_are_enough(sets, source, nodes, tmp_path, port):  # noqa: F811
    """One after the other, until they are."""
    write(sets, source, {**served(port, NAMES[:2]), **local(nodes, NAMES[2:])})
    shutil.rmtree(nodes / NAMES[0])
    done = run(sets, "decode", "home:", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
    assert f"home/{NAMES[0]}: " in done.errors and "it is left out" in done.errors


def test_too_few_are_one_line(sets, source, nodes, tmp_path, port):  # noqa: F811
    write(sets, source, served(port, NAMES))
    for name in NAMES[1:]:
        shutil.rmtree(nodes / name)
    done = run(sets, "decode", "home:", tmp_path / "back", status=FAILED)
    assert "home:: 1 of 3 nodes can be read, 2 needed" in done.errors
    assert not (tmp_path / "back").exists()


def test_a_part_of_a_share_is_no_share(sets, source, nodes, tmp_path, port):  # noqa: F811
    """What a daemon may not read is not taken for missing."""
    if os.geteuid() == 0:
        pytest.skip("root's daemon reads all")
    write(sets, source, served(port, NAMES))
    (nodes / NAMES[0] / "file-1").chmod(0)
    done = run(sets, "decode", "home:", tmp_path / "back")
    assert f"home/{NAMES[0]}: " in done.errors
    assert contents(tmp_path / "back") == contents(source)


def test_check_and_repair_read_daemons(sets, source, nodes, port):  # noqa: F811
    write(sets, source, served(port, NAMES))
    run(sets, "check", "home:")
    rotten = nodes / "bert" / "file-1"
    before = rotten.read_bytes()
    with open(rotten, "r+b") as file:
        file.seek(100)
        file.write(bytes([before[100] ^ 1]))
    done = run(sets, "check", "home:", status=DAMAGED)
    [line] = [line for line in done.json if line["message_type"] == "check"]
    assert (line["path"], [one["store"] for one in line["problems"]]) == ("file-1", ["home/bert"])
    (nodes / "carl" / "file-0").unlink()
    run(sets, "repair", "home:", status=DAMAGED)
    assert rotten.read_bytes() == before
    run(sets, "check", "home:")
    assert {end["files"] for end in syncing.ends(sets.run()).values()} == {0}


@pytest.mark.parametrize("part", [["--sample", "50%"], ["--due"]])
def test_a_check_of_a_part_fetches_nothing(sets, source, nodes, port, part):  # noqa: F811
    write(sets, source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    done = run(sets, "check", *part, "home:", status=OK)
    assert f"home/{NAMES[2]}: an rsync daemon's share is fetched as a whole" in done.errors
    assert not WORD.search(done.errors)


def test_a_view_of_daemons(mounts, sets, source, port):  # noqa: F811
    write(sets, source, served(port, NAMES))
    mount = mounts.start("-o", f"restore,config={sets.file}", "home:", env=sets.environment)
    assert contents(mount.path) == contents(source)
    mount.expect_log(WORD.pattern, 1)
    mount.unmount()
    wait_until(lambda: list(sets.runtime.iterdir()) == [])
    nothing_left(sets)


def test_there_is_no_room(sets, source, nodes, rng, tmp_path, port):  # noqa: F811
    if os.geteuid() != 0:
        pytest.skip("makes a small file system")
    (source / "large").write_bytes(rng.randbytes(4_000_000))
    write(sets, source, served(port, NAMES))
    (tmp_path / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path / "small"], check=True)
    try:
        environment = {**sets.environment, "TMPDIR": str(tmp_path / "small")}
        done = commands.run("decode", "--config", sets.file, "home:", tmp_path / "back",
                            status=FAILED, env=environment, noisy=True)  # fmt: skip
        assert "set TMPDIR to a directory with more" in done.errors
        assert list((tmp_path / "small").iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path / "small"], check=True)


def test_what_was_fetched_goes_with_the_run(sets, source, rng, tmp_path, port):  # noqa: F811
    """Stopped, at once; killed, with the next."""
    (source / "large").write_bytes(rng.randbytes(4_000_000))
    write(sets, source, served(port, NAMES))
    sets.write(source, {name: f"{text}\nbwlimit = 100K" for name, text in served(port, NAMES).items()})
    words = ["decode", "--config", sets.file, "home:", tmp_path / "back"]
    for number in (signal.SIGINT, signal.SIGKILL):
        done = subprocess.Popen([mounts_module.BINARY, *words], env=sets.environment,
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        wait_until(lambda: list(sets.runtime.rglob("file-*")))
        done.send_signal(number)
        assert done.wait(commands.LIMIT_S) != OK
        assert (list(sets.runtime.iterdir()) == []) == (number == signal.SIGINT)
    sets.write(source, served(port, NAMES))
    run(sets, *words[:1], *words[3:])
    assert contents(tmp_path / "back") == contents(source)


ENDS_LATE = """#!/usr/bin/python3
import signal, subprocess, sys, time
from pathlib import Path

def end(*_):
    made, until = 0, time.monotonic() + 1
    while Path(sys.argv[-1]).is_dir() and time.monotonic() < until:
        made += 1
        try:
            Path(sys.argv[-1], f"late-{made}").touch()
        except OSError:
            pass
    real.kill()
    sys.exit(20)

signal.signal(signal.SIGTERM, end)
real = subprocess.Popen(["/usr/bin/rsync", *sys.argv[1:]])
sys.exit(real.wait())
"""


def test_a_killed_run_whose_rsync_ends_late_leaves_nothing(sets, source, rng, tmp_path, port):  # noqa: F811
    (source / "large").write_bytes(rng.randbytes(4_000_000))
    texts = served(port, NAMES)
    write(sets, source, texts)
    sets.write(source, {name: f"{text}\nbwlimit = 100K" for name, text in texts.items()})
    install(sets, "rsync", ENDS_LATE)
    done = subprocess.Popen([mounts_module.BINARY, "decode", "--config", sets.file, "home:", tmp_path / "back"],
                            env=sets.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    wait_until(lambda: list(sets.runtime.rglob("file-*")))
    done.kill()
    done.wait(commands.LIMIT_S)
    (sets.folder / "tools" / "rsync").unlink()
    sets.write(source, texts)
    run(sets, "decode", "home:", tmp_path / "back")

# Symlinks

CHANGING = "munge symlinks = no"
KEEPING = ["munge symlinks = yes", *(["use chroot = yes"] if os.geteuid() == 0 else [])]
TOLD = "symlinks there are not as they were sent"


def link_out(source):  # noqa: F811
    (source / "absolute").symlink_to("/etc/hostname")
    (source / "dir" / "up").symlink_to("../../up")


@pytest.mark.parametrize("keeping", KEEPING)
def test_a_daemon_that_changes_symlinks_is_behind(sets, source, nodes, tmp_path, keeping):  # noqa: F811
    """It strips / and .. from where they lead, and takes what it has for what it is sent."""
    link_out(source)
    port = syncing.free_port()
    sets.write(source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])}, more="retries = 0")
    with syncing.rsync_daemon(nodes, port, symlinks=CHANGING):
        for words in ([], [], ["--verify", "100%"]):  # though nothing is sent any more
            done = sets.run(*words, status=DAMAGED)
            assert syncing.health(done) == {"anna": True, "bert": True, "carl": False}
            assert TOLD in syncing.ends(done)["carl"]["error"]
            assert {line["path"] for line in done.json if line.get("action") == "different"} == {
                "absolute", "dir/up"
            }  # fmt: skip
    with syncing.rsync_daemon(nodes, port, symlinks=keeping):
        assert syncing.health(sets.run())["carl"]
        settle(source)
        sets.run("--verify", "100%")
        for name in NAMES[:2]:
            shutil.rmtree(nodes / name)
        sets.write(source, served(port, NAMES))
        sets.run()
        run(sets, "decode", "home:", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
    assert os.readlink(tmp_path / "back" / "absolute") == "/etc/hostname"


def test_nothing_is_asked_where_no_symlink_was_sent(sets, source, nodes, tmp_path, port, rng):  # noqa: F811
    log = tmp_path / "calls"
    install(sets, "rsync", f'#!/bin/sh\necho "$*" >>{log}\nexec {shutil.which("rsync")} "$@"\n')
    sets.write(source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})

    def asked():
        log.write_text("")
        sets.run()
        return sum(" --links --ignore-missing-args " in line for line in log.read_text().splitlines())

    assert asked() == 1
    (source / "file-1").write_bytes(rng.randbytes(1000))
    assert asked() == 0
    (source / "new").symlink_to("file-1")
    assert asked() == 1


def test_what_a_daemon_has_changed_since_is_found(sets, source, nodes):  # noqa: F811
    """By a run that compares, and mended by the next."""
    link_out(source)
    port = syncing.free_port()
    sets.write(source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])})
    with syncing.rsync_daemon(nodes, port, symlinks=KEEPING[-1]):
        sets.run()
    settle(source)
    with syncing.rsync_daemon(nodes, port, symlinks=CHANGING):
        (nodes / "carl" / "absolute").unlink()
        (nodes / "carl" / "absolute").symlink_to("etc/hostname")  # as of before it was found
        done = sets.run("--verify", "1%", status=DAMAGED)
        assert TOLD in syncing.ends(done)["carl"]["error"]


@pytest.mark.parametrize("how", ["repaired", "replaced"])
def test_repair_tells_of_symlinks_that_a_daemon_changes(sets, source, nodes, how):  # noqa: F811
    link_out(source)
    port = syncing.free_port()
    sets.write(source, {**local(nodes, NAMES[:2]), **served(port, NAMES[2:])}, more="retries = 0")
    with syncing.rsync_daemon(nodes, port, symlinks="munge symlinks = yes"):
        sets.run()
    words = []
    if how == "replaced":
        shutil.rmtree(nodes / "carl")
        words = ["--replace", "carl"]
    else:
        (nodes / "carl" / "absolute").unlink()
        (nodes / "carl" / "dir" / "up").unlink()
    with syncing.rsync_daemon(nodes, port, symlinks=CHANGING):
        done = run(sets, "repair", *words, "home:", status=FAILED)
        assert f"home/carl: {TOLD}" in done.errors
    with syncing.rsync_daemon(nodes, port, symlinks="munge symlinks = yes"):
        run(sets, "repair", *words, "home:", status=OK if words else DAMAGED)
        run(sets, "check", "home:")
