# SPDX-License-Identifier: MIT
"""Sealed shares: any k of them give everything back, with nothing to remember."""

import itertools
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

import commands
import keyfiles
import whole_tree
from commands import DAMAGED, LOST, OK, USAGE

K, N = 2, 4
MASTER = bytes(range(32))


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "set.key"
    path.write_text(keyfiles.key_text(MASTER))
    path.chmod(0o600)
    return path


@pytest.fixture
def source(tmp_path, rng):
    folder = tmp_path / "source"
    (folder / "dir" / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "large").write_bytes(rng.randbytes(400_000))
    (folder / "small").write_bytes(b"hello")
    (folder / "none").write_bytes(b"")
    (folder / "dir" / "script").write_bytes(b"#!/bin/sh\n")
    (folder / "dir" / "script").chmod(0o4750)
    os.link(folder / "large", folder / "dir" / "deep" / "twin")
    os.symlink("../small", folder / "dir" / "link")
    os.mkfifo(folder / "dir" / "fifo")
    whole_tree.set_attribute(os.fsencode(folder / "small"), b"user.colour", b"blue")
    os.utime(folder / "small", ns=(0, 981173106123456789))
    os.utime(folder / "dir", ns=(0, 981173106123456789))
    return folder


@pytest.fixture
def shares(source, key, tmp_path):
    encode(source, key, tmp_path / "shares")
    return tmp_path / "shares"


def encode(source, key, shares, *words, status=OK):
    return commands.run("encode", "--format", "sealed", "--key", key, "-k", str(K), "-n", str(N),
                        *words, source, shares, status=status, noisy=True)  # fmt: skip


def carry(share, place):
    """By storage that keeps names and bytes alone."""
    for path in sorted(share.rglob("*")):
        target = place / path.relative_to(share)
        if path.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(0o644)


def some(shares, indexes, place):
    for index in indexes:
        carry(shares / f"{index:02x}", place / f"{index:02x}")
    return place


@pytest.mark.parametrize("indexes", itertools.combinations(range(N), K))
def test_any_k_stores_give_all_back(source, shares, tmp_path, indexes):
    commands.run("decode", some(shares, indexes, tmp_path / "some"), tmp_path / "back")
    commands.compare_trees(source, tmp_path / "back")


def test_all_that_there_is_comes_back(key, rng, tmp_path):
    """But for times that 64 bits of nanoseconds do not hold, and links to what is no regular file."""
    source, back = tmp_path / "source", tmp_path / "back"
    whole_tree.make_tree(source, rng)
    encode(source, key, tmp_path / "shares")
    commands.run("decode", tmp_path / "shares", back)
    for path, text in commands.differences(source, back).items():
        status = os.lstat(os.fsencode(source) + os.fsencode(path))
        far = not 0 < status.st_mtime_ns + (1 << 63) < (1 << 64) - 1
        assert (far and "mtime_ns" in text) or (status.st_nlink > 1 and not stat.S_ISREG(status.st_mode)), (path, text)


def test_a_view_gives_all_back(mounts, source, shares, tmp_path):
    view = mounts.restored(some(shares, (1, 3), tmp_path / "some"))
    commands.compare_trees(source, view.path)
    assert (view / "large").read_bytes() == (source / "large").read_bytes()
    assert not os.path.lexists(view / "other")


@pytest.mark.parametrize("words", [(), ("--key", "KEY")])
def test_fewer_give_not_one_name(shares, key, tmp_path, words):
    few = some(shares, (2,), tmp_path / "some")
    words = [key if word == "KEY" else word for word in words]
    done = commands.run("decode", *words, few, tmp_path / "back", status=LOST, noisy=True)
    assert "2 needed" in done.errors or "too few" in done.errors
    assert not (tmp_path / "back").exists() or list((tmp_path / "back").iterdir()) == []


def test_another_key_opens_nothing(source, shares, tmp_path):
    other = tmp_path / "other.key"
    other.write_text(keyfiles.key_text(bytes(32)))
    other.chmod(0o600)
    done = commands.run("decode", "--key", other, shares, tmp_path / "back", status=USAGE, noisy=True)
    assert "is the key of another set than that of the stores" in done.errors
    for index in range(N):
        (shares / f"{index:02x}" / "key").unlink()
    done = commands.run("decode", "--key", other, shares, tmp_path / "back", status=LOST, noisy=True)
    assert "were not made with this key" in done.errors
    assert not (tmp_path / "back").exists() or list((tmp_path / "back").iterdir()) == []


def lose_keys(shares, indexes):
    for index in indexes:
        status = os.stat(shares / f"{index:02x}")
        (shares / f"{index:02x}" / "key").unlink()
        os.utime(shares / f"{index:02x}", ns=(status.st_atime_ns, status.st_mtime_ns))


def set_passphrase(key, shares, tmp_path):
    (tmp_path / "phrase").write_text("correct horse\n")
    commands.run("key", "passphrase", "--passphrase-file", tmp_path / "phrase", key, shares, noisy=True)


@pytest.mark.parametrize("passphrase", [False, True])
def test_the_rebuilt_view_has_all_shares(mounts, key, shares, tmp_path, passphrase):
    """Without the key and without a passphrase; what each node has of the key is among them."""
    if passphrase:
        set_passphrase(key, shares, tmp_path)
    view = mounts.rebuilt(some(shares, (0, 2), tmp_path / "some"), shares=N)
    for index in range(N):
        name = f"{index:02x}"
        done = subprocess.run(["diff", "-r", view / name, shares / name], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout
        ours, theirs = os.stat(view / name / "key"), os.stat(shares / name / "key")
        assert (ours.st_mode, ours.st_size, ours.st_mtime_ns) == (theirs.st_mode, theirs.st_size, theirs.st_mtime_ns)


def test_too_few_parts_of_the_key_give_no_other(mounts, shares, tmp_path):
    """A wrong one is none; but whoever has parts of a key should hear that they are too few."""
    lose_keys(shares, (0, 1))
    (shares / "02" / "key").write_bytes(bytes(128))
    view = mounts.rebuilt(shares, shares=N)
    for index in range(N):
        assert "key" not in os.listdir(view / f"{index:02x}")
        assert not (view / f"{index:02x}" / "key").exists()
    view.expect_log("the rebuilt shares have no file key: too few stores have a part of one key", 1)


def test_one_store_makes_no_key(mounts, shares, rng):
    """By its file alone one share would be enough."""
    lose_keys(shares, range(N))
    forged = keyfiles.key_share(rng.randbytes(32), 1, 0)
    (shares / "00" / "key").write_bytes(forged)
    view = mounts.rebuilt(shares, shares=N)
    assert "key" not in os.listdir(view / "01")
    view.expect_log("the rebuilt shares have no file key", 1)


def test_no_key_on_nodes_is_none_in_the_rebuilt_view(mounts, source, key, tmp_path):
    encode(source, key, tmp_path / "shares", "--key-on-nodes=no")
    view = mounts.rebuilt(tmp_path / "shares", shares=N)
    assert "key" not in os.listdir(view / "01")
    assert not (view / "01" / "key").exists()


def test_a_lost_share_is_made_again_with_its_part_of_the_key(source, key, shares, tmp_path):
    before = commands.describe(shares / "03")
    shutil.rmtree(shares / "03")
    commands.run("repair", "--add", f"03={shares / '03'}", shares, status=DAMAGED, noisy=True)
    assert commands.describe(shares / "03") == before
    commands.run("check", shares)


@pytest.mark.parametrize("passphrase", [False, True])
def test_check_and_repair_settle_the_key(source, key, shares, tmp_path, passphrase):
    """Without being told a passphrase, too."""
    if passphrase:
        set_passphrase(key, shares, tmp_path)
    right = [(shares / f"{index:02x}" / "key").read_bytes() for index in range(N)]
    times = [os.stat(shares / f"{index:02x}").st_mtime_ns for index in range(N)]
    commands.run("check", shares)
    (shares / "01" / "key").unlink()
    (shares / "02" / "key").write_bytes(right[3])
    for index in range(N):
        os.utime(shares / f"{index:02x}", ns=(times[index], times[index]))
    commands.run("check", shares, status=DAMAGED)
    commands.run("repair", shares, status=DAMAGED)
    assert [(shares / f"{index:02x}" / "key").read_bytes() for index in range(N)] == right
    commands.run("check", shares)
    commands.run("repair", "--delete", shares)
    assert (shares / "01" / "key").read_bytes() == right[1]


def test_too_few_parts_of_the_key_are_told(shares):
    lose_keys(shares, range(3))
    done = commands.run("check", shares, status=LOST, noisy=True)
    assert "the stores have too few good shares of their key" in done.errors


def test_nodes_get_nothing_of_the_key(source, key, tmp_path):
    encode(source, key, tmp_path / "shares", "--key-on-nodes=no")
    assert not any(path.name == "key" for path in (tmp_path / "shares").rglob("*"))
    commands.run("check", tmp_path / "shares")
    done = commands.run("decode", tmp_path / "shares", tmp_path / "back", status=USAGE, noisy=True)
    assert "--key FILE names one" in done.errors
    commands.run("decode", "--key", key, tmp_path / "shares", tmp_path / "back")
    commands.compare_trees(source, tmp_path / "back")


def test_one_node_alone_must_not_have_the_key(source, key, tmp_path):
    done = commands.run("encode", "--format", "sealed", "--key", key, "-k", "1", "-n", "2", source,
                        tmp_path / "shares", status=USAGE, noisy=True)  # fmt: skip
    assert "each node alone would have the key" in done.errors
    assert not (tmp_path / "shares").exists()


def test_a_key_is_asked_for(source, tmp_path):
    done = commands.run("encode", "--format", "sealed", source, tmp_path / "shares", status=USAGE,
                        noisy=True)  # fmt: skip
    assert "give --key FILE; zfec-fs key new FILE makes one" in done.errors
    assert not (tmp_path / "shares").exists()


def test_another_run_makes_nothing(source, key, shares):
    before = commands.snapshot(shares)
    encode(source, key, shares)
    assert commands.snapshot(shares) == before


# A local edit changes local bytes.


def sent(view, copy):
    """The names that rsync sends, and how many bytes of them it has to send anew."""
    words = ["rsync", "-a", "--no-whole-file", "--block-size=4096", "--stats", "--itemize-changes"]
    done = subprocess.run([*words, f"{view}/", copy], check=True, capture_output=True, text=True)
    files = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line[:2] == ">f"]
    (literal,) = [line for line in done.stdout.splitlines() if line.startswith("Literal data: ")]
    return files, int(literal.split()[2].replace(",", ""))


def edit_a_byte(source):
    with open(source / "large", "r+b") as file:
        file.seek(300_000)
        file.write(b"?")


def change_mode(source):
    (source / "dir" / "script").chmod(0o600)


def add_a_file(source):
    (source / "dir" / "new").write_bytes(b"new")


def rename(source):
    (source / "small").rename(source / "renamed")


@pytest.mark.parametrize("change,files,most", [
    (edit_a_byte, 4, 160_000), (change_mode, 1, 1200), (add_a_file, 2, 1400), (rename, 2, 1400),
])  # fmt: skip
def test_what_a_change_sends(mounts, source, key, tmp_path, change, files, most):
    """The files themselves (large has two names), and the manifests of their directories."""
    view = mounts.encoded(source, format="sealed", key=key, required=K, shares=N)
    copy = tmp_path / "copy"
    sent(view / "00", copy)
    time.sleep(1.1)  # rsync compares whole seconds
    change(source)
    names, literal = sent(view / "00", copy)
    assert len(names) == files, names
    assert literal <= most
    assert sent(view / "00", copy) == ([], 0)


def test_info_tells_a_sealed_share(shares):
    path = next(path for path in Path(shares / "01").rglob("zmanifest"))
    done = commands.run("info", path)
    assert [line.get("format") for line in done.json] == ["sealed"]


def test_stores_of_another_format_do_not_open(source, key, tmp_path):
    commands.run("encode", "-k", "2", "-n", "3", source, tmp_path / "plain")
    done = commands.run("decode", "--key", key, tmp_path / "plain", tmp_path / "back", status=USAGE, noisy=True)
    assert "the stores do not hold sealed shares" in done.errors


def test_another_key_writes_over_nothing(source, shares, tmp_path):
    other = tmp_path / "other.key"
    other.write_text(keyfiles.key_text(bytes(32)))
    other.chmod(0o600)
    before = commands.snapshot(shares)
    done = encode(source, other, shares, status=USAGE)
    assert "holds shares that are sealed with another key" in done.errors
    assert commands.snapshot(shares) == before


@pytest.mark.parametrize("share_format", ["checked", "classic", "fec"])
@pytest.mark.parametrize("first", [True, False])
def test_sealed_and_plain_shares_are_not_mixed(source, key, tmp_path, share_format, first):
    """Plain ones would stay readable beside sealed ones."""
    plain = ["encode", "--format", share_format, "-k", "2", "-n", "3", source, tmp_path / "shares"]
    sealed = ["encode", "--format", "sealed", "--key", key, "-k", "2", "-n", "3", source, tmp_path / "shares"]
    one, other = (plain, sealed) if first else (sealed, plain)
    commands.run(*one)
    before = commands.snapshot(tmp_path / "shares")
    for more in [], ["--delete"]:
        done = commands.run(*other, *more, status=USAGE, noisy=True)
        assert "holds " in done.errors and "empty this one" in done.errors
    assert commands.snapshot(tmp_path / "shares") == before


@pytest.mark.parametrize("words,text", [
    (("encode", "--key", "KEY", "SOURCE", "SHARES"), "is for format=sealed"),
])  # fmt: skip
def test_what_goes_together(source, key, tmp_path, words, text):
    """A key alone makes no sealed shares; and what the program does not do, it says."""
    stands = {"KEY": key, "SOURCE": source, "SHARES": tmp_path / "shares"}
    done = commands.run(*[stands.get(word, word) for word in words], status=USAGE, noisy=True)
    assert text in done.errors
    assert not (tmp_path / "shares").exists()


def test_bench_measures_sealed_shares():
    """With a key of its own."""
    done = commands.run("bench", "-j1", "--format", "sealed", "-k", "2", "-n", "3")
    speeds = {line["what"]: line for line in done.json if line.get("message_type") == "speed"}
    assert {speeds[what]["format"] for what in ("encode", "decode")} == {"sealed"}
    assert all(line["bytes_per_second"] > 0 for line in speeds.values())
