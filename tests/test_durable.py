# SPDX-License-Identifier: MIT
"""A run that ends with 0 has written out the names that it gave, not only what they stand for."""

import os
import re
import shutil
import subprocess

import pytest

import commands
import disks
import encoding
import trees
import users
from commands import DAMAGED, FAILED, run
from sftp_store import SftpStore

K, N = 2, 3
ENCODE = ["-k", str(K), "-n", str(N)]
needs_root = users.needs_root
small_disk = disks.small_disk

CHANGES = (
    "mkdir mkdirat rename renameat renameat2 link linkat symlinkat mknodat unlink unlinkat chmod "
    "fchmod fchmodat fchownat utimensat setxattr fsetxattr"
).split()
SYNCS = ["fsync", "syncfs"]


@pytest.fixture(autouse=True)
def needs_strace():
    if not shutil.which("strace"):
        pytest.skip("strace is missing")


@pytest.fixture
def source(tmp_path, rng):
    """Of every kind of change one is the last somewhere: in a directory of its own."""
    folder = encoding.make_source(tmp_path / "source", rng)
    for name in ("links", "symlinks", "empty"):
        (folder / name).mkdir()
    os.link(folder / "file-0", folder / "links" / "link")
    (folder / "symlinks" / "link").symlink_to("nowhere")
    return folder


@pytest.fixture
def encoded(tmp_path, source):
    run("encode", *ENCODE, source, tmp_path / "stores")
    return tmp_path / "stores"


def directories_in(folder):
    return [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]


# The calls of a run, in their order


def trace(path, *words, **how):
    """Lines like `fsync(3</some/where>) = 0`, of the calls that were done."""
    calls = ",".join(CHANGES + SYNCS)
    before = ["strace", "-f", "-y", "-qq", "-o", path, "-e", f"trace={calls}", "-e", "signal=none"]
    result = run(*words, "-j", "1", before=before, **how)
    lines = [line.split(maxsplit=1)[1] for line in path.read_text().splitlines()]
    return result, [line for line in lines if line.endswith("= 0")]


def name_of(line):
    return re.match(r"(?:<\.\.\. )?(\w+)", line)[1]


def places_of(lines, name):
    """Path of a file -> the place in LINES of the last such call for it."""
    found = {}
    for at, line in enumerate(lines):
        if name_of(line) == name:
            found[re.search(r"\(\d+<(.*)>\)", line)[1]] = at
    return found


def last_change(lines):
    return max((at for at, line in enumerate(lines) if name_of(line) in CHANGES), default=-1)


def check_synced_at_once(lines, targets):
    """Each target is written out after the last change anywhere."""
    synced = places_of(lines, "syncfs")
    for target in targets:
        assert synced.get(str(target), -1) > last_change(lines), (target, lines[-30:])


def check_synced_one_by_one(lines, directories):
    """Each directory is written out after the last change in it. That it is changed itself may be
    said by a path through /proc, of which strace does not know where it leads."""
    synced = places_of(lines, "fsync")
    for directory in directories:
        changes = [
            at
            for at, line in enumerate(lines)
            if name_of(line) in CHANGES and f"<{directory}>," in line
        ]
        assert str(directory) in synced, (directory, lines)
        assert synced[str(directory)] > max(changes, default=-1), directory


# Where a whole file system can be written out


def test_first_encode(tmp_path, source):
    out = tmp_path / "out"
    _, lines = trace(tmp_path / "trace", "encode", *ENCODE, source, out)
    assert any("renameat" in line and str(out) in line for line in lines)
    check_synced_at_once(lines, [out / name for name in commands.all_shares(N)])
    check_synced_one_by_one(lines, [tmp_path, out])


@pytest.mark.parametrize("what", ["nothing", "metadata", "removal", "link", "directory"])
def test_encode_again(tmp_path, source, encoded, what):
    """Also where an earlier run has done all, and was killed before it had written it out."""
    if what == "metadata":
        (source / "dir").chmod(0o711)
    elif what == "removal":
        (source / "links" / "link").unlink()
    elif what == "link":
        os.link(source / "file-0", source / "links" / "more")
    elif what == "directory":
        (source / "symlinks" / "new").mkdir()
    _, lines = trace(tmp_path / "trace", "encode", "--delete", *ENCODE, source, encoded)
    assert (last_change(lines) < 0) == (what == "nothing")
    check_synced_at_once(lines, [encoded / name for name in commands.all_shares(N)])


def test_first_decode(tmp_path, source, encoded):
    _, lines = trace(tmp_path / "trace", "decode", encoded, tmp_path / "out")
    check_synced_at_once(lines, [tmp_path / "out"])
    check_synced_one_by_one(lines, [tmp_path])


def test_repair(tmp_path, encoded):
    shutil.rmtree(encoded / "00" / "dir")
    new = tmp_path / "new"
    words = ["repair", "--add", f"03={new}", encoded]
    _, lines = trace(tmp_path / "trace", *words, status=DAMAGED)
    assert any("renameat" in line and str(encoded / "00") in line for line in lines)
    check_synced_at_once(lines, [new, *(encoded / name for name in commands.all_shares(N))])
    check_synced_one_by_one(lines, [tmp_path])


def test_dry_run(tmp_path, source, encoded):
    (source / "file-0").unlink()
    words = ["encode", "--dry-run", "--delete", *ENCODE, source, encoded]
    _, lines = trace(tmp_path / "trace", *words)
    assert lines == []


# Elsewhere


@needs_root
def test_another_file_system_in_a_target(tmp_path, source):
    """What is mounted there is not written out with the target."""
    (source / "links" / "deeper").mkdir()
    trees.write_file(source / "links" / "deeper" / "file", b"deep")
    for name in commands.all_shares(N):
        (tmp_path / "out" / name / "links").mkdir(parents=True)
    mounted = tmp_path / "out" / "01" / "links"
    with small_disk(mounted, "1m"):
        _, lines = trace(tmp_path / "trace", "encode", *ENCODE, source, tmp_path / "out")
        check_synced_one_by_one(lines, [mounted, mounted / "deeper"])
        assert str(tmp_path / "out" / "00" / "links") not in places_of(lines, "fsync")
        os.chmod(source / "links" / "deeper" / "file", 0o600)
        _, lines = trace(tmp_path / "trace", "encode", *ENCODE, source, tmp_path / "out")
        assert str(mounted / "deeper" / "file") in places_of(lines, "fsync")


@pytest.fixture
def far(tmp_path):
    """A folder beyond a FUSE server, which has no syncfs."""
    (tmp_path / "server").mkdir()
    with SftpStore(tmp_path / "server", tmp_path / "far") as store:
        yield store.path


def test_beyond_a_server(tmp_path, source, far):
    """Links, fifos and attributes cannot be there: the names that can be are written out."""
    for path in ("again", "link", "links/link", "symlinks/link", "fifo", "file-0"):
        (source / path).unlink()
    _, lines = trace(tmp_path / "trace", "encode", *ENCODE, source, far / "out")
    check_synced_one_by_one(lines, [far, far / "out"])
    for name in commands.all_shares(N):
        check_synced_one_by_one(lines, directories_in(far / "out" / name))
    assert places_of(lines, "syncfs") == {}
    commands.run("decode", far / "out", far / "restored")


# A sync that fails


def inject(call, first):
    """The calls of the thread that ends the run fail, from the FIRST on."""
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", "signal=none",
            "-e", f"inject={call}:error=EIO:when={first}+"]  # fmt: skip


def check_failure(done, *targets):
    for target in targets:
        assert f". in {target}: Input/output error" in done.errors
    assert len(done.errors.splitlines()) == len(targets)
    assert done.summary["failed"] == len(targets) and done.summary["exit_status"] == FAILED


def test_failing_sync_of_encode(tmp_path, source):
    """All is there, after a sync before files got their names and one before links got theirs: it
    is the last one that failed."""
    out = tmp_path / "out"
    words = ["encode", *ENCODE, "-j", "1", source, out]
    done = run(*words, status=FAILED, before=inject("syncfs", 2 * N + 1))
    check_failure(done, *(out / name for name in commands.all_shares(N)))
    assert commands.leftovers(out) == [] and (out / "02" / "file-0").exists()
    done = run(*words, status=FAILED, before=inject("syncfs", N))
    check_failure(done, out / "02")
    run(*words)


def test_failing_sync_of_decode(tmp_path, encoded):
    words = ["decode", "-j", "1", encoded, tmp_path / "out"]
    done = run(*words, status=FAILED, before=inject("syncfs", 3))
    check_failure(done, tmp_path / "out")
    run(*words)


def test_failing_sync_of_repair(tmp_path, encoded):
    shutil.rmtree(encoded / "00" / "dir")
    done = run("repair", "-j", "1", encoded, status=FAILED, before=inject("syncfs", 4))
    check_failure(done, *(encoded / name for name in commands.all_shares(N)[-2:]))


def test_failing_sync_of_a_new_folder(tmp_path, source):
    """Its own name is not durable."""
    words = ["encode", *ENCODE, "-j", "1", source, tmp_path / "out"]
    done = run(*words, status=FAILED, before=inject("fsync", 1))
    assert f"{tmp_path / 'out'}: its name cannot be written out: Input/output" in done.errors
    assert done.summary["exit_status"] == FAILED
    run(*words)


@needs_root
def test_failing_sync_of_a_directory(tmp_path, source):
    mounted = tmp_path / "out" / "01" / "links"
    mounted.mkdir(parents=True)
    (tmp_path / "out" / "00").mkdir()
    (tmp_path / "out" / "02").mkdir()
    (source / "links" / "link").unlink()
    with small_disk(mounted, "1m"):
        done = run("encode", *ENCODE, "-j", "1", source, tmp_path / "out", status=FAILED,
                   before=inject("fsync", 1))  # fmt: skip
    assert done.errors == f"zfec-fs: links in {tmp_path / 'out' / '01'}: Input/output error\n"
