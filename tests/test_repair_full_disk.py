# SPDX-License-Identifier: MIT
"""repair on disks that are full: what is there is kept and whole, and the next run goes on."""

import os
import shutil
import stat

import pytest

import repairing
import trees
from disks import enlarge, small_disk
from repairing import same_metadata

REQUIRED, COUNT = 2, 5


@pytest.fixture
def many_files(mounts, tmp_path, rng):
    source = tmp_path / "source"
    for number in range(12):
        trees.write_file(source / f"dir-{number % 3}" / f"file-{number}", rng.randbytes(90_000))
        os.utime(source / f"dir-{number % 3}", ns=(0, 10**18))
    os.utime(source, ns=(0, 10**18))
    return repairing.encode(mounts, source, tmp_path / "shares", "checked", REQUIRED, COUNT)


def is_part_of(found, expected):
    """Files that are there are whole."""
    return all(
        item.content == expected[path].content and same_metadata(item, expected[path])
        for path, item in found.items()
        if item.kind == stat.S_IFREG
    )


def test_full_disk(many_files, tmp_path):
    """One store's disk is too small: the others are mended, and it has what fits in; then the rest."""
    stores = many_files.copy_to(tmp_path / "stores")
    repairing.remove(stores / "01" / "dir-1")
    shutil.rmtree(stores / "03")
    (stores / "03").mkdir()
    words = ("--add", f"03={stores / '03'}")
    with small_disk(stores / "03", "256K") as disk:
        result = repairing.repair(many_files, stores, *words, status=4)
        assert "No space left on device" in result.stderr
        assert not repairing.temporary_names(stores)
        states = repairing.states_of(stores)
        assert not repairing.differences(states["01"], many_files.states["01"])
        assert is_part_of(states["03"], many_files.states["03"])
        enlarge(disk, "16M")
        repairing.repair(many_files, stores, *words, status=1)
        repairing.assert_stores(stores, many_files.states)
        repairing.assert_nothing_to_do(many_files, stores)


def test_all_on_a_full_disk(many_files, tmp_path):
    """Nothing that is there is given up for what has no room."""
    place = tmp_path / "disk"
    place.mkdir()
    with small_disk(place, "16M") as disk:
        stores = many_files.copy_to(place / "stores")
        for name in ("01", "04"):
            for path in many_files.files():
                repairing.change_bytes(stores / name / path, 5000)
        used = os.statvfs(place)
        enlarge(disk, (used.f_blocks - used.f_bfree) * used.f_frsize + 100_000)
        before = repairing.states_of(stores)
        result = repairing.run("repair", stores)
        assert result.returncode in (1, 4), result.stderr
        assert not repairing.temporary_names(stores)
        states = repairing.states_of(stores)
        for name, path in ((name, path) for name in states for path in many_files.files()):
            item = states[name][path]
            assert item.content in (
                before[name][path].content,
                many_files.states[name][path].content,
            )
        enlarge(disk, "16M")
        repairing.run("repair", stores)
        repairing.assert_stores(stores, many_files.states)
