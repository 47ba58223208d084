# SPDX-License-Identifier: MIT
"""What of a source is shown: mounts in it, what is excluded, and to whom."""

import errno
import os
import stat
import subprocess

import pytest

import mounts as mounts_module
import trees
from disks import TemporaryMount
from users import as_nobody

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def error_of(function, *arguments):
    with pytest.raises(OSError) as caught:
        function(*arguments)
    return caught.value.errno


# Mounts in the source


def test_the_mountpoint_is_an_empty_folder(mounts, source):
    """The view does not contain itself, and nobody waits for himself."""
    (source / "mountpoint").mkdir(mode=0o751)
    trees.write_file(source / "mountpoint" / "covered", b"")
    trees.write_file(source / "file", b"data")
    before = (source / "mountpoint").stat()
    view = mounts.encoded(source, at=source / "mountpoint", nonempty=True)
    for share in ("00", "13"):
        shown = view / share / "mountpoint"
        assert os.listdir(shown) == []
        assert shown.stat().st_mtime_ns == before.st_mtime_ns
        assert stat.S_IMODE(shown.stat().st_mode) == 0o751
        assert error_of(os.lstat, shown / share) == errno.ENOENT
        assert error_of(os.lstat, shown / "covered") == errno.ENOENT
        assert os.listxattr(shown) == []
    found = subprocess.run(["find", view / "00", "-ls"], check=True, capture_output=True, text=True)
    assert len(found.stdout.splitlines()) == 3


@as_root
def test_the_root_file_system(mounts, tmp_path):
    """The first example that anyone types. What the kernel makes up is not copied to nodes."""
    view = mounts.encoded("/")
    share = view / "00"
    for name in ("proc", "sys", "dev"):
        if os.path.ismount(f"/{name}") and name != "dev":
            assert os.listdir(share / name) == []
            assert os.lstat(share / name).st_nlink == 2
            assert error_of(os.lstat, share / name / "self") == errno.ENOENT
    assert sorted(os.listdir(share)) == sorted(os.listdir("/"))
    beneath = str(tmp_path).lstrip("/")
    assert os.listdir(share / beneath / "mnt-0") == []


@as_root
@pytest.mark.parametrize("option", ["xdev", "one_file_system"])
def test_one_file_system(mounts, source, option):
    trees.write_file(source / "folder" / "file", b"data")
    with TemporaryMount(source / "other", "tmpfs") as other:
        trees.write_file(other / "within" / "file", b"data")
        everything = mounts.encoded(source)
        assert (everything / "00" / "other" / "within" / "file").exists()
        view = mounts.encoded(source, **{option: True})
        assert os.listdir(view / "00" / "other") == []
        assert error_of(os.lstat, view / "00" / "other" / "within") == errno.ENOENT
        assert os.lstat(view / "00" / "other").st_mode == os.lstat(other).st_mode
        assert (view / "00" / "folder" / "file").exists()


@as_root
def test_inode_numbers_over_several_file_systems(mounts, source):
    """The file systems' own numbers are the same in each; the view has but one device."""
    with TemporaryMount(source / "one", "tmpfs") as one, TemporaryMount(source / "two", "tmpfs") as two:
        for folder in (one, two, source):
            for number in range(50):
                trees.write_file(folder / f"file-{number}", b"")
        assert {os.lstat(one / f"file-{n}").st_ino for n in range(50)} & {
            os.lstat(two / f"file-{n}").st_ino for n in range(50)
        }, "nothing would be tested"
        view = mounts.encoded(source, shares=3)
        found = [os.lstat(os.path.join(path, name)) for path, folders, files in os.walk(view.path)
                 for name in folders + files]  # fmt: skip
        assert len(found) == 3 * (1 + 2 + 150)
        assert len({status.st_ino for status in found}) == len(found)
        assert len({status.st_dev for status in found}) == 1


@as_root
@pytest.mark.parametrize("kind", ["proc", "sysfs", "devpts", "mqueue", "cgroup2"])
def test_pseudo_file_systems(mounts, source, kind):
    """Empty, also when they are mounted later; what is mounted in their place shows."""
    trees.write_file(source / "file", b"data")
    view = mounts.encoded(source)
    with TemporaryMount(source / "folder", kind) as folder:
        assert os.listdir(view / "00" / "folder") == []
        for name in os.listdir(folder)[:3]:
            assert error_of(os.lstat, view / "00" / "folder" / name) == errno.ENOENT
    trees.write_file(source / "folder" / "file", b"data")
    assert os.listdir(view / "00" / "folder") == ["file"]


@as_root
def test_other_fuse_mounts_are_shown(mounts, source, tmp_path):
    trees.write_file(tmp_path / "else" / "file", b"data")
    (source / "view").mkdir()
    mounts.encoded(tmp_path / "else", at=source / "view", required=1, shares=1)
    view = mounts.encoded(source, required=1, shares=1)
    shown = view / "00" / "view" / "00" / "file"
    assert b"data" in shown.read_bytes()


# Excludes


def names_in(folder):
    found = set()
    for path, folders, files in os.walk(folder):
        found |= {os.path.relpath(os.path.join(path, name), folder) for name in folders + files}
    return found


def make_project(source):
    for name in ("main.c", "main.o", "keep.o", "cache/a", "sub/cache/b", "sub/x.o", "docs/cache",
                 "docs/a.txt"):  # fmt: skip
        trees.write_file(source / name, b"data")
    (source / "sub" / "link.o").symlink_to("x.o")


def test_exclude(mounts, source):
    make_project(source)
    view = mounts.encoded(source, "-o", "exclude=*.o,exclude=!keep.o", "-o", "exclude=cache/")
    expected = {"main.c", "keep.o", "sub", "docs", "docs/cache", "docs/a.txt"}
    for share in ("00", "04"):
        assert names_in(view / share) == expected


def test_exclude_from(mounts, source, tmp_path):
    make_project(source)
    rules = tmp_path / "rules"
    rules.write_text("# what is made\n*.o\n!/keep.o\n\n/cache/\nsub/**/b\n")
    view = mounts.encoded(source, exclude_from=rules)
    assert names_in(view / "00") == {
        "main.c", "keep.o", "sub", "sub/cache", "docs", "docs/cache", "docs/a.txt",
    }  # fmt: skip


def test_what_is_excluded_is_not_there(mounts, source):
    """Not by any way: its name, what is beneath it, its attributes."""
    make_project(source)
    view = mounts.encoded(source, "-o", "exclude=*.o,exclude=cache/")
    share = view / "00"
    for name in ("main.o", "cache", "cache/a", "sub/link.o", "sub/cache/b"):
        for call in (os.lstat, os.readlink, os.listxattr, os.listdir):
            assert error_of(call, share / name) == errno.ENOENT
        assert error_of(open, share / name) == errno.ENOENT
    trees.write_file(source / "new.o", b"")
    assert error_of(os.lstat, share / "new.o") == errno.ENOENT


def test_excluded_while_open(mounts, source):
    """A file that is renamed to an excluded name is gone; the rules stand for names alone."""
    trees.write_file(source / "a.txt", b"data")
    view = mounts.encoded(source, exclude="*.o")
    assert (view / "00" / "a.txt").exists()
    (source / "a.txt").rename(source / "a.o")
    assert os.listdir(view / "00") == []


WRONG = [
    ("exclude_from=/nowhere", "exclude_from=/nowhere: No such file or directory"),
    ("exclude_from=.", "exclude_from=.: Is a directory"),
    ("attr_timeout=-1", "attr_timeout=-1: give seconds, 0 to 86400"),
    ("attr_timeout=nan", "attr_timeout=nan: give seconds, 0 to 86400"),
    ("store_timeout=0", "store_timeout=0: give seconds, 0.1 to 86400"),
    ("store_timeout=soon", "store_timeout=soon: give seconds, 0.1 to 86400"),
    ("store_timeout=9",
     "store_timeout: there are no stores here; leave it out, or give restore or rebuild"),
    ("cache=some", "cache=some: give yes or no"),
    ("torn=perhaps", "torn=perhaps: give allow or error"),
    ("restore,exclude=x", "exclude: that is for making shares of a source; leave it out"),
    ("restore,xdev", "xdev: that is for making shares of a source; leave it out"),
    ("rebuild,torn=allow", "torn: that is for making shares of a source; leave it out"),
]


@pytest.mark.parametrize("options, line", WRONG)
def test_wrong_options(source, tmp_path, options, line):
    (tmp_path / "mountpoint").mkdir()
    done = mounts_module.run("-o", options, source, tmp_path / "mountpoint")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"zfec-fs: {line}\n")


# To whom


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o711, 0o750])
def test_a_closed_way_to_the_source(public_path, mounts, mode):
    """Who cannot get to the source cannot get into the view."""
    source = public_path / "closed" / "source"
    trees.write_file(source / "file", b"data")
    os.chmod(source.parent, mode)
    view = mounts.encoded(source, at=public_path / "mountpoint", allow_other=True)
    may = as_nobody("cat", source / "file").returncode == 0
    assert may == (mode == 0o711)
    assert (as_nobody("cat", view / "00" / "file").returncode == 0) == may
    assert (view / "00" / "file").read_bytes()


@as_root
def test_modes_hold_for_others(public_path, mounts):
    source = public_path / "source"
    trees.write_file(source / "open", b"data")
    trees.write_file(source / "closed", b"data").chmod(0o600)
    trees.write_file(source / "folder" / "file", b"data")
    os.chmod(source / "folder", 0o700)
    view = mounts.encoded(
        source, at=public_path / "mountpoint", allow_other=True, attr_timeout=0
    )
    assert as_nobody("cat", view / "00" / "open").returncode == 0
    assert as_nobody("cat", view / "00" / "closed").returncode != 0
    assert as_nobody("ls", view / "00" / "folder").returncode != 0
    assert as_nobody("cat", view / "00" / "folder" / "file").returncode != 0
    os.chmod(source / "open", 0o600)
    assert as_nobody("cat", view / "00" / "open").returncode != 0, "at once"


@as_root
def test_only_the_user_by_default(public_path, mounts):
    trees.write_file(public_path / "source" / "file", b"data")
    view = mounts.encoded(public_path / "source", at=public_path / "mountpoint")
    assert as_nobody("ls", view.path).returncode != 0
