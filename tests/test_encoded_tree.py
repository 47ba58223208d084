# SPDX-License-Identifier: MIT
"""The encoded view's tree: names, kinds, and what stat says of them."""

import os
import socket
import stat
import subprocess

import pytest

import oracle
import trees

REQUIRED = 3
SHARES = 20
DATA = b"0123456789"
SHARE_NAMES = [trees.share_name(index) for index in range(SHARES)]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def test_root_lists_the_shares(mounts, source):
    view = mounts.encoded(source)
    assert sorted(os.listdir(view.path)) == SHARE_NAMES
    found = os.lstat(view.path)
    assert stat.S_ISDIR(found.st_mode)
    # 1 says that links are not counted; any other number must count the shares.
    assert found.st_nlink in (1, 2 + SHARES)


def test_two_digits_beyond_99(mounts, source):
    view = mounts.encoded(source, required=2, shares=256)
    assert sorted(os.listdir(view.path)) == [f"{index:02x}" for index in range(256)]


WRONG_NAMES = ["0", "000", "0A", "14", "xx", "ff", "0x", "+1", "-1", " 1", "1 ", "00 ", "0g", "½", "0\n"]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_no_other_names_in_the_root(mounts, source, name):
    trees.write_file(source / "14", DATA)
    view = mounts.encoded(source)
    with pytest.raises(FileNotFoundError):
        os.lstat(view / name)
    with pytest.raises(FileNotFoundError):
        os.lstat(view / name / "14")
    assert (view / "13" / "14").stat().st_size == 100


# Everything that is no regular file


def make_everything(folder):
    """One of each kind. Returns their names."""
    (folder / "folder" / "deep" / "deeper").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "to-file").symlink_to("file")
    (folder / "to-folder").symlink_to("folder/deep")
    (folder / "to-nothing").symlink_to("no/such/file")
    (folder / "to-outside").symlink_to("/etc/passwd")
    os.symlink(b"\xff\n\x01/" * 300, os.fsencode(folder / "to-odd"))
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))
    for number, path in enumerate(sorted(folder.rglob("*"))):
        os.utime(path, ns=(number, trees.MTIME_NS + number), follow_symlinks=False)


COMPARED = ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_nlink", "st_rdev")


def facts(path):
    """What stat says, size apart for directories, whose size is the file system's own affair."""
    found = os.lstat(path)
    named = {name: getattr(found, name) for name in COMPARED}
    if not stat.S_ISDIR(found.st_mode):
        named["st_size"] = found.st_size
    if stat.S_ISLNK(found.st_mode):
        named["target"] = os.readlink(os.fsencode(path))
    return named


def check_as_it_is(source, shown):
    """All that lies in the source, of which nothing is a regular file, is shown as it is."""
    names = sorted(path.relative_to(source) for path in source.rglob("*"))
    assert sorted(path.relative_to(shown) for path in shown.rglob("*")) == names
    for name in names:
        assert facts(shown / name) == facts(source / name), name


def test_kinds(mounts, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_everything(source)
    view = mounts.encoded(source)
    for share in ("00", "02", "03", "13"):
        check_as_it_is(source, view / share)


@as_root
def test_device_nodes(mounts, source):
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(source / "disk", stat.S_IFBLK | 0o600, os.makedev(259, 70000))
    check_as_it_is(source, mounts.encoded(source) / "05")


def test_kinds_in_a_listing(mounts, source, tmp_path, monkeypatch):
    """readdir names kinds, so that find and ls need not ask for each."""
    monkeypatch.chdir(tmp_path)
    make_everything(source)
    trees.write_file(source / "file", DATA)
    view = mounts.encoded(source)
    for folder in (view.path, view / "01", view / "01" / "folder"):
        for entry in os.scandir(folder):
            found = os.lstat(entry.path)
            assert entry.is_dir(follow_symlinks=False) == stat.S_ISDIR(found.st_mode)
            assert entry.is_symlink() == stat.S_ISLNK(found.st_mode)
            assert entry.is_file(follow_symlinks=False) == stat.S_ISREG(found.st_mode)
            assert entry.inode() == found.st_ino, entry.path


# Regular files


def test_sizes(mounts, source, rng):
    sizes = [*trees.interesting_sizes(REQUIRED, 65536), 4096, 4097]
    trees.write_sizes(source, sizes, rng)
    view = mounts.encoded(source, required=REQUIRED)
    for size in sizes:
        found = (view / "11" / f"size-{size}").stat()
        assert found.st_size == oracle.checked_size(size, REQUIRED), size


TIMES_NS = [0, 1, -1, -(10**18) - 7, 10**9 - 1, trees.MTIME_NS, (1 << 31) * 10**9 + 5, 1 << 62]


def test_modification_times(mounts, source):
    for number, time_ns in enumerate(TIMES_NS):
        trees.write_file(source / f"file-{number}", DATA, time_ns)
    view = mounts.encoded(source)
    for number in range(len(TIMES_NS)):
        # What the source's file system made of it: not each keeps all of these times.
        time_ns = (source / f"file-{number}").stat().st_mtime_ns
        share = view / "04" / f"file-{number}"
        assert share.stat().st_mtime_ns == time_ns
        expected = oracle.make_share("checked", DATA, REQUIRED, SHARES, 4, time_ns)
        trees.assert_same(share.read_bytes(), expected, f"mtime {time_ns}")


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o400, 0o000, 0o6755, 0o1777])
def test_modes(mounts, source, mode):
    trees.write_file(source / "file", DATA)
    os.chmod(source / "file", mode)
    (source / "folder").mkdir()
    os.chmod(source / "folder", mode)
    view = mounts.encoded(source) / "00"
    assert stat.S_IMODE((view / "file").stat().st_mode) == mode
    assert stat.S_IMODE((view / "folder").stat().st_mode) == mode


@as_root
def test_owners(mounts, source):
    trees.write_file(source / "file", DATA)
    (source / "link").symlink_to("file")
    (source / "folder").mkdir()
    for number, name in enumerate(("file", "link", "folder")):
        os.chown(source / name, 70000 + number, 80000 + number, follow_symlinks=False)
    view = mounts.encoded(source) / "00"
    for number, name in enumerate(("file", "link", "folder")):
        found = os.lstat(view / name)
        assert (found.st_uid, found.st_gid) == (70000 + number, 80000 + number)


def test_the_share_folder_is_the_source_folder(mounts, source):
    (source / "one").mkdir()
    os.chmod(source, 0o750)
    os.utime(source, ns=(5, trees.MTIME_NS))
    assert facts(mounts.encoded(source) / "07") == facts(source)


def test_hard_links(mounts, source):
    trees.write_file(source / "file", DATA)
    os.link(source / "file", source / "same")
    (source / "folder").mkdir()
    os.link(source / "file", source / "folder" / "same")
    trees.write_file(source / "other", DATA)
    view = mounts.encoded(source)
    for share in ("00", "09"):
        found = [os.lstat(view / share / name) for name in ("file", "same", "folder/same")]
        assert {each.st_nlink for each in found} == {3}
        assert len({each.st_ino for each in found}) == 1
        assert os.lstat(view / share / "other").st_ino != found[0].st_ino


def test_different_shares_are_different_files(mounts, source):
    """Equal inode numbers would make `rsync -H` take one share for another."""
    trees.write_file(source / "file", DATA)
    os.link(source / "file", source / "same")
    view = mounts.encoded(source)
    numbers = [os.lstat(view / share / "file").st_ino for share in SHARE_NAMES]
    assert len(set(numbers)) == SHARES


def test_after_the_kernel_forgot(mounts, source):
    """Numbers stay, and what is open stays open, though the inodes are forgotten in between."""
    for number in range(300):
        trees.write_file(source / "folder" / f"file-{number}", DATA)
    view = mounts.encoded(source) / "03" / "folder"
    before = {path.name: path.lstat().st_ino for path in view.iterdir()}
    with open(view / "file-7", "rb") as opened, os.scandir(view) as listing:
        trees.make_the_kernel_forget()
        assert {path.name: path.lstat().st_ino for path in view.iterdir()} == before
        trees.make_the_kernel_forget()
        assert len(opened.read()) == 100
        assert {entry.name for entry in listing} == before.keys()


# Names


ODD_NAMES = [
    b"new\nline",
    b" ",
    b"-rf",
    b"tab\t",
    b"\x01\x7f",
    b"\xff\xfe\x80",
    "naïve ☃".encode(),
    b"n" * 255,
    b"\xf0" * 255,
    b"back\\slash",
    b"...",
    b"00",
    b".hidden",
]


def test_odd_names(mounts, source):
    expected = oracle.make_share("checked", DATA, REQUIRED, SHARES, 6, trees.MTIME_NS)
    here = os.fsencode(source)
    for name in ODD_NAMES:
        trees.write_file(os.fsdecode(os.path.join(here, name)), DATA)
        os.mkdir(os.path.join(here, name[:254] + b"~"))
    view = os.fsencode(mounts.encoded(source) / "06")
    assert sorted(os.listdir(view)) == sorted(os.listdir(here))
    for name in ODD_NAMES:
        with open(os.path.join(view, name), "rb") as file:
            assert file.read() == expected
        assert os.listdir(os.path.join(view, name[:254] + b"~")) == []


def test_deep_folders(mounts, source):
    """Paths longer than PATH_MAX are no reason to fail: the kernel looks up one name at a time."""
    depth = 40
    name = "d" * 200
    here = os.open(source, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        here = step_into(name, here)
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=here))
    os.close(here)
    here = os.open(mounts.encoded(source) / "00", os.O_RDONLY)
    for _ in range(depth):
        here = step_into(name, here)
    assert os.listdir(here) == ["file"]
    assert os.stat("file", dir_fd=here).st_size == oracle.HEADER_SIZE
    os.close(here)


def step_into(name, folder):
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    os.close(folder)
    return below


def test_many_names(mounts, source):
    """More than one buffer of a listing, read in several ways."""
    names = {f"a-name-that-is-not-too-short-{number}" for number in range(5000)}
    for name in names:
        (source / name).touch()
    view = mounts.encoded(source) / "00"
    assert sorted(os.listdir(view)) == sorted(names)
    assert {path.name for path in view.iterdir() if path.stat().st_size == 64} == names
    with os.scandir(view) as first, os.scandir(view) as second:
        assert {one.name for one, _ in zip(first, second)} == names


def test_nothing_in_it(mounts, source):
    assert os.listdir(mounts.encoded(source) / "00") == []


def test_missing_names(mounts, source):
    trees.write_file(source / "file", DATA)
    view = mounts.encoded(source) / "00"
    with pytest.raises(FileNotFoundError):
        (view / "missing").lstat()
    with pytest.raises(NotADirectoryError):
        (view / "file" / "below").lstat()
    with pytest.raises(OSError, match="too long"):
        (view / ("n" * 256)).lstat()


def test_new_files_appear(mounts, source):
    view = mounts.encoded(source) / "00"
    assert os.listdir(view) == []
    trees.write_file(source / "later", DATA)
    assert (view / "later").stat().st_size == 100
    assert os.listdir(view) == ["later"]


def test_symlinks_do_not_lead_out_of_the_source(mounts, source, tmp_path):
    """Followed by the reader's own kernel, a symlink leads where it leads for the reader."""
    trees.write_file(tmp_path / "outside" / "file", DATA)
    (source / "out").symlink_to("../outside")
    view = mounts.encoded(source)
    assert os.readlink(view / "00" / "out") == "../outside"
    with pytest.raises(FileNotFoundError):
        os.lstat(view / "00" / "out" / "file")


def test_file_cut_short_while_it_is_open(mounts, source):
    """An error or the file's new end, and never zeros in the place of what is gone."""
    path = trees.write_file(source / "file", b"x" * 1_000_000)
    view = mounts.encoded(source, required=1, shares=1)
    view.expect_log("file", count=0)
    file = os.open(view / "00" / "file", os.O_RDONLY | os.O_DIRECT)
    os.truncate(path, 10)
    try:
        assert os.preadv(file, [bytearray(4096)], 500_000) == 0
    except OSError:
        pass
    finally:
        os.close(file)


# A source that contains the mountpoint


@pytest.mark.parametrize("switch", [[], ["-s"]], ids=["threads", "single"])
def test_mountpoint_within_the_source(mounts, source, switch):
    """It shows as the empty folder that it covers, so that a walk over a share ends."""
    trees.write_file(source / "file", DATA)
    view = mounts.encoded(source, *switch, at=source / "mnt")
    walk = subprocess.run(
        ["find", view.path], check=True, capture_output=True, text=True, timeout=60
    )
    expected = {str(view.path)}
    for share in SHARE_NAMES:
        expected |= {str(view / share / name) for name in ("", "file", "mnt")}
    assert {line.rstrip("/") for line in walk.stdout.splitlines()} == {
        path.rstrip("/") for path in expected
    }


def test_mountpoint_deep_within_the_source(mounts, source):
    (source / "a" / "b").mkdir(parents=True)
    view = mounts.encoded(source, at=source / "a" / "b" / "mnt")
    assert os.listdir(view / "13" / "a" / "b") == ["mnt"]
    assert os.listdir(view / "13" / "a" / "b" / "mnt") == []
    assert stat.S_ISDIR((view / "13" / "a" / "b" / "mnt").lstat().st_mode)


def test_source_is_the_mountpoint(mounts, source):
    """The view of what it covers: the source was opened before the mount came over it."""
    trees.write_file(source / "file", DATA)
    view = mounts.encoded(source, at=source, nonempty=True)
    assert sorted(os.listdir(view.path)) == SHARE_NAMES
    assert os.listdir(view / "00") == ["file"]
    assert len((view / "00" / "file").read_bytes()) == 100
