# SPDX-License-Identifier: MIT
"""What listings say of the objects in a directory: what stat says, whether it was asked or not."""

import os
import stat
import time

import pytest

import mounts as mounts_module
import repairing
import trees
from hostile import within

DIRECTORIES = 12
FILES = 5


@pytest.fixture
def source(tmp_path, rng):
    """Directories with all kinds of objects in them: names, then attributes, then names are listed."""
    folder = tmp_path / "source"
    for number in range(DIRECTORIES):
        place = folder / f"directory-{number}"
        for file in range(FILES):
            trees.write_file(place / f"file-{file}", rng.randbytes(file * 1000))
        (place / "sub").mkdir()
        (place / "link").symlink_to("sub")
        (place / "dangling").symlink_to("nowhere")
        os.mkfifo(place / "fifo")
    return folder


def kind_of(entry):
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0


def listed(folder):
    """Path -> kind and inode number, by listings alone."""
    found, places = {}, [folder]
    while places:
        for entry in os.scandir(places.pop()):
            found[entry.path] = (kind_of(entry), entry.inode())
            if entry.is_dir(follow_symlinks=False):
                places.append(entry.path)
    return found


def looked_at(paths):
    found = {}
    for path in paths:
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        found[path] = (0 if kind == stat.S_IFIFO else kind, status.st_ino)
    return found


def check(folder, count):
    for _ in range(3):
        found = listed(folder)
        assert len(found) == count
        assert found == looked_at(found)


COUNT = DIRECTORIES * (FILES + 5)


@pytest.mark.parametrize("options", [{}, {"attr_timeout": 1}, {"attr_timeout": 0}])
def test_of_a_share(mounts, source, options):
    view = mounts.encoded(source, required=2, shares=3, **options)
    check(view / "02", COUNT)


def make_stores(source, folder):
    result = mounts_module.run("encode", "-k", "2", "-n", "3", source, folder / "stores")
    assert result.returncode == 0, result.stderr
    return folder / "stores"


def test_of_restored_files(mounts, source, tmp_path):
    view = mounts.restored(make_stores(source, tmp_path))
    check(view.path, COUNT)


def test_where_stores_disagree(mounts, source, tmp_path):
    """What most have is there, by whatever way one asks."""
    stores = make_stores(source, tmp_path)
    for number in range(DIRECTORIES):
        place = stores / "00" / f"directory-{number}"
        for name, make in (("file-1", os.mkdir), ("sub", os.mkfifo), ("fifo", os.mkdir)):
            repairing.remove(place / name)
            make(place / name)
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: directory-\d+/(file-1|sub|fifo): the stores have a ")
    found = listed(view.path)
    assert len(found) == COUNT
    assert {path: kind for path, (kind, _) in found.items()} == {
        path: kind for path, (kind, _) in looked_at(found).items()
    }
    assert stat.S_ISREG(os.lstat(view / "directory-3/file-1").st_mode)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("x", path), None])
def test_what_is_no_file_any_more(mounts, tmp_path, make):
    """What a listing called files is looked at later, some of it: nothing is waited for."""
    for number in range(1000):
        trees.write_file(tmp_path / "source" / "folder" / f"file-with-a-name-{number:04}", b"x")
    stores = make_stores(tmp_path / "source", tmp_path)
    view = mounts.restored(stores)
    with os.scandir(view / "folder") as entries:
        seen = {next(entries).name}
        for path in stores.glob("*/folder/*"):
            path.unlink()
            if make:
                make(path)
        with within(30):
            seen |= {entry.name for entry in entries}
    assert len(seen) == 1000
    time.sleep(1.1)
    if not make:
        assert os.listdir(view / "folder") == []
        return
    make(tmp_path / "such")
    expected = stat.S_IFMT(os.lstat(tmp_path / "such").st_mode)
    for name in seen:
        assert stat.S_IFMT(os.lstat(view / "folder" / name).st_mode) == expected
