# SPDX-License-Identifier: MIT
"""Stores that were synced at different times: one version, whole, and never a blend of two."""

import errno
import itertools
import os
import re
import stat

import pytest

import oracle
import share_cases
import trees
from model_shares import Entry

UNSANITIZED = True

BLOCK_SIZE = 4096
REQUIRED_MAX, SHARES_MAX = 4, 6
HOUR_NS = 3600 * 10**9
as_root = os.geteuid() == 0
OWN = (os.geteuid(), os.getegid())


# Edits: from a file's bytes to those of its next version


def edit_in_place(data, _stripe, rng):
    """One byte, in one stripe."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def append(data, stripe, rng):
    return data + rng.randbytes(rng.choice((1, stripe, rng.randint(1, 2 * stripe))))


def truncate(data, _stripe, rng):
    return data[: rng.randrange(len(data))]


def touch(data, _stripe, _rng):
    return data


def rewrite(data, _stripe, rng):
    return rng.randbytes(len(data))


EDITS = (edit_in_place, append, truncate, touch, rewrite)


class Release:
    """A version of a file as it was synced: its shares, and the mode and owner they have."""

    def __init__(self, data, required, number, rng, block_size=BLOCK_SIZE):
        self.data, self.required, self.block_size = data, required, block_size
        self.mtime_ns = trees.MTIME_NS + number * HOUR_NS + rng.randrange(1000)
        self.mode = rng.choice((0o644, 0o600, 0o4750))
        self.owner = (1000 + number, 2000 + rng.randrange(3)) if as_root else OWN
        self.made = {}

    def share(self, index):
        if index not in self.made:
            self.made[index] = oracle.make_share(
                "checked", self.data, self.required, 256, index, self.mtime_ns, self.block_size
            )
        return self.made[index]

    def is_version(self, version):
        return (self.required, self.block_size, len(self.data), self.mtime_ns) == version[:4]


class Case(share_cases.Case):
    """Stores each of which has its own share of one of some releases."""

    def __init__(self, releases, split, what):
        copies = [bytearray(releases[at].share(index)) for index, at in enumerate(split)]
        super().__init__(copies, releases[0].required)
        self.releases, self.split, self.what = releases, split, what

    def entry(self, number):
        release = self.releases[self.split[number]]
        data = bytes(self.copies[number])
        return Entry(
            data=data, mode=release.mode, owner=release.owner, mtime=release.mtime_ns
        )

    def write_copy(self, path, entry):
        path.write_bytes(entry.data)
        if as_root:
            os.chown(path, *entry.owner)
        path.chmod(entry.mode)
        os.utime(path, ns=(entry.mtime, entry.mtime))

    def status_problems(self, status, name):
        modes, owners = name.rule_3_mode()
        right = {
            "mode": stat.S_IMODE(status.st_mode) in modes,
            "owner": (status.st_uid, status.st_gid) in owners,
            "time": status.st_mtime_ns in name.rule_3_times(),
        }
        wrong = [f"{what} of {status}" for what, is_right in right.items() if not is_right]
        return super().status_problems(status, name) + wrong

    def stale_stores(self, name):
        """Those of which the log is to say that they have another version."""
        if name.state != "shown":
            return set()
        releases = [self.releases[at] for at in self.split]
        shown = name.file.version
        headers = [name.copies[f"store-{number}"].header for number in range(len(releases))]
        return {n for n, r in enumerate(releases) if headers[n] and not r.is_version(shown)}

    def __str__(self):
        sizes = [len(release.data) for release in self.releases]
        return f"{self.what}, k {self.required}, releases {self.split} of {sizes} bytes"


STALE = re.compile(r"^zfec-fs: file-(\d+): store \S*/store-(\d+) has another version", re.MULTILINE)


def check_log(cases, names, log):
    """It names the stale stores of each file, and no others. Returns what is wrong, in words."""
    named = {number: set() for number in range(len(cases))}
    for file, store in STALE.findall(log):
        named[int(file)].add(int(store))
    stale = [case.stale_stores(name) for case, name in zip(cases, names)]
    return [
        f"{case}: the log names {sorted(named[number])}, stale are {sorted(stale[number])}"
        for number, case in enumerate(cases)
        if named[number] != stale[number]
    ]


def check(mounts, tmp_path, cases, rng):
    return share_cases.check(mounts, tmp_path, cases, rng, check_log)


def releases_of(edits, required, rng):
    """A file, and what it becomes by one edit after the other."""
    stripe = required * BLOCK_SIZE
    data = rng.randbytes(rng.choice((3 * stripe, rng.randint(2 * stripe, 4 * stripe))))
    releases = [Release(data, required, 0, rng)]
    for number, edit in enumerate(edits, 1):
        data = edit(data, stripe, rng)
        releases.append(Release(data, required, number, rng))
    return releases


# The newest version that k stores have


def splits(count, versions):
    return itertools.product(range(versions), repeat=count)


def two_versions(edit, rng):
    """Every split of the stores between old and new, whatever n and k are."""
    for required in range(1, REQUIRED_MAX + 1):
        releases = releases_of([edit], required, rng)
        for count in range(required, SHARES_MAX + 1):
            for split in splits(count, 2):
                yield Case(releases, split, edit.__name__)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_every_split_between_old_and_new(mounts, tmp_path, edit, rng):
    """The newest version that k stores have, or else what the newest shares with the other."""
    check(mounts, tmp_path, two_versions(edit, rng), rng)


def test_what_the_model_says_of_splits(rng):
    """The rules in words, for those who doubt the model: k 2, and stores from old to new."""
    owed = {
        (touch, (0, 0, 0, 1)): (0, "all"),
        (touch, (0, 0, 1, 1)): (1, "all"),
        (touch, (0, 1)): (1, "all"),
        (edit_in_place, (0, 1)): (1, "some"),
        (rewrite, (0, 1)): (None, "none"),
        (rewrite, (0, 0, 1)): (0, "all"),
        (rewrite, (0, 0, 0, 0, 1, 1)): (1, "all"),
        (append, (0, 1)): (None, "none"),
    }
    for (edit, split), (number, part) in owed.items():
        releases = releases_of([edit], 2, rng)
        case = Case(releases, split, edit.__name__)
        name = share_cases.model_of([case], 2).name("file-0")
        assert name.state == ("lost" if number is None else "shown"), case
        assert number is None or releases[number].is_version(name.file.version), case
        given = [stripe is not None for stripe in name.file.stripes()]
        assert part == ("all" if all(given) else "some" if any(given) else "none"), case


def three_versions(rng):
    """All splits of up to four stores, and some of five and six."""
    for required in range(1, REQUIRED_MAX + 1):
        for count in range(required, SHARES_MAX + 1):
            releases = releases_of(rng.choices(EDITS, k=2), required, rng)
            every = list(splits(count, 3))
            for split in every if count <= 4 else rng.sample(every, 30):
                yield Case(releases, split, "three versions")


def test_three_versions(mounts, tmp_path, rng):
    check(mounts, tmp_path, three_versions(rng), rng)


def damaged_newer(rng):
    """Splits in which some blocks of the newer version, and some of the older one, are bad."""
    for edit in EDITS * 60:
        required = rng.randint(1, REQUIRED_MAX)
        releases = releases_of([edit], required, rng)
        split = [rng.randrange(2) for _ in range(rng.randint(required, SHARES_MAX))]
        case = Case(releases, split, f"damaged, {edit.__name__}")
        for copy in rng.choices(case.copies, k=rng.randint(1, 6)):
            start = min(len(copy) - 1, oracle.HEADER_SIZE + rng.randrange(4) * (BLOCK_SIZE + 32))
            copy[rng.randrange(start, len(copy))] ^= 1 << rng.randrange(8)
        yield case


def test_damage_in_one_version_is_not_made_up_by_another(mounts, tmp_path, rng):
    """A stripe that the version cannot give is EIO, also when an older one could."""
    counts = check(mounts, tmp_path, damaged_newer(rng), rng)
    assert min(counts["exact"], counts["EIO"]) > 50


def test_older_version_could_give_the_stripe(mounts, tmp_path, rng):
    """All stores of the older one are whole; the newer one has one bad block too many."""
    releases = [Release(rng.randbytes(3 * 2 * BLOCK_SIZE), 2, number, rng) for number in range(2)]
    case = Case(releases, (0, 0, 0, 1, 1), "damaged")
    case.copies[4][oracle.HEADER_SIZE + BLOCK_SIZE + 32 + 50] ^= 1
    stripes = share_cases.model_of([case], 2).name("file-0").file.stripes()
    assert [stripe is not None for stripe in stripes] == [True, False, True]
    check(mounts, tmp_path, [case], rng)


def other_encodings(rng):
    """The same file, encoded with another k or another block size later."""
    for _ in range(150):
        required = rng.randint(1, REQUIRED_MAX - 1)
        data = rng.randbytes(rng.randint(1, 4 * required * BLOCK_SIZE))
        changed = rng.choice(((required + 1, BLOCK_SIZE), (required, 2 * BLOCK_SIZE)))
        releases = [Release(data, required, 0, rng), Release(data, changed[0], 1, rng, changed[1])]
        split = [rng.randrange(2) for _ in range(rng.randint(required, SHARES_MAX))]
        yield Case(releases, split, "encoded otherwise")


def test_another_k_or_block_size(mounts, tmp_path, rng):
    """Their blocks are of no use to each other."""
    check(mounts, tmp_path, other_encodings(rng), rng)


# What a name is


def put_file(path, data=b"0123456789"):
    """One of its shares, by the store's number."""
    index = int(path.parent.name.rpartition("-")[2])
    trees.write_file(path, oracle.make_share("checked", data, 2, 20, index, trees.MTIME_NS))


def put_folder(path):
    path.mkdir()
    (path / "inside").mkdir()


def put_link(path):
    path.symlink_to("there")


def put_other_link(path):
    path.symlink_to("elsewhere")


KINDS = {
    put_file: stat.S_ISREG,
    put_folder: stat.S_ISDIR,
    put_link: stat.S_ISLNK,
    put_other_link: stat.S_ISLNK,
}


def mount_disagreement(mounts, stores, put, times):
    """Store i has what put[i] puts there, as old as times[i] says, and a share of another file."""
    for number, (function, time) in enumerate(zip(put, times)):
        path = stores / f"store-{number}" / "name"
        put_file(path.parent / "other")
        function(path)
        os.utime(path, ns=(trees.MTIME_NS + time,) * 2, follow_symlinks=False)
    return mounts.restored(stores)


def check_is(path, function):
    """The name is what this function puts there."""
    assert KINDS[function](path.lstat().st_mode)
    if function is put_file:
        assert path.read_bytes() == b"0123456789"
    elif function is put_folder:
        assert os.listdir(path) == ["inside"]
    else:
        assert os.readlink(path) == ("there" if function is put_link else "elsewhere")


PAIRS = list(itertools.permutations(KINDS, 2))


@pytest.mark.parametrize("most, fewer", PAIRS, ids=lambda put: put.__name__)
def test_most_stores_say_what_a_name_is(mounts, tmp_path, most, fewer):
    """Three against two, though the two are newer, and first; the log names them."""
    put = [fewer, fewer, most, most, most]
    view = mount_disagreement(mounts, tmp_path / "stores", put, [9, 9, 1, 1, 1])
    view.expect_log(
        r"^zfec-fs: name: the stores have a .* in store-0 store-1, a .* in store-2 store-3 store-4$",
        count=1,
    )
    for _ in range(3):
        check_is(view / "name", most)


@pytest.mark.parametrize("newer, older", PAIRS, ids=lambda put: put.__name__)
def test_equals_are_a_conflict(mounts, tmp_path, newer, older):
    """Two against two: nothing tells which is right, and least of all a time. The log names both."""
    put, times = [newer, newer, older, older], [5, 1, 4, 4]
    view = mount_disagreement(mounts, tmp_path / "stores", put, times)
    view.expect_log(r"^zfec-fs: name: conflict: a .* in store-0 store-1, a .* in store-2 store-3")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            (view / "name").lstat()
    assert sorted(os.listdir(view.path)) == ["name", "other"]


@pytest.mark.parametrize("put", KINDS, ids=lambda put: put.__name__)
def test_what_one_store_says_is_not_shown(mounts, tmp_path, put):
    """Of three, where two are needed; the log says who has it."""
    stores = tmp_path / "stores"
    for number in range(3):
        put_file(stores / f"store-{number}" / "other")
    put(stores / "store-1" / "name")
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: name is not shown: only store-1 has it, 2 needed")
    assert os.listdir(view.path) == ["other"]
    with pytest.raises(FileNotFoundError):
        (view / "name").lstat()
    view.unmount()
    view = mounts.restored(stores, unconfirmed=True)
    view.expect_log(r"^zfec-fs: name: ", count=0)
    assert sorted(os.listdir(view.path)) == ["name", "other"]
    assert KINDS[put]((view / "name").lstat().st_mode)


# Mode and owner


def mount_attributes(mounts, stores, put, modes, owners, times):
    for number, (mode, owner, time) in enumerate(zip(modes, owners, times)):
        path = stores / f"store-{number}" / "name"
        put_file(path.parent / "other")
        put(path)
        if as_root:
            os.chown(path, owner, owner + 1)
        path.chmod(mode)
        os.utime(path, ns=(trees.MTIME_NS + time,) * 2)
    return mounts.restored(stores)


def attributes(path):
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    return (mode, found.st_uid, found.st_gid) if as_root else (mode,)


@pytest.mark.parametrize("put", [put_file, put_folder], ids=lambda put: put.__name__)
def test_most_stores_say_mode_and_owner(mounts, tmp_path, put):
    """Whatever is newest; the log names the others."""
    modes, owners = [0o700, 0o750, 0o750, 0o700], [7, 5, 5, 5]
    view = mount_attributes(mounts, tmp_path / "stores", put, modes, owners, [9, 1, 1, 8])
    for number in (0, 3):
        view.expect_log(rf"^zfec-fs: name: store \S*/store-{number}\b", count=1)
    assert attributes(view / "name") == ((0o750, 5, 6) if as_root else (0o750,))


@pytest.mark.parametrize("put", [put_file, put_folder], ids=lambda put: put.__name__)
@pytest.mark.parametrize("times", [(1, 1, 2, 1), (1, 2, 3, 1)])
def test_what_both_permit_among_equals(mounts, tmp_path, put, times):
    """Whatever is newest."""
    modes, owners = [0o740, 0o740, 0o705, 0o705], [7, 7, 5, 5]
    view = mount_attributes(mounts, tmp_path / "stores", put, modes, owners, times)
    view.expect_log(r"^zfec-fs: name: store \S*/store-[0-3]\b", count=0)
    mode, *owner = attributes(view / "name")
    assert mode == 0o700
    assert not as_root or owner in ([7, 8], [5, 6])


# Formats without checks: shares have to agree

UNCHECKED = ("classic", "fec")
K = 3


def mount_unchecked(mounts, stores, share_format, shares):
    trees.write_shares(stores, "file", shares)
    view = mounts.restored(stores, format=share_format, required=K)
    view.expect_log(r"^zfec-fs: file: ", count=0)
    return view / "file"


def wrong(share, at):
    changed = bytearray(share)
    changed[at] ^= 0x55
    return bytes(changed)


def error_of(path):
    try:
        path.read_bytes()
    except OSError as error:
        return error.errno
    return 0


@pytest.fixture
def data(rng):
    return rng.randbytes(49998)  # without padding, in which a wrong byte does no harm


@pytest.fixture(params=UNCHECKED)
def share_format(request):
    return request.param


def unchecked_shares(share_format, data, count, rng, required=K):
    return trees.make_shares(
        share_format, data, required, 20, sorted(rng.sample(range(20), count))
    )


# Where a byte is wrong: the first and the last of the data, and one between.
PLACES = [3, -1, 9000]


@pytest.mark.parametrize("at", PLACES)
def test_unchecked_exactly_k_shares(mounts, tmp_path, data, share_format, at, rng):
    """No check is possible: a wrong byte in a share is a wrong byte in the file, and no error."""
    shares = unchecked_shares(share_format, data, K, rng)
    victim = rng.choice(list(shares))
    shares[victim] = wrong(shares[victim], at)
    found = mount_unchecked(mounts, tmp_path / "stores", share_format, shares).read_bytes()
    assert len(found) == len(data)
    assert 0 < sum(a != b for a, b in zip(found, data)) <= K


@pytest.mark.parametrize("at", PLACES)
def test_unchecked_one_share_more(mounts, tmp_path, data, share_format, at, rng):
    """A wrong byte shows, and nothing tells in which share it is."""
    shares = unchecked_shares(share_format, data, K + 1, rng)
    path = mount_unchecked(mounts, tmp_path / "stores", share_format, shares)
    for victim, share in shares.items():
        target = tmp_path / "stores" / f"store-{victim}" / "file"
        trees.write_file(target, wrong(share, at))
        assert error_of(path) == errno.EIO, f"share {victim}"
        trees.write_file(target, share)
    assert path.read_bytes() == data


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("more", [2, 3, 4])
def test_unchecked_majority(mounts, tmp_path, data, share_format, at, more, rng):
    """With two or more to spare the wrong one is found, whichever it is."""
    shares = unchecked_shares(share_format, data, K + more, rng)
    path = mount_unchecked(mounts, tmp_path / "stores", share_format, shares)
    for victim, share in shares.items():
        target = tmp_path / "stores" / f"store-{victim}" / "file"
        trees.write_file(target, wrong(share, at))
        trees.assert_same(path.read_bytes(), data, f"share {victim} is wrong")
        trees.write_file(target, share)


@pytest.mark.parametrize("more", [2, 3, 4, 5])
def test_unchecked_two_wrong_shares(mounts, tmp_path, data, share_format, more, rng):
    """Four to spare resolve it; with fewer it is an error, or their bytes were not needed."""
    shares = unchecked_shares(share_format, data, K + more, rng)
    path = mount_unchecked(mounts, tmp_path / "stores", share_format, shares)
    for victims in itertools.combinations(shares, 2):
        for victim, at in zip(victims, (1000, 1001)):
            target = tmp_path / "stores" / f"store-{victim}" / "file"
            trees.write_file(target, wrong(shares[victim], at))
        error = error_of(path)
        assert error in ((0, errno.EIO) if more < 4 else (0,)), victims
        if not error:
            trees.assert_same(path.read_bytes(), data, f"shares {victims} are wrong")
        for victim in victims:
            trees.write_file(tmp_path / "stores" / f"store-{victim}" / "file", shares[victim])


def test_unchecked_wrong_in_different_stripes(mounts, tmp_path, share_format, rng):
    """Each stripe has one wrong share, another one in each."""
    size = 3 * K * (65536 if share_format == "classic" else 4096) - 1000
    step = 65536 if share_format == "classic" else 4096
    data = rng.randbytes(size)
    shares = unchecked_shares(share_format, data, K + 2, rng)
    for stripe, victim in enumerate(list(shares)[:3]):
        shares[victim] = wrong(shares[victim], 3 + stripe * step + 77)
    path = mount_unchecked(mounts, tmp_path / "stores", share_format, shares)
    trees.assert_same(path.read_bytes(), data, "one wrong share in each stripe")


def other_shares(what, share_format, data):
    """Shares of a file of another size, of another k, or those of this one cut off."""
    if what == "size":
        return trees.make_shares(share_format, data + b"more", K, 20, range(20))
    if what == "much larger":
        return trees.make_shares(share_format, data + data, K, 20, range(20))
    if what == "cut":
        cut = trees.make_shares(share_format, data, K, 20, range(20))
        return {index: share[:-2000] for index, share in cut.items()}
    if what == "n":
        return trees.make_shares(share_format, data, K, 21, range(20))
    return trees.make_shares(share_format, data, K + 1, 20, range(20))


DIFFERENT = [
    (share_format, what)
    for share_format in UNCHECKED
    for what in ("size", "much larger", "cut", "k", "n")
    if (share_format, what) != ("classic", "n")
]


@pytest.mark.parametrize("share_format, what", DIFFERENT)
def test_unchecked_sizes_and_headers_differ(mounts, tmp_path, data, share_format, what, rng):
    """Those who agree and are most restore the file; as many on either side are EIO."""
    other = other_shares(what, share_format, data)
    stores = tmp_path / "stores"
    shares = unchecked_shares(share_format, data, 2 * K, rng)
    path = mount_unchecked(mounts, stores, share_format, shares)
    for number, index in enumerate(list(shares)):
        trees.assert_same(path.read_bytes(), data, f"{number} stores have another {what}")
        trees.write_file(stores / f"store-{index}" / "file", other[index])
        if number + 1 == K:
            break
    if what == "k":
        trees.assert_same(path.read_bytes(), data, "three are too few for the larger k")
    else:
        assert error_of(path) == errno.EIO, "three say this, three say that"
