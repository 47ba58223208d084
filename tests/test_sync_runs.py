# SPDX-License-Identifier: MIT
"""Runs of sync that meet, that are ended in any way, and that show how far they are."""

import contextlib
import os
import pty
import re
import shutil
import signal
import stat
import subprocess

import pytest

import commands
import mounts as mounts_module
import syncing
from commands import FAILED, LOST, OK
from syncing import (
    NAMES, compare_with_encode, ends, large_file, local, places, processes_of, slow_run, told,
    told_as_text,
)  # fmt: skip
from syncing import nodes, sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


# Runs that meet, and runs that are ended


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


def test_killed_a_run_leaves_nothing(sets, source, nodes, rng):
    process, _ = slow_run(sets, source, nodes, rng)
    descendants = processes_of(process)
    process.kill()
    process.communicate()
    for pid in descendants:
        assert mounts_module.wait_for_exit(pid)
    sets.nothing_left()
    syncing.wait_until_programs_end(sets.folder)


def test_a_killed_run_is_no_good_one(sets, source, nodes, rng):
    """While it lasts, what was up to date counts; then nothing does, as it may have sent a part."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    process, _ = slow_run(sets, source, nodes, rng)
    lasting = told(sets)
    assert (lasting["up_to_date"], lasting["may_lose"]) == (3, 1)
    process.kill()
    process.communicate()
    line = told(sets, status=LOST)
    assert (line["up_to_date"], line["may_lose"]) == (0, -1)
    assert {node["error"] for node in line["nodes"].values()} == {
        "the last run of sync was killed; the next one goes on"
    }
    syncing.wait_until_programs_end(sets.folder)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    assert told(sets)["may_lose"] == 1


@pytest.mark.parametrize("more", ["", "delete = yes"])
def test_a_source_without_files_is_not_mounted(sets, source, nodes, tmp_path, more):
    sets.write(source, local(nodes, NAMES), more=more)
    sets.run()
    before = commands.snapshot(nodes)
    os.rename(source, tmp_path / "away")
    (source / "directory").mkdir(parents=True)
    done = sets.run(status=FAILED, noisy=True)
    assert f"there is no file in the source {source}, and there were 8: is it mounted?" in done.errors
    assert commands.snapshot(nodes) == before
    assert told(sets, status=FAILED)["problems"] == ["the last run of sync failed"]
    sets.run("--delete-most")
    assert [(place / "file-0").exists() for place in places(nodes)] == [more == ""] * 3


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


@pytest.mark.parametrize("required, found", [(1, "1 is needed"), (2, "2 are needed")])
def test_fewer_nodes_than_are_needed_are_not_enough(sets, source, nodes, required, found):
    """Nor do they become so by being counted."""
    sets.write(source, local(nodes, NAMES), required=required, more="retries = 0")
    for name in NAMES:
        (nodes / name).write_text("in its place")
    for words in ([], ["--dry-run"]):
        text = told_as_text(sets, *words, command="sync", status=LOST)[-1]
        assert text.startswith("home: 0 of 3 nodes ") and text.endswith(f", {found}")
