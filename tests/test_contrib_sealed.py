# SPDX-License-Identifier: MIT
"""contrib/restore_sealed.py gives back what was sealed, from any k stores, and nothing else."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import commands
import oracle
import sealing
import trees

SPREAD = True
PROGRAM = Path(__file__).resolve().parents[1] / "contrib" / "restore_sealed.py"
SIZES = (0, 1, 15, 16, 17, 240, 5000, 65_536, 150_000)
NOTHING, LOST = 1, 2  # no name could be restored, or some could not


def restore(*words, status=0):
    command = [sys.executable, PROGRAM, *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, done.stderr
    assert (done.stderr == "") == (status == 0)
    return done.stderr


@pytest.fixture
def source(tmp_path, rng):
    folder = tmp_path / "source"
    for size in SIZES:
        trees.write_file(folder / "sizes" / f"{size}", rng.randbytes(size), rng.randrange(2**60))
    trees.write_file(folder / "before 1970", b"x", -123_456_789_012_345_678)
    odd = trees.write_file(Path(os.fsdecode(os.fsencode(folder) + b"/a\xff\n")), b"odd")
    odd.chmod(0o604)
    os.setxattr(odd, "user.note", b"\0\xff")
    os.link(odd, folder / "sizes" / "again")
    (folder / "empty").mkdir(mode=0o750)
    (folder / "link").symlink_to("sizes/1")
    os.mkfifo(folder / "fifo")
    for path in (folder / "sizes", folder / "empty", folder):
        os.utime(path, ns=(0, 10**18 + 1))
    return folder


@pytest.fixture
def stores(tmp_path, source):
    commands.run("key", "new", tmp_path / "key")
    words = ["--format", "sealed", "--key", tmp_path / "key", "-k", "2", "-n", "4"]
    commands.run("encode", *words, source, tmp_path / "stores")
    return tmp_path / "stores"


def same(folder, source, without=()):
    found = commands.differences(source, folder)
    assert set(found) == set(without), found


def test_from_k_stores(tmp_path, source, stores, rng):
    restore(stores, tmp_path / "all")
    same(tmp_path / "all", source)
    names = (os.fsdecode(b"a\xff\n"), "sizes/again")
    assert len({os.stat(tmp_path / "all" / name).st_ino for name in names}) == 1
    for store in rng.sample(["00", "01", "02", "03"], 2):
        shutil.rmtree(stores / store)
    restore(stores, tmp_path / "some")
    same(tmp_path / "some", source)
    shutil.rmtree(next(stores.iterdir()))
    errors = restore(stores, tmp_path / "none", status=NOTHING)
    assert errors == "restore_sealed.py: too few stores have the key; give --key FILE\n"
    restore("--key", tmp_path / "key", stores, tmp_path / "none", status=NOTHING)
    assert not (tmp_path / "none").exists()


def test_the_key(tmp_path, source, stores):
    """Without those on nodes, with a wrong one on a node, with another set's, and a passphrase."""
    data = bytearray((stores / "00" / "key").read_bytes())
    data[64] ^= 1
    data[112:] = oracle.checksum(bytes(data[:112]), 0)
    (stores / "00" / "key").write_bytes(data)
    restore(stores, tmp_path / "one-lies")
    same(tmp_path / "one-lies", source)
    for store in stores.iterdir():
        (store / "key").unlink()
    restore(stores, tmp_path / "none", status=NOTHING)
    restore("--key", tmp_path / "key", stores, tmp_path / "file")
    same(tmp_path / "file", source)
    commands.run("key", "new", tmp_path / "other")
    restore("--key", tmp_path / "other", stores, tmp_path / "none", status=NOTHING)
    assert not (tmp_path / "none").exists()
    (tmp_path / "secret").write_text("secret\n")
    words = ["key", "passphrase", "--passphrase-file", tmp_path / "secret", tmp_path / "key"]
    commands.run(*words, noisy=True)
    errors = restore("--key", tmp_path / "key", stores, tmp_path / "none", status=NOTHING)
    assert errors == "restore_sealed.py: the key has a passphrase: the program is needed\n"


def keys_of(tmp_path):
    lines = dict(line.split() for line in (tmp_path / "key").read_text().splitlines()[1:])
    return sealing.Keys(bytes.fromhex(lines["master"]))


def change(path, offset):
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    trees.write_file(path, data, status.st_mtime_ns)


def test_damage(tmp_path, source, stores):
    """Of files and of manifests: one of two good ones too many is no loss, and two of three are."""
    keys = keys_of(tmp_path)
    names = [keys.share_path("sizes/150000"), keys.share_path("sizes") + "/zmanifest"]
    for name in names:
        change(stores / "00" / name, 100)
        change(stores / "01" / name, 100)
    restore(stores, tmp_path / "out")
    same(tmp_path / "out", source)
    change(stores / "02" / names[0], 100)
    errors = restore(stores, tmp_path / "again", status=LOST)
    assert errors == "restore.py: 'sizes/150000': stripe 0 has too few good blocks\n"
    same(tmp_path / "again", source, ["/sizes/150000"])
    change(stores / "02" / names[1], 100)
    errors = restore(stores, tmp_path / "folder", status=LOST)
    assert errors == "restore.py: 'sizes': its manifest cannot be restored\n"
    assert not (tmp_path / "folder" / "sizes").exists()


def test_what_was_not_made_with_the_key(tmp_path, source, stores):
    """k stores may say what they like: a newer version, or another file's content."""
    keys = keys_of(tmp_path)
    other = sealing.Keys(bytes(32))
    path = "sizes/5000"
    for index, store in enumerate(("00", "01")):
        forged = sealing.file_shares(other, path, b"forged" * 900, 2**62, 2, [index], 65536)[index]
        trees.write_file(stores / store / keys.share_path(path), forged)
    for store in ("02", "03"):
        names = [keys.share_path(f"sizes/{size}") for size in (240, 17)]
        shutil.copy2(stores / store / names[0], stores / store / names[1])
    for store in ("00", "01"):
        (stores / store / keys.share_path("sizes/17")).unlink()
    errors = restore(stores, tmp_path / "out", status=LOST)
    assert errors == "restore.py: 'sizes/17': stripe 0 is not what its tag proves\n"
    same(tmp_path / "out", source, ["/sizes/17"])


def test_a_manifest_of_another_directory(tmp_path, source, stores):
    keys = keys_of(tmp_path)
    for store in stores.iterdir():
        shutil.copy2(store / "zmanifest", store / keys.share_path("empty") / "zmanifest")
    errors = restore(stores, tmp_path / "out", status=LOST)
    assert errors == "restore.py: 'empty': its manifest cannot be restored\n"
    assert stat.S_ISDIR(os.stat(tmp_path / "out" / "sizes").st_mode)
