# SPDX-License-Identifier: MIT
"""What is made from stores and shown to all users is closed to those who cannot get to the stores."""

import contextlib
import os
import shutil
import subprocess
import time

import pytest

import commands
import faithful
import trees
import users
from sftp_store import SftpStore

REQUIRED, SHARES = 2, 3
DATA = b"of all stores together"

pytestmark = users.needs_root
VIEWS = pytest.mark.parametrize("view", ["restored", "rebuilt"])


@pytest.fixture
def source(public_path):
    trees.write_file(public_path / "source" / "dir" / "file", DATA)
    return public_path / "source"


@pytest.fixture
def stores(public_path, source):
    """In a directory of their own, all of which everyone can read."""
    folder = public_path / "way" / "stores"
    folder.mkdir(parents=True)
    commands.run("encode", "-k", str(REQUIRED), "-n", str(SHARES), source, folder)
    return folder


class Shown:
    """A view that all may look at, and the path of the file in it."""

    def __init__(self, mounts, view, folder, *words, attr_timeout=0):
        make = getattr(mounts, view)
        self.mount = make(
            *words, at=folder / "mountpoint", allow_other=True, attr_timeout=attr_timeout
        )
        self.mount.expect_log("has another mode or owner than most", count=0)
        self.root = self.mount.path
        share = "" if view == "restored" else "02"
        self.file = self.root / share / "dir" / "file"

    def is_closed(self):
        """To others, by whatever way; its user reads it in any case."""
        assert self.file.read_bytes()
        done = [
            users.as_nobody(*words).returncode != 0
            for words in (["cat", self.file], ["ls", self.root], ["ls", self.file.parent])
        ]
        assert done == [done[0]] * 3, done
        return done[0]

    def is_being_closed(self):
        """The same where that may happen between one way and the next."""
        try:
            return self.is_closed()
        except AssertionError:
            return False


def nobody_may_read(path):
    return users.as_nobody("cat", path).returncode == 0


@VIEWS
@pytest.mark.parametrize("mode", [0o755, 0o711, 0o700, 0o750])
def test_a_closed_way_to_the_stores(public_path, mounts, stores, view, mode):
    stores.parent.chmod(mode)
    may = nobody_may_read(stores / "00" / "dir" / "file")
    assert may == (mode in (0o755, 0o711))
    assert Shown(mounts, view, public_path, stores).is_closed() == (not may)


@VIEWS
def test_a_closed_directory_of_the_stores(public_path, mounts, stores, view):
    stores.chmod(0o700)
    assert Shown(mounts, view, public_path, stores).is_closed()


@VIEWS
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_store_from_elsewhere(public_path, mounts, stores, view, mode):
    """One with a closed way, given by store=DIR, is enough."""
    elsewhere = public_path / "elsewhere"
    elsewhere.mkdir()
    (stores / "01").rename(elsewhere / "01")
    elsewhere.chmod(mode)
    shown = Shown(mounts, view, public_path, stores, "-o", f"store={elsewhere / '01'}")
    assert shown.is_closed() == (mode == 0o700)


@VIEWS
def test_stores_by_symlinks(public_path, mounts, stores, view):
    """The way is the one that they lead to."""
    links = public_path / "links"
    links.mkdir()
    for name in commands.all_shares(SHARES):
        (links / name).symlink_to(stores / name)
    stores.parent.chmod(0o700)
    assert Shown(mounts, view, public_path, links).is_closed()


@VIEWS
@pytest.mark.parametrize("closed", [0, 1, 2, 3])
def test_closed_stores(public_path, mounts, stores, view, closed):
    """Roots that are closed themselves: each has others in, or is the one that most have."""
    for name in commands.all_shares(SHARES)[:closed]:
        (stores / name).chmod(0o700)
    assert Shown(mounts, view, public_path, stores).is_closed() == (closed > 0)


@VIEWS
def test_a_store_of_another_group(public_path, mounts, stores, view):
    """Whom the group lets in by what is shown, it does not let in everywhere."""
    for name in commands.all_shares(SHARES):
        (stores / name).chmod(0o750)
        os.chown(stores / name, 0, 65534)
    os.chown(stores / "00", 0, 1)
    assert not nobody_may_read(stores / "00" / "dir" / "file")
    assert nobody_may_read(stores / "01" / "dir" / "file")
    assert Shown(mounts, view, public_path, stores).is_closed()


@VIEWS
def test_roots_that_only_a_group_may_enter(public_path, mounts, stores, view):
    """The modes say it all, as they do in the stores."""
    for name in commands.all_shares(SHARES):
        (stores / name).chmod(0o750)
        os.chown(stores / name, 0, 65534)
    assert not Shown(mounts, view, public_path, stores).is_closed()


@VIEWS
@pytest.mark.parametrize("others", [False, True])
def test_stores_beyond_a_server(public_path, mounts, stores, view, others):
    """One that answers only its user closes the way as a mode does."""
    words = ["-o", "allow_other"] if others else []
    place = public_path / "far"
    with SftpStore(stores, place, client=words):
        assert nobody_may_read(place / "00" / "dir" / "file") == others
        shown = Shown(mounts, view, public_path, place)
        assert shown.is_closed() == (not others)
        shown.mount.unmount()


@pytest.mark.parametrize("others", [False, True])
def test_a_source_beyond_a_server(public_path, mounts, source, others):
    """As the encoded view has it; here the server is another view."""
    beneath = mounts.encoded(
        source, required=1, shares=1, allow_other=others, at=public_path / "beneath"
    )
    place = public_path / "mountpoint"
    view = mounts.encoded(beneath / "00", required=1, shares=1, allow_other=True, at=place)
    assert nobody_may_read(view / "00" / "dir" / "file") == others
    view.unmount()


@VIEWS
@pytest.mark.parametrize("attr_timeout", [0, 600])
def test_a_store_that_comes_later(public_path, mounts, stores, view, attr_timeout):
    """It closes what was open, and what was open to others does not come back by its going."""
    closed = public_path / "closed"
    closed.mkdir(mode=0o700)
    (stores / "02").rename(closed / "02")
    shown = Shown(mounts, view, public_path, stores, attr_timeout=attr_timeout)
    shown.mount.expect_log("is there now")
    shown.mount.expect_log("is gone")
    assert not shown.is_closed()
    (stores / "link").symlink_to(closed / "02")
    wait_until(shown.is_being_closed)
    (stores / "link").unlink()
    wait_until(lambda: "is gone" in poke(shown))
    assert shown.is_closed()


def wait_until(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def poke(shown):
    """Stores are looked for when something is asked."""
    os.listdir(shown.root)
    return shown.mount.log()


@VIEWS
def test_before_there_are_stores(public_path, mounts, stores, view):
    """Nothing says yet who may see what will be there."""
    empty = public_path / "empty"
    empty.mkdir()
    mount = getattr(mounts, view)(
        empty, at=public_path / "mountpoint", allow_other=True, attr_timeout=0
    )
    mount.expect_log("no stores in it")
    mount.expect_log("0 stores found, 1 needed")
    mount.expect_log("is there now|2 shares are needed from now on", count=0)
    assert users.as_nobody("ls", mount.path).returncode != 0
    for name in commands.all_shares(SHARES):
        (empty / name).symlink_to(stores / name)
    wait_until(lambda: users.as_nobody("ls", mount.path).returncode == 0)


def test_the_root_is_what_it_was(public_path, mounts, stores):
    """Only where others may look it is not shown as it is."""
    for name in commands.all_shares(SHARES):
        (stores / name).chmod(0o751)
        os.chown(stores / name, 1234, 1234)
    stores.parent.chmod(0o700)
    view = mounts.restored(stores)
    found = os.lstat(view.path)
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o751, 1234, 1234)
    view.unmount()
    view = mounts.restored(stores, allow_other=True)
    found = os.lstat(view.path)
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o700, 0, 0)


@pytest.mark.parametrize("closed", [False, True])
def test_a_list_does_not_open_it(public_path, mounts, stores, closed):
    """Other attributes of the root are shown as they are."""
    for name in commands.all_shares(SHARES):
        os.setxattr(stores / name, "user.note", b"note")
        faithful.set_list(stores / name, 0o700, f"u:65534:rx")
    stores.parent.chmod(0o700 if closed else 0o755)
    shown = Shown(mounts, "restored", public_path, stores)
    assert shown.is_closed() == closed
    names = {"user.note"} if closed else {"user.note", "system.posix_acl_access"}
    assert set(os.listxattr(shown.root)) == names
    assert os.getxattr(shown.root, "user.note") == b"note"
