# SPDX-License-Identifier: MIT
"""Both views refuse every change with EROFS, and the source and the stores stay as they are."""

import ctypes
import errno
import os
import socket

import pytest

import mounts as mounts_module
import trees

DATA = bytes(range(256)) * 100
VIEWS = ("encoded", "restored")
MODES = ("ro", "rw", "remounted")
MS_REMOUNT = 32


def make_tree(folder):
    trees.write_file(folder / "file", DATA)
    trees.write_file(folder / "folder" / "inner", DATA)
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("file")
    os.mkfifo(folder / "fifo")


def make_stores(mounts, source, stores):
    """Copies of three shares, for a restored view."""
    encoded = mounts.encoded(source, shares=3)
    for index in range(3):
        share = encoded / trees.share_name(index)
        store = stores / trees.share_name(index)
        trees.copy_files(share, store, ["file", "folder/inner"])
        (store / "empty").mkdir()
        (store / "link").symlink_to("file")
        os.mkfifo(store / "fifo")


def remount_for_writing(path):
    """Takes away the kernel's own refusal, so that zfec-fs is asked. mount(8) would ask a helper."""
    if os.geteuid() != 0:
        pytest.skip("only root may remount")
    result = ctypes.CDLL(None, use_errno=True).mount(
        None, os.fsencode(path), None, MS_REMOUNT, None
    )
    assert result == 0, os.strerror(ctypes.get_errno())
    assert "ro" not in mounts_module.entry_of(path).options


@pytest.fixture(params=[(view, mode) for view in VIEWS for mode in MODES], ids="-".join)
def tree(request, mounts, tmp_path):
    """The folder of a view that holds make_tree()'s names, with what it is made from unchanged."""
    view, mode = request.param
    options = ["-o", "rw"] if mode == "rw" else []
    make_tree(tmp_path / "source")
    if view == "restored":
        make_stores(mounts, tmp_path / "source", tmp_path / "stores")
    beneath = tmp_path / ("source" if view == "encoded" else "stores")
    before = trees.snapshot(beneath)
    start = mounts.encoded if view == "encoded" else mounts.restored
    mount = start(beneath, *options)
    if mode == "remounted":
        remount_for_writing(mount.path)
    yield mount / "01" if view == "encoded" else mount.path
    mounts.end_all()
    assert trees.snapshot(beneath) == before


def open_with(flags):
    return lambda tree: os.close(os.open(tree / "file", flags, 0o644))


def bind_socket(tree):
    # A socket's path may be no longer than 107 bytes; a relative one always fits.
    before = os.getcwd()
    os.chdir(tree)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("new")
    finally:
        os.chdir(before)


# The kernel answers some calls with EEXIST or ENOENT before it asks, so that what is to be made is
# new, and what is to be changed is there.
CHANGES = {
    "open for writing": open_with(os.O_WRONLY),
    "open for both": open_with(os.O_RDWR),
    "open, appending": open_with(os.O_WRONLY | os.O_APPEND),
    "open, truncating": open_with(os.O_WRONLY | os.O_TRUNC),
    "open for reading, truncating": open_with(os.O_RDONLY | os.O_TRUNC),
    "open for writing, or create": open_with(os.O_RDWR | os.O_CREAT),
    "create": lambda tree: os.open(tree / "new", os.O_WRONLY | os.O_CREAT, 0o644),
    "create exclusively": lambda tree: os.open(tree / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL),
    "create in a folder": lambda tree: os.open(tree / "folder" / "new", os.O_RDWR | os.O_CREAT),
    "mkdir": lambda tree: os.mkdir(tree / "new"),
    "mkdir in a folder": lambda tree: os.mkdir(tree / "folder" / "new"),
    "mkdir in the root": lambda tree: os.mkdir(root_of(tree) / "new"),
    "mkdir of a share": lambda tree: os.mkdir(root_of(tree) / "fe"),
    "mknod of a file": lambda tree: os.mknod(tree / "new"),
    "mknod of a FIFO": lambda tree: os.mkfifo(tree / "new"),
    "bind of a socket": bind_socket,
    "unlink": lambda tree: os.unlink(tree / "file"),
    "unlink of a symlink": lambda tree: os.unlink(tree / "link"),
    "rmdir": lambda tree: os.rmdir(tree / "empty"),
    "rename": lambda tree: os.rename(tree / "file", tree / "new"),
    "rename onto another": lambda tree: os.rename(tree / "file", tree / "folder" / "inner"),
    "rename of a folder": lambda tree: os.rename(tree / "folder", tree / "new"),
    "link": lambda tree: os.link(tree / "file", tree / "new"),
    "symlink": lambda tree: os.symlink("file", tree / "new"),
    "truncate": lambda tree: os.truncate(tree / "file", 1),
    "truncate to a larger size": lambda tree: os.truncate(tree / "file", 1 << 20),
    "chmod": lambda tree: os.chmod(tree / "file", 0o600),
    "chmod of a folder": lambda tree: os.chmod(tree / "folder", 0o700),
    "chown": lambda tree: os.chown(tree / "file", os.getuid(), os.getgid()),
    "chown of a symlink": lambda tree: os.lchown(tree / "link", os.getuid(), os.getgid()),
    "utimens": lambda tree: os.utime(tree / "file", ns=(1, 1)),
    "utimens to now": lambda tree: os.utime(tree / "file"),
    "utimens of a symlink": lambda tree: os.utime(tree / "link", ns=(1, 1), follow_symlinks=False),
    "setxattr": lambda tree: os.setxattr(tree / "file", "user.note", b"new"),
    "setxattr of a folder": lambda tree: os.setxattr(tree / "folder", "user.note", b"new"),
    "removexattr": lambda tree: os.removexattr(tree / "file", "user.note"),
}


def root_of(tree):
    """The root of the view that a folder made by the fixture is in."""
    return tree.parent if tree.name == "01" else tree


def outcome(change, tree):
    try:
        change(tree)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def test_every_change_is_erofs(tree):
    outcomes = {name: outcome(change, tree) for name, change in CHANGES.items()}
    assert {name: found for name, found in outcomes.items() if found != "EROFS"} == {}


def test_access(tree):
    assert os.access(tree / "file", os.R_OK)
    if not os.statvfs(tree).f_flag & os.ST_RDONLY:
        pytest.skip("of a mount remounted for writing, the kernel answers by the modes alone")
    assert not os.access(tree / "file", os.W_OK)
    assert not os.access(tree / "folder", os.W_OK)


def test_reading_changes_nothing(tree):
    """The fixture compares what the view is made from, before and after."""
    assert (tree / "file").read_bytes()
    assert (tree / "folder" / "inner").read_bytes()
    assert sorted(os.listdir(tree)) == ["empty", "fifo", "file", "folder", "link"]
    assert os.readlink(tree / "link") == "file"
