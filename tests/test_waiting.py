# SPDX-License-Identifier: MIT
"""A run waits for another one that writes to the same place, also for one that was killed."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

import commands
import encoding
import mounts
import repairing
import users
from commands import DAMAGED, FAILED, OK, run

EARLY = True
ENCODE = ["encode", "-k", "2", "-n", "3"]
WAITING = "another run writes there; waiting for it to end"
user = users.user  # a fixture


@pytest.fixture
def source(tmp_path, rng):
    return encoding.make_source(tmp_path / "source", rng)


@pytest.fixture
def stores(tmp_path, source):
    run(*ENCODE, source, tmp_path / "stores")
    return tmp_path / "stores"


@contextlib.contextmanager
def held(folder):
    """As another run holds it."""
    root = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        yield
    finally:
        os.close(root)


CASES = {
    "encode": (OK, lambda folder: [*ENCODE, folder / "source", folder / "stores"], "stores/01"),
    "decode": (OK, lambda folder: ["decode", folder / "stores", folder / "out"], "out"),
    "repair": (DAMAGED, lambda folder: ["repair", folder / "stores"], "stores/02"),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path, stores):
    """The status that a command should have, its words, and the place that is held."""
    (tmp_path / "out").mkdir()
    shutil.rmtree(stores / "00" / "dir")
    status, words, place = CASES[request.param]
    return status, words(tmp_path), tmp_path / place


def start_waiting(words):
    """Returns once it has said that it waits."""
    process = commands.start(*words)
    assert WAITING in process.stderr.readline().decode()
    return process


def test_until_the_other_ends(case, tmp_path):
    """It says so once, and then does all."""
    status, words, place = case
    with held(place):
        process = start_waiting(words)
        before = repairing.state_of(place)
        threading.Event().wait(1)
        assert repairing.state_of(place) == before
    done = commands.finish(process)
    assert done.status == status and done.errors == ""
    if "decode" in words:
        commands.compare_trees(tmp_path / "source", place)


def test_a_moment_is_not_told(case):
    status, words, place = case
    with held(place):
        process = commands.start(*words)
        threading.Event().wait(0.3)
    done = commands.finish(process)
    assert done.status == status and "another run" not in done.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_meanwhile(case, tmp_path, number):
    _, words, place = case
    before = commands.snapshot(tmp_path)
    with held(place):
        process = start_waiting(words)
        process.send_signal(number)
        done = commands.finish(process)
    assert done.status == FAILED and "nothing was done" in done.errors
    assert done.summary["made"] == 0
    assert commands.snapshot(tmp_path) == before


def test_not_for_ever(tmp_path, source, stores):
    """What a run has made that is refused is removed; the places of others are as they were."""
    shutil.rmtree(stores / "00" / "dir")
    names = repairing.state_of(tmp_path).keys()
    before = commands.snapshot(stores)
    new = ["--to", f"00={tmp_path / 'new'}", "--to", f"02={stores / '02'}"]
    with held(stores / "02"):
        waiting = [
            commands.start(*ENCODE, *new, source),
            commands.start("repair", "--add", f"03={tmp_path / 'added'}", stores),
        ]
        for done in map(commands.finish, waiting):
            assert done.status == FAILED and done.summary["made"] == 0
            told = [line for line in done.errors.splitlines() if "another run" in line]
            assert len(told) == 2 and WAITING in told[0] and "nothing was done" in told[1]
    assert repairing.state_of(tmp_path).keys() == names
    assert commands.snapshot(stores) == before


@pytest.mark.parametrize("command", ["encode", "decode", "repair"])
def test_a_run_that_was_killed(tmp_path, rng, command):
    """What works for it is not gone at once: it may be in the middle of a sync."""
    source, stores, out = tmp_path / "source", tmp_path / "stores", tmp_path / "out"
    encoding.make_many(source, rng, sizes=(100_000, 300_000))
    words = [*ENCODE, source, stores]
    if command != "encode":
        run(*words)
        words = ["decode", stores, out]
    if command == "repair":
        words = ["repair", "--add", f"02={stores / '02'}", stores]
    made = {"encode": stores, "decode": out, "repair": stores / "02"}[command]
    shutil.rmtree(made, ignore_errors=True)
    duration = run(*words, status=DAMAGED if command == "repair" else OK).summary["seconds"]
    for _ in range(4):
        shutil.rmtree(made)
        process = commands.start(*words)
        threading.Timer(rng.uniform(0, 1.2 * duration), process.kill).start()
        process.wait()
        again = commands.start(*words)
        process.communicate()
        done = commands.finish(again)
        assert done.status in (OK, DAMAGED), done.errors
        assert "nothing was done" not in done.errors
        assert commands.leftovers(made) == []


def test_a_run_that_was_killed_while_its_worker_syncs(tmp_path, source):
    """The worker is held before its first syncfs: its lock outlives the command for that long."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    log, words = tmp_path / "trace", [*ENCODE, source, tmp_path / "stores"]
    held_us = 4_000_000
    strace = ["strace", "-f", "-o", log, "-e", "trace=syncfs"]
    strace += ["-e", f"inject=syncfs:delay_enter={held_us}:when=1"]
    with subprocess.Popen([*strace, mounts.BINARY, *words], stderr=subprocess.DEVNULL) as tracer:
        deadline = time.monotonic() + commands.LIMIT_S
        while not log.exists() or "syncfs(" not in log.read_text():
            assert tracer.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        command = commands.worker_of(tracer)
        os.kill(command, signal.SIGKILL)
        again = start_waiting(words)
    done = commands.finish(again)
    assert done.status == OK and done.errors == ""
    assert commands.leftovers(tmp_path / "stores") == []


# What a run changes before it is refused


def test_a_closed_place_is_closed_again(user):
    """Who is not root opens a place of his own to himself, and has to give it back."""
    source, out = user.folder / "source", user.folder / "out"
    (source / "dir").mkdir(parents=True)
    for name, mode in (("00", 0o500), ("01", 0o700)):
        (out / name).mkdir(parents=True)
        (out / name).chmod(mode)
    user.own(source)
    user.own(out)
    words = [*user.WORDS, user.binary, *ENCODE, "--shares", "00,01", source, out]
    with held(out / "01"):
        process = subprocess.Popen(words, cwd="/", stderr=subprocess.PIPE)
        assert WAITING in process.stderr.readline().decode()
        assert (out / "00").stat().st_mode & 0o777 == 0o700
        process.terminate()
        process.communicate()
    assert process.returncode == FAILED
    assert (out / "00").stat().st_mode & 0o777 == 0o500
