# SPDX-License-Identifier: MIT
"""The encoded view of sealed shares: a manifest that was made is kept, and never one of before a change."""

import os
import time

import pytest

import keyfiles
import sealing
import whole_tree

SETTLED_S = 3.2  # after that, times of change can be relied on
K, N = 2, 3


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "set.key"
    path.write_text(keyfiles.key_text(bytes(range(32))))
    path.chmod(0o600)
    return path


def fill(folder):
    (folder / "sub").mkdir(parents=True)
    for name in "abc":
        (folder / name).write_bytes(b"content")
    os.symlink("a", folder / "link")


@pytest.fixture
def source(tmp_path):
    fill(tmp_path / "source")
    return tmp_path / "source"


def change_mode(folder):
    (folder / "a").chmod(0o600)


def change_attribute(folder):
    whole_tree.set_attribute(os.fsencode(folder / "a"), b"user.colour", b"green")


def change_own_mode(folder):
    folder.chmod(0o700)


def change_content_and_set_time_back(folder):
    status = os.stat(folder / "a")
    (folder / "a").write_bytes(b"CONTENT")
    os.utime(folder / "a", ns=(status.st_atime_ns, status.st_mtime_ns))


def change_target(folder):
    (folder / "link").unlink()
    os.symlink("b", folder / "link")


def add_a_name(folder):
    os.link(folder / "a", folder / "sub" / "twin")


def add_a_file(folder):
    (folder / "new").write_bytes(b"")


def rename(folder):
    (folder / "c").rename(folder / "d")


def put_a_folder_in_its_place(folder):
    (folder / "c").unlink()
    (folder / "c").mkdir()


def remove(folder):
    (folder / "c").unlink()


CHANGES = [change_mode, change_attribute, change_own_mode, change_content_and_set_time_back, change_target,
           add_a_name, add_a_file, rename, put_a_folder_in_its_place, remove]  # fmt: skip


def manifest(share):
    path = share / sealing.MANIFEST
    return path.read_bytes(), os.stat(path).st_size, os.stat(path).st_mtime_ns


def test_each_change_is_seen_at_once(mounts, source, key, tmp_path):
    folders = [source / change.__name__ for change in CHANGES]
    for folder in folders:
        fill(folder)
    time.sleep(SETTLED_S)
    keys = sealing.Keys(bytes(range(32)))
    options = {"format": "sealed", "key": key, "required": K, "shares": N}
    view = mounts.encoded(source, **options)
    shares = [view / "02" / keys.name(folder.name) for folder in folders]
    before = [manifest(share) for share in shares]
    assert before == [manifest(share) for share in shares]
    for change, folder in zip(CHANGES, folders):
        change(folder)
    after = [manifest(share) for share in shares]
    fresh = mounts.encoded(source, **options)
    expected = [manifest(fresh / "02" / keys.name(folder.name)) for folder in folders]
    wrong = [change.__name__ for change, ours, theirs in zip(CHANGES, after, expected) if ours != theirs]
    assert not wrong
    assert not [change.__name__ for change, ours, then in zip(CHANGES, after, before) if ours == then]


def test_what_is_kept_is_what_would_be_made(mounts, source, key):
    time.sleep(SETTLED_S)
    options = {"format": "sealed", "key": key, "required": K, "shares": N}
    view = mounts.encoded(source, **options)
    made = [manifest(view / f"{index:02x}") for index in range(N)]
    kept = [manifest(view / f"{index:02x}") for index in range(N)]
    fresh = mounts.encoded(source, **options)
    assert made == kept == [manifest(fresh / f"{index:02x}") for index in range(N)]
