# SPDX-License-Identifier: MIT
"""contrib/restore.py, with Python's standard library alone, gives back what was encoded."""

import os
import random
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import commands
import oracle
import trees
import vectors_file

SPREAD = True
PROGRAM = Path(__file__).resolve().parents[1] / "contrib" / "restore.py"
CASES = [("checked", 1, 3), ("checked", 3, 6), ("classic", 2, 4), ("fec", 3, 6), ("fec", 5, 9)]
SIZES = (0, 1, 2, 3, 4, 8, 9, 16, 17, 128, 240, 241, 5000, 12_288, 12_289, 400_000)
FAILED = 2


def restore(*words, status=0):
    """Without site-packages: there is no module xxhash."""
    command = [sys.executable, "-I", "-S", PROGRAM, *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, done.stderr
    assert (done.stderr == "") == (status == 0)
    return done.stderr


def of_format(share_format, required):
    return ["-k", required] if share_format == "classic" else []


@pytest.mark.parametrize("group", vectors_file.groups(), ids=vectors_file.name_of)
def test_vectors(tmp_path, group):
    """Each from the last k of its shares."""
    rows, of_size = vectors_file.groups()[group], {}
    for row in rows:
        of_size.setdefault(row["size"], []).append(row)
    expected = {}
    for size, some in of_size.items():
        data = oracle.source_bytes(size)
        for row in some:
            share = oracle.make_share(
                group.format, data, group.required, group.shares, row["index"],
                vectors_file.mtime_ns(), group.block_size or oracle.DEFAULT_BLOCK_SIZE,
            )  # fmt: skip
            assert not vectors_file.differences(row, share)
        indexes = sorted({row["index"] for row in some} | set(range(group.shares)))
        for index in indexes[-group.required :]:
            share = oracle.make_share(
                group.format, data, group.required, group.shares, index,
                vectors_file.mtime_ns(), group.block_size or oracle.DEFAULT_BLOCK_SIZE,
            )  # fmt: skip
            trees.write_file(tmp_path / "stores" / f"{index:02x}" / f"{size}", share)
        expected[f"{size}"] = data
    restore(*of_format(group.format, group.required), tmp_path / "stores", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected


# Trees that the program has encoded


def make_source(folder, rng):
    for size in SIZES:
        trees.write_file(folder / "sizes" / f"{size}", rng.randbytes(size), rng.randrange(2**61))
    trees.write_file(folder / "before 1970", b"x", -123_456_789_012_345_678)
    trees.write_file(Path(os.fsdecode(os.fsencode(folder) + b"/a\xff\n")), b"odd").chmod(0o604)
    trees.write_file(folder / "key", b"a file as any other")
    (folder / "empty").mkdir(mode=0o750)
    (folder / "link").symlink_to("sizes/1")
    os.utime(folder / "empty", ns=(0, 10**18 + 1))
    return folder


def seen(top):
    """path -> kind, permissions, time, and bytes or target."""
    found = {}
    for path in [top, *top.rglob("*")]:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        link = os.readlink(path) if path.is_symlink() else None
        facts = None if link else (stat.S_IMODE(status.st_mode), status.st_mtime_ns)
        found[path.relative_to(top)] = (kind, facts, content, link)
    return found


def encode(source, folder, share_format, required, shares):
    words = ["--format", share_format, "-k", str(required), "-n", str(shares)]
    commands.run("encode", *words, source, folder)
    return folder


@pytest.mark.parametrize("share_format, required, shares", CASES)
def test_trees(tmp_path, rng, share_format, required, shares):
    """From k of the stores, and from all; parity shares alone are among them."""
    source = make_source(tmp_path / "source", rng)
    stores = encode(source, tmp_path / "stores", share_format, required, shares)
    words = of_format(share_format, required)
    restore(*words, stores, tmp_path / "all")
    assert seen(tmp_path / "all") == seen(source)
    names = sorted(path.name for path in stores.iterdir())
    chosen = [names[-required:], rng.sample(names, required)]
    for number, some in enumerate(chosen):
        for name in some:
            trees_copied = tmp_path / f"some-{number}" / name
            shutil.copytree(stores / name, trees_copied, symlinks=True)
        restore(*words, tmp_path / f"some-{number}", tmp_path / f"out-{number}")
        assert seen(tmp_path / f"out-{number}") == seen(source)
    shutil.rmtree(tmp_path / "some-0" / chosen[0][0])
    if required > 1:
        restore(*words, tmp_path / "some-0", tmp_path / "none", status=FAILED)
        assert [path for path in (tmp_path / "none").rglob("*") if path.is_file()] == []


# Stores that are damaged, or lie


BLOCK = 32 + 65536


@pytest.fixture
def source(tmp_path, rng):
    trees.write_file(tmp_path / "source" / "file", rng.randbytes(2 * 65536 * 3 - 100))
    trees.write_file(tmp_path / "source" / "other", rng.randbytes(100))
    return tmp_path / "source"


@pytest.fixture
def stores(tmp_path, source):
    return encode(source, tmp_path / "stores", "checked", 2, 4)


def change(path, *offsets):
    status = path.stat()
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset] ^= 1
    trees.write_file(path, data, status.st_mtime_ns)


def test_damaged_blocks(tmp_path, source, stores):
    """Two good ones of each stripe are enough, wherever they are; with one, there is no file."""
    for store, stripes in (("00", (0, 1)), ("01", (1, 2)), ("02", (0,)), ("03", (2,))):
        change(stores / store / "file", *(64 + BLOCK * stripe + 30 for stripe in stripes))
    restore(stores, tmp_path / "out")
    assert seen(tmp_path / "out") == seen(source)
    change(stores / "02" / "file", 64 + BLOCK + 30)
    errors = restore(stores, tmp_path / "again", status=FAILED)
    assert errors == "restore.py: 'file': stripe 1 has too few good blocks\n"
    assert os.listdir(tmp_path / "again") == ["other"]


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 9, 10, 11, 12, 16, 23, 24, 32, 47, 48, 63])
def test_damaged_headers(tmp_path, source, stores, offset):
    """Two of four are enough."""
    for store in ("00", "01"):
        change(stores / store / "file", offset)
    restore(stores, tmp_path / "out")
    assert seen(tmp_path / "out") == seen(source)
    for store in ("02", "03"):
        change(stores / store / "file", offset)
    restore(stores, tmp_path / "again", status=FAILED)
    assert os.listdir(tmp_path / "again") == ["other"]


def test_a_damaged_mark(tmp_path, stores):
    """The copy could be a whole file of the format fec then, with k = 1."""
    change(stores / "00" / "file", 0)
    for store in ("01", "02", "03"):
        (stores / store / "file").unlink()
    restore(stores, tmp_path / "out", status=FAILED)
    assert os.listdir(tmp_path / "out") == ["other"]


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_contradictions(tmp_path, source, share_format):
    """Formats without checks: all that is there has to agree."""
    stores = encode(source, tmp_path / "stores", share_format, 2, 4)
    change(stores / "03" / "file", 5000)
    words = of_format(share_format, 2)
    errors = restore(*words, stores, tmp_path / "out", status=FAILED)
    assert errors == "restore.py: 'file': its shares contradict each other\n"
    assert os.listdir(tmp_path / "out") == ["other"]
    shutil.rmtree(stores / "03")
    restore(*words, stores, tmp_path / "again")
    assert seen(tmp_path / "again") == seen(source)


@pytest.mark.parametrize("share_format", ["checked", "classic", "fec"])
def test_older_versions(tmp_path, source, rng, share_format):
    stores = encode(source, tmp_path / "stores", share_format, 2, 4)
    for path in source.iterdir():
        data = path.read_bytes()
        trees.write_file(path, bytes([data[0] ^ 1]) + data[1:], trees.MTIME_NS + 10**10)
    newer = encode(source, tmp_path / "newer", share_format, 2, 4)
    for store in rng.sample(["00", "01", "02", "03"], 2):
        shutil.rmtree(stores / store)
        shutil.copytree(newer / store, stores / store)
    restore(*of_format(share_format, 2), stores, tmp_path / "out")
    assert seen(tmp_path / "out")[Path("file")] == seen(source)[Path("file")]
    assert seen(tmp_path / "out")[Path("other")] == seen(source)[Path("other")]


def test_one_hostile_store(tmp_path, source, stores):
    """It leads out of DEST, claims to be enough, or to be huge."""
    before = seen(source)
    outside = tmp_path / "outside"
    outside.mkdir()
    for folder in (source / "folder", *(store / "folder" for store in stores.iterdir())):
        folder.mkdir()
        os.utime(folder, ns=(trees.MTIME_NS, trees.MTIME_NS))
    (stores / "03" / "folder").rmdir()
    (stores / "03" / "folder").symlink_to(outside)
    (stores / "03" / "file").unlink()
    (stores / "03" / "file").symlink_to(outside / "file")
    (stores / "03" / "elsewhere").symlink_to(outside)
    os.mkfifo(stores / "03" / "fifo")
    data = random.Random(1).randbytes(100)
    forged = oracle.make_share("checked", data, 1, 1, 0, 2**62)
    trees.write_file(stores / "03" / "other", forged)
    huge = oracle.checked_header(1, 0, 2**62, 2**62)
    trees.write_file(stores / "02" / "other", huge)
    errors = restore(stores, tmp_path / "out", status=FAILED)
    assert sorted(os.listdir(tmp_path / "out")) == ["file", "folder", "other"]
    assert (tmp_path / "out" / "other").read_bytes() == before[Path("other")][2]
    assert (tmp_path / "out" / "file").read_bytes() == before[Path("file")][2]
    assert [line.split("'")[1] for line in errors.splitlines()] == ["elsewhere", "fifo"]
    assert os.listdir(outside) == [] and not (tmp_path / "out" / "folder").is_symlink()


def test_what_it_is_asked_for(tmp_path, source, stores):
    """Bad input gets a line, and sealed shares are told."""
    for words in ([stores, source], [tmp_path / "none", tmp_path / "out"], [source, tmp_path / "out"]):
        command = [sys.executable, "-I", "-S", PROGRAM, *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    commands.run("key", "new", tmp_path / "key")
    words = ["--format", "sealed", "--key", tmp_path / "key", "-k", "2", "-n", "3"]
    commands.run("encode", *words, source, tmp_path / "sealed")
    errors = restore(tmp_path / "sealed", tmp_path / "out", status=FAILED)
    assert "its shares are sealed: see restore_sealed.py" in errors
    help_text = subprocess.run([PROGRAM, "--help"], check=True, capture_output=True, text=True).stdout
    assert "restore.py [-k K] STORES DEST" in help_text


def test_a_store_of_a_set(tmp_path, source, stores):
    """What `sync` leaves in its root is no file of the tree; what is called like it deeper is."""
    for store in stores.iterdir():
        (store / "zfec-fs-set.ini").write_text("[set]\n")
    restore(stores, tmp_path / "out")
    assert seen(tmp_path / "out") == seen(source) | {Path("."): seen(tmp_path / "out")[Path(".")]}
