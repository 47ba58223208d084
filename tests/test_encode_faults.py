# SPDX-License-Identifier: MIT
"""What an encode that is interrupted or short of room has made is whole, and the next one ends it."""

import os
import re
import shutil
import signal

import pytest

import commands
import disks
import encoding
import oracle
import trees
import users
from commands import FAILED, USAGE, all_shares, compare_with_view, run
from disks import small_disk
from encoding import (
    ENCODE, K, N, check_second_is_refused, check_shares, make_many, make_source, started,
)  # fmt: skip
from mounts import wait_for_exit
from users import run_as

encoded = encoding.encoded  # a fixture
fast_place = disks.fast_place  # a fixture
home = users.home  # a fixture
needs_root = users.needs_root
source = encoding.source  # a fixture
user = users.user  # a fixture


# Interrupted


def shares_of(contents, mtime_ns):
    return {
        name: [
            oracle.make_share("checked", data, 2, 3, index, mtime_ns, 4096) for index in range(3)
        ]
        for name, data in contents.items()
    }


def check_whole(destination, generations):
    """Each file is exactly what it was, or what it should become; none that was is missing."""
    for index, share in enumerate(all_shares(3)):
        for name in generations[-1]:
            path = destination / share / name
            allowed = [made[name][index] if made else None for made in generations]
            found = path.read_bytes() if path.exists() else None
            assert found in allowed, path


def test_killed(fast_place, mounts, rng):
    """At any moment a name stands for the old file, or for the new one; the next run ends it."""
    source, out = fast_place / "killed" / "source", fast_place / "killed" / "out"
    words = ["encode", "-j", "1", "-k", "2", "-n", "3", "--block-size", "4K", source, out]
    large = {"files": 50, "sizes": (0, 100_000, 150_000)}
    make_many(source, rng, **large)
    duration = run(*words).summary["seconds"]
    shutil.rmtree(out)
    generations, cut_short = [None], 0
    for generation in range(4):
        contents = make_many(source, rng, generation, **large)
        generations = [generations[-1], shares_of(contents, trees.MTIME_NS + generation)]
        for _ in range(8):
            process = commands.start(*words)
            ended = wait_for_exit(process.pid, limit_s=rng.uniform(0, duration))
            process.kill()
            process.communicate()
            cut_short += not ended
            check_whole(out, generations)
        run(*words)
        assert commands.leftovers(out) == []
        check_whole(out, generations[1:])
    assert cut_short > 5
    compare_with_view(mounts, source, out, required=2, shares=3, block_size=4096)


def test_leftovers_are_nothing_of_the_stores(source, encoded, tmp_path):
    """What a killed run leaves is not restored as a file, and is removed by the next run."""
    time_ns = (source / "dir").stat().st_mtime_ns
    for share in all_shares(N):
        name = f"{commands.TEMPORARY}0123456789abcd{share}"
        trees.write_file(encoded / share / "dir" / name, b"half a share")
        os.utime(encoded / share / "dir", ns=(time_ns, time_ns))
    told = run("decode", encoded, tmp_path / "restored", noisy=True).errors.splitlines()
    assert len(told) == N and all("left over by a tool" in line for line in told), told
    commands.compare_trees(source, tmp_path / "restored")
    trees.write_file(encoded / "00" / f"{commands.TEMPORARY}mine", b"is another's")
    run("encode", *ENCODE, source, encoded)
    assert commands.leftovers(encoded) == [f"/00/{commands.TEMPORARY}mine"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(tmp_path, mounts, rng, number):
    make_many(tmp_path / "source", rng)
    words = ["encode", "-j", "1", "-k", "2", "-n", "3", tmp_path / "source", tmp_path / "out"]
    with started(*words) as (process, first):
        process.send_signal(number)
        done = commands.finish(process, first)
    assert done.status == FAILED and done.summary["exit_status"] == FAILED
    assert done.summary["stopped"]
    assert re.search(r"stopping at [\d,]+ files?; run it again to go on from there$", done.errors, re.M)
    assert commands.leftovers(tmp_path / "out") == []
    summary = run(*words).summary
    assert 0 < summary["made"] < 3 * 307 and not summary["stopped"]
    compare_with_view(mounts, tmp_path / "source", tmp_path / "out", required=2, shares=3)


def test_two_runs_at_once(tmp_path, mounts, rng):
    """The second is refused, also where only one target is common."""
    make_many(tmp_path / "source", rng)
    words = ["encode", "-k", "2", "-n", "3", tmp_path / "source"]
    one = [*words, "--to", f"01={tmp_path / 'out' / '01'}"]
    check_second_is_refused([*words, tmp_path / "out"], one)
    compare_with_view(mounts, tmp_path / "source", tmp_path / "out", required=2, shares=3)


# Targets that fail


@needs_root
def test_a_full_disk(tmp_path, mounts, rng):
    """One clear line for each file that found no room; the other targets are complete."""
    source = tmp_path / "source"
    for number in range(6):
        trees.write_file(source / f"file-{number}", rng.randbytes(900_000))
    (tmp_path / "out").mkdir()
    with small_disk(tmp_path / "out" / "03", "1m") as full:
        done = run("encode", *ENCODE, source, tmp_path / "out", status=FAILED)
        lines = done.errors.splitlines()
        failed = done.summary["failed"]
        assert 0 < failed < 6 and len(lines) == failed
        assert all("No space left on device" in line and str(full) in line for line in lines)
        assert commands.leftovers(full) == []
        names = sorted(os.listdir(full))
        assert len(names) == 6 - failed
        view = mounts.encoded(source, required=K, shares=N)
        for name in names:
            assert (full / name).read_bytes() == (view / "03" / name).read_bytes()
        for index in (0, 1, 2, 4):
            commands.compare_trees(view / f"{index:02x}", tmp_path / "out" / f"{index:02x}")


@needs_root
def test_an_unwritable_target(user, home, rng):
    source = make_source(home / "source", rng)
    user.own(source)
    (user.folder / "closed").mkdir(mode=0o755)
    done = run_as(user, "encode", *ENCODE, source, user.folder / "closed" / "out", status=FAILED)
    assert len(done.errors.splitlines()) == 1 and "ermission denied" in done.errors
    (user.folder / "closed" / "02").mkdir()
    to = f"02={user.folder / 'closed' / '02'}"
    done = run_as(user, "encode", *ENCODE, "--to", to, source, home / "out", status=FAILED)
    assert "02" in done.errors and "ermission denied" in done.errors
    assert sorted(os.listdir(home / "out")) == ["00", "01", "03", "04"]
    assert (home / "out" / "04" / "dir" / "inner" / "file").exists()


def test_a_target_that_leads_elsewhere(tmp_path, mounts, source, encoded, rng):
    """Nothing is written beyond a target, whatever symlinks lie in it."""
    outside = make_source(tmp_path / "outside", rng)
    before = commands.snapshot(outside)
    shutil.rmtree(encoded / "00" / "dir")
    (encoded / "00" / "dir").symlink_to(outside)
    (encoded / "01" / "file-0").unlink()
    (encoded / "01" / "file-0").symlink_to(outside / "file-0")
    (encoded / "02" / "link").unlink()
    (encoded / "02" / "link").symlink_to(outside)
    shutil.rmtree(encoded / "03" / "dir" / "inner")
    (encoded / "03" / "dir" / "inner").symlink_to("../../../outside/dir")
    (encoded / "04" / "unknown").symlink_to(outside)
    run("encode", *ENCODE, "--dry-run", source, encoded, noisy=True)
    assert commands.snapshot(outside) == before
    run("encode", *ENCODE, "--delete", source, encoded)
    assert commands.snapshot(outside) == before
    check_shares(mounts, source, encoded)


def test_a_link_that_leads_elsewhere(tmp_path, mounts, source, encoded, rng):
    """A file of the target has a name elsewhere: that one stays what it was, in content."""
    outside = tmp_path / "outside"
    outside.mkdir()
    os.link(encoded / "00" / "file-0", outside / "kept")
    data = (outside / "kept").read_bytes()
    trees.write_file(source / "file-0", rng.randbytes(777))
    run("encode", *ENCODE, source, encoded)
    assert (outside / "kept").read_bytes() == data
    check_shares(mounts, source, encoded)


# Storage that ignores case


@pytest.fixture
def exfat(tmp_path):
    disks.need("losetup", "mkfs.exfat", "mount.exfat-fuse")
    image = disks.new_image(tmp_path / "image", 64 << 20, "mkfs.exfat")
    with disks.loop_mount(image, tmp_path / "disk", "mount.exfat-fuse") as disk:
        yield disk


@pytest.fixture
def alike(tmp_path):
    """A tree with names that are alike but for case, beside links that are, and others."""
    folder = tmp_path / "source"
    for name in ("dir/README", "dir/readme", "dir/read"):
        trees.write_file(folder / name, name.encode(), trees.MTIME_NS // 10**10 * 10**10)
    os.link(folder / "dir" / "read", folder / "dir" / "Read")
    for name in ("Folder", "folder"):  # empty: exfat-fuse trips over what is in both
        (folder / name).mkdir()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    return folder


ALIKE = {("dir/README", "readme"), ("dir/Read", "read"), ("Folder", "folder")}


def told(where):
    return {f"zfec-fs: {one} and {other} are one name in {where}: the storage ignores case" for one, other in ALIKE}


def test_names_that_become_one(tmp_path, exfat, alike):
    """Each is told of, in each run; what keeps them apart is right."""
    apart = tmp_path / "apart"
    words = ["-k", "1", "-n", "2", alike, "--to", f"00={exfat / '00'}", "--to", f"01={apart}"]
    run("encode", "--dry-run", *words)
    for _ in range(2):
        done = run("encode", *words, status=FAILED)
        assert set(done.errors.splitlines()) == told(exfat / "00")
        assert done.summary["failed"] == len(ALIKE)
    run("decode", "--store", apart, tmp_path / "out")
    commands.compare_trees(alike, tmp_path / "out")
    done = run("decode", "--delete", "--store", apart, exfat / "out", status=FAILED)
    assert told(exfat / "out") <= set(done.errors.splitlines())
    assert any(line.get("error") == "the storage ignores case" for line in done.json)


@pytest.mark.parametrize("there", [[], ["x"]], ids=str)
def test_targets_that_are_one(exfat, tmp_path, there):
    trees.write_file(tmp_path / "source" / "file", b"x")
    for name in there:
        (exfat / name).mkdir()
    words = ["--to", f"00={exfat / 'x'}", "--to", f"01={exfat / 'X'}"]
    done = run("encode", "-k", "1", "-n", "2", tmp_path / "source", *words, status=USAGE)
    assert done.errors == f"zfec-fs: {exfat / 'X'}: is the place of share 00, too; give each share its own\n"
    assert os.listdir(exfat) == there and not list((exfat / "x").glob("*"))
    words = ["--to", f"00={tmp_path / 'x'}", "--to", f"01={tmp_path / 'X'}"]
    run("encode", "-k", "1", "-n", "2", tmp_path / "source", *words)
