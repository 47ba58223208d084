# SPDX-License-Identifier: MIT
"""The recipes of docs/nodes.md that other tests do not play: disks that know no symlinks, snapshots,
metadata in a file, backup repositories spread over remotes, rclone crypt in a set.
"""

import contextlib
import os
import subprocess

import pytest

import commands
import encoding
import mounts as mounts_module
import syncing
import trees
from disks import LIMIT_S, loop_mount, need, new_image, run
from syncing import ends, local, nodes, sets, settle, source  # noqa: F401

UNSANITIZED = True


def alias(sets, **folders):  # noqa: F811
    """Remotes of rclone that are folders of this machine."""
    (sets.folder / "rclone.conf").write_text(
        "".join(f"[{name}]\ntype = alias\nremote = {path}\n" for name, path in folders.items())
    )


# Disks


def assert_shares_are_whole(stores, files):
    words = [word for store in stores for word in ("--store", store)]
    done = commands.run("check", *words)
    summary = done.summary
    assert (summary["files"], summary["degraded"], summary["lost"]) == (files, 0, 0), summary


def test_a_disk_without_symlinks_and_modes(sets, source, nodes, tmp_path):  # noqa: F811
    """exFAT: by rclone, without symlinks. What changes is sent, and nothing else."""
    need("rclone", "losetup", "mkfs.exfat", "mount.exfat-fuse")
    os.chown(source / "file-0", 1000, 1000)
    image = new_image(tmp_path / "image", 64 << 20, "mkfs.exfat")
    with loop_mount(image, nodes / "usb", "mount.exfat-fuse") as disk:
        alias(sets, usb=disk)
        usb = "rclone = usb:share\nsymlinks = no\nmodify_window = 2"
        sets.write(source, {"usb": usb} | local(nodes, ["anna"]), required=1)
        sets.run()
        assert ends(sets.run())["usb"]["files"] == 0
        trees.write_file(source / "file-1", b"x" * 5000, mtime_ns=trees.MTIME_NS + 3 * 10**9)
        assert ends(sets.run("--verify", "1"))["usb"]["files"] == 1
        assert not os.path.lexists(disk / "share" / "link")
        files = sum(path.is_file() and not path.is_symlink() for path in source.rglob("*"))
        assert_shares_are_whole([disk / "share"], files)


def test_a_snapshot_as_the_source(sets, nodes, tmp_path, rng):  # noqa: F811
    """Each of the same name. What was not edited between two is not sent."""
    need("rsync", "losetup", "mkfs.btrfs", "btrfs")
    image = new_image(tmp_path / "image", 256 << 20, "mkfs.btrfs", "--quiet")
    with loop_mount(image, tmp_path / "disk", "mount") as disk:
        run("btrfs", "subvolume", "create", disk / "home")
        encoding.make_source(disk / "home" / "tree", rng)
        snapshot = disk / "snapshot"
        sets.write(snapshot / "tree", local(nodes, ["anna", "bert"]))
        for edited in (None, "file-3"):
            if edited:
                trees.write_file(disk / "home" / "tree" / edited, b"edited", mtime_ns=trees.MTIME_NS + 1)
            run("btrfs", "subvolume", "snapshot", "-r", disk / "home", snapshot)
            result = sets.run()
            if edited:
                assert {node["files"] for node in ends(result).values()} == {1}
            syncing.compare_with_encode(
                snapshot / "tree", [nodes / "anna", nodes / "bert"], tmp_path
            )
            run("btrfs", "subvolume", "delete", snapshot)


# Metadata


def test_metadata_in_a_file(mounts, tmp_path, rng):
    """Where most stores lose modes and owners, what getfacl says of them travels along."""
    need("getfacl", "setfacl")
    home = encoding.make_source(tmp_path / "home", rng)
    (home / "fifo").unlink()
    (home / "file-0").chmod(0o640)
    (home / "dir").chmod(0o711)
    run("setfacl", "-m", "u:1234:r", home / "file-1")
    if os.geteuid() == 0:
        os.chown(home / "file-2", 1000, 5)
    wanted = modes_and_owners(home)
    acl = run("getfacl", "file-1", cwd=home)
    (home / ".metadata").write_text(run("getfacl", "-RP", ".", cwd=home))
    view = mounts.encoded(home, required=2, shares=2)
    for share in ("00", "01"):
        copy_without_metadata(view / share, tmp_path / "stores" / share)
    restored = mounts.restored(tmp_path / "stores")
    copy_without_metadata(restored.path, tmp_path / "back")
    assert modes_and_owners(tmp_path / "back") != wanted
    run("setfacl", "--restore=.metadata", cwd=tmp_path / "back")
    assert modes_and_owners(tmp_path / "back") == wanted
    assert run("getfacl", "file-1", cwd=tmp_path / "back") == acl


def modes_and_owners(folder):
    found = {}
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.name != ".metadata":
            status = path.stat()
            found[path.relative_to(folder)] = oct(status.st_mode), status.st_uid, status.st_gid
    return found


def copy_without_metadata(here, there):
    """As what knows but names and bytes, and symlinks."""
    there.parent.mkdir(exist_ok=True)
    run("cp", "-r", "--no-preserve=all", here, there)


# Backup repositories, spread over remotes


@pytest.fixture
def three_remotes(sets, nodes):  # noqa: F811
    """A set of a repository, and how its nodes are copied back."""
    need("rclone", "rsync")
    places = {f"cloud{index}": nodes / f"cloud{index}" for index in range(3)}
    for path in places.values():
        path.mkdir()
    alias(sets, **places)

    def write(repository):
        targets = {name: f"rclone = {name}:repo\ndelete = yes" for name in places}
        sets.write(repository, targets, name="repo")

    def bring_back(stores):
        for name in ("cloud1", "cloud2"):
            run("rclone", "copy", f"{name}:repo", stores / name, environment=sets.environment)
        return stores

    return write, bring_back


@mounts_module.long
def test_a_restic_repository(mounts, sets, source, three_remotes, tmp_path, rng):  # noqa: F811
    """Also after a prune, which deletes."""
    need("restic")
    write, bring_back = three_remotes
    repository = tmp_path / "repo"
    password = {"RESTIC_PASSWORD": "secret", "RESTIC_CACHE_DIR": str(tmp_path / "cache")}

    def restic(where, *words):
        return run("restic", "-r", where, *words, environment=password, cwd=source)

    restic(repository, "init")
    write(repository)
    for _ in range(2):
        restic(repository, "backup", ".")
        sets.run()
        trees.write_file(source / "file-2", rng.randbytes(30_000))
    restic(repository, "forget", "--keep-last", "1", "--prune")
    deleted = {node["deleted"] for node in ends(sets.run(), "repo").values()}
    assert min(deleted) > 0
    view = mounts.restored(bring_back(tmp_path / "stores"))
    restic(view.path, "--no-lock", "check", "--read-data")
    restic(view.path, "--no-lock", "restore", "latest", "--target", tmp_path / "back")
    view.unmount()
    assert {path.name for path in (tmp_path / "back").iterdir()} == {path.name for path in source.iterdir()}
    for name in ("file-0", "file-5", "again"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()


@mounts_module.long
def test_a_borg_repository(mounts, sets, source, three_remotes, tmp_path):  # noqa: F811
    need("borg")
    write, bring_back = three_remotes
    environment = {
        "BORG_BASE_DIR": str(tmp_path / "borg"), "BORG_PASSPHRASE": "secret",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }  # fmt: skip
    repository = tmp_path / "repo"
    run("borg", "init", "--encryption=repokey", repository, environment=environment)
    run("borg", "create", f"{repository}::day", ".", environment=environment, cwd=source)
    write(repository)
    sets.run()
    view = mounts.restored(bring_back(tmp_path / "stores"))
    (tmp_path / "back").mkdir()
    run("borg", "--bypass-lock", "extract", f"{view.path}::day", environment=environment,
        cwd=tmp_path / "back")  # fmt: skip
    view.unmount()
    for name in ("file-0", "file-5", "again"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()


# rclone crypt


def test_rclone_crypt_in_a_set(mounts, sets, source, nodes, tmp_path):  # noqa: F811
    """As the recipe makes the remotes; read back by rclone mount."""
    need("rclone", "rsync")
    places = {f"cloud{index}": nodes / f"cloud{index}" for index in range(2)}
    alias(sets, **places)
    for name, path in places.items():
        path.mkdir()
        hidden = run("rclone", "obscure", f"password of {name}").strip()
        run("rclone", "config", "create", f"crypt{name}", "crypt", f"remote={name}:home",
            f"password={hidden}", "--no-obscure", environment=sets.environment)  # fmt: skip
    sets.write(source, {name: f"rclone = crypt{name}:\nsymlinks = no" for name in places})
    sets.run()
    settle(source)
    assert ends(sets.run("--verify", "1"))["cloud0"]["different"] == 0
    for path in places.values():
        held = b"".join(each.read_bytes() for each in path.rglob("*") if each.is_file())
        assert b"ZFECFS1" not in held
        assert not [each for each in path.rglob("*") if each.name.startswith("file")]
    with contextlib.ExitStack() as stack:
        for name in places:
            folder = new_folder(tmp_path / "stores" / name)
            stack.enter_context(rclone_mount(sets, f"crypt{name}:", folder))
        restored = mounts.restored(tmp_path / "stores")
        for name in ("file-0", "file-5", "again"):
            assert (restored.path / name).read_bytes() == (source / name).read_bytes()
        restored.unmount()


def new_folder(path):
    path.mkdir(parents=True)
    return path


@contextlib.contextmanager
def rclone_mount(sets, remote, folder):  # noqa: F811
    words = ["rclone", "mount", "--read-only", remote, folder]
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=sets.environment)
    try:
        assert mounts_module.wait_for_mount_table(lambda: os.path.ismount(folder), server.pid)
        yield folder
    finally:
        if os.path.ismount(folder):
            mounts_module.unmount_at_any_cost(folder)
        server.terminate()
        server.wait(LIMIT_S)
