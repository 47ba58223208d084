# SPDX-License-Identifier: MIT
"""Start in the background, end by signal or fusermount3, and life as a user without root."""

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import trees
import users
from users import NOBODY, needs_root, user_mount

user = users.user  # a fixture

DATA = b"0123456789"


@pytest.fixture
def source(tmp_path):
    trees.write_file(tmp_path / "source" / "file", DATA)
    return tmp_path / "source"


@pytest.fixture
def stores(tmp_path):
    trees.make_stores(tmp_path / "stores", "file", DATA, (2, 9, 13))
    return tmp_path / "stores"


@pytest.fixture
def mountpoint(tmp_path):
    path = tmp_path / "mountpoint"
    path.mkdir()
    yield path
    if mounts_module.is_mounted(path):
        mounts_module.unmount_at_any_cost(path)


# In the background


def _sanitizer_options(name, folder):
    return ":".join(filter(None, [os.environ.get(name), f"log_path={folder}/report"]))


@pytest.fixture
def background(binary, monkeypatch):
    """Ends the servers that a failed test has left, and finds what their sanitizers said.

    A server in the background has no standard error to say it on.
    """
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-") as folder:
        os.chmod(folder, 0o1777)
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            monkeypatch.setenv(name, _sanitizer_options(name, folder))
        yield
        for pid in mounts_module.servers():
            mounts_module.stop_process(pid)
        reports = [path.read_text(errors="replace") for path in Path(folder).iterdir()]
        assert not reports, "\n".join(reports)


def the_server():
    servers = mounts_module.servers()
    assert len(servers) == 1, servers
    return servers[0]


def check_ended(pid, mountpoint):
    assert mounts_module.wait_for_exit(pid), "the server did not end"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not mounts_module.is_mounted(mountpoint)
    assert os.listdir(mountpoint) == []


def start_in_background(*words, **how):
    """Returns once zfec-fs has; its output ends then as well, or this would wait on."""
    result = mounts_module.run(*words, **how)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def end_by_signal(number):
    return lambda mountpoint, pid: os.kill(pid, number)


def end_by_fusermount(mountpoint, _pid):
    subprocess.run(["fusermount3", "-u", mountpoint], check=True)


def end_by_umount(mountpoint, _pid):
    if os.geteuid() != 0:
        pytest.skip("umount(8) of a FUSE mount is root's")
    subprocess.run(["umount", mountpoint], check=True)


ENDS = {
    "SIGTERM": end_by_signal(signal.SIGTERM),
    "SIGINT": end_by_signal(signal.SIGINT),
    "SIGHUP": end_by_signal(signal.SIGHUP),
    "fusermount3": end_by_fusermount,
    "umount": end_by_umount,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("view", ["encoded", "restored"])
def test_background(background, source, stores, mountpoint, view, end):
    words = [source] if view == "encoded" else ["-o", "restore", stores]
    start_in_background(*words, mountpoint)
    expected = [trees.share_name(n) for n in range(20)] if view == "encoded" else ["file"]
    assert sorted(os.listdir(mountpoint)) == expected
    pid = the_server()
    ENDS[end](mountpoint, pid)
    check_ended(pid, mountpoint)


@pytest.mark.parametrize("closed", [(0, 1, 2), (1,), (0, 2)], ids=str)
def test_closed_streams(background, source, mountpoint, tmp_path, closed):
    """Nothing that is opened takes their place: it would be printed into."""

    def run(*words):
        def close():
            for fd in closed:
                os.close(fd)

        return mounts_module.run(*words, preexec_fn=close).returncode

    assert run("encode", "-k", "2", "-n", "3", source, tmp_path / "made") == 0
    (tmp_path / "made/00/file").unlink()
    assert run("check", tmp_path / "made") == 1
    assert run("decode", tmp_path / "made", tmp_path / "out") == 0
    assert (tmp_path / "out/file").read_bytes() == DATA
    assert run("-o", "required=2,shares=3", source, mountpoint) == 0
    assert os.listdir(mountpoint / "02") == ["file"]


def test_server_leaves_its_terminal_and_folder(background, source, mountpoint):
    """It must neither die with the shell that started it, nor keep a file system busy."""
    start_in_background(source, mountpoint)
    pid = the_server()
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)} == {"/dev/null"}
    end_by_fusermount(mountpoint, pid)
    check_ended(pid, mountpoint)


@pytest.mark.parametrize("spelled", ["positional", "option"])
def test_relative_paths(background, source, mountpoint, tmp_path, spelled):
    """The server's folder is / later, so that it must find its source from the first one."""
    words = ["source"] if spelled == "positional" else ["-o", "source=source"]
    start_in_background(*words, "mountpoint", cwd=tmp_path)
    expected = oracle.make_share("checked", DATA, 3, 20, 7, trees.MTIME_NS)
    assert (mountpoint / "07" / "file").read_bytes() == expected
    pid = the_server()
    end_by_fusermount(mountpoint, pid)
    check_ended(pid, mountpoint)


@pytest.mark.parametrize("words", [["-o", "restore", "stores"], ["-o", "restore,source=stores"],
                                   ["-o", "restore,store=stores/store-2,store=stores/store-9"
                                    ",store=stores/store-13"]], ids=str)  # fmt: skip
def test_relative_stores(background, stores, mountpoint, tmp_path, words):
    start_in_background(*words, "mountpoint", cwd=tmp_path)
    assert (mountpoint / "file").read_bytes() == DATA
    pid = the_server()
    end_by_fusermount(mountpoint, pid)
    check_ended(pid, mountpoint)


# In the foreground


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("switch", [[], ["-s"]], ids=["threads", "single"])
def test_signal_in_the_foreground(mounts, source, number, switch):
    view = mounts.encoded(source, *switch)
    assert (view / "00" / "file").stat().st_size == 100
    view.end_by_signal(number)


def test_signal_while_a_file_is_open(mounts, source):
    view = mounts.encoded(source)
    file = os.open(view / "00" / "file", os.O_RDONLY)
    assert os.read(file, 1) == b"\0"
    view.end_by_signal(signal.SIGTERM)
    with contextlib.suppress(OSError):
        os.close(file)


def test_unmount_at_once(mounts, source):
    for _ in range(10):
        mounts.encoded(source).unmount()


def test_mountpoint_is_free_again(mounts, source, tmp_path):
    for _ in range(3):
        view = mounts.encoded(source, at=tmp_path / "again")
        assert (view / "00" / "file").stat().st_size == 100
        view.unmount()


# As a user without root


def unmount_as(user, mount):
    done = user.run("fusermount3", "-u", mount.path)
    assert done.returncode == 0, done.stderr
    mount.check_end()


@needs_root
def test_user_encodes(user, mounts):
    source = user.folder / "source"
    trees.write_file(source / "file", DATA)
    view = user_mount(mounts, user, source)
    assert user.read(view / "0a" / "file") == oracle.make_share(
        "checked", DATA, 3, 20, 10, trees.MTIME_NS
    )
    unmount_as(user, view)


@needs_root
def test_user_restores(user, mounts):
    trees.make_stores(user.folder / "stores", "file", DATA, (2, 9, 13))
    view = user_mount(mounts, user, "-o", "restore", user.folder / "stores")
    assert user.read(view / "file") == DATA
    unmount_as(user, view)


@needs_root
def test_user_in_the_background(background, user):
    trees.write_file(user.folder / "source" / "file", DATA)
    path = user.folder / "mnt"
    path.mkdir()
    user.own(path)
    done = user.run(user.binary, user.folder / "source", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    pid = the_server()
    assert os.stat(f"/proc/{pid}").st_uid == NOBODY
    assert user.run("ls", path).stdout.split()[-1] == b"13"
    assert user.run("fusermount3", "-u", path).returncode == 0
    check_ended(pid, path)


@needs_root
def test_user_reads_no_more_than_is_his(user, mounts):
    """What the user may not read in the source, he may not read as a share; the rest works."""
    source = user.folder / "source"
    trees.write_file(source / "file", DATA)
    trees.write_file(source / "secret", DATA)
    os.chmod(source / "secret", 0o600)
    trees.write_file(source / "closed" / "file", DATA)
    os.chmod(source / "closed", 0o700)
    view = user_mount(mounts, user, source)
    view.expect_log("secret|closed", count=0)
    assert b"Permission denied" in user.read(view / "00" / "secret")
    assert b"Permission denied" in user.run("ls", view / "00" / "closed").stderr
    assert len(user.read(view / "00" / "file")) == 100
    unmount_as(user, view)


@needs_root
def test_user_restores_what_is_his_to_read(user, mounts):
    """Shares that he may not read are listed, and are no shares for him."""
    stores = user.folder / "stores"
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    trees.make_stores(stores, "secret", DATA, (2, 9, 13))
    for path in stores.glob("*/secret"):
        os.chmod(path, 0o600)
    view = user_mount(mounts, user, "-o", "restore", stores)
    view.expect_log("^zfec-fs: .*secret", count=0)
    assert user.run("ls", view.path).stdout.split() == [b"file", b"secret"]
    assert user.run("cat", view / "secret").returncode != 0
    assert user.read(view / "file") == DATA
    unmount_as(user, view)


@needs_root
def test_user_without_the_device(user, binary):
    """Where /dev/fuse stays closed, the failure is told by the parent."""
    path = user.folder / "mnt"
    path.mkdir()
    user.own(path)
    os.chmod("/dev/fuse", 0o600)
    done = user.run(user.binary, user.folder, path)
    assert done.returncode == 4
    assert done.stderr.decode().splitlines()[-1].startswith("zfec-fs: ")
    assert not mounts_module.is_mounted(path)


@needs_root
@pytest.mark.parametrize("allowed", [False, True])
def test_other_users_may_look_where_allowed(user, mounts, allowed):
    """Root's mount is root's alone, until allow_other says otherwise."""
    trees.write_file(user.folder / "source" / "file", DATA)
    options = ["-o", "allow_other"] if allowed else []
    view = mounts.start(*options, user.folder / "source", at=user.folder / "mnt")
    done = user.run("ls", view.path)
    assert (done.returncode == 0) == allowed


@needs_root
def test_default_permissions(user, mounts):
    """With them, modes of the source hold for other users, though the server is root's."""
    trees.write_file(user.folder / "source" / "file", DATA)
    trees.write_file(user.folder / "source" / "secret", DATA)
    os.chmod(user.folder / "source" / "secret", 0o600)
    view = mounts.start(
        "-o", "allow_other,default_permissions", user.folder / "source", at=user.folder / "mnt"
    )
    assert len(user.read(view / "00" / "file")) == 100
    assert b"Permission denied" in user.read(view / "00" / "secret")
