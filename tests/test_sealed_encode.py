# SPDX-License-Identifier: MIT
"""encode of sealed shares: what it leaves out, tells, and refuses."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

import commands
import keyfiles
import sealing
import whole_tree
from commands import FAILED, OK, USAGE
from users import needs_root, run_as, user

__all__ = ["user"]

K, N = 2, 3
KEY_NO = ("--key-on-nodes", "no")
KEYS = sealing.Keys(bytes(range(32)))


def make_key(path, master):
    path.write_text(keyfiles.key_text(master))
    path.chmod(0o600)
    return path


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path / "set.key", KEYS.master)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "dir").mkdir(parents=True)
    (folder / "file").write_bytes(b"hello")
    (folder / "dir" / "inner").write_bytes(b"inner")
    return folder


@pytest.fixture
def shares(source, key, tmp_path):
    encode(source, key, tmp_path / "shares")
    return tmp_path / "shares"


def words_of(key, source, shares, *words):
    return ["encode", "--format", "sealed", "--key", key, "-k", str(K), "-n", str(N), *words,
            source, shares]  # fmt: skip


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def encode(source, key, shares, *words, status=OK):
    return commands.run(*words_of(key, source, shares, *words), status=status, noisy=True)


def decode(shares, dest, *words, status=OK):
    commands.run("decode", *words, shares, dest, status=status, noisy=True)
    return contents(dest)


def is_restored(source, shares, dest, *words):
    return decode(shares, dest, *words) == contents(source)


# What cannot be read, and what vanishes


@needs_root
def test_what_cannot_be_read_costs_no_neighbour(source, user, tmp_path):
    whole_tree.set_attribute(os.fsencode(source / "dir" / "inner"), b"user.colour", b"blue")
    os.chmod(source / "dir" / "inner", 0o600)
    home = user.folder / "home"
    home.mkdir()
    os.rename(source, home / "source")
    make_key(home / "key", KEYS.master)
    os.chown(home / "key", 65534, 65534)
    os.chown(home, 65534, 65534)
    done = run_as(user, *words_of(home / "key", home / "source", home / "shares"), status=FAILED,
                  noisy=True)  # fmt: skip
    told = [line for line in done.errors.splitlines() if "inner" in line]
    assert len(told) == 1 and "dir/inner: Permission denied" in told[0]
    assert not any(KEYS.name(path) in done.errors for path in ("dir", "dir/inner"))
    run_as(user, "decode", home / "shares", home / "back", status=2, noisy=True)
    assert (home / "back" / "file").read_bytes() == b"hello"
    assert (home / "back" / "dir").is_dir()


def test_messages_have_the_names_of_the_source(source, key, shares):
    (source / "dir" / "inner").write_bytes(b"another")
    done = encode(source, key, shares, "--verbose")
    made = {("made", "dir/inner"), ("made", "manifest of dir")}
    assert set(done.actions()) == made | {("metadata", "dir")}


class Churn:
    """Files that come and go in a folder."""

    def __init__(self, folder, spare):
        self._folder, self._spare, self._stop = folder, spare, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        for i in range(10**9):
            if self._stop.is_set():
                break
            self._spare.write_bytes(b"%d" % i)
            self._spare.rename(self._folder / f"new{i}")
            (self._folder / f"new{i - 100}").unlink(missing_ok=True)
            time.sleep(0.002)  # each lives long enough for a slow build to copy some

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def test_a_manifest_has_no_file_that_has_no_share(source, key, tmp_path):
    found = {}
    with Churn(source / "dir", tmp_path / "spare"):
        for i in range(12):
            shares = tmp_path / f"shares{i}"
            words = commands.command_line(*words_of(key, source, shares))
            status = subprocess.run(words, check=False, capture_output=True, timeout=60).returncode
            assert status in (OK, FAILED)  # failed: one was removed while it was read
            if status == OK:
                found |= decode(shares, tmp_path / f"back{i}")
    assert any("new" in path for path in found)


def test_a_manifest_comes_after_the_other_files(source, key, tmp_path):
    for i in range(300):
        (source / "dir" / f"many{i}").write_bytes(b"x")
    done = encode(source, key, tmp_path / "shares", "--verbose", "--jobs", "4")
    made = [line["path"] for line in done.json if line.get("share") == "00"]
    assert sum("many" in path for path in made) == 300
    assert not any("many" in path for path in made[made.index("manifest of dir") :])


# Keys


def test_keys_of_an_earlier_run_are_refused_or_removed(source, key, shares, tmp_path):
    before = contents(shares)
    done = encode(source, key, shares, *KEY_NO, status=USAGE)
    assert (
        f"{shares}/00/key: any k nodes have the key by it, though key-on-nodes=no is given; "
        "remove it, or give --delete" in done.errors
    )
    assert contents(shares) == before
    encode(source, key, shares, *KEY_NO, "--delete")
    assert not list(shares.glob("*/key"))
    assert is_restored(source, shares, tmp_path / "back", "--key", key)


def test_delete_keeps_the_keys_that_belong_there(source, key, shares):
    encode(source, key, shares, "--delete")
    assert len(list(shares.glob("*/key"))) == N


def test_shares_of_another_key_are_refused_without_its_files(source, key, tmp_path):
    shares, other = tmp_path / "shares", make_key(tmp_path / "other", bytes(32))
    encode(source, key, shares, *KEY_NO)
    for words in ((), KEY_NO):
        done = encode(source, other, shares, *words, status=USAGE)
        assert f"{shares}/00: holds sealed shares of which none is of {source}" in done.errors
    assert is_restored(source, shares, tmp_path / "back", "--key", key)
    encode(source, other, shares, *KEY_NO, "--delete", "--delete-most")
    assert is_restored(source, shares, tmp_path / "other-back", "--key", other)


@pytest.mark.parametrize("place", ["00/set.key", "02/deep/set.key"])
def test_a_key_that_lies_in_a_share_is_refused(source, tmp_path, place):
    """Whoever has the share would have all of it; in the folder around them nobody has it."""
    shares = tmp_path / "shares"
    (shares / place).parent.mkdir(parents=True)
    key = make_key(shares / place, KEYS.master)
    done = encode(source, key, shares, status=USAGE)
    assert f"{shares}/{place[:2]}: the key, {key}, lies in it; choose another place" in done.errors
    assert [path for path in shares.rglob("*") if path.is_file()] == [key]
    key.rename(shares / "set.key")
    (shares / place).parent.rmdir()
    encode(source, shares / "set.key", shares)
    assert is_restored(source, shares, tmp_path / "back")


def test_an_empty_root_and_an_interrupted_run_are_no_other_key(source, key, tmp_path):
    shares, empty = tmp_path / "shares", tmp_path / "empty"
    empty.mkdir()
    encode(empty, key, shares, *KEY_NO)
    encode(source, key, shares, *KEY_NO)
    for manifest in shares.glob("*/zmanifest"):
        manifest.unlink()
    encode(source, key, shares, *KEY_NO)
    assert is_restored(source, shares, tmp_path / "back", "--key", key)
    encode(empty, key, shares, *KEY_NO)


# Another type


def test_an_empty_directory_gives_way_to_a_file_and_back(source, key, shares, tmp_path):
    for name in ("one", "two"):
        (source / "dir" / name).mkdir()
    encode(source, key, shares)
    (source / "dir" / "one").rmdir()
    (source / "dir" / "one").write_bytes(b"a file now")
    done = encode(source, key, shares)
    removed = [path for action, path in done.actions() if action == "removed"]
    assert removed == ["dir/one"]
    assert is_restored(source, shares, tmp_path / "back")
    (source / "dir" / "one").unlink()
    (source / "dir" / "one").mkdir()
    encode(source, key, shares)
    assert is_restored(source, shares, tmp_path / "again")


def test_a_directory_with_more_than_its_manifest_stays(source, key, shares):
    (source / "dir" / "inner").unlink()
    (source / "dir").rmdir()
    (source / "dir").write_bytes(b"a file now")
    done = encode(source, key, shares, status=FAILED)
    assert f"dir in {shares}/00: Directory not empty" in done.errors
    inner = Path(KEYS.share_path("dir/inner"))
    assert all((shares / f"{i:02x}" / inner).exists() for i in range(N))
    assert all((shares / f"{i:02x}" / inner.parent / "zmanifest").exists() for i in range(N))
