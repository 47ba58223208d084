# SPDX-License-Identifier: MIT
"""encode makes what the encoded view shows, once, again, in part, and after any interruption."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import commands
import disks
import faithful
import oracle
import trees
import users
import whole_tree
from commands import FAILED, USAGE, all_shares, compare_with_view, run
from disks import small_disk
from mounts import wait_for_exit
from users import run_as

home = users.home  # a fixture

K, N = 3, 5
ENCODE = ["-k", str(K), "-n", str(N)]
needs_root = users.needs_root
user = users.user  # a fixture
fast_place = disks.fast_place  # a fixture


# Trees


def make_deep(folder):
    """A path of more than PATH_MAX bytes, with a file at its end."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(25):
        name = "d" * 200
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    with open(os.open("end", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=here), "wb") as file:
        file.write(b"deep")
    os.utime("end", ns=(1, 7), dir_fd=here)
    os.close(here)


@pytest.fixture(scope="module")
def everything(fast_place, module_rng):
    """A tree with all that there is."""
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is missing")
    folder = whole_tree.make_tree(fast_place / "source", module_rng)
    make_deep(folder)
    return folder


def make_source(folder, rng, files=6):
    """A small tree with what runs trip over: links, an empty file, directories in directories."""
    for number in range(files):
        trees.write_file(folder / f"file-{number}", rng.randbytes(rng.randrange(1, 40_000)))
    trees.write_file(folder / "dir" / "inner" / "file", rng.randbytes(20_000))
    trees.write_file(folder / "dir" / "empty", b"")
    os.link(folder / "dir" / "inner" / "file", folder / "again")
    (folder / "link").symlink_to("dir/inner")
    os.mkfifo(folder / "fifo")
    os.setxattr(folder / "file-0", "user.note", b"\0\xff")
    return folder


@pytest.fixture
def source(tmp_path, rng):
    return make_source(tmp_path / "source", rng)


@pytest.fixture
def encoded(tmp_path, source):
    """The source's shares, made a moment ago."""
    run("encode", *ENCODE, source, tmp_path / "out")
    return tmp_path / "out"


def check_shares(mounts, source, destination, **options):
    compare_with_view(mounts, source, destination, required=K, shares=N, **options)


# What is made

CASES = [
    ("checked", 3, 5, 65536),
    ("checked", 1, 2, 4096),
    ("checked", 4, 5, 16384),
    ("classic", 2, 4, None),
    ("fec", 3, 6, None),
]


@pytest.mark.parametrize("share_format, required, shares, block_size", CASES)
def test_makes_the_view(
    fast_place, mounts, everything, share_format, required, shares, block_size
):
    out = fast_place / f"out-{share_format}-{required}"
    blocks = ["--block-size", str(block_size)] if block_size else []
    words = ["-k", str(required), "-n", str(shares), "--format", share_format, *blocks]
    done = run("encode", *words, everything, out)
    assert done.summary["failed"] == done.summary["lost"] == 0
    options = {"required": required, "shares": shares, "format": share_format}
    compare_with_view(mounts, everything, out, block_size=block_size, **options)
    assert sorted(os.listdir(out)) == all_shares(shares)
    again = run("encode", *words, everything, out).summary
    assert again["made"] == again["metadata"] == again["removed"] == 0


def test_defaults(tmp_path, mounts, source):
    """3 of 20, checked, blocks of 64 KiB, as the mount has it."""
    run("encode", source, tmp_path / "out")
    compare_with_view(mounts, source, tmp_path / "out", required=3, shares=20)


def test_all_shares_that_there_can_be(tmp_path, rng):
    """Few descriptors are enough for many targets and threads."""
    data = rng.randbytes(5000)
    for number in range(70):
        trees.write_file(tmp_path / "source" / f"file-{number}", data)
    limit = ["prlimit", "--nofile=1024:"]
    words = ["-k", "200", "-n", "256", "-j", "8", "--block-size", "4K"]
    run("encode", *words, tmp_path / "source", tmp_path / "out", before=limit)
    for index in (0, 199, 200, 255):
        expected = oracle.make_share("checked", data, 200, 256, index, trees.MTIME_NS, 4096)
        for name in ("file-0", "file-69"):
            found = (tmp_path / "out" / trees.share_name(index) / name).read_bytes()
            trees.assert_same(found, expected, name)


def test_some_shares(tmp_path, mounts, source):
    run("encode", "-n", "8", "--shares", "00,03-05", source, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["00", "03", "04", "05"]
    compare_with_view(
        mounts, source, tmp_path / "out", indexes=(0, 3, 4, 5), required=3, shares=8
    )


@pytest.mark.parametrize("with_rest", [True, False])
def test_places(tmp_path, mounts, source, with_rest):
    """--to names a share's place, whether the others are made or not."""
    places = {3: tmp_path / "usb", 1: tmp_path / "disk"}
    to = [word for index, path in places.items() for word in ("--to", f"{index:02x}={path}")]
    rest = [tmp_path / "out"] if with_rest else []
    run("encode", *ENCODE, *to, source, *rest)
    indexes = range(N) if with_rest else list(places)
    options = {"places": places, "indexes": indexes, "required": K, "shares": N}
    compare_with_view(mounts, source, tmp_path / "out", **options)
    if with_rest:
        assert sorted(os.listdir(tmp_path / "out")) == ["00", "02", "04"]


def test_excludes(tmp_path, mounts, source):
    """The rules are the mount's; what is left out is no part of the source for --delete."""
    run("encode", *ENCODE, source, tmp_path / "out")
    rules = tmp_path / "rules"
    rules.write_text("# rules\ndir/*\n!dir/empty\n", encoding="ascii")
    words = ["--exclude", "file-[12]", "--exclude", "fifo", "--exclude-from", rules]
    run("encode", *ENCODE, *words, "--delete", source, tmp_path / "out")
    view = mounts.start(
        "-o", f"required={K},shares={N},exclude=file-[12],exclude=fifo,exclude_from={rules}", source
    )
    for name in all_shares(N):
        commands.compare_trees(view / name, tmp_path / "out" / name)
    assert not (tmp_path / "out" / "00" / "dir" / "inner").exists()


@needs_root
@pytest.mark.parametrize("one", [True, False])
def test_one_file_system(tmp_path, mounts, source, one):
    with small_disk(source / "other", "1m") as other:
        trees.write_file(other / "file", b"beyond")
        run("encode", *ENCODE, *["-x"] * one, source, tmp_path / "out")
        check_shares(mounts, source, tmp_path / "out", xdev=one)
        assert (tmp_path / "out" / "00" / "other" / "file").exists() != one


def test_a_target_in_the_source(tmp_path, source):
    """Shares of shares of shares would never end."""
    done = run("encode", *ENCODE, source, source / "out", status=USAGE, before=["timeout", "3"])
    assert len(done.errors.splitlines()) == 1
    assert not (source / "out" / "00" / "out" / "00").exists()


def bytes_read(trace, path):
    """From strace's output: what was read of one file, in whatever way."""
    calls = re.findall(rf"\b\w*read\w*\(\d+<{re.escape(str(path))}>.*= (\d+)$", trace, re.M)
    assert not re.search(rf"mmap\(.*<{re.escape(str(path))}>", trace)
    return sum(map(int, calls))


def test_reads_once(tmp_path, rng):
    """All shares are made of one reading, whatever their number."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    data = rng.randbytes(10_000_000)
    path = trees.write_file(tmp_path / "source" / "file", data)
    trace = tmp_path / "trace"
    strace = [*commands.STRACE, trace]
    run("encode", "-k", "3", "-n", "6", tmp_path / "source", tmp_path / "out", before=strace)
    read = bytes_read(commands.take_trace(trace), path)
    assert len(data) <= read < len(data) * 1.02
    run("encode", "-k", "3", "-n", "6", tmp_path / "source", tmp_path / "out", before=strace)
    assert bytes_read(commands.take_trace(trace), path) == 0


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"], ids=["sandbox", "old kernel"])
def test_without_random_numbers(tmp_path, mounts, source, error):
    """Temporary names, of which each file gets one, are new all the same."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    denied = ["timeout", "--signal=KILL", "30", "strace", "-f", "-o", tmp_path / "trace",
              "-e", "trace=getrandom", "-e", f"inject=getrandom:error={error}"]  # fmt: skip
    run("encode", *ENCODE, source, tmp_path / "out", before=denied)
    assert f"{error} (" in (tmp_path / "trace").read_text()
    check_shares(mounts, source, tmp_path / "out")
    assert not list((tmp_path / "out").rglob(f"{commands.TEMPORARY}*"))


# As a user without root


def own_below(folder):
    """Paths beyond PATH_MAX too."""
    commands.visit(
        folder,
        lambda fd, name, path, status: os.chown(
            name, users.NOBODY, users.NOBODY, dir_fd=fd, follow_symlinks=False
        ),
    )


@needs_root
def test_a_user(user, home, mounts, rng):
    source = whole_tree.make_tree(home / "source", rng, users.NOBODY)
    make_deep(source)
    own_below(source)
    run_as(user, "encode", *ENCODE, source, home / "out")
    check_shares(mounts, source, home / "out")
    again = run_as(user, "encode", *ENCODE, source, home / "out").summary
    assert again["made"] == again["metadata"] == 0


@needs_root
def test_a_user_changes_what_he_closed(user, home, mounts, rng):
    """Directories, the root too, that are closed to their owner are opened for a while."""
    source = make_source(home / "source", rng)
    user.own(source)
    for folder in (source / "dir" / "inner", source / "dir", source):
        folder.chmod(0o555)
    run_as(user, "encode", *ENCODE, source, home / "out")
    check_shares(mounts, source, home / "out")
    for name in ("dir/inner/file", "file-1"):
        trees.write_file(source / name, rng.randbytes(9999))
    trees.write_file(source / "dir" / "new", b"new")
    (source / "file-2").unlink()
    user.own(source)
    run_as(user, "encode", *ENCODE, "--delete", source, home / "out")
    check_shares(mounts, source, home / "out")


@needs_root
def test_foreign_groups_are_no_change(user, home, rng):
    """What a user cannot give is not tried at each run anew."""
    source = make_source(home / "source", rng)
    user.own(source)
    os.chown(source / "file-1", 0, 1234)
    os.chown(source / "file-2", users.NOBODY, 1234)
    run_as(user, "encode", *ENCODE, source, home / "out")
    before = commands.snapshot(home / "out")
    done = run_as(user, "encode", *ENCODE, source, home / "out").summary
    assert done["made"] == done["metadata"] == 0
    assert commands.snapshot(home / "out") == before


@needs_root
def test_what_a_user_cannot_read(user, home, rng):
    """One clear line for each; all else is made, and what the target has of them stays."""
    source = make_source(home / "source", rng)
    user.own(source)
    run_as(user, "encode", *ENCODE, source, home / "out")
    for name in ("file-0", "dir/inner"):
        os.chown(source / name, 0, 0)
        (source / name).chmod(0o700)
    trees.write_file(source / "file-0", b"secret")
    trees.write_file(source / "file-1", b"changed")
    user.own(source / "file-1")
    done = run_as(user, "encode", *ENCODE, "--delete", source, home / "out", status=FAILED)
    assert [line for line in done.errors.splitlines() if "file-0: " in line and "ermission" in line]
    assert len([line for line in done.errors.splitlines() if "file-0" in line]) == 1
    assert len([line for line in done.errors.splitlines() if "dir/inner: " in line]) == 1
    assert (home / "out" / "00" / "file-0").stat().st_size > 100  # of the old one
    assert (home / "out" / "00" / "dir" / "inner" / "file").exists()
    made = (home / "out" / "04" / "file-1").read_bytes()
    assert made == oracle.make_share("checked", b"changed", K, N, 4, trees.MTIME_NS)


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


# Interrupted


def make_many(folder, rng, generation=0, files=300, sizes=(0, 10, 3000, 20_000)):
    """The contents of a tree that takes a while; each generation has others."""
    contents = {}
    for number in range(files):
        name = f"dir-{number % 7}/file-{number}"
        contents[name] = rng.randbytes(rng.choice(sizes) + generation)
        trees.write_file(folder / name, contents[name], trees.MTIME_NS + generation)
    return contents


def shares_of(contents, mtime_ns):
    return {
        name: [
            oracle.make_share("checked", data, 2, 3, index, mtime_ns, 4096) for index in range(3)
        ]
        for name, data in contents.items()
    }


def check_whole(destination, generations):
    """Each file is exactly what it was, or what it should become; none that was is missing."""
    for index, share in enumerate(all_shares(3)):
        for name in generations[-1]:
            path = destination / share / name
            allowed = [made[name][index] if made else None for made in generations]
            found = path.read_bytes() if path.exists() else None
            assert found in allowed, path


def test_killed(fast_place, mounts, rng):
    """At any moment a name stands for the old file, or for the new one; the next run ends it."""
    source, out = fast_place / "killed" / "source", fast_place / "killed" / "out"
    words = ["encode", "-j", "1", "-k", "2", "-n", "3", "--block-size", "4K", source, out]
    large = {"files": 50, "sizes": (0, 100_000, 150_000)}
    make_many(source, rng, **large)
    duration = run(*words).summary["seconds"]
    shutil.rmtree(out)
    generations, cut_short = [None], 0
    for generation in range(4):
        contents = make_many(source, rng, generation, **large)
        generations = [generations[-1], shares_of(contents, trees.MTIME_NS + generation)]
        for _ in range(8):
            process = commands.start(*words)
            ended = wait_for_exit(process.pid, limit_s=rng.uniform(0, duration))
            process.kill()
            process.communicate()
            cut_short += not ended
            check_whole(out, generations)
        run(*words)
        assert commands.leftovers(out) == []
        check_whole(out, generations[1:])
    assert cut_short > 5
    compare_with_view(mounts, source, out, required=2, shares=3, block_size=4096)


def test_leftovers_are_nothing_of_the_stores(source, encoded, tmp_path):
    """What a killed run leaves is not restored as a file, and is removed by the next run."""
    time_ns = (source / "dir").stat().st_mtime_ns
    for share in all_shares(N):
        name = f"{commands.TEMPORARY}0123456789abcd{share}"
        trees.write_file(encoded / share / "dir" / name, b"half a share")
        os.utime(encoded / share / "dir", ns=(time_ns, time_ns))
    told = run("decode", encoded, tmp_path / "restored", noisy=True).errors.splitlines()
    assert len(told) == N and all("left over by a tool" in line for line in told), told
    commands.compare_trees(source, tmp_path / "restored")
    trees.write_file(encoded / "00" / f"{commands.TEMPORARY}mine", b"is another's")
    run("encode", *ENCODE, source, encoded)
    assert commands.leftovers(encoded) == [f"/00/{commands.TEMPORARY}mine"]


@contextlib.contextmanager
def started(*words):
    """A run that has made something and is far from its end; its first line, too."""
    process = commands.start(*words)
    try:
        first = process.stdout.readline()
        assert json.loads(first)["action"] == "made"
        yield process, first
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(tmp_path, mounts, rng, number):
    make_many(tmp_path / "source", rng)
    words = ["encode", "-j", "1", "-k", "2", "-n", "3", tmp_path / "source", tmp_path / "out"]
    with started(*words) as (process, first):
        process.send_signal(number)
        done = commands.finish(process, first)
    assert done.status == FAILED and done.summary["exit_status"] == FAILED
    assert re.search(r"stopping at [\d,]+ files?; run it again to go on from there$", done.errors, re.M)
    assert commands.leftovers(tmp_path / "out") == []
    made = run(*words).summary["made"]
    assert 0 < made < 3 * 307
    compare_with_view(mounts, tmp_path / "source", tmp_path / "out", required=2, shares=3)


def check_second_is_refused(words, *others):
    """While a run is under way, others on a target of it wait, but not for ever; it ends well."""
    with started(*words) as (process, first):
        worker = commands.worker_of(process)
        os.kill(worker, signal.SIGSTOP)
        waiting = [commands.start(*other) for other in (words, *others)]
        for refused in map(commands.finish, waiting):
            told = refused.errors.splitlines()
            assert len(told) == 2 and all("another run writes there" in line for line in told)
            assert refused.status == FAILED and refused.summary["made"] == 0
        os.kill(worker, signal.SIGCONT)
        assert commands.finish(process, first).status == 0


def test_two_runs_at_once(tmp_path, mounts, rng):
    """The second is refused, also where only one target is common."""
    make_many(tmp_path / "source", rng)
    words = ["encode", "-k", "2", "-n", "3", tmp_path / "source"]
    one = [*words, "--to", f"01={tmp_path / 'out' / '01'}"]
    check_second_is_refused([*words, tmp_path / "out"], one)
    compare_with_view(mounts, tmp_path / "source", tmp_path / "out", required=2, shares=3)


# Targets that fail


@needs_root
def test_a_full_disk(tmp_path, mounts, rng):
    """One clear line for each file that found no room; the other targets are complete."""
    source = tmp_path / "source"
    for number in range(6):
        trees.write_file(source / f"file-{number}", rng.randbytes(900_000))
    (tmp_path / "out").mkdir()
    with small_disk(tmp_path / "out" / "03", "1m") as full:
        done = run("encode", *ENCODE, source, tmp_path / "out", status=FAILED)
        lines = done.errors.splitlines()
        failed = done.summary["failed"]
        assert 0 < failed < 6 and len(lines) == failed
        assert all("No space left on device" in line and str(full) in line for line in lines)
        assert commands.leftovers(full) == []
        names = sorted(os.listdir(full))
        assert len(names) == 6 - failed
        view = mounts.encoded(source, required=K, shares=N)
        for name in names:
            assert (full / name).read_bytes() == (view / "03" / name).read_bytes()
        for index in (0, 1, 2, 4):
            commands.compare_trees(view / f"{index:02x}", tmp_path / "out" / f"{index:02x}")


@needs_root
def test_an_unwritable_target(user, home, rng):
    source = make_source(home / "source", rng)
    user.own(source)
    (user.folder / "closed").mkdir(mode=0o755)
    done = run_as(user, "encode", *ENCODE, source, user.folder / "closed" / "out", status=FAILED)
    assert len(done.errors.splitlines()) == 1 and "ermission denied" in done.errors
    (user.folder / "closed" / "02").mkdir()
    to = f"02={user.folder / 'closed' / '02'}"
    done = run_as(user, "encode", *ENCODE, "--to", to, source, home / "out", status=FAILED)
    assert "02" in done.errors and "ermission denied" in done.errors
    assert sorted(os.listdir(home / "out")) == ["00", "01", "03", "04"]
    assert (home / "out" / "04" / "dir" / "inner" / "file").exists()


def test_a_target_that_leads_elsewhere(tmp_path, mounts, source, encoded, rng):
    """Nothing is written beyond a target, whatever symlinks lie in it."""
    outside = make_source(tmp_path / "outside", rng)
    before = commands.snapshot(outside)
    shutil.rmtree(encoded / "00" / "dir")
    (encoded / "00" / "dir").symlink_to(outside)
    (encoded / "01" / "file-0").unlink()
    (encoded / "01" / "file-0").symlink_to(outside / "file-0")
    (encoded / "02" / "link").unlink()
    (encoded / "02" / "link").symlink_to(outside)
    shutil.rmtree(encoded / "03" / "dir" / "inner")
    (encoded / "03" / "dir" / "inner").symlink_to("../../../outside/dir")
    (encoded / "04" / "unknown").symlink_to(outside)
    run("encode", *ENCODE, "--dry-run", source, encoded, noisy=True)
    assert commands.snapshot(outside) == before
    run("encode", *ENCODE, "--delete", source, encoded)
    assert commands.snapshot(outside) == before
    check_shares(mounts, source, encoded)


def test_a_link_that_leads_elsewhere(tmp_path, mounts, source, encoded, rng):
    """A file of the target has a name elsewhere: that one stays what it was, in content."""
    outside = tmp_path / "outside"
    outside.mkdir()
    os.link(encoded / "00" / "file-0", outside / "kept")
    data = (outside / "kept").read_bytes()
    trees.write_file(source / "file-0", rng.randbytes(777))
    run("encode", *ENCODE, source, encoded)
    assert (outside / "kept").read_bytes() == data
    check_shares(mounts, source, encoded)


# What is printed


def test_names_in_json(tmp_path):
    names = [b"\xff\xfe\n", "naïve ☃".encode(), b'"quoted"\\\t', b"\x01\x7f"]
    for name in names:
        trees.write_file(whole_tree.path_of(tmp_path / "source", name), b"data")
    done = run("encode", "--shares", "00,01", "-v", tmp_path / "source", tmp_path / "out")
    lines = [line for line in done.json if line["message_type"] == "file" and line["path"]]
    for name in names:
        found = {
            line.get("share"): line
            for line in lines
            if commands.path_in(line) == name and line["action"] == "made"
        }
        assert set(found) == {"00", "01"}, name
        assert all(line["target"] == str(tmp_path / "out" / s) for s, line in found.items())
    assert done.summary["command"] == "encode" and done.summary["files"] == len(names)


WRONG = [
    [],
    ["source"],
    ["source", "out", "more"],
    ["-k", "0", "source", "out"],
    ["-k", "256", "source", "out"],
    ["-k", "three", "source", "out"],
    ["-n", "257", "source", "out"],
    ["-k", "5", "-n", "4", "source", "out"],
    ["--format", "odd", "source", "out"],
    ["--block-size", "3K", "source", "out"],
    ["--block-size", "2M", "source", "out"],
    ["--shares", "00,3", "source", "out"],
    ["--shares", "", "source", "out"],
    ["--shares", "05-03", "source", "out"],
    ["--shares", "00-", "source", "out"],
    ["-n", "5", "--shares", "05", "source", "out"],
    ["--to", "03", "source", "out"],
    ["--to", "3=out", "source"],
    ["--to", "03=", "source"],
    ["-n", "3", "--to", "03=out", "source"],
    ["--to", "03=out", "--to", "03=out2", "source"],
    [word for index in range(256) for word in ("--to", f"{index:02x}=out")]
    + ["-n", "256", "--to", "00=out", "source"],
    ["--torn", "deny", "source", "out"],
    ["-j", "0", "source", "out"],
    ["--older", "source", "out"],
    ["--store", "source", "source", "out"],
    ["--unknown", "source", "out"],
    ["-k"],
    ["--exclude-from", "none", "source", "out"],
    ["--shares", "00", "--to", "01=out", "source"],
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:40])
def test_wrong_arguments(tmp_path, source, words):
    """One line that says what is wrong; nothing is made."""
    done = run("encode", *words, status=USAGE, cwd=tmp_path)
    assert done.errors.startswith("zfec-fs: ") and len(done.errors.splitlines()) == 1
    assert done.json == []
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.parametrize("missing", ["none", "source/file-0"])
def test_no_source(tmp_path, source, missing):
    done = run("encode", tmp_path / missing, tmp_path / "out", status=FAILED)
    assert done.errors.startswith("zfec-fs: ") and len(done.errors.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# The comparisons can fail


@needs_root
def test_harms_show(fast_place, module_rng):
    source = whole_tree.make_tree(fast_place / "whole", module_rng)
    faithful.HANDS.copy("cp", source, fast_place / "harmed")
    commands.compare_trees(source, fast_place / "harmed")
    harmed = faithful.harm(fast_place / "harmed")
    assert not {f"/{name}" for name in harmed} - set(
        commands.differences(source, fast_place / "harmed")
    )
