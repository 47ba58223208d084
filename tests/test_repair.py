# SPDX-License-Identifier: MIT
"""`zfec-fs repair`: whatever stores lost that can be restored, they have again as it was, to the last
byte and attribute; nothing else is touched, and the exit status says what came of it.
"""

import itertools
import os
import re
import shutil
import stat
import subprocess

import pytest

import model_shares
import mounts as mounts_module
import oracle
import repairing
import trees
from disks import ReadOnly
from repairing import (
    assert_intact, assert_mended, assert_nothing_to_do, assert_same_state, assert_stores,
    json_lines, repair,
)  # fmt: skip

REQUIRED, COUNT = 3, 7
BLOCK_SIZE = repairing.BLOCK_SIZE
RANDOM_TREES = max(40, int(os.environ.get("ZFEC_FS_TEST_CASES", "0")) // 250)
LINKED = ("linked", "dir/linked-2", "dir/sub/linked-3")

formats = pytest.mark.parametrize("shares", oracle.FORMATS, indirect=True)


@pytest.fixture(scope="module")
def every_format(module_mounts, tmp_path_factory, module_rng):
    """Format -> (source, shares)."""
    folder = tmp_path_factory.mktemp("repair")
    source = folder / "source"
    repairing.make_source(source, REQUIRED, module_rng)
    return {
        name: (source, repairing.encode(module_mounts, source, folder / name, name, REQUIRED, COUNT))
        for name in oracle.FORMATS
    }


@pytest.fixture
def shares(every_format, request):
    """The shares as they should be, in checked format where a test does not say otherwise."""
    return every_format[getattr(request, "param", "checked")][1]


@pytest.fixture
def source(every_format):
    return every_format["checked"][0]


@pytest.fixture
def stores(shares, tmp_path):
    return shares.copy_to(tmp_path / "stores")


def big_file(shares):
    """One of several stripes."""
    return f"sizes/size-{max(trees.interesting_sizes(shares.required))}"


# What the shares are


@formats
def test_shares_are_the_oracles(shares, every_format, stores):
    """What the stores are compared with does not come from the program alone."""
    source = every_format[shares.format][0]
    for path in shares.files():
        data = (source / path).read_bytes()
        mtime_ns = (source / path).stat().st_mtime_ns
        for index in range(COUNT):
            wanted = oracle.make_share(
                shares.format, data, REQUIRED, COUNT, index, mtime_ns, BLOCK_SIZE
            )
            found = shares.states[trees.share_name(index)][path].content
            trees.assert_same(found, wanted, f"{path}, share {index}")
    assert_nothing_to_do(shares, stores)


@formats
def test_as_the_rebuilt_view(mounts, shares, stores):
    """Three lost directories and a lost share each: what repair makes is what the view shows."""
    for name, path in (("00", "dir"), ("02", "sizes"), ("05", "dir/sub"), ("06", "linked")):
        repairing.remove(stores / name / path)
    view = mounts.rebuilt(stores, shares=COUNT, **shares.mount_options())
    view.expect_log("^zfec-fs: ", count=0)
    shown = {name: repairing.state_of(view / name) for name in shares.names}
    view.unmount()
    assert_mended(shares, stores)
    wrong = repairing.store_differences(repairing.states_of(stores), shown)
    assert not wrong, "\n".join(wrong)


# One kind of damage after the other. Each takes stores and shares, and leaves enough of each name.


def lost_files(stores, shares, rng):
    for path in shares.objects():
        for name in rng.sample(shares.names, rng.randint(0, COUNT - REQUIRED)):
            for each in shares.names_of(path):
                repairing.remove(stores / name / each)


def lost_directories(stores, shares, rng):
    for path in ("dir", "dir/sub", "sizes", "nothing-in-it"):
        for name in rng.sample(shares.names, 2):
            if (stores / name / path).exists():
                repairing.remove(stores / name / path)


def lost_all_but_a_file(stores, shares, rng):
    """A store that is nearly empty is still that share's."""
    for name in rng.sample(shares.names, COUNT - REQUIRED):
        for path in sorted((stores / name).iterdir()):
            if path.name != "wide":
                repairing.remove(path)


def lost_others(stores, shares, rng):
    """Symlinks and special files; one store that has them is enough."""
    for path, item in shares.states["00"].items():
        if item.kind not in (stat.S_IFREG, stat.S_IFDIR):
            for name in rng.sample(shares.names, COUNT - 3):
                repairing.remove(stores / name / path)


def damaged_blocks(stores, shares, rng):
    """Each block of a file in other stores."""
    path = big_file(shares)
    size = len(shares.states["00"][path].content)
    starts = range(64, size, BLOCK_SIZE + 32)
    for start in starts:
        for name in rng.sample(shares.names, COUNT - REQUIRED):
            end = min(size, start + BLOCK_SIZE + 32)
            repairing.change_bytes(stores / name / path, rng.randrange(start, end))


def one_damaged_byte(stores, shares, rng):
    """All that is found in formats without checks."""
    for path in shares.objects():
        name = rng.choice(shares.names)
        size = len(shares.states[name][path].content)
        if shares.format == "checked" or size > 20:
            at = rng.randrange(size) if shares.format == "checked" else size - 1
            repairing.change_bytes(stores / name / path, at)


def damaged_headers(stores, shares, rng):
    """All but those of one file: they say which share a store holds."""
    for path in shares.objects()[1:]:
        for name in rng.sample(shares.names, COUNT - REQUIRED):
            repairing.change_bytes(stores / name / path, rng.randrange(64))


def zeroed(stores, shares, rng):
    """As a file system leaves files after a crash: the size is right."""
    for path in shares.objects():
        for name in rng.sample(shares.names, 2):
            with repairing.same_time(stores / name / path):
                (stores / name / path).write_bytes(bytes(len(shares.states[name][path].content)))


def short(stores, shares, rng):
    for path in shares.objects():
        name = rng.choice(shares.names)
        size = len(shares.states[name][path].content)
        repairing.change_size(stores / name / path, rng.choice([0, size // 2, size - 1]))


def long(stores, shares, rng):
    for path in shares.objects():
        for name in rng.sample(shares.names, 2):
            size = len(shares.states[name][path].content)
            repairing.change_size(stores / name / path, size + rng.choice([1, 31, BLOCK_SIZE]))


def misplaced(stores, shares, rng):
    """Two stores have each other's share of a file."""
    for path in shares.objects()[::2]:
        one, other = rng.sample(shares.names, 2)
        with repairing.same_time(stores / one / path), repairing.same_time(stores / other / path):
            contents = [(stores / name / path).read_bytes() for name in (one, other)]
            (stores / one / path).write_bytes(contents[1])
            (stores / other / path).write_bytes(contents[0])


def doubled(stores, shares, rng):
    """Some stores have the share of another one; of most files they have their own."""
    for path in shares.objects()[::3]:
        one, other, third = rng.sample(shares.names, 3)
        for name in (other, third):
            with repairing.same_time(stores / name / path):
                (stores / name / path).write_bytes((stores / one / path).read_bytes())


def other_metadata(stores, shares, rng):
    for path in shares.paths():
        name = rng.choice(shares.names)
        if path not in LINKED[1:]:
            repairing.give_metadata(stores / name / path, rng)


def other_times(stores, shares, rng):
    """Of files, directories, symlinks and the stores themselves."""
    for path in ["", *shares.paths()]:
        for name in rng.sample(shares.names, 3 if path not in LINKED else 1):
            repairing.give_time(stores / name / path, rng)


def no_attributes(stores, shares, rng):
    for path in ["", *shares.paths()]:
        place = stores / rng.choice(shares.names) / path
        for name in os.listxattr(place, follow_symlinks=False):
            os.removexattr(place, name, follow_symlinks=False)


def more_attributes(stores, shares, rng):
    for path in ["", *shares.paths()]:
        place = stores / rng.choice(shares.names) / path
        if place.is_symlink() or not (place.is_file() or place.is_dir()):
            continue
        repairing.try_all(lambda at=place: os.setxattr(at, "user.more", b"value"))


def other_symlinks(stores, shares, rng):
    for path in ("link", "dir/dangling"):
        name = rng.choice(shares.names)
        repairing.replace(stores / name / path, lambda place: place.symlink_to("elsewhere"))


def symlinks_for_files(stores, shares, rng):
    for path in shares.objects():
        name = rng.choice(shares.names)
        for each in shares.names_of(path):
            repairing.replace(stores / name / each, lambda at: at.symlink_to("/etc/hostname"))


def other_kinds(stores, shares, rng):
    """Files for directories and links, FIFOs and empty directories for files, and so on."""
    makers = [os.mkfifo, lambda place: place.write_bytes(b"text"), lambda place: place.mkdir(0o500)]
    some = rng.sample(shares.names, COUNT - REQUIRED)
    for path in shares.paths():
        kind = shares.states["00"][path].kind
        if path in LINKED:
            continue
        for name, make in zip(rng.sample(some, 2), rng.sample(makers, 2)):
            fits = make is makers[0] and kind == stat.S_IFIFO
            fits |= make is makers[1] and kind == stat.S_IFREG
            fits |= make is makers[2] and kind == stat.S_IFDIR
            if not fits and (stores / name / path).parent.is_dir():
                if os.path.lexists(stores / name / path):
                    repairing.replace(stores / name / path, make)


def broken_links(stores, shares, rng):
    """Each name is a file of its own."""
    for name in rng.sample(shares.names, 2):
        for path in LINKED[1:]:
            place = stores / name / path
            with repairing.same_time(place):
                os.rename(place, stores / name / "spare")
                shutil.copy2(stores / name / "spare", place)
                status = os.lstat(stores / name / "spare")
                os.lchown(place, status.st_uid, status.st_gid)
                os.chmod(place, stat.S_IMODE(status.st_mode))
                os.unlink(stores / name / "spare")
        os.utime(stores / name, ns=(0, shares.states[name][""].mtime_ns))


def lost_links(stores, shares, rng):
    """One name, and another, and all; most stores have all names."""
    for name, paths in zip(rng.sample(shares.names, 3), (LINKED[:1], LINKED[1:2], LINKED)):
        for path in paths:
            if os.path.lexists(stores / name / path):
                repairing.remove(stores / name / path)


def lost_first_links(stores, shares, rng):
    for name in rng.sample(shares.names, 3):
        repairing.remove(stores / name / LINKED[0])


def lost_last_links(stores, shares, rng):
    for name in rng.sample(shares.names, 3):
        repairing.remove(stores / name / LINKED[-1])


def damaged_and_lost_links(stores, shares, rng):
    """In one store after the other: a name is lost, and what the others have is damaged."""
    for name in rng.sample(shares.names, 3):
        repairing.change_bytes(stores / name / LINKED[0], 300)
        repairing.remove(stores / name / rng.choice(LINKED))


def lost_links_and_other_times(stores, shares, rng):
    """What is mended first does not change what belongs together."""
    for name in shares.names[:3]:
        repairing.give_time(stores / name / LINKED[0], rng)
    for path in LINKED:
        repairing.remove(stores / shares.names[-1] / path)


def damaged_links(stores, shares, rng):
    """The content that all its names have."""
    for name in rng.sample(shares.names, 1):
        repairing.change_bytes(stores / name / LINKED[1], 1000)


ALL_FORMATS = [
    lost_files, lost_directories, lost_all_but_a_file, lost_others, one_damaged_byte, short, long,
    other_metadata, other_times, no_attributes, more_attributes, other_symlinks,
    symlinks_for_files, other_kinds, broken_links, lost_links, lost_first_links, lost_last_links,
    lost_links_and_other_times, damaged_links,
]  # fmt: skip
CHECKED_ALONE = [damaged_blocks, damaged_headers, zeroed, doubled, damaged_and_lost_links]


def kept(shares, stores, *words, reason=""):
    """Repair leaves all stores as they are, and says which copies it keeps, and why; returns these."""
    before = repairing.states_of(stores)
    result = repair(shares, stores, *words, status=1)
    assert_stores(stores, before)
    return set(re.findall(rf"^zfec-fs: (.*) in \S*/(\w+) is kept: {reason}", result.stderr, re.M))


@formats
@pytest.mark.parametrize("damage", ALL_FORMATS, ids=lambda function: function.__name__)
def test_mended(shares, stores, damage, rng):
    damage(stores, shares, rng)
    assert_mended(shares, stores)


@pytest.mark.parametrize("damage", CHECKED_ALONE, ids=lambda function: function.__name__)
def test_mended_by_checks(shares, stores, damage, rng):
    damage(stores, shares, rng)
    assert_mended(shares, stores)


def test_misplaced(shares, stores, rng):
    """Either share is the only one of its index: to make one anew where it is would lose the other."""
    misplaced(stores, shares, rng)
    wrong = repairing.store_differences(repairing.states_of(stores), shares.states)
    assert len(kept(shares, stores, reason="the only copy of this share")) == len(wrong) > 0


@pytest.mark.parametrize("shares", ["classic", "fec"], indirect=True)
def test_misplaced_without_checks(shares, stores, rng):
    """There they do not count at all."""
    misplaced(stores, shares, rng)
    assert_mended(shares, stores)


def test_one_job_and_many(shares, stores, rng):
    for jobs in ("1", "16"):
        lost_files(stores, shares, rng)
        assert_mended(shares, stores, "-j", jobs)


def test_stores_one_by_one(shares, stores, tmp_path, rng):
    """Stores that lie anywhere."""
    lost_files(stores, shares, rng)
    words = list(itertools.chain.from_iterable(("--store", stores / name) for name in shares.names))
    result = repairing.run("repair", *words)
    assert result.returncode == 1, result.stderr
    assert_stores(stores, shares.states)


def test_on_links_elsewhere(shares, stores, tmp_path):
    """A symlink in a store's place of a directory that leads outside: nothing is written there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    repairing.copy_tree(stores / "04" / "dir", outside)
    (outside / "file").write_bytes(b"outside")
    before = trees.snapshot(outside)
    repairing.replace(stores / "04" / "dir", lambda place: place.symlink_to(outside))
    repairing.replace(stores / "05" / "sizes", lambda place: place.symlink_to("../../outside"))
    repairing.replace(stores / "06" / "wide", lambda place: place.symlink_to(outside / "file"))
    assert_mended(shares, stores, "--delete")
    assert trees.snapshot(outside) == before


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


def actions(lines):
    return {
        (line["action"], line["path"], line.get("target"))
        for line in lines
        if line["message_type"] == "file"
    }


def test_dry_run_of_nothing(shares, stores):
    repair(shares, stores, "--dry-run", status=0)


# What cannot be restored


@formats
def test_lost_files_are_not_touched(shares, stores, rng):
    """Not in any store, whatever is left of them; the others are mended."""
    lost = ["wide", "dir/sub/deep"]
    for path in lost:
        for name in rng.sample(shares.names, COUNT - REQUIRED + 1):
            repairing.remove(stores / name / path)
    kept = {
        path: repairing.item_of(path) for path in stores.rglob("*") if inner(stores, path) in lost
    }
    times = {path: os.lstat(path).st_ctime_ns for path in kept}
    repairing.remove(stores / "05" / "dir" / "file")
    repairing.remove(stores / "00" / "link")
    for jobs in ("1", "4"):
        result = repair(shares, stores, "-j", jobs, status=2)
    assert all(f"{path}: LOST" in result.stdout for path in lost)
    assert {path: os.lstat(path).st_ctime_ns for path in kept} == times
    wrong = repairing.store_differences(repairing.states_of(stores), shares.states)
    assert all("is missing" in line and line.split("'")[1] in lost for line in wrong), wrong
    assert len(wrong) == 2 * (COUNT - REQUIRED + 1)
    assert {path: repairing.item_of(path) for path in kept} == kept


def inner(stores, path):
    return "/".join(path.relative_to(stores).parts[1:])


def test_one_stripe_lost(shares, stores):
    """Also the file whose other stripes could be restored is left as it is."""
    path = big_file(shares)
    for name in shares.names[: COUNT - REQUIRED + 1]:
        repairing.change_bytes(stores / name / path, 64 + BLOCK_SIZE + 32 + 100)
    repairing.remove(stores / shares.names[-1] / "wide")
    repairing.change_bytes(stores / shares.names[0] / path, 64 + 200)
    before = {name: trees._state(stores / name / path) for name in shares.names}
    result = repair(shares, stores, status=2)
    assert {name: trees._state(stores / name / path) for name in shares.names} == before
    assert f"{path}: LOST, stripes 1 of 4" in result.stdout
    assert (stores / shares.names[-1] / "wide").exists()


def test_files_that_are_no_shares(shares, stores):
    """The same name in all stores, but nothing that zfec-fs made."""
    for name in shares.names:
        trees.write_file(stores / name / "text", f"of {name}".encode() * 50)
    before = {name: trees._state(stores / name / "text") for name in shares.names}
    repair(shares, stores, status=2)
    assert {name: trees._state(stores / name / "text") for name in shares.names} == before


# What goes wrong


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_read_only_store(shares, stores):
    """One cannot be written to: that is said, and the others are mended."""
    for name in ("02", "03"):
        repairing.remove(stores / name / "wide")
    with ReadOnly(stores / "02"):
        result = repair(shares, stores, status=4)
        assert "Read-only file system" in result.stderr
    assert repairing.item_of(stores / "03" / "wide") == shares.states["03"]["wide"]._replace(group=())
    assert_mended(shares, stores)


def as_user():
    """Words to run a program as a user whom modes keep out."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is missing")
    return ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]


@pytest.fixture
def users_stores(mounts, public_path, rng):
    """Some files in stores that belong to a user."""
    folder = public_path / "all"
    folder.mkdir()
    for name in ("file", "dir/file", "dir/other"):
        trees.write_file(folder / "source" / name, rng.randbytes(5000))
    shares = repairing.encode(mounts, folder / "source", folder / "shares", "checked", 2, 5)
    stores = shares.copy_to(folder / "stores")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "1000:1000", folder], check=True)
    return stores


@pytest.mark.parametrize("closed", ["03", "03/dir", "03/file", "03/dir/file"])
def test_what_a_store_closes_to_its_owner(users_stores, closed):
    """It is mended, or it is said that it is not; and others are mended."""
    expected = repairing.states_of(users_stores)
    repairing.remove(users_stores / "01" / "dir" / "other")
    os.chmod(users_stores / closed, 0)
    result = repairing.run("repair", users_stores, before=as_user())
    left = repairing.store_differences(repairing.states_of(users_stores), expected)
    assert result.returncode == (4 if left else 1), f"{left}\n{result.stdout}{result.stderr}"
    assert all(line.startswith("03: ") for line in left)
    assert not left or result.stderr


def test_leftovers_of_an_interrupted_run(shares, stores):
    """They go, whatever they are; what only looks like one stays."""
    before = repairing.states_of(stores)
    for number, place in enumerate([stores / "01", stores / "02" / "dir", stores / "03" / "sizes"]):
        with repairing.same_time(place / "x"):
            (place / f"{repairing.TEMPORARY}{number:016x}").write_bytes(b"half")
    os.link(stores / "04" / "wide", stores / "04" / f"{repairing.TEMPORARY}{77:016x}")
    result = repair(shares, stores, status=1)
    assert "failed" in result.stdout
    assert not repairing.temporary_names(stores)
    assert_stores(stores, before)


def test_a_share_that_is_copied_meanwhile(mounts, tmp_path, rng):
    """What someone has put there since it was looked at does not give way to what is made of it."""
    trees.write_file(tmp_path / "source" / "file", rng.randbytes(20_000_000))
    trees.write_file(tmp_path / "source" / "other", b"other")
    shares = repairing.encode(mounts, tmp_path / "source", tmp_path / "all", "checked", 2, 4)
    stores = shares.copy_to(tmp_path / "stores")
    repairing.change_bytes(stores / "01" / "file", 500)
    with subprocess.Popen(
        [mounts_module.BINARY, "repair", stores], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while not repairing.temporary_names(stores) and process.poll() is None:
            pass
        (tmp_path / "newer").write_bytes(b"newer")
        os.rename(tmp_path / "newer", stores / "01" / "file")
        errors = process.stderr.read()
    assert process.returncode == 4 and b"busy" in errors, errors
    assert (stores / "01" / "file").read_bytes() == b"newer"
    assert not repairing.temporary_names(stores)
    assert_mended(shares, stores)


def test_a_store_that_cannot_be_opened(shares, stores):
    """What may be a store and is not mended is told; the others are."""
    repairing.remove(stores / "01" / "wide")
    (stores / "loop").symlink_to("loop")
    result = repair(shares, stores, status=4)
    assert "stores/loop is left out" in result.stderr
    assert repairing.run("check", stores).returncode == 1
    (stores / "loop").unlink()
    assert_stores(stores, shares.states)
    assert_intact(shares, stores)


# JSON


def test_json(shares, stores):
    repairing.remove(stores / "01" / "wide")
    repairing.change_bytes(stores / "03" / "dir" / "sub" / "\udcff", 70)
    os.chmod(stores / "04" / "sizes", 0o711)
    result = repair(shares, stores, "--json", "--verbose", status=1)
    lines = json_lines(result.stdout)
    checks = {line["path"]: line for line in lines if line["message_type"] == "check"}
    assert checks["wide"]["health"] == "degraded" and checks["wide"]["may_lose"] == 3
    assert checks["wide"]["problems"] == [{"state": "missing", "store": f"{stores}/01"}]
    assert checks["sizes"]["problems"][0]["other_metadata"] is True
    assert checks["dir/file"]["health"] == "intact"
    assert ("made", "wide", f"{stores}/01") in actions(lines)
    assert ("metadata", "sizes", f"{stores}/04") in actions(lines)
    summary = lines[-1]
    assert summary["message_type"] == "summary" and summary["command"] == "repair"
    assert (summary["exit_status"], summary["made"], summary["failed"]) == (1, 2, 0)
    (last,) = json_lines(repair(shares, stores, "--json", status=0).stdout)
    assert (last["exit_status"], last["made"], last["metadata"], last["lost"]) == (0, 0, 0, 0)


def test_json_of_what_is_lost(shares, stores):
    for name in shares.names[REQUIRED - 1 :]:
        repairing.remove(stores / name / "wide")
    lines = json_lines(repair(shares, stores, "--json", status=2).stdout)
    (line,) = [line for line in lines if line.get("path") == "wide"]
    assert line["health"] == "lost" and line["may_lose"] == -1
    assert lines[-1]["exit_status"] == 2


# Random trees


def spoil_file(place, shares, path, rng):
    """One of the things that a share does not survive."""
    size = place.stat().st_size
    kind = rng.randrange(5)
    if kind == 0:
        repairing.remove(place)
    elif kind == 1 and size > 64:
        repairing.change_bytes(place, rng.randrange(64, size), rng.randint(1, 5000))
    elif kind == 2:
        repairing.change_bytes(place, rng.randrange(min(64, size)))
    elif kind == 3:
        repairing.change_size(place, rng.choice([0, rng.randrange(size), size + rng.randint(1, 9000)]))
    else:
        repairing.replace(place, rng.choice([os.mkfifo, os.mkdir, lambda at: at.symlink_to("/")]))


def spoil(stores, shares, rng):
    """Random damage that leaves k shares of each file, and each name in most stores what it was.

    Of what is no file most stores keep it, and what is another kind of thing is less than that.
    What is no share comes only among others that are: they say how many are needed.
    """
    spoiled = rng.sample(shares.names, (len(shares.names) - 1) // 2)
    spoiled = spoiled[: len(shares.names) - shares.required]
    likely = rng.choice([0.05, 0.3, 0.9])
    for path, name in itertools.product(sorted(shares.paths(), key=len, reverse=True), spoiled):
        place = stores / name / path
        if rng.random() > likely or not os.path.lexists(place):
            continue
        kind = shares.states[name][path].kind
        if path != shares.names_of(path)[0]:
            continue
        if rng.random() < 0.3:
            repairing.give_metadata(place, rng)
        elif kind == stat.S_IFREG:
            spoil_file(place, shares, path, rng)
        elif kind == stat.S_IFDIR and shares.files() and rng.random() < 0.5:
            repairing.replace(place, lambda at: at.write_bytes(b"a file"))
        else:
            repairing.remove(place)


def test_random_damage(mounts, tmp_path, rng):
    """All is as it was, and then all is intact and there is nothing to do."""
    cases = 0
    while cases < RANDOM_TREES:
        folder = tmp_path / f"tree-{cases}"
        folder.mkdir()
        required = rng.randint(1, 5)
        count = rng.randint(required + 1, 8)
        repairing.make_random_source(folder / "source", required, rng)
        shares = repairing.encode(
            mounts, folder / "source", folder / "shares", "checked", required, count
        )
        for _ in range(5):
            stores = shares.copy_to(folder / f"stores-{cases}")
            spoil(stores, shares, rng)
            check_random(shares, stores)
            cases += 1
        shutil.rmtree(folder)
    print(f"{cases} random trees")


def check_random(shares, stores):
    damaged = repairing.store_differences(repairing.states_of(stores), shares.states)
    unknown = [name for name in shares.names if not holds_a_share(stores / name)]
    words = []
    for name in unknown:  # what it holds may be anyone's: it gives way, and is read all the same
        words += ["--add", f"{name}={stores / name}"]
        if (stores / name).exists():
            aside = stores.with_name(f"{stores.name}-{name}")
            (stores / name).rename(aside)
            words += ["--store", aside]
    result = repairing.run("repair", *words, stores)
    told = "\n".join([f"exit status {result.returncode}", result.stderr, "damage was:", *damaged])
    assert result.returncode == (1 if damaged else 0), told
    wrong = repairing.store_differences(repairing.states_of(stores), shares.states)
    assert not wrong, "\n".join([*wrong, told])
    assert_intact(shares, stores)
    assert_nothing_to_do(shares, stores)


def holds_a_share(store):
    """Whether a header in it says of which share it is one."""
    return any(
        model_shares.parse("checked", path.read_bytes())
        for path in store.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
