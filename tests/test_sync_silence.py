# SPDX-License-Identifier: MIT
"""Nodes that fall silent in the middle of a sync: one that does not answer any more has failed after
its timeout, and one that is only slow, or works without a word, has not.
"""

import contextlib
import os
import shutil
import signal
import sys
import time

import pytest

import commands
import mounts as mounts_module
import syncing
import trees
from commands import DAMAGED, LOST, OK
from failing_store import FailingStore
from relay import Relay
from syncing import ends, health, local, nodes, sets, source  # noqa: F401
from syncing import large_file

UNSANITIZED = True
EARLY = True
KINDS = ["daemon", *mounts_module.if_long("sftp", "webdav")]
pytestmark = pytest.mark.skipif(
    not (shutil.which("rsync") and shutil.which("rclone")), reason="rsync or rclone is missing"
)
# rsync's own words, or ours: they notice at the same time.
SILENT = "it did not answer in time", "imeout"


@contextlib.contextmanager
def relayed(sets, nodes, kind):
    """A relay before a server of the folder "away", and the line of a node there."""
    away = nodes / "away"
    away.mkdir()
    server = {"daemon": syncing.rsync_daemon, "sftp": syncing.sftp, "webdav": syncing.webdav}[kind]
    with server(away) as port:
        relay = Relay(("127.0.0.1", port))
        try:
            if kind == "daemon":
                yield relay, f"rsync = rsync://127.0.0.1:{relay.port}/data/carl"
            else:
                (sets.folder / "rclone.conf").write_text(syncing.remote(kind, relay.port))
                yield relay, "rclone = remote:carl"
        finally:
            relay.close()


def start_and_stall(sets, source, nodes, rng, relay, line, more):  # noqa: F811
    """A run of which the third node falls silent in the middle of a file."""
    large_file(source, rng)
    relay.rate = 1_000_000
    targets = local(nodes, ["anna", "bert"]) | {"carl": f"{line}\n{more}"}
    sets.write(source, targets)
    process = sets.start()
    assert relay.wait_until_passed(500_000, syncing.LIMIT_S)
    relay.stall()
    relay.rate = None
    return process


@pytest.mark.parametrize("kind", KINDS)
def test_it_fails_at_its_timeout(sets, source, nodes, rng, kind):  # noqa: F811
    """In the first try in the middle of a file, in the second while it should say hello."""
    with relayed(sets, nodes, kind) as (relay, line):
        began = time.monotonic()
        process = start_and_stall(sets, source, nodes, rng, relay, line, "timeout = 3\nretries = 1")
        result = commands.finish(process)
    assert result.status == DAMAGED
    assert health(result) == {"anna": True, "bert": True, "carl": False}
    node = ends(result)["carl"]
    assert node["try"] == 2
    assert any(word in node["error"] for word in SILENT), node
    # A deadline is a day.
    assert time.monotonic() - began < syncing.LIMIT_S
    assert syncing.programs_of(sets.folder) == []
    sets.nothing_left()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_tried_again(sets, source, nodes, rng, kind):  # noqa: F811
    with relayed(sets, nodes, kind) as (relay, line):
        process = start_and_stall(sets, source, nodes, rng, relay, line, "timeout = 3")
        seen = b""
        while b'"event":"retry"' not in seen:
            part = process.stdout.readline()
            assert part, process.stderr.read()
            seen += part
        relay.cut()
        relay.heal()
        relay.resume()
        result = commands.finish(process, seen)
    assert result.status == OK, result.errors
    assert ends(result)["carl"]["try"] > 1
    assert any(word in result.errors for word in SILENT), result.errors
    commands.run("encode", "-k", "2", "-n", "3", source, nodes / "encoded")
    large = [nodes / folder / "large" for folder in ("away/carl", "encoded/02")]
    assert large[0].read_bytes() == large[1].read_bytes()


@pytest.mark.parametrize("sizes", [[600_000], [140_000] * 8], ids=["one file", "several files"])
@pytest.mark.parametrize("kind", ["daemon", "sftp"])
def test_a_slow_one_is_waited_for(sets, source, nodes, rng, kind, sizes):  # noqa: F811
    """Several times as long as the timeout. Each file makes rsync's sign of life come later."""
    for index, size in enumerate(sizes):
        large_file(source, rng, size, f"large{index}")
    with relayed(sets, nodes, kind) as (relay, line):
        relay.rate = 40_000
        targets = local(nodes, ["anna", "bert"]) | {"carl": f"{line}\ntimeout = 3\nretries = 0"}
        sets.write(source, targets)
        result = sets.run()
    assert ends(result)["carl"]["seconds"] > 6
    assert health(result) == {"anna": True, "bert": True, "carl": True}


# Programs that say nothing at all

COMPUTES = f"""#!{sys.executable}
import time
end = time.monotonic() + 4
while time.monotonic() < end:
    pass
"""
HAS_ANOTHER_READ = """#!/bin/sh
sh -c 'for i in 1 2 3 4 5 6 7 8; do read x </proc/version; sleep 0.5; done'
exit 0
"""
WAITS = """#!/bin/sh
sleep 60
exit 0
"""


@pytest.mark.parametrize("program", ["rsync", "rclone"])
@pytest.mark.parametrize("work", [COMPUTES, HAS_ANOTHER_READ, WAITS], ids=["computes", "has another read", "waits"])
def test_silent_work(sets, source, nodes, tmp_path, program, work):  # noqa: F811
    """A long listing, a long hash: that it says nothing does not mean that it is stuck."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / program).write_text(work)
    (tools / program).chmod(0o755)
    target = "rsync = host:path" if program == "rsync" else "rclone = remote:path"
    sets.write(source, {"a": f"{target}\ntimeout = 2\nretries = 0"}, required=1)
    result = sets.run(
        status=LOST if work is WAITS else OK,
        environment={"PATH": f"{tools}:{os.environ['PATH']}"},
    )
    if work is WAITS:
        assert ends(result)["a"]["error"] == SILENT[0]
        assert ends(result)["a"]["seconds"] < 30
    else:
        assert ends(result)["a"]["seconds"] > 3


@contextlib.contextmanager
def stopped(mounts, folder):  # noqa: F811
    """Nobody takes the requests of what is mounted there: who waits can be killed."""
    (folder / "disk").mkdir()
    view = mounts.encoded(folder / "disk", required=1, shares=1)
    view.process.send_signal(signal.SIGSTOP)
    try:
        yield view.path
    finally:
        view.process.send_signal(signal.SIGCONT)
    view.unmount()


@contextlib.contextmanager
def stuck(_, folder):
    """Requests are taken and not answered: who waits for one cannot be killed, as with a disk."""
    (folder / "disk").mkdir()
    store = FailingStore(folder / "disk", folder / "mnt")
    store.hang("all")
    try:
        yield store.path
    finally:
        store.close()


@pytest.mark.parametrize("program", ["rsync", "rclone"])
@pytest.mark.parametrize("hanging", [stopped, stuck], ids=["stopped", "stuck"])
def test_a_place_of_this_machine_that_hangs(mounts, sets, source, nodes, tmp_path, hanging, program):  # noqa: F811
    """As a disk does that is about to die: the others are not held up.

    What hangs so that it cannot be killed is not tried again: it would only become more of it.
    """
    with hanging(mounts, tmp_path) as place:
        (sets.folder / "rclone.conf").write_text(f"[disk]\ntype = alias\nremote = {place}\n")
        carl = {"rsync": f"rsync = {place}/carl", "rclone": "rclone = disk:carl"}[program]
        sets.write(source, local(nodes, ["anna", "bert"]) | {"carl": carl}, more="timeout = 2\nretries = 1")
        process = sets.start()
        result = commands.finish(process)
    assert result.status == DAMAGED
    assert health(result) == {"anna": True, "bert": True, "carl": False}
    assert ends(result)["carl"]["error"] in SILENT
    assert ends(result)["carl"]["try"] == (1 if hanging is stuck else 2)
    assert ends(result)["anna"]["seconds"] < ends(result)["carl"]["seconds"]
    sets.nothing_left()


def test_a_source_that_hangs(sets, nodes, rng, tmp_path):  # noqa: F811
    """The run ends, and its output as well, while those who read the source cannot be killed."""
    trees.write_file(tmp_path / "disk" / "file", rng.randbytes(1000))
    store = FailingStore(tmp_path / "disk", tmp_path / "mnt")
    store.hang("read")
    try:
        sets.write(store.path, local(nodes, ["anna", "bert"]), more="timeout = 2\nretries = 0")
        result = commands.finish(sets.start())
        assert result.status == LOST
        assert health(result) == {"anna": False, "bert": False}
        assert "the source hangs" in result.errors
        assert mounts_module.mounted_beneath(sets.folder) == []
    finally:
        store.close()
