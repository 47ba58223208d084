# SPDX-License-Identifier: MIT
"""encode makes what the encoded view shows, of what it is told to, and says what it did."""

import os
import shutil
import subprocess

import pytest

import commands
import disks
import encoding
import faithful
import mounts as mounts_module
import oracle
import trees
import users
import whole_tree
from commands import FAILED, USAGE, all_shares, compare_with_view, run
from disks import small_disk
from encoding import ENCODE, K, N, bytes_read, check_shares, make_deep, make_source
from users import run_as

everything = encoding.everything  # a fixture
source = encoding.source  # a fixture

home = users.home  # a fixture
needs_root = users.needs_root
user = users.user  # a fixture
fast_place = disks.fast_place  # a fixture


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


@pytest.mark.parametrize("number", ["3", "20", "10", "99", "100"])
def test_a_number_of_shares_is_no_list(tmp_path, source, number):
    """-o shares=20 is a count, and --shares 20 would be share 32."""
    done = run("encode", "-n", "200", "--shares", number, source, tmp_path / "out", status=USAGE)
    told = f"--shares {number}: wants a list of shares, like 00,03-05; for {number} shares give -n {number}"
    assert done.errors.startswith(f"zfec-fs: {told}")
    assert ("--shares 10-10" in done.errors) == (number == "10")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shares", ["09", "0a", "1f", "10-10", "10,11"])
def test_a_list_of_one_share(tmp_path, source, shares):
    run("encode", "-n", "200", "--shares", shares, source, tmp_path / "out")
    expected = {"10-10": ["10"], "10,11": ["10", "11"]}.get(shares, [shares])
    assert sorted(os.listdir(tmp_path / "out")) == expected


@pytest.mark.parametrize("words, told", [
    (["encode", "-n", "2"], "encode: -n 2: fewer than are enough, which is 3 by default; give -k 2"),
    (["encode", "-n", "2", "-k", "3"], "encode: -k 3: more than -n 2; give at least as many shares"),
    (["-o", "shares=2"], "shares=2: fewer than are enough, which is 3 by default; give required=2"),
])  # fmt: skip
def test_fewer_shares_than_are_enough(tmp_path, source, words, told):
    """Says so if that was not asked for."""
    done = subprocess.run([mounts_module.BINARY, *words, source, tmp_path / "out"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (USAGE, f"zfec-fs: {told}\n")


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
