# SPDX-License-Identifier: MIT
"""check of a set while sync or repair of it is under way: what is half sent is not lost for good."""

import contextlib
import fcntl
import json
import shutil

import pytest

from commands import DAMAGED, FAILED, LOST, OK
from set_places import install, run
from syncing import NAMES, local, settle, told
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")
LINE = (
    "zfec-fs: home: a run of sync or repair was under way, so what was found wrong is not remembered: "
    "check it again when that has ended"
)


@pytest.fixture
def made(sets, source, nodes):  # noqa: F811
    """A set that was checked, and has a program to tell of problems."""
    script = sets.folder / "alarm"
    script.write_text('#!/bin/sh\ncat > "$0.told"\n')
    script.chmod(0o755)
    sets.write(source, local(nodes, NAMES), more=f"retries = 0\non_problem = {script}")
    sets.run()
    settle(source)
    run(sets, "check", "home:")
    return sets


@contextlib.contextmanager
def under_way(sets):  # noqa: F811
    """As a run that holds the lock of the set."""
    with open(sets.state_folder / "home.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def between(sets, command):  # noqa: F811
    """Something that happens while check looks for the nodes."""
    install(sets, "stat", f'#!/bin/sh\n{command}\nexec {shutil.which("stat")} "$@"\n')


def lose(nodes, name):  # noqa: F811
    (nodes / name / "file-1").unlink()


def damage(nodes, name):  # noqa: F811
    """The last byte, behind the header."""
    path = nodes / name / "file-1"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def watched(sets):  # noqa: F811
    return json.loads((sets.state_folder / "watch" / "home.json").read_text())


def check(sets, *words, status):  # noqa: F811
    """What it found is told, and is neither remembered nor told of elsewhere."""
    before = watched(sets)
    done = run(sets, "check", *words, "home:", status=status)
    assert done.errors.splitlines().count(LINE) == 1
    assert watched(sets) == before
    assert not (sets.folder / "alarm.told").exists()
    assert told(sets)["problems"] == []


@pytest.mark.parametrize("words", [[], ["--quick"], ["--due"]])
def test_what_is_found_meanwhile_is_not_kept(made, nodes, words):  # noqa: F811
    with under_way(made):
        lose(nodes, "bert")
        check(made, *words, status=DAMAGED)
        if not words:
            damage(nodes, "carl")
            check(made, status=LOST)
    status = DAMAGED if words else LOST
    run(made, "check", *words, "home:", status=status)
    assert (made.folder / "alarm.told").exists()
    told(made, status=status)


def test_nor_is_a_node_that_is_being_made(made, nodes):  # noqa: F811
    shutil.rmtree(nodes / "bert")
    with under_way(made):
        check(made, status=DAMAGED)
        check(made, "--due", status=OK)
        shutil.rmtree(nodes / "carl")
        check(made, status=FAILED)


def test_what_is_good_meanwhile_is_kept(made):
    before = watched(made)
    settle(made.state_folder)
    with under_way(made):
        done = run(made, "check", "home:")
    assert done.errors == ""
    assert watched(made)["nodes"]["bert"]["looked"] > before["nodes"]["bert"]["looked"]


def test_a_run_that_begins_and_ends_meanwhile(made, nodes):  # noqa: F811
    """It has written the state."""
    lose(nodes, "bert")
    state = made.state_folder / "home.json"
    between(made, f"cp -p {state} {state}.new; mv {state}.new {state}")
    check(made, status=DAMAGED)


def test_a_run_that_begins_meanwhile(made, nodes):  # noqa: F811
    lose(nodes, "bert")
    lock = made.state_folder / "home.lock"
    between(made, f"setsid flock -n {lock} sleep 9 > /dev/null 2>&1 & sleep 0.3")
    check(made, status=DAMAGED)


def test_a_check_of_a_part_says_nothing(made, nodes):  # noqa: F811
    """Of that, nothing is ever remembered."""
    (nodes / "bert" / "dir" / "inner" / "file").unlink()
    with under_way(made):
        assert run(made, "check", "home:dir", status=DAMAGED).errors == ""
