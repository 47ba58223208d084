# SPDX-License-Identifier: MIT
"""Views that have fewer stores than are needed: what cannot be told must not look as if it were
not there, or whoever mirrors the view deletes it."""

import errno
import os
import re
import subprocess

import pytest

import mounts as mounts_module
import store_failures
import trees
from store_failures import eventually, put, read_or_error

data = store_failures.data  # a fixture
failing = store_failures.failing  # a fixture
stores = store_failures.stores  # a fixture
view_of = store_failures.view_of  # a fixture

FEW = r"zfec-fs: {} found, {} needed: no names can be shown until more are there(; are they mounted\?)?"


def listed(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        return error.errno


def error_of(path):
    try:
        os.lstat(path)
        return 0
    except OSError as error:
        return error.errno


def put_tree(stores, data):
    folders = [stores / f"store-{number}" for number in range(3)]
    put(data, (0, 1, 2), folders)
    put(data, (0, 1, 2), folders, "folder/deep")


def leave_nothing(path):
    pass


def leave_mountpoint(path):
    path.mkdir()


def leave_folder(path):
    (path / "folder").mkdir(parents=True)


def leave_word(path):
    trees.write_file(path / "NOT-MOUNTED", b"the disk is not mounted\n")


def move_away(stores, names, leave):
    away = stores.parent / "away"
    away.mkdir(exist_ok=True)
    for name in names:
        (stores / name).rename(away / name)
        leave(stores / name)


def move_back(stores, names):
    for name in names:
        if (stores / name).exists():
            (stores / name).rename(stores.parent / f"{name}-left")
        (stores.parent / "away" / name).rename(stores / name)


@pytest.mark.parametrize("leave", [leave_nothing, leave_mountpoint, leave_folder, leave_word])
@pytest.mark.parametrize("kind", ["restored", "rebuilt"])
def test_stores_that_go(mounts, stores, data, kind, leave):
    """All of it is an error then, what is there as well as what never was, until they are back."""
    put_tree(stores, data)
    view = getattr(mounts, kind)(stores, **({"shares": 3} if kind == "rebuilt" else {}))
    view.expect_log("^zfec-fs: store .* (is gone|is there now)$")
    view.expect_log("^" + FEW.format("1 store", 2), count=1)
    root = view.path / "00" if kind == "rebuilt" else view.path
    assert listed(root) == ["file", "folder"]
    gone = ["store-0", "store-2"]
    move_away(stores, gone, leave)
    assert eventually(lambda: listed(root) == errno.EIO)
    assert listed(root / "folder") == errno.EIO
    for name in ("file", "folder", "folder/deep", "never", "folder/never"):
        assert eventually(lambda: error_of(root / name) == errno.EIO, 5), name  # noqa: B023
    assert os.stat(view.path)
    move_back(stores, gone)
    assert eventually(lambda: listed(root) == ["file", "folder"], 5)
    assert listed(root / "folder") == ["deep"]
    assert error_of(root / "never") == errno.ENOENT
    trees.assert_same((root / "file").read_bytes(), (stores / "store-0/file").read_bytes()
                      if kind == "rebuilt" else data, "file")  # fmt: skip


def test_a_mirror_of_the_view_stays(mounts, stores, data, tmp_path):
    put_tree(stores, data)
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: store .* (is gone|is there now)$")
    view.expect_log("^" + FEW.format("1 store", 2), count=1)
    mirror = ["rsync", "-a", "--delete", f"{view.path}/", tmp_path / "copy"]
    subprocess.run(mirror, check=True)
    move_away(stores, ["store-0", "store-1"], leave_mountpoint)
    assert eventually(lambda: listed(view.path) == errno.EIO)
    assert subprocess.run(mirror, check=False, capture_output=True).returncode == 23
    trees.assert_same((tmp_path / "copy/folder/deep").read_bytes(), data, "the copy")


@pytest.mark.parametrize("comes", ["another tree", "half a copy"])
@pytest.mark.parametrize("kind", ["restored", "rebuilt"])
def test_a_mirror_stays_where_other_names_came(mounts, stores, data, tmp_path, kind, comes):
    """Stores enough for names to be shown; but the one that is gone may have those of the mirror."""
    put_tree(stores, data)
    view = getattr(mounts, kind)(stores, **({"shares": 3} if kind == "rebuilt" else {}))
    view.expect_log("^zfec-fs: store .* (is gone|is there now)$")
    view.expect_log("not all stores could be asked: one is gone$")
    root = view.path / "00" if kind == "rebuilt" else view.path
    mirror = ["rsync", "-a", "--delete", f"{root}/", tmp_path / "copy"]
    subprocess.run(mirror, check=True)
    before = (tmp_path / "copy/folder/deep").read_bytes()
    move_away(stores, ["store-1", "store-2"], leave_nothing)
    (stores / "store-2").mkdir()
    put(data, (2,), [stores / "store-2"], "other" if comes == "another tree" else "file")
    assert eventually(lambda: error_of(root / "folder") == errno.EIO)
    assert "folder" in listed(root)
    assert subprocess.run(mirror, check=False, capture_output=True).returncode == 23
    trees.assert_same((tmp_path / "copy/folder/deep").read_bytes(), before, "the copy")
    move_back(stores, ["store-1", "store-2"])
    assert eventually(lambda: listed(root) == ["file", "folder"] and error_of(root / "folder") == 0, 5)


def test_unconfirmed_shows_what_is_there(mounts, stores, data):
    put_tree(stores, data)
    view = mounts.restored(stores, unconfirmed=True)
    view.expect_log("^zfec-fs: store .* (is gone|is there now)$")
    view.expect_log("^zfec-fs: file: 1 different share of .* in 1 copy, 2 needed$")
    assert listed(view.path) == ["file", "folder"]
    move_away(stores, ["store-0", "store-1"], leave_mountpoint)
    assert eventually(lambda: read_or_error(view / "file") == errno.EIO)
    assert listed(view.path) == ["file", "folder"]
    assert error_of(view / "never") == errno.ENOENT


@pytest.mark.parametrize("leave", [leave_nothing, leave_mountpoint])
def test_a_tree_without_files(mounts, stores, leave):
    """Stores that were there count for how many are needed: one that is left does not decide."""
    for number in range(3):
        (stores / f"store-{number}" / "folder").mkdir(parents=True)
        if number > 0:
            (stores / f"store-{number}" / "other").mkdir()
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: store .* (is gone|is there now)$")
    view.expect_log("^" + FEW.format("(1 store|0 stores)", 2))
    assert listed(view.path) == ["folder", "other"]
    move_away(stores, ["store-1", "store-2"], leave)
    assert eventually(lambda: listed(view.path) == errno.EIO)
    assert eventually(lambda: error_of(view / "other") == errno.EIO, 5)
    move_back(stores, ["store-1", "store-2"])
    assert eventually(lambda: listed(view.path) == ["folder", "other"], 5)
    move_away(stores, ["store-0", "store-1", "store-2"], leave)
    assert eventually(lambda: listed(view.path) == errno.EIO)


def test_listings_of_stores_that_fail(failing, view_of, stores, data):
    """The one that answers has nothing at all: its silence is not that of the others."""
    places = [failing.make(f"store-{number}") for number in range(2)]
    put(data, (0, 1), [place.source for place in places])
    put(data, (0, 1), [place.source for place in places], "folder/deep")
    (stores / "store-2").mkdir()
    view = view_of()
    assert listed(view.path) == ["file", "folder"]
    for place in places:
        place.refuse(errno.EIO, "opendir")
    assert eventually(lambda: listed(view.path) == errno.EIO)
    assert listed(view.path / "folder") == errno.EIO


@pytest.mark.parametrize("kind", ["restore", "rebuild"])
@pytest.mark.parametrize("there", [0, 1])
def test_mounted_with_too_few(binary, stores, tmp_path, data, kind, there):
    """It is told before the user's process ends, and the mount waits for more."""
    mountpoint = tmp_path / "mountpoint"
    mountpoint.mkdir()
    for number in range(3):
        (stores / f"store-{number}").mkdir()
    put(data, range(there), [stores / f"store-{number}" for number in range(there)])
    done = mounts_module.run("-o", f"{kind},required=2", stores, mountpoint)
    try:
        said = FEW.format("1 store" if there else "0 stores", 2)
        assert done.returncode == 0 and re.fullmatch(said + "\n", done.stderr), done
        assert listed(mountpoint / "00" if kind == "rebuild" else mountpoint) == errno.EIO
    finally:
        mounts_module.unmount_at_any_cost(mountpoint)
