# SPDX-License-Identifier: MIT
"""What repair leaves is what `sync` would have made: the next run sends nothing again. And stores
whose file system keeps times to two seconds, and no symlinks or modes.
"""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

import repairing
import trees
from sftp_store import SftpStore
from syncing import ends, local, nodes, sets, source  # noqa: F401
from disks import loop_mount, need, new_image

NAMES = ["anna", "bert", "carl", "dora"]
SECOND = 10**9
REQUIRED, COUNT = 2, 5
FAT = {"vfat": ("mkfs.vfat", "mount"), "exfat": ("mkfs.exfat", "mount.exfat-fuse")}


@pytest.mark.parametrize("far", [NAMES[:1], NAMES[:3], NAMES], ids=len)
def test_sync_sends_nothing_after_repair_through_stores_with_whole_seconds(
    sets, source, nodes, tmp_path, far  # noqa: F811
):
    need("rsync")
    (source / "again").unlink()  # SFTP does not show what is one file
    os.removexattr(source / "file-0", "user.note")  # nor attributes
    sets.write(source, local(nodes, NAMES), required=REQUIRED)
    sets.run()
    made = {name: repairing.state_of(nodes / name) for name in NAMES}
    near = [name for name in NAMES if name not in far]
    for name in near[-1:]:
        repairing.remove(nodes / name / "file-0")
        repairing.change_bytes(nodes / name / "file-1", 70)
    done = repair_behind_sftp(nodes, tmp_path, far)
    assert done.returncode == (1 if near else 0), done.stdout + done.stderr
    for name in NAMES:
        repairing.assert_same_state(nodes / name, made[name])
    assert {name: node["files"] for name, node in ends(sets.run()).items()} == dict.fromkeys(NAMES, 0)


def repair_behind_sftp(nodes, folder, far):  # noqa: F811
    with contextlib.ExitStack() as stack:
        stores = [folder / f"far-{name}" if name in far else nodes / name for name in NAMES]
        for name, store in zip(NAMES, stores):
            if name in far:
                stack.enter_context(SftpStore(nodes / name, store))
        return repairing.run("repair", *(word for store in stores for word in ("--store", store)))


def test_repair_leaves_no_temporary_name_where_hard_links_do_not_show(
    sets, source, nodes, tmp_path  # noqa: F811
):
    """Behind SFTP. To rename a name of a file over another one of it does nothing. A further
    name that is missing is made, once, as a link."""
    need("rsync")
    sets.write(source, local(nodes, NAMES), required=REQUIRED)
    sets.run()
    names = {name: set(repairing._paths(nodes / name)) for name in NAMES}
    repairing.remove(nodes / NAMES[0] / "dir" / "inner" / "file")
    for made in (1, 0):
        done = repair_behind_sftp(nodes, tmp_path, NAMES[:1])
        assert done.returncode in (0, 1) and f"; {made} made" in done.stdout, done
        assert {name: set(repairing._paths(nodes / name)) for name in NAMES} == names
        assert (nodes / NAMES[0] / "again").stat().st_nlink == 2


@pytest.fixture
def shares(mounts, tmp_path, rng):
    """Of files, directories and a symlink, with exact times."""
    tree = tmp_path / "source"
    for path in ("a", "b", "dir/c", "dir/sub/d"):
        trees.write_file(tree / path, rng.randbytes(rng.randint(1, 20_000)))
    (tree / "link").symlink_to("a")
    for path in sorted(tree.rglob("*")) + [tree]:
        repairing.give_time(path, rng)
    return repairing.encode(mounts, tree, tmp_path / "shares", "checked", REQUIRED, COUNT)


@pytest.mark.parametrize("kind", FAT)
def test_repair_onto_fat_is_done_once_and_makes_no_other_time_coarser(shares, tmp_path, kind):
    make, mount = FAT[kind]
    need("losetup", make, *[mount] * (mount != "mount"))
    if kind == "vfat" and "\tvfat\n" not in Path("/proc/filesystems").read_text():
        pytest.skip("the kernel has no vfat")
    image = new_image(tmp_path / "image", 64 << 20, make)
    stores = shares.copy_to(tmp_path / "stores")
    shutil.rmtree(stores / "01")
    with loop_mount(image, stores / "01", mount) as disk:
        # A share that was copied there: its times are coarse; one file is lost, one is damaged.
        for path in ("a", "b", "dir/c", "dir/sub/d"):
            os.makedirs(os.path.dirname(disk / path), exist_ok=True)
            shutil.copyfile(tmp_path / "shares" / "01" / path, disk / path)
            time = shares.states["01"][path].mtime_ns // (2 * SECOND) * 2 * SECOND
            os.utime(disk / path, ns=(time, time))
        repairing.remove(disk / "a")
        repairing.change_bytes(disk / "b", 70)
        first = repairing.run("repair", *shares.options(), stores)
        assert first.returncode in (1, 4), first.stderr
        for path in ("a", "b", "dir/c", "dir/sub/d"):
            found, owed = repairing.item_of(disk / path), shares.states["01"][path]
            assert found.content == owed.content, path
            assert 0 <= owed.mtime_ns - found.mtime_ns < 2 * SECOND, path
        before = trees.snapshot(stores)
        second = repairing.run("repair", *shares.options(), stores)
        assert second.returncode in (0, 1, 4) and "; 0 made" in second.stdout, second.stdout
        assert trees.snapshot(stores) == before
        checked = repairing.run("check", *shares.options(), stores)
        assert "0 lost" in checked.stdout and checked.returncode in (0, 1), checked.stdout
        for name in shares.names:
            if name != "01":
                assert repairing.state_of(stores / name) == shares.states[name], name
