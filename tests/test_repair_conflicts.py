# SPDX-License-Identifier: MIT
"""repair where stores tell differently what is one file, which version it is, and of what kind."""

import itertools
import os
import re
import shutil

import pytest

import all_formats
import oracle
import repairing
import trees
from all_formats import COUNT, REQUIRED, kept
from repairing import assert_mended, assert_same_state, repair

BLOCK_SIZE = repairing.BLOCK_SIZE
shares = all_formats.shares  # a fixture
every_format = all_formats.every_format  # a fixture
source = all_formats.source  # a fixture
stores = all_formats.stores  # a fixture


# Hard links that stores tell differently


@pytest.fixture
def twins(mounts, tmp_path, rng):
    """Two files of one size and time, with two names each, and their shares."""
    source = tmp_path / "twins"
    for name in ("one", "two"):
        trees.write_file(source / name, rng.randbytes(20_000), 10**18)
        trees.write_file(source / "dir" / "other", b"of all stores", 10**18)
        os.link(source / name, source / "dir" / f"{name}-2")
    return repairing.encode(mounts, source, tmp_path / "shares", "checked", REQUIRED, COUNT)


def keep_in(stores, path, names):
    for name in set(os.listdir(stores)) - set(names):
        repairing.remove(stores / name / path)


def link(store, first, path):
    repairing.replace(store / path, lambda place: os.link(store / first, place))


ANOTHER = "an intact share of another content of the same size and time"
intact_and_damaged = pytest.mark.parametrize("damaged", [False, True], ids=["intact", "damaged"])


def mend_twins(twins, stores, damaged, misled, paths):
    """Of two files of one time nobody can say which is right: where they are intact, both stay."""
    if not damaged:
        assert kept(twins, stores, reason=ANOTHER) == set(itertools.product(paths, misled))
        return
    for name in misled:
        for inode, path in {os.lstat(stores / name / path).st_ino: path for path in paths}.items():
            repairing.change_bytes(stores / name / path, 300)
    assert_mended(twins, stores)


@intact_and_damaged
@pytest.mark.parametrize("count", [1, 2, 3])
def test_names_crosswise(twins, tmp_path, count, damaged, rng):
    """Two files have each other's name in fewer stores than not; the numbers of links are right."""
    stores = twins.copy_to(tmp_path / "stores")
    misled = rng.sample(twins.names, count)
    for name in misled:
        place = stores / name
        with repairing.same_time(place / "dir" / "one-2"):
            os.rename(place / "dir" / "one-2", place / "dir" / "spare")
            os.rename(place / "dir" / "two-2", place / "dir" / "one-2")
            os.rename(place / "dir" / "spare", place / "dir" / "two-2")
    mend_twins(twins, stores, damaged, misled, ["dir/one-2", "dir/two-2"])


@intact_and_damaged
def test_k_stores_have_another_file(twins, tmp_path, damaged):
    """One of the same size and time, whose shares go together just as well: most stores are right."""
    stores = twins.copy_to(tmp_path / "stores")
    for name in twins.names[:REQUIRED]:
        for path in ("two", "dir/two-2", "dir/one-2"):
            repairing.remove(stores / name / path)
        shutil.copy2(stores / name / "one", stores / name / "two")
        if damaged:
            repairing.change_bytes(stores / name / "two", 300)
    for name in twins.names[REQUIRED:]:
        for path in ("dir/two-2", "dir/one-2"):
            repairing.remove(stores / name / path)
    result = repairing.run("repair", stores)
    assert result.returncode == 1, result.stdout + result.stderr
    found = repairing.states_of(stores)
    for number, name in enumerate(twins.names):
        file = "one" if number < REQUIRED and not damaged else "two"
        assert found[name]["two"].content == twins.states[name][file].content, name
    result = repairing.run("decode", stores, tmp_path / "out")
    assert result.returncode == 0, result.stderr
    for path in ("one", "two"):
        content = (tmp_path / "twins" / path).read_bytes()
        trees.assert_same((tmp_path / "out" / path).read_bytes(), content, path)


@intact_and_damaged
def test_a_store_that_says_all_is_one(twins, tmp_path, damaged, rng):
    stores = twins.copy_to(tmp_path / "stores")
    name = rng.choice(twins.names)
    for path in ("two", "dir/one-2", "dir/two-2"):
        link(stores / name, "one", path)
    mend_twins(twins, stores, damaged, [name], ["two", "dir/two-2"])


def test_one_store_has_both_names(twins, tmp_path):
    """That they are one file its contents say as well."""
    stores = twins.copy_to(tmp_path / "stores")
    keep_in(stores, "one", ["00", "01", "02"])
    keep_in(stores, "dir/one-2", ["02", "03", "04"])
    assert_mended(twins, stores)


@pytest.mark.parametrize("lost", range(COUNT - 1))
def test_decoded(twins, tmp_path, lost, rng):
    """By the voice of the stores that have both names; another run finds all as it should be."""
    stores = twins.copy_to(tmp_path / "stores")
    keep_in(stores, "dir/one-2", rng.sample(twins.names, COUNT - lost))
    link(stores / rng.choice(twins.names), "one", "dir/two-2")
    out = tmp_path / "out"
    for expected in (" 6 made", " 0 made, 0 given metadata"):
        result = repairing.run("decode", stores, out)
        if lost > COUNT - REQUIRED:
            assert result.returncode == 2
            return
        assert result.returncode == 0 and expected in result.stdout, result.stdout + result.stderr
        assert_same_state(out, repairing.state_of(tmp_path / "twins"))


def test_one_store_has_both_names_and_lies(twins, tmp_path):
    """What only one store says does not put a file in another one's place."""
    stores = twins.copy_to(tmp_path / "stores")
    keep_in(stores, "one", ["00", "01", "02"])
    keep_in(stores, "two", ["02", "04", "05", "06"])
    link(stores / "02", "one", "two")
    for path in ("dir/one-2", "dir/two-2"):
        for name in twins.names:
            repairing.remove(stores / name / path)
    result = repairing.run("repair", stores)
    assert result.returncode == 1, result.stdout + result.stderr
    for name, state in repairing.states_of(stores).items():
        for path in ("one", "two"):
            file = "one" if name == "02" else path
            assert state[path].content == twins.states[name][file].content


# Versions


def stale_shares(shares, path, source, older=True):
    """Shares of another content of a file, of an hour ago or from now; name -> bytes, and its time."""
    mtime_ns = (source / path).stat().st_mtime_ns + (-1 if older else 1) * 3600 * 10**9
    data = (source / path).read_bytes()[::-1] + b"!"
    made = {
        name: oracle.make_share(
            "checked", data, REQUIRED, COUNT, int(name, 16), mtime_ns, BLOCK_SIZE
        )
        for name in shares.names
    }
    return made, mtime_ns


def put(place, content, mtime_ns):
    with repairing.same_time(place):
        place.write_bytes(content)
    os.utime(place, ns=(mtime_ns, mtime_ns))


ANOTHER_VERSION = "an intact share of another version, which is newer or in as many stores"


def test_stale_shares(shares, stores, source, rng):
    """In fewer stores than the newer ones, also where they would be enough."""
    for path in shares.objects():
        made, mtime_ns = stale_shares(shares, path, source)
        for name in rng.sample(shares.names, COUNT // 2):
            put(stores / name / path, made[name], mtime_ns)
    assert_mended(shares, stores)


def test_stale_shares_in_more_stores(shares, stores, source):
    """The newer version is shown; whether it was meant is not for repair to say."""
    path = "dir/sub/deep"
    made, mtime_ns = stale_shares(shares, path, source)
    stale = shares.names[REQUIRED:]
    for name in stale:
        put(stores / name / path, made[name], mtime_ns)
    found = kept(shares, stores, reason=ANOTHER_VERSION)
    assert found == set(itertools.product([path], stale))


def test_newer_where_it_is_complete(shares, stores, source):
    """Most stores know a newer version: all others get it."""
    path = "dir/sub/deep"
    made, mtime_ns = stale_shares(shares, path, source, older=False)
    for name in shares.names[REQUIRED:]:
        put(stores / name / path, made[name], mtime_ns)
    expected = {
        name: state | {path: state[path]._replace(content=made[name], mtime_ns=mtime_ns)}
        for name, state in shares.states.items()
    }
    assert_mended(shares, stores, expected=expected)


@intact_and_damaged
def test_back_to_the_older_where_the_newer_is_not(shares, stores, source, damaged):
    """Fewer than k have the newer version: the newest that can be restored counts.

    Where they are intact, they may be the first of what the others will get, and stay.
    """
    path = "dir/sub/deep"
    made, mtime_ns = stale_shares(shares, path, source, older=False)
    newer = shares.names[: REQUIRED - 1]
    for name in newer:
        put(stores / name / path, made[name], mtime_ns)
        if damaged:
            repairing.change_bytes(stores / name / path, oracle.HEADER_SIZE + 20)
    if damaged:
        assert_mended(shares, stores)
    else:
        found = kept(shares, stores, reason=ANOTHER_VERSION)
        assert found == set(itertools.product([path], newer))


# Directories in place of files


@pytest.fixture
def directory_for_file(stores):
    """A directory with files, where a file should be."""
    place = stores / "03" / "wide"
    repairing.remove(place)
    trees.write_file(place / "inner" / "file", b"of somebody")
    return place


def test_directory_with_files_in_place_of_a_file(shares, stores, directory_for_file):
    """Others are mended, it stays, and that is said; --delete says that it may go."""
    repairing.remove(stores / "02" / "dir" / "file")
    result = repair(shares, stores, status=4)
    assert "wide" in result.stderr and "not empty" in result.stderr.lower()
    assert (directory_for_file / "inner" / "file").read_bytes() == b"of somebody"
    assert (stores / "02" / "dir" / "file").exists()
    assert not repairing.temporary_names(stores)
    assert_mended(shares, stores, "--delete")


def test_each_thing_in_the_way_is_told(shares, stores, directory_for_file):
    """A dry run says the same as the run: without --delete all stays, and with it what goes."""
    (directory_for_file / "link").symlink_to("nowhere")
    before = trees.snapshot(stores)
    result = repair(shares, stores, "--dry-run", status=4)
    assert "wide in" in result.stderr and "not empty" in result.stderr.lower()
    assert "wide: would be" not in result.stdout
    inside = ["wide/inner", "wide/inner/file", "wide/link"]
    result = repair(shares, stores, "--dry-run", "--delete", status=1)
    assert trees.snapshot(stores) == before
    told = re.findall(r"^(.*): would be removed in .*/03$", result.stdout, re.M)
    assert sorted(told) == ["wide", *inside]
    assert re.search(rf"; would be: 1 made, \d given metadata, {len(told)} removed", result.stdout)
    result = assert_mended(shares, stores, "--delete")
    assert sorted(re.findall(r"^(.*): removed in .*/03$", result.stdout, re.M)) == sorted(told)


def test_a_symlink_in_place_of_a_directory_with_files(shares, stores):
    """Whatever is to take the place of a directory."""
    place = stores / "03" / "link"
    place.unlink()
    trees.write_file(place / "file", b"of somebody")
    repair(shares, stores, status=4)
    assert (place / "file").read_bytes() == b"of somebody"
    result = assert_mended(shares, stores, "--delete")
    assert re.search(r"^link/file: removed in .*/03$", result.stdout, re.M)
