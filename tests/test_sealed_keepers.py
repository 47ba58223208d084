# SPDX-License-Identifier: MIT
"""Keepers of sealed shares, who have no key: what check and repair must not call well, nor make worse."""

import shutil
import subprocess

import pytest

import commands
import keyfiles
import mounts as mounts_module
import trees
from commands import DAMAGED, FAILED, LOST, OK, USAGE

MASTER, OTHER = bytes(range(32)), bytes(range(40, 72))
REQUIRED, SHARES = 3, 5
CONTENTS = {"a": b"one", "deep/b": b"two" * 1000, "deep/c": b""}


def key_file(path, master=MASTER):
    path.write_text(keyfiles.key_text(master))
    path.chmod(0o600)
    return path


def make(folder, name="shares", master=MASTER, shares=SHARES, contents=CONTENTS, options=()):
    source, key = folder / f"{name}-source", key_file(folder / f"{name}.key", master)
    for path, content in contents.items():
        trees.write_file(source / path, content)
    words = ["--format", "sealed", "--key", key, "-k", str(REQUIRED), "-n", str(shares), *options]
    commands.run("encode", *words, source, folder / name)
    return folder / name


def tell(*words, status):
    """What a person is told."""
    done = subprocess.run([mounts_module.BINARY, *words], check=False, capture_output=True, text=True)
    assert done.returncode == status, done
    return done.stdout


def stores_of(shares):
    return sorted(path for path in shares.iterdir() if path.is_dir())


def files_in(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def manifests(shares):
    """The paths in a share of the root's manifest, and of that of the directory in it."""
    found = [path.relative_to(shares / "00") for path in (shares / "00").rglob("zmanifest")]
    return sorted(found, key=lambda path: len(path.parts))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_manifest_that_is_gone_is_lost(tmp_path, which, left):
    """All names of its directory are in it."""
    shares = make(tmp_path)
    gone = manifests(shares)[which]
    for store in stores_of(shares)[left:]:
        (store / gone).unlink()
    before = commands.snapshot(shares)
    assert f"{gone}: LOST" in tell("check", shares, status=LOST)
    for options in [], ["--delete"]:
        assert "All is mended" not in tell("repair", *options, shares, status=LOST)
        assert {path for path in before if path.endswith("zmanifest")} == {
            path for path in commands.snapshot(shares) if path.endswith("zmanifest")
        }


def test_the_last_shares_of_a_manifest_stay(tmp_path):
    """Other stores that have it may come back."""
    shares, away = make(tmp_path, shares=6), tmp_path / "away"
    away.mkdir()
    for name in ("04", "05"):
        shutil.move(shares / name, away / name)
    for name in ("00", "01", "02"):
        (shares / name / manifests(shares)[1]).unlink() if name != "00" else None
    gone = manifests(shares)[1]
    (shares / "00" / gone).unlink()
    commands.run("repair", "--delete", shares, status=LOST, noisy=True)
    for name in ("04", "05"):
        shutil.move(away / name, shares / name)
    commands.run("decode", shares, tmp_path / "back")
    for path, content in CONTENTS.items():
        assert (tmp_path / "back" / path).read_bytes() == content


@pytest.mark.parametrize("options", [[], ["--key-on-nodes", "no"]])
def test_sealed_without_a_root(tmp_path, options):
    """As an early interruption of the first encode leaves it: no names are made of ids."""
    shares = make(tmp_path, options=options)
    for store in stores_of(shares):
        (store / "zmanifest").unlink()
    for words in (["--key", tmp_path / "shares.key"], [] if options else [tmp_path / "shares.key"][:0]):
        done = commands.run("decode", *words, shares, tmp_path / "back",
                            status=USAGE if not words and options else LOST, noisy=True)  # fmt: skip
        assert "do not hold sealed shares" not in done.errors
        assert not (tmp_path / "back").exists() or not list((tmp_path / "back").iterdir())


@pytest.mark.parametrize("liars", [(0, 1, 2), (3, 4, 5), (0, 1, 2, 3)])
@pytest.mark.parametrize("open_", [True, False])
def test_keys_of_two_sets_are_left(tmp_path, liars, open_):
    """Where k nodes have one key, and k lie with another, more or not, nobody but the right key can tell."""
    shares = make(tmp_path, shares=4 + len(liars) - (len(liars) == 3))
    stretch = None if open_ else (b"p" * 32, b"s" * 16, 65536, 3, 4)
    for index in liars:
        (shares / trees.share_name(index) / "key").write_bytes(keyfiles.key_share(OTHER, REQUIRED, index, stretch))
    before = commands.snapshot(shares)
    assert "all of two keys" in commands.run("check", shares, status=DAMAGED, noisy=True).errors
    assert "1 key contested" in tell("repair", shares, status=FAILED)
    assert commands.snapshot(shares) == before


def test_a_store_of_another_set_is_left(tmp_path):
    shares, others = make(tmp_path), make(tmp_path, "others", OTHER, contents={"x": b"other"})
    for index in (3, 4):
        shutil.copytree(others / trees.share_name(index), shares / f"others{index}")
    before = commands.snapshot(shares)
    done = commands.run("repair", shares, status=LOST, noisy=True)
    assert done.errors.count("its key is of another set: nothing is written there") == 2
    assert commands.snapshot(shares) == before


@pytest.mark.parametrize("counts", [(4, 5), (3, 3), (5, 4)])
def test_stores_of_two_sets_keep_what_they_have(tmp_path, counts):
    """The names of one are those of the other, too: without a key nobody knows which is to be written."""
    shares = tmp_path / "mixed"
    shares.mkdir()
    sets = {name: make(tmp_path, name, master, shares=count, contents=contents)
            for name, master, count, contents in zip(("one", "two"), (MASTER, OTHER), counts,
                                                     (CONTENTS, {"x": b"other"}), strict=True)}  # fmt: skip
    for name, folder in sets.items():
        for store in stores_of(folder):
            shutil.copytree(store, shares / f"{name}-{store.name}")
    before = commands.snapshot(shares)
    done = commands.run("repair", shares, status=FAILED, noisy=True)
    assert "the stores hold shares of two sets" in done.errors and "nothing is written" in done.errors
    assert commands.snapshot(shares) == before
    for name, folder in sets.items():
        gone = shares / f"{name}-00" / "zmanifest"
        gone.unlink()
        key = tmp_path / f"{name}.key"
        done = commands.run("repair", "--key", key, shares, status=DAMAGED if counts != (3, 3) else LOST, noisy=True)
        assert "is left out: it holds shares of another set" in done.errors
        if counts == (3, 3):
            shutil.copy2(folder / "00" / "zmanifest", gone)
        commands.run("check", "--key", key, shares, noisy=True)
        commands.run("decode", "--key", key, shares, tmp_path / f"{name}-back", noisy=True)
        assert files_in(tmp_path / f"{name}-back") == files_in(tmp_path / f"{name}-source")


def test_a_lost_key_is_said_last(tmp_path):
    shares = make(tmp_path)
    for store in stores_of(shares)[2:]:
        (store / "key").write_bytes(b"?" * 128)
    last = tell("check", shares, status=LOST).splitlines()[-1]
    assert "Too few stores have their part of the key" in last
    done = commands.run("check", "--json", shares, status=LOST, noisy=True)
    assert done.json[-1]["key_lost"] and "part of the key" in done.json[-1]["sentence"]
    assert "1 key lost" in tell("repair", shares, status=LOST)


def test_what_cannot_give_way_to_a_key(tmp_path):
    shares = make(tmp_path)
    (shares / "01" / "key").unlink()
    (shares / "01" / "key").mkdir()
    (shares / "01" / "key" / "x").touch()
    assert "1 key not written" in tell("repair", shares, status=FAILED)
    commands.run("decode", shares, tmp_path / "back", status=OK)
