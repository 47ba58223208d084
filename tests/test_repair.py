# SPDX-License-Identifier: MIT
"""`zfec-fs repair`: whatever stores lost that can be restored, they have again as it was, to the last
byte and attribute; nothing else is touched, and the exit status says what came of it.
"""

import itertools
import os
import shutil
import stat

import pytest

import all_formats
import model_shares
import oracle
import repairing
import trees
from all_formats import COUNT, REQUIRED, big_file, formats, kept
from repairing import assert_intact, assert_mended, assert_nothing_to_do, assert_stores

every_format = all_formats.every_format  # a fixture
shares = all_formats.shares  # a fixture
stores = all_formats.stores  # a fixture

BLOCK_SIZE = repairing.BLOCK_SIZE
RANDOM_TREES = max(40, int(os.environ.get("ZFEC_FS_TEST_CASES", "0")) // 250)
LINKED = ("linked", "dir/linked-2", "dir/sub/linked-3")


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
