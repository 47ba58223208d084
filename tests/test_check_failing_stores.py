# SPDX-License-Identifier: MIT
"""check and stores that fail, hang, die, or may not be read: no verdict on what they did not say."""

import contextlib
import errno
import json
import subprocess

import pytest

import checking
import commands
import trees
import users
from checking import HANG_LIMIT_S, Stores, block_place
from commands import DAMAGED, FAILED, OK

needs_root = users.needs_root
stores = checking.stores  # a fixture
user = users.user  # a fixture


# Stores that fail


@pytest.fixture
def failing():
    """Has a store served by a file system that fails to order."""
    pytest.importorskip("pyfuse3", reason="needs python3-pyfuse3")
    failing_store = pytest.importorskip("failing_store")
    made = []

    def make(stores, name):
        stores.settle_times()
        behind = stores.folder.parent / "behind" / name
        behind.parent.mkdir(exist_ok=True)
        (stores.folder / name).rename(behind)
        made.append(failing_store.FailingStore(behind, stores.folder / name))
        return made[-1]

    yield make
    for store in made:
        with contextlib.suppress(Exception):
            store.thaw()
            store.go_on()
        store.close()


def run_beside(store, folder, *words):
    """Runs check, and has the store answer again where it does not end without that."""
    process = commands.start("check", *words, folder)
    try:
        process.wait(timeout=HANG_LIMIT_S)
    except subprocess.TimeoutExpired:
        store.thaw()
        store.go_on()
        commands.finish(process)
        pytest.fail("check does not end until the store answers")
    return commands.finish(process)


def states_in(result, store):
    """path -> what is said of it in one store."""
    return {
        line["path"]: problem["state"]
        for line in result.json
        if line["message_type"] == "check"
        for problem in line["problems"]
        if problem["store"].endswith(f"/{store}")
    }


def test_a_store_that_fails(stores, failing):
    stores.put()
    store = failing(stores, "c")
    store.refuse(5)
    result = run_beside(store, stores.folder)
    assert result.status == DAMAGED
    states = states_in(result, "c")
    if states:
        assert states == dict.fromkeys(["", "file", "other-1", "other-2"], "unreadable")
    else:  # it was never a store
        assert "stores/c is left out" in result.errors


def test_a_store_that_fails_in_one_block(stores, failing):
    stores.put()
    store = failing(stores, "c")
    place = block_place(2)
    store.fail("file", place.start, place.stop)
    result = run_beside(store, stores.folder)
    (line,) = (line for line in result.json if line["message_type"] == "check" and line["problems"])
    assert line["path"] == "file" and line["may_lose"] == 1
    (problem,) = line["problems"]
    assert problem["state"] in ("damaged", "unreadable")
    assert problem.get("damaged_blocks", [[2, 2]]) == [[2, 2]]
    assert result.status == DAMAGED


def test_a_store_that_dies(stores, failing):
    stores.put()
    store = failing(stores, "c")
    store.kill()
    result = run_beside(store, stores.folder)
    assert result.status in (DAMAGED, FAILED)
    assert "stores/c" in result.errors + json.dumps(result.json), "it is named"


@pytest.mark.parametrize("operation", ["read", "lookup"])
def test_a_store_that_hangs(stores, failing, operation):
    """check ends, has seen all that the others have, and says which store it was."""
    for number in range(30):
        stores.put(f"file-{number}", 5000)
    stores.spoil("a", 0, name="file-7")
    store = failing(stores, "c")
    store.hang(operation)
    result = run_beside(store, stores.folder)
    states = states_in(result, "c")
    assert states and set(states.values()) <= {"unreadable", "damaged"}, states
    assert {f"file-{number}" for number in range(30)} <= set(states)
    assert states_in(result, "a") == {"file-7": "damaged"}
    assert result.status == DAMAGED


@pytest.mark.parametrize("late", ["a block", "all"])
def test_what_did_not_come_in_time_is_not_lost(stores, failing, tmp_path, late):
    """Neither for check nor for decode: the store may have what is missing."""
    stores.put()
    for name in "ad":
        stores.spoil(name, 2)
    store = failing(stores, "c")
    place = block_place(2) if late == "a block" else slice(0, 1 << 62)
    store.fail("file", place.start, place.stop, errno.ETIMEDOUT)
    result = run_beside(store, stores.folder)
    assert result.status == FAILED
    assert "file: cannot be checked: Connection timed out" in result.errors
    assert result.json[-1]["lost"] == 0
    result = commands.run("decode", stores.folder, tmp_path / "out", status=FAILED, noisy=True)
    assert result.json[-1]["lost"] == 0 and result.json[-1]["failed"] == 1
    assert not (tmp_path / "out" / "file").exists()


def test_a_store_that_never_answers(stores, failing):
    stores.put()
    store = failing(stores, "c")
    store.freeze()
    result = run_beside(store, stores.folder)
    assert "stores/c" in result.errors + json.dumps(result.json), "it is named"
    assert result.status in (OK, DAMAGED)


# What a user may not look at


@needs_root
def test_what_not_all_could_say_is_no_verdict(user, rng):
    """Three of four stores cannot be looked at there: that one has it does not make it foreign."""
    stores = Stores(user.folder / "stores", rng)
    for name in ("closed/file", "other"):
        stores.put(name, 5000)
    user.own(stores.folder)
    for store in "abc":
        stores.path(store, "closed").chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "closed/file: cannot be checked" in result.errors
    assert "foreign" not in {line.get("health") for line in result.json}
    assert result.json[-1]["sentence"].startswith("Every file that could be checked survives")


@needs_root
def test_what_the_user_may_not_read_is_not_lost(user, rng):
    stores = Stores(user.folder / "stores", rng)
    stores.put(size=5000)
    stores.put("other", 5000)
    (user.folder / "home").mkdir()
    user.own(user.folder / "home")
    user.own(stores.folder)
    for store in "abc":
        stores.path(store).chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "file: cannot be checked: Permission denied" in result.errors
    assert result.json[-1]["lost"] == 0
    out = user.folder / "home" / "out"
    result = commands.run("decode", stores.folder, out, status=FAILED, noisy=True, **how)
    assert "file: Permission denied" in result.errors
    assert result.json[-1]["lost"] == 0 and result.json[-1]["failed"] == 1


@needs_root
@pytest.mark.parametrize("closed", [("a", "b"), ("a",)])
def test_repair_replaces_nothing_that_it_cannot_read(user, rng, closed):
    """The shares of a newer version, whose size and time can be seen, are left as they are."""
    stores = Stores(user.folder / "stores", rng)
    stores.put(size=5000)
    stores.put("other", 5000)
    stores.put(size=7000, mtime_ns=trees.MTIME_NS + 10**9, at={"a": 0, "b": 1})
    user.own(stores.folder)
    newer = {store: stores.path(store).read_bytes() for store in "ab"}
    for store in closed:
        stores.path(store).chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("repair", stores.folder, status=FAILED, noisy=True, **how)
    assert "Permission denied" in result.errors
    assert {store: stores.path(store).read_bytes() for store in "ab"} == newer


@needs_root
@pytest.mark.parametrize("closed", ["file", "dir"])
def test_an_old_version_is_not_taken_while_a_newer_one_may_not_be_read(user, rng, closed):
    stores = Stores(user.folder / "stores", rng)
    stores.put("other", 5000)
    stores.put("dir/file", 5000)
    stores.put("dir/file", 7000, mtime_ns=trees.MTIME_NS + 10**9, at={"a": 0, "b": 1})
    home = user.folder / "home"
    trees.write_file(home / "out" / "dir" / "file", b"the newest")
    user.own(home)
    user.own(stores.folder)
    for store in "ab":
        (stores.path(store, "dir/file") if closed == "file" else stores.path(store, "dir")).chmod(0)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    result = commands.run("decode", stores.folder, home / "out", status=FAILED, noisy=True, **how)
    assert "may be of a newer version, but you may not read them" in result.errors
    assert (home / "out" / "dir" / "file").read_bytes() == b"the newest"
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "dir/file: cannot be checked: Permission denied" in result.errors
