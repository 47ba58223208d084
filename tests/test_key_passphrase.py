# SPDX-License-Identifier: MIT
"""zfec-fs key passphrase: what an interruption leaves, stores that are changed in two halves, old files."""

import signal
import subprocess

import commands
import keyfiles
import mounts as mounts_module
import pytest
from commands import FAILED, USAGE
from keying import MASTER, key, keys_in, stores_of, stretch_for, write_key


@pytest.fixture
def secrets(tmp_path):
    """Two passphrases."""
    paths = []
    for name in ("old", "new"):
        paths.append(tmp_path / name)
        paths[-1].write_text(name)
    return paths


def stretch_of(path):
    return keyfiles.read_key_text(path.read_text())[1]


def all_of(path, count=5, required=3):
    return {f"s{i}": keyfiles.key_share(MASTER, required, i, stretch_of(path)) for i in range(count)}


@pytest.fixture
def changed(tmp_path, secrets):
    """FILE with the new passphrase, and stores that have the old one still, as after an interruption."""
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores")
    key("passphrase", "--passphrase-file", secrets[0], path, stores)
    key("passphrase", "--passphrase-file", secrets[1], path)
    return path, stores


def test_the_same_command_completes_what_was_interrupted(changed, secrets, tmp_path):
    path, stores = changed
    before = path.read_bytes()
    key("passphrase", "--passphrase-file", secrets[1], path, stores)
    assert path.read_bytes() == before
    assert keys_in(stores) == all_of(path)
    key("recover", "--passphrase-file", secrets[1], stores, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == before


def test_also_where_the_key_was_open_before(tmp_path, secrets):
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores")
    key("passphrase", "--passphrase-file", secrets[1], path)
    key("passphrase", "--passphrase-file", secrets[1], path, stores)
    assert keys_in(stores) == all_of(path)


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path, secrets):
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores")
    before = keys_in(stores)
    words = ["prlimit", "--fsize=16", mounts_module.BINARY, "key", "passphrase"]
    done = subprocess.run(
        [*words, "--passphrase-file", secrets[0], path, stores], check=False, capture_output=True, text=True,
        timeout=60, preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )  # fmt: skip
    assert (done.returncode, "nothing was changed" in done.stderr) == (FAILED, True), done.stderr
    assert keys_in(stores) == before
    assert path.read_text() == keyfiles.key_text(MASTER)


def test_stores_in_two_halves(tmp_path, secrets):
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores", count=4)
    key("passphrase", "--passphrase-file", secrets[0], path, stores)
    halves = [[w for n in names for w in ("--store", stores / n)] for names in (("s0", "s1"), ("s2", "s3"))]
    change = ["passphrase", "--passphrase-file", secrets[1], path]
    assert "2 of the 3 stores" in key(*change, *halves[0], status=FAILED).stderr
    half = keys_in(stores)
    error = key(*change, *halves[1], status=USAGE).stderr
    assert f"zfec-fs key passphrase --required K {path} STORES" in error
    assert keys_in(stores) == half
    key(*change, "--required", "3", *halves[1], status=FAILED)
    assert keys_in(stores) == all_of(path, 4)
    key("recover", "--passphrase-file", secrets[1], stores, tmp_path / "back")


def test_liars_do_not_say_how_many_are_enough(changed, secrets):
    """Of the stores with the old passphrase; without the key they cannot make what proves it."""
    path, stores = changed
    for name in ("s3", "s4"):
        (stores / name / "key").unlink()
    for required, liars in ((1, [0]), (2, [0, 1])):
        for i in liars:
            lie = keyfiles.key_share(bytes(32), required, i, (b"p" * 32, b"s" * 16, 65536, 3, 4))
            lie = lie[:16] + keyfiles.expand(MASTER, b"id", 16) + lie[32:112]
            (stores / f"s{i}" / "key").write_bytes(lie + keyfiles.digest(lie))
        before = keys_in(stores)
        key("passphrase", "--passphrase-file", secrets[1], path, stores, status=USAGE)
        assert keys_in(stores) == before


def test_an_old_copy_of_the_file_is_told_by_encode(tmp_path, secrets):
    path, source, stores = write_key(tmp_path / "key"), tmp_path / "source", tmp_path / "stores"
    source.mkdir()
    (source / "a").write_text("a")
    words = ["--format", "sealed", "-k", "3", "-n", "5", source, stores]
    commands.run("encode", "--key", path, *words)
    old = write_key(tmp_path / "copy")
    key("passphrase", "--passphrase-file", secrets[0], path, stores)
    commands.run("encode", "--key", path, *words)
    told = commands.run("encode", "--key", old, *words, noisy=True).errors
    assert "5 stores" in told
    assert str(old) in told
    assert len(told.splitlines()) == 1
