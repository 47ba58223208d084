# SPDX-License-Identifier: MIT
"""Signals to a command: the user's process passes them on to the one that works."""

import os
import re
import signal
import subprocess

import pytest

import commands
import mounts as mounts_module
import oracle
import trees
from commands import FAILED, OK

BLOCK_SIZE = 65536


@pytest.fixture
def store(tmp_path, rng):
    """One that takes a while to be checked."""
    data = rng.randbytes(2000 * 1000)
    share = oracle.make_share("checked", data, 1, 2, 0, trees.MTIME_NS, BLOCK_SIZE)
    path = trees.write_file(tmp_path / "stores" / "a" / "file", share)
    for number in range(1000):
        os.link(path, path.parent / f"link-{number}")
    return path.parent


@pytest.fixture
def check(store):
    """A check under way that has told of its first file; and that line."""
    process = commands.start("check", "-j", "1", store.parent)
    first = process.stdout.readline()
    yield process, first
    process.kill()
    process.communicate()


def finish(check):
    process, first = check
    return commands.finish(process, first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stops(check, number):
    check[0].send_signal(number)
    result = finish(check)
    assert result.status == FAILED
    counts = re.fullmatch(r"zfec-fs: check: stopping at ([\d,]+) of ([\d,]+) files; another run begins "
                          r"anew\n", result.errors).groups()  # fmt: skip
    done, of = (int(count.replace(",", "")) for count in counts)
    assert done <= of


def test_a_terminals_signal_comes_once(check):
    """It comes to both processes, and so does that of timeout(1)."""
    process, _ = check
    for pid in (commands.worker_of(process), process.pid, commands.worker_of(process)):
        os.kill(pid, signal.SIGINT)
    result = finish(check)
    assert result.status == FAILED and result.errors.count("stopping") == 1


def test_the_second_ends_it_at_once(check):
    """Also where the first has come to nothing. Two of one kind might come as one."""
    process, _ = check
    os.kill(commands.worker_of(process), signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(commands.LIMIT_S) in (-signal.SIGINT, -signal.SIGTERM)


def test_progress_on_demand(check):
    """Also where there is no terminal, and it goes on."""
    process, _ = check
    process.send_signal(signal.SIGUSR1)
    line = process.stderr.readline().decode()
    assert line.startswith("check: ") and " files, " in line
    assert finish(check).status != FAILED


def test_ignored_signals_stay_so(store):
    """As nohup(1) has it."""
    process = subprocess.Popen(
        ["nohup", mounts_module.BINARY, "check", "--json", "-v", store.parent],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    first = process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    assert commands.finish(process, first).status == OK


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_what_ends_the_one_ends_the_other(check, number):
    """Pipes are closed when both have ended."""
    process, _ = check
    os.kill(commands.worker_of(process), number)
    process.communicate(timeout=commands.LIMIT_S)
    assert process.returncode == -number


def test_killed(check):
    process, _ = check
    process.kill()
    process.communicate(timeout=commands.LIMIT_S)
    assert process.returncode == -signal.SIGKILL
