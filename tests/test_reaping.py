# SPDX-License-Identifier: MIT
"""A command leaves no process to whoever adopts it: not every PID 1 takes dead ones away.

The tests' own process adopts what its descendants leave (see conftest.py) and takes nothing away.
"""

import os
import shutil
import signal
from pathlib import Path

import pytest

import commands
import encoding
import mounts as mounts_module
import syncing
from commands import FAILED, OK

nodes, sets = syncing.nodes, syncing.sets  # fixtures
STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def children():
    """The processes that this one has, alive or dead, and what they are called."""
    while True:
        try:
            threads = Path("/proc/self/task").iterdir()
            pids = " ".join((thread / "children").read_text() for thread in threads).split()
            return {int(pid): Path(f"/proc/{pid}/stat").read_text() for pid in pids}
        except (FileNotFoundError, ProcessLookupError):  # a thread has ended meanwhile, and its children are another one's
            pass


@pytest.fixture(autouse=True)
def none_left():
    """Looks at once after the command has ended: what is dead already stays until then."""
    before = children()
    yield before
    left = {pid: text for pid, text in children().items() if pid not in before}
    for pid in left:
        mounts_module.stop_process(pid)
    assert not left


@pytest.fixture
def source(tmp_path, rng):
    return encoding.make_source(tmp_path / "source", rng)


@pytest.fixture
def stores(tmp_path, source):
    commands.run("encode", "-k", "2", "-n", "3", source, tmp_path / "stores")
    return tmp_path / "stores"


# In the normal way


def test_commands_that_work(tmp_path, source, stores, none_left):
    file = stores / "00" / "file-0"
    shutil.rmtree(stores / "02" / "dir")
    for status, words in [
        (1, ["check", stores]),
        (1, ["repair", stores]),
        (OK, ["check", stores]),
        (OK, ["decode", stores, tmp_path / "out"]),
        (OK, ["encode", "-k", "2", "-n", "3", source, stores]),
        (OK, ["info", file]),
        (OK, ["bench"]),
    ]:
        commands.run(*words, status=status)
        assert not children().keys() - none_left.keys(), words


@pytest.mark.parametrize("command", ["encode", "decode", "check", "repair", "info", "sync"])
def test_commands_that_fail(tmp_path, command):
    words = ["-c"] if command == "sync" else []
    words += [tmp_path / "missing"] + [tmp_path / "out"] * (command in ("encode", "decode"))
    commands.run(command, *words, status=FAILED)


def test_a_mount_that_fails(tmp_path):
    (tmp_path / "mnt").mkdir()
    done = mounts_module.run(tmp_path / "missing", tmp_path / "mnt")
    assert done.returncode == FAILED


def test_nodes_in_sync(sets, source, nodes):
    sets.write(source, syncing.local(nodes, syncing.NAMES))
    sets.run("--verify", "50%")


# By signals


@pytest.fixture
def many(tmp_path, rng):
    """What takes a while."""
    encoding.make_many(tmp_path / "many", rng)
    return tmp_path / "many"


def start(tmp_path, many, command):
    words = ["encode", "-k", "2", "-n", "3", "-j", "1", many, tmp_path / "stores"]
    if command != "encode":
        commands.run(*words)
        words = [command, "-j", "1", tmp_path / "stores"]
    if command == "decode":
        words.append(tmp_path / "out")
    if command == "repair":
        shutil.rmtree(tmp_path / "stores" / "02")
        words += ["--add", f"02={tmp_path / 'stores' / '02'}"]
    process = commands.start(*words)
    assert process.stdout.readline()
    return process


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("command", ["encode", "decode", "check", "repair"])
def test_stopped(tmp_path, many, command, number):
    process = start(tmp_path, many, command)
    process.send_signal(number)
    assert commands.finish(process, b"").status == FAILED


@pytest.mark.parametrize("command", ["encode", "decode", "check", "repair"])
def test_stopped_twice(tmp_path, many, command):
    """The second ends it at once, and what works for it with it."""
    process = start(tmp_path, many, command)
    os.kill(commands.worker_of(process), signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=commands.LIMIT_S)
    assert process.returncode in (-signal.SIGINT, -signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_what_works_is_killed(tmp_path, many, number):
    process = start(tmp_path, many, "encode")
    os.kill(commands.worker_of(process), number)
    process.communicate(timeout=commands.LIMIT_S)
    assert process.returncode == -number


@pytest.mark.parametrize("number", STOPS)
def test_sync_that_is_stopped(sets, source, nodes, rng, number):
    process, seen = syncing.slow_run(sets, source, nodes, rng)
    process.send_signal(number)
    assert commands.finish(process, seen).status == FAILED


