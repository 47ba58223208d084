# SPDX-License-Identifier: MIT
"""repair fills new and lost stores, deletes where it is told to, and says what it would do."""

import itertools
import os
import shutil
import stat

import pytest

import all_formats
import repairing
import trees
from all_formats import COUNT, REQUIRED, formats
from repairing import (
    actions, assert_intact, assert_mended, assert_nothing_to_do, assert_same_state, assert_stores,
    json_lines, repair,
)  # fmt: skip

shares = all_formats.shares  # a fixture
every_format = all_formats.every_format  # a fixture
source = all_formats.source  # a fixture
stores = all_formats.stores  # a fixture


# More stores


@pytest.fixture
def eight(mounts, source, tmp_path):
    """What share 07 is."""
    return repairing.encode(mounts, source, tmp_path / "eight", "checked", REQUIRED, COUNT + 1)


@pytest.mark.parametrize("there", [False, True], ids=["new", "existing"])
def test_add(eight, shares, stores, tmp_path, there):
    added = tmp_path / "elsewhere"
    if there:
        added.mkdir()
    words = ("--add", f"07={added}")
    told = repair(shares, stores, *words, status=1).stdout.splitlines()
    files = [path for path, item in eight.states["07"].items() if stat.S_ISREG(item.kind)]
    size = sum(len(eight.states["07"][path].content) for path in files)
    assert [line.partition(":")[0] for line in told] == ["elsewhere", "repair", "All is mended"]
    assert f"made {len(files)} files ({size / 1000:.1f} kB) and" in told[0]
    assert told[2].endswith(f"from any {REQUIRED} of the {COUNT + 1} shares again")
    assert_same_state(added, eight.states["07"])
    assert_stores(stores, shares.states)
    assert_intact(shares, stores, "--store", added)
    assert_nothing_to_do(shares, stores, *words)
    assert_nothing_to_do(shares, stores, "--store", added)
    assert_same_state(added, eight.states["07"])


def test_add_among_the_stores(eight, shares, stores):
    repair(shares, stores, "--add", f"07={stores / '07'}", status=1)
    assert_stores(stores, eight.states)
    assert_intact(eight, stores)


def test_add_several(shares, stores, tmp_path):
    """All that is lost that may be, at once."""
    lost = shares.names[:2] + shares.names[-2:]
    for name in lost:
        shutil.rmtree(stores / name)
    words = itertools.chain.from_iterable(("--add", f"{name}={stores / name}") for name in lost)
    repair(shares, stores, *words, status=1)
    assert_stores(stores, shares.states)
    assert_nothing_to_do(shares, stores)


@pytest.mark.parametrize("how", ["there", "not-there"])
def test_lost_store(shares, stores, how):
    """Replaced by an empty one."""
    shutil.rmtree(stores / "04")
    if how == "there":
        (stores / "04").mkdir()
    assert_mended(shares, stores, "--add", f"04={stores / '04'}")


@formats
def test_empty_store_without_add_is_left_alone(shares, stores):
    """Nothing says which share it should hold; that is said, with what to do."""
    shutil.rmtree(stores / "04")
    (stores / "04").mkdir()
    (stores / "04" / "nothing-in-it").mkdir()
    before = trees.snapshot(stores / "04")
    repairing.remove(stores / "02" / "wide")
    result = repair(shares, stores, status=1)
    assert trees.snapshot(stores / "04") == before
    assert "04: holds no share yet" in result.stderr and "--add NN=" in result.stderr
    wrong = repairing.differences(repairing.state_of(stores / "02"), shares.states["02"])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "words",
    [
        ["--add", "03={stores}/02"],  # it holds another share
        ["--add", "{stores}/02"],
        ["--add", "100={stores}/02"],
        ["--add", "xy={stores}/02"],
        ["--add", "07="],
        ["--format", "other"],
        ["--older"],
        ["-j", "0"],
        ["{stores}"],
    ],
    ids=" ".join,
)
def test_usage(shares, stores, words):
    repairing.remove(stores / "01" / "wide")
    before = trees.snapshot(stores)
    result = repair(shares, stores, *[word.format(stores=stores) for word in words], status=3)
    assert result.stderr.startswith("zfec-fs: ")
    assert trees.snapshot(stores) == before


def test_no_stores_named(binary):
    assert repairing.run("repair").returncode == 3


# --delete


def add_unwanted(stores):
    """What one store has and no other one."""
    trees.write_file(stores / "02" / "extra", b"no share")
    trees.write_file(stores / "02" / "dir" / "extra-dir" / "deep" / "file", b"no share")
    (stores / "03" / "dir" / "extra-link").symlink_to("wide")


def test_delete(shares, stores):
    add_unwanted(stores)
    assert_mended(shares, stores, "--delete")


def test_delete_a_share_that_most_lack(shares, stores):
    """Fewer than k have it, and as many lack it."""
    for name in shares.names[REQUIRED - 1 :]:
        repairing.remove(stores / name / "dir" / "file")
    expected = {
        name: {path: item for path, item in state.items() if path != "dir/file"}
        for name, state in shares.states.items()
    }
    assert_mended(shares, stores, "--delete", expected=expected)


def test_most_have_it(shares, stores):
    """Then --delete removes nothing, and it is made."""
    for name in shares.names[:REQUIRED]:
        repairing.remove(stores / name / "dir")
    assert_mended(shares, stores, "--delete")


def test_no_delete(shares, stores):
    """What one store alone has stays, and that is said; the others are mended."""
    trees.write_file(stores / "02" / "extra", b"no share")
    trees.write_file(stores / "02" / "dir" / "extra", b"no share")
    before = [repairing.item_of(stores / "02" / path) for path in ("extra", "dir/extra")]
    repairing.remove(stores / "05" / "wide")
    result = repair(shares, stores, status=1)
    for path in ("extra", "dir/extra"):
        assert f"\n{path}: only 02 has it, 3 needed: not confirmed" in result.stdout
    assert [repairing.item_of(stores / "02" / path) for path in ("extra", "dir/extra")] == before
    for path in ("extra", "dir/extra"):
        os.unlink(stores / "02" / path)
    for path in ("", "dir"):
        at = shares.states["02"][path].mtime_ns
        os.utime(stores / "02" / path, ns=(at, at))
    assert_stores(stores, shares.states)


# --dry-run


@pytest.mark.parametrize("words", [[], ["--delete"]], ids=["plain", "delete"])
def test_dry_run(shares, stores, words, rng):
    """Nothing changes, each name is told, and then the same is done."""
    repairing.remove(stores / "01" / "wide")
    repairing.remove(stores / "00" / "dir")
    repairing.change_bytes(stores / "03" / "linked", 500)
    os.chmod(stores / "04" / "sizes", 0o711)
    os.chmod(stores / "05" / "dir" / "file", 0o711)
    repairing.replace(stores / "06" / "link", lambda place: place.symlink_to("other"))
    if words:
        add_unwanted(stores)
    before = trees.snapshot(stores)
    result = repair(shares, stores, *words, "--dry-run", status=1)
    assert trees.snapshot(stores) == before
    told = [line for line in result.stdout.splitlines() if ": would be " in line]
    for path, store in (("wide", "01"), ("dir", "00"), ("dir/sub/deep", "00"), ("link", "06")):
        assert f"{path}: would be made in {stores}/{store}" in told
    for path, store in (("sizes", "04"), ("dir/file", "05")):
        assert f"{path}: would be given its metadata in {stores}/{store}" in told
    removed = [line for line in told if "would be removed" in line]
    assert removed if words else removed == [f"link: would be removed in {stores}/06"]
    as_json = json_lines(repair(shares, stores, *words, "--dry-run", "--json", status=1).stdout)
    assert trees.snapshot(stores) == before
    done = json_lines(repair(shares, stores, *words, "--json", "-v", status=1).stdout)
    assert_stores(stores, shares.states)
    assert actions(as_json) >= {action for action in actions(done) if action[0] != "metadata"}
    # What is in a directory that is made or removed changes the times of those above it.
    assert {action for action in actions(as_json) if action[0] != "metadata"} <= actions(done)


def test_dry_run_of_nothing(shares, stores):
    repair(shares, stores, "--dry-run", status=0)
