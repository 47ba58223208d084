# SPDX-License-Identifier: MIT
"""The restored view of sealed shares: manifests and contents of different moments, and what has no name."""

import mmap
import os
import shutil
import time

import pytest

import commands
import keyfiles
import sealing

K, N = 2, 3
MASTER = bytes(range(32))
KEYS = sealing.Keys(MASTER)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "set.key"
    path.write_text(keyfiles.key_text(MASTER))
    path.chmod(0o600)
    return path


@pytest.fixture
def source(tmp_path, rng):
    folder = tmp_path / "source"
    (folder / "dir" / "deep").mkdir(parents=True)
    for name in ("a", "dir/b", "dir/deep/c"):
        (folder / name).write_bytes(rng.randbytes(9000))
    os.symlink("b", folder / "dir" / "link")
    return folder


@pytest.fixture
def shares(source, key, tmp_path):
    encode(source, key, tmp_path / "shares")
    return tmp_path / "shares"


def encode(source, key, shares):
    commands.run("encode", "--format", "sealed", "--key", key, "-k", str(K), "-n", str(N), source, shares, noisy=True)


def each_share(shares):
    return [shares / f"{index:02x}" for index in range(N)]


def files_alone(source, key, shares, tmp_path):
    """The shares of files as they are now, beside manifests as they were."""
    encode(source, key, tmp_path / "newer")
    for new, old in zip(each_share(tmp_path / "newer"), each_share(shares)):
        for path in new.rglob("*"):
            if path.is_file() and path.name != sealing.MANIFEST:
                shutil.copy2(path, old / path.relative_to(new))


@pytest.mark.parametrize("size", [1, 8999, 9000, 20_000, 300_000])
def test_content_that_is_newer_than_its_manifest_is_read_whole(mounts, source, key, shares, tmp_path, rng, size):
    """The kernel knows another size of it until it is open; what is open tells its own."""
    old = os.stat(source / "dir" / "b")
    new = rng.randbytes(size)
    (source / "dir" / "b").write_bytes(new)
    now = os.stat(source / "dir" / "b")
    files_alone(source, key, shares, tmp_path)
    view = mounts.restored(shares)
    path = view / "dir" / "b"
    bare = os.stat(path)
    assert (bare.st_size, bare.st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    for _ in range(2):
        os.listdir(view / "dir")
        with open(path, "rb", buffering=0) as file:
            opened = os.fstat(file.fileno())
            assert (opened.st_size, opened.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
            assert os.pread(file.fileno(), size + 1, 0) == new
            with mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
                assert mapped[:] == new
            assert file.seek(0, os.SEEK_END) == size
        assert path.read_bytes() == new
        shutil.copy2(path, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == new
    commands.run("decode", shares, tmp_path / "back")
    assert (tmp_path / "back" / "dir" / "b").read_bytes() == new
    assert os.stat(tmp_path / "back" / "dir" / "b").st_mtime_ns == now.st_mtime_ns


def test_a_manifest_that_is_newer_than_a_content_changes_no_byte(mounts, source, key, shares, tmp_path, rng):
    before = (source / "dir" / "b").read_bytes()
    (source / "dir" / "b").write_bytes(rng.randbytes(5))
    encode(source, key, tmp_path / "newer")
    for new, old in zip(each_share(tmp_path / "newer"), each_share(shares)):
        for path in new.rglob(sealing.MANIFEST):
            shutil.copy2(path, old / path.relative_to(new))
    view = mounts.restored(shares)
    assert os.stat(view / "dir" / "b").st_size == 5
    with open(view / "dir" / "b", "rb") as file:
        assert os.fstat(file.fileno()).st_size == len(before)
        assert file.read() == before


def test_a_listing_looks_at_no_share_of_a_file(mounts, source, shares):
    """Without any of them it is what it was."""
    for share in each_share(shares):
        for path in share.rglob("*"):
            if path.is_file() and path.name not in (sealing.MANIFEST, "key"):
                path.unlink()
    view = mounts.restored(shares)
    for name in ("a", "dir/b", "dir/deep/c"):
        ours, theirs = os.lstat(view / name), os.lstat(source / name)
        assert (ours.st_size, ours.st_mtime_ns, ours.st_mode) == (theirs.st_size, theirs.st_mtime_ns, theirs.st_mode)
        with pytest.raises(OSError):
            (view / name).read_bytes()
    view.expect_log("the stores have too few shares of it", 3)


# What has no name


@pytest.fixture
def deleted(source, key, shares):
    """Nodes that keep what was deleted: a file, and a directory."""
    contents = {name: (source / name).read_bytes() for name in ("a", "dir/b", "dir/deep/c")}
    (source / "dir" / "b").unlink()
    (source / "a").unlink()
    shutil.rmtree(source / "dir" / "deep")
    encode(source, key, shares)
    return contents


def test_orphans_are_not_shown(mounts, source, shares, deleted):
    commands.compare_trees(source, mounts.restored(shares).path)


def test_orphans_are_shown_by_their_ids(mounts, source, shares, deleted):
    """What is in a directory has its names still: they stand in its manifest."""
    view = mounts.restored(shares, orphans=True)
    a, b, deep = (KEYS.name(path) for path in ("a", "dir/b", "dir/deep"))
    assert sorted(os.listdir(view.path)) == sorted(["dir", a])
    assert sorted(os.listdir(view / "dir")) == sorted(["link", b, deep])
    assert (view / a).read_bytes() == deleted["a"]
    assert (view / "dir" / b).read_bytes() == deleted["dir/b"]
    assert os.stat(view / "dir" / b).st_size == 9000
    assert os.listdir(view / "dir" / deep) == ["c"]
    assert (view / "dir" / deep / "c").read_bytes() == deleted["dir/deep/c"]
    assert not (view / KEYS.name("dir")).exists()  # which has a name


def test_without_the_manifest_of_the_root_contents_are_right(mounts, source, shares):
    for share in each_share(shares):
        (share / sealing.MANIFEST).unlink()
    view = mounts.restored(shares)
    view.expect_log("too few stores have its manifest")
    view.expect_log("", 0)
    with pytest.raises(OSError, match="Input/output error"):  # nobody is to take the names for removed
        os.listdir(view.path)
    view = mounts.restored(shares, orphans=True)
    view.expect_log("too few stores have its manifest")
    view.expect_log("", 0)
    a, folder = KEYS.name("a"), KEYS.name("dir")
    assert sorted(os.listdir(view.path)) == sorted([a, folder])
    assert (view / a).read_bytes() == (source / "a").read_bytes()
    commands.compare_trees(source / "dir", view / folder)


def test_an_empty_file_without_a_name_is_an_error(mounts, source, key, shares, tmp_path):
    """Its shares have no secret in them: anybody could have made it."""
    (source / "none").write_bytes(b"")
    encode(source, key, shares)
    (source / "none").unlink()
    encode(source, key, shares)
    view = mounts.restored(shares, orphans=True)
    with pytest.raises(OSError):
        (view / KEYS.name("none")).read_bytes()
    view.expect_log("its shares say that it is empty, and no manifest does", 1)


def test_a_part_of_the_tree_is_whole_by_itself(mounts, source, key, shares, tmp_path):
    for share in each_share(shares):
        shutil.copytree(share / KEYS.name("dir"), tmp_path / "part" / share.name)
    commands.run("decode", "--key", key, tmp_path / "part", tmp_path / "back")
    commands.compare_trees(source / "dir", tmp_path / "back")
    view = mounts.restored(tmp_path / "part", key=key)
    commands.compare_trees(source / "dir", view.path)


def test_a_manifest_in_another_place_is_none(mounts, source, key, shares):
    """Only the root may be any directory of the source."""
    for share in each_share(shares):
        shutil.copy2(share / sealing.MANIFEST, share / KEYS.name("dir") / sealing.MANIFEST)
    view = mounts.restored(shares, orphans=True)
    view.expect_log("dir: its manifest does not open with this key, or was forged")
    assert sorted(os.listdir(view / "dir")) == sorted(KEYS.name(path) for path in ("dir/b", "dir/deep"))
    assert (view / "dir" / KEYS.name("dir/b")).read_bytes() == (source / "dir" / "b").read_bytes()


def test_a_change_of_a_manifest_is_seen(mounts, source, key, shares):
    view = mounts.restored(shares)
    assert os.stat(view / "dir" / "b").st_size == 9000
    (source / "dir" / "b").write_bytes(b"new")
    (source / "dir" / "more").write_bytes(b"more")
    encode(source, key, shares)
    time.sleep(2.1)  # manifests are looked at again after a second, and so is what the kernel keeps
    assert os.stat(view / "dir" / "b").st_size == 3
    assert (view / "dir" / "b").read_bytes() == b"new"
    assert (view / "dir" / "more").read_bytes() == b"more"
