# SPDX-License-Identifier: MIT
"""A second encode makes what has changed, removes what is gone, and says what it would do."""

import os
import re
import shutil
import subprocess

import pytest

import commands
import encoding
import faithful
import oracle
import trees
import users
from commands import FAILED, USAGE, all_shares, compare_with_view, run
from encoding import ENCODE, N, check_shares

encoded = encoding.encoded  # a fixture
source = encoding.source  # a fixture


# Stores that are there


@pytest.mark.parametrize("words", [["."], ["--shares", "07", "."], ["--to", "00=00"], ["--to", "09=09", "."]], ids=" ".join)
def test_another_k_is_not_taken_by_default(source, tmp_path, words):
    stores = tmp_path / "stores"
    run("encode", "-k", "2", "-n", "3", source, stores)
    before = commands.snapshot(stores)
    done = run("encode", source, *words, status=USAGE, cwd=stores)
    where = "." if "." in words else "what --to names"
    assert done.errors == f"zfec-fs: {where} holds shares of k = 2; give -k 2 to go on with them, or -k 3 to encode anew\n"
    assert commands.snapshot(stores) == before
    assert run("encode", "-k", "2", "-n", "3", source, stores).summary["made"] == 0
    run("encode", "-k", "3", "-n", "3", source, stores)
    assert run("encode", "-n", "3", source, stores).summary["made"] == 0


def test_a_store_is_no_place_for_stores(source, encoded):
    before = commands.snapshot(encoded)
    for words in (["-k", "3"], [], ["--dry-run"]):
        done = run("encode", *words, source, encoded / "02", status=USAGE)
        assert done.errors == f"zfec-fs: {encoded / '02'}: looks like a store itself, of share 02; give its parent\n"
    assert commands.snapshot(encoded) == before


# A second run


def test_nothing_to_do(source, encoded):
    before = commands.snapshot(encoded)
    for words in ([], ["--checksum"], ["--delete"]):
        done = run("encode", *ENCODE, *words, source, encoded).summary
        assert done["made"] == done["metadata"] == done["removed"] == 0
        assert commands.snapshot(encoded) == before


def rewrite(path, data, mtime_ns=trees.MTIME_NS):
    trees.write_file(path, data, mtime_ns)


def test_changes(mounts, source, encoded, rng):
    """Size, time, kind, target of a symlink: what differs is made anew, and that alone."""
    size = (source / "file-1").stat().st_size
    rewrite(source / "file-0", rng.randbytes(1000))
    rewrite(source / "file-1", rng.randbytes(size), trees.MTIME_NS + 1)
    (source / "link").unlink()
    (source / "link").symlink_to("elsewhere")
    (source / "fifo").unlink()
    rewrite(source / "fifo", b"a file now")
    before = commands.snapshot(encoded)
    done = run("encode", *ENCODE, "--verbose", source, encoded)
    changed = {"file-0", "file-1", "link", "fifo"}
    every = {f"{index:02x}" for index in range(N)}
    told = {path: shares for (action, path), shares in done.actions().items() if action == "made"}
    assert told == dict.fromkeys(changed, every)
    assert done.summary["made"] == N * len(changed)
    check_shares(mounts, source, encoded)
    after = commands.snapshot(encoded)
    anew = {path for path in after if after[path][0][0] != before[path][0][0]}
    assert anew == {f"/{index:02x}/{name}" for index in range(N) for name in changed}


def test_metadata_alone(mounts, source, encoded):
    """It is mended, and nothing is written: the inodes stay."""
    (source / "file-0").chmod(0o4711)
    os.setxattr(source / "file-1", "user.new", b"value")
    os.removexattr(source / "file-0", "user.note")
    (source / "dir").chmod(0o2750)
    os.utime(source / "dir" / "inner", ns=(0, -5))
    os.utime(source / "fifo", ns=(0, 12345), follow_symlinks=False)
    os.utime(source / "link", ns=(0, 12345), follow_symlinks=False)
    if users.IS_ROOT:
        os.chown(source / "file-2", 1234, 5678)
        os.chown(source / "link", 1234, 5678, follow_symlinks=False)
    before = commands.snapshot(encoded)
    done = run("encode", *ENCODE, source, encoded).summary
    assert done["made"] == 0 and done["metadata"] == N * (6 + users.IS_ROOT)
    check_shares(mounts, source, encoded)
    after = commands.snapshot(encoded)
    assert {path: found[0][0] for path, found in after.items()} == {
        path: found[0][0] for path, found in before.items()
    }


def test_metadata_of_the_target(mounts, source, encoded):
    """What somebody did to the shares is undone."""
    share = encoded / "02"
    (share / "file-0").chmod(0o400)
    os.setxattr(share / "dir", "user.odd", b"")
    subprocess.run(["setfacl", "-m", "u:1:r,d:u:1:rwx", share / "dir" / "inner"], check=True)
    os.utime(share, ns=(5, 5))
    assert run("encode", *ENCODE, source, encoded).summary["made"] == 0
    check_shares(mounts, source, encoded)


def test_lists_that_are_inherited(mounts, tmp_path, source, rng):
    """A list by default in the target gives what is made in it none."""
    (tmp_path / "out" / "00").mkdir(parents=True)
    lists = "u:1234:rwx,d:u:1234:rwx,d:g:70000:r-x,d:o::---"
    subprocess.run(["setfacl", "-R", "-m", lists, tmp_path / "out", source / "dir"], check=True)
    run("encode", *ENCODE, source, tmp_path / "out")
    check_shares(mounts, source, tmp_path / "out")
    for name in ("dir/new", "dir/new-dir/file", "dir/inner/file"):
        trees.write_file(source / name, rng.randbytes(100))
    run("encode", *ENCODE, source, tmp_path / "out")
    check_shares(mounts, source, tmp_path / "out")


def test_checksum(mounts, source, encoded, rng):
    """Contents that differ under one size and time, in the source and in shares."""
    data = bytearray((source / "file-0").read_bytes())
    data[rng.randrange(len(data))] ^= 1
    rewrite(source / "file-0", data)
    harmed = encoded / "03" / "file-1"
    share = bytearray(harmed.read_bytes())
    share[rng.randrange(oracle.HEADER_SIZE, len(share))] ^= 0x80
    rewrite(harmed, share)
    assert run("encode", *ENCODE, source, encoded).summary["made"] == 0
    done = run("encode", *ENCODE, "-c", "-v", source, encoded)
    made = {path: shares for (action, path), shares in done.actions().items() if action == "made"}
    assert made == {"file-0": {f"{index:02x}" for index in range(N)}, "file-1": {"03"}}
    check_shares(mounts, source, encoded)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_other_arguments(tmp_path, mounts, rng, share_format):
    """Another k is another share, also of an empty file, whose size and time stay as they were."""
    for size in (0, 1, 6, 12, 60_000):
        trees.write_file(tmp_path / "source" / f"size-{size}", rng.randbytes(size))
    for required in (2, 3):
        words = ["-k", str(required), "-n", "4", "--format", share_format, tmp_path / "source"]
        if required == 3 and share_format != "checked":  # they might be the user's own files
            refused = run("encode", *words, tmp_path / "out", status=USAGE)
            assert "holds files that are not of share 00" in refused.errors
            shutil.rmtree(tmp_path / "out")
        done = run("encode", *words, tmp_path / "out")
        options = {"required": required, "shares": 4, "format": share_format}
        compare_with_view(mounts, tmp_path / "source", tmp_path / "out", **options)
    assert done.summary["made"] == 4 * 5


def test_another_block_size(tmp_path, mounts, source, encoded):
    run("encode", *ENCODE, "--block-size", "4K", source, encoded)
    check_shares(mounts, source, encoded, block_size=4096)


# What is gone


def test_removal(mounts, source, encoded):
    (source / "file-0").unlink()
    shutil.rmtree(source / "dir")
    before = commands.snapshot(encoded / "00")
    done = run("encode", *ENCODE, source, encoded).summary
    assert done["removed"] == 0
    kept = commands.snapshot(encoded / "00")
    assert set(kept) == set(before)
    gone = {"file-0", *(f"dir{path}" for path in commands.describe(encoded / "00" / "dir")[0])}
    done = run("encode", *ENCODE, "--delete", source, encoded)
    assert done.summary["removed"] == len(gone) * N
    assert set(done.actions()) == {("removed", path) for path in gone}
    check_shares(mounts, source, encoded)


def test_the_source_is_not_removed(source, tmp_path):
    """A place around the source has much that is in no share: it stays."""
    before = commands.snapshot(source)
    (tmp_path / "link").symlink_to(source.parent)
    for place in (source.parent, tmp_path / "link", source):
        for words in ([], ["--dry-run"]):
            done = run("encode", *ENCODE, "--delete", *words, "--to", f"00={place}", source,
                       status=USAGE)  # fmt: skip
            assert f"{place}: --delete would remove {source}" in done.errors
    assert commands.snapshot(source) == before


@pytest.mark.parametrize("left", ["nothing", "a stray file", "few"])
def test_delete_from_a_source_that_lacks_most(source, encoded, left):
    """It looks as if it were not mounted: nothing is done."""
    source.rename(source.parent / "mounted")
    source.mkdir()
    if left == "a stray file":
        trees.write_file(source / "stray", b"beneath the mount")
    elif left == "few":
        names = sorted(os.listdir(source.parent / "mounted"))
        for name in names[: len(names) // 3]:
            shutil.move(source.parent / "mounted" / name, source / name)
    before = commands.snapshot(encoded)
    for words in ([], ["--dry-run"]):
        done = run("encode", *ENCODE, "--delete", *words, source, encoded, status=FAILED)
        assert re.search("is empty: |would remove .* names from .*/00: ", done.errors), done.errors
        assert "--delete-most" in done.errors
        assert commands.snapshot(encoded) == before
    run("encode", *ENCODE, "--delete", "--delete-most", source, encoded)
    assert set(os.listdir(encoded / "00")) == set(os.listdir(source))


def test_delete_from_the_shares_of_another_source(tmp_path, source, encoded):
    """Under the same index: most of their names are not in this source."""
    other = tmp_path / "other-source"
    for number in range(10):
        trees.write_file(other / str(number), b"else" * 100)
    before = commands.snapshot(encoded / "01")
    done = run("encode", *ENCODE, "--delete", "--to", f"01={encoded / '01'}", other, status=FAILED)
    assert "--delete would remove" in done.errors
    assert commands.snapshot(encoded / "01") == before


@pytest.mark.parametrize("delete", [True, False])
def test_other_kinds(mounts, source, encoded, delete):
    """A directory for a file, a file or a symlink for a directory, and the reverse."""
    before = commands.describe(encoded / "00" / "dir" / "inner")
    shutil.move(source / "dir" / "inner", source / "elsewhere")
    trees.write_file(source / "dir" / "inner", b"a file now")
    (source / "file-1").unlink()
    (source / "file-1").mkdir()
    trees.write_file(source / "file-1" / "inside", b"inside")
    (source / "link").unlink()
    (source / "link").mkdir()
    trees.write_file(source / "link" / "inside", b"inside")
    words = ["--delete"] if delete else []
    dry = run("encode", *ENCODE, *words, "--dry-run", source, encoded,
              status=0 if delete else FAILED)  # fmt: skip
    done = run("encode", *ENCODE, *words, source, encoded, status=0 if delete else FAILED)
    if delete:
        for told in (dry, done):
            removed = {path for action, path in told.actions() if action == "removed"}
            assert removed == {"dir/inner", "dir/inner/file", "file-1", "link"}
        check_shares(mounts, source, encoded)
        return
    assert all("dir/inner" in line for line in done.errors.splitlines())
    assert len(done.errors.splitlines()) == N
    assert commands.describe(encoded / "00" / "dir" / "inner")[0].keys() == before[0].keys()
    assert (encoded / "00" / "file-1" / "inside").exists()
    assert (encoded / "00" / "link" / "inside").exists()


def test_a_symlink_for_a_directory(mounts, source, encoded):
    shutil.move(source / "dir", source / "moved")
    (source / "dir").symlink_to("moved")
    run("encode", *ENCODE, "--delete", source, encoded)
    check_shares(mounts, source, encoded)
    (source / "dir").unlink()
    shutil.move(source / "moved", source / "dir")
    run("encode", *ENCODE, "--delete", source, encoded)
    check_shares(mounts, source, encoded)


def test_links_change(mounts, source, encoded):
    """Names become one file, and files of their own again; what one is given the other is not."""
    os.link(source / "file-0", source / "dir" / "link-0")
    (source / "file-1").unlink()
    os.link(source / "file-0", source / "file-1")
    run("encode", *ENCODE, source, encoded)
    check_shares(mounts, source, encoded)
    faithful.cut(source / "again")
    faithful.cut(source / "file-1")
    (source / "file-1").chmod(0o600)
    trees.write_file(source / "dir" / "link-0", b"all names change")
    run("encode", *ENCODE, source, encoded)
    check_shares(mounts, source, encoded)


# Dry runs


def test_dry_run(source, encoded):
    """It says what would be done, and does nothing."""
    trees.write_file(source / "file-0", b"changed")
    trees.write_file(source / "new" / "deeper" / "file", b"new")
    (source / "file-1").chmod(0o600)
    (source / "file-2").unlink()
    before = commands.snapshot(encoded)
    words = ["-n", str(N), "--delete", source, encoded]
    dry = run("encode", "--dry-run", *words)
    assert commands.snapshot(encoded) == before
    told = {key for key in dry.actions() if key[1] not in ("", ".")}
    made = {"file-0", "new", "new/deeper", "new/deeper/file"}
    assert told == {("made", path) for path in made} | {
        ("metadata", "file-1"),
        ("removed", "file-2"),
    }
    done = run("encode", "-v", *words)
    for kind in ("made", "removed", "failed"):
        assert dry.summary[kind] == done.summary[kind], kind
    assert dry.summary["dry_run"] and not done.summary["dry_run"]


def test_dry_run_names_its_targets(source, encoded):
    trees.write_file(source / "file-0", b"changed")
    done = run("encode", *ENCODE, "--dry-run", source, encoded)
    targets = {line["target"] for line in done.json if line["message_type"] == "file"}
    assert targets == {str(encoded / name) for name in all_shares(N)}


def test_dry_run_makes_nothing(tmp_path, source):
    """It says the same where nothing is there yet."""
    out = tmp_path / "out" / "shares"
    out.parent.mkdir()
    dry = run("encode", *ENCODE, "--dry-run", source, out)
    assert not out.exists()
    done = run("encode", *ENCODE, "-v", source, out)
    assert dry.actions() == done.actions() and dry.summary["made"] == done.summary["made"]
