# SPDX-License-Identifier: MIT
"""Whom to believe of stores that are stale, damaged, half copied, forged or not mounted: the view,
decode, check and repair come to the same, which is what was encoded, or an error; and no store
lowers what is needed for what it says.
"""

import errno
import os
import re
import shutil

import pytest

import oracle
import trees
import trusting
from commands import DAMAGED, FAILED, LOST, OK
from trusting import BLOCK_SIZE, CONFLICT, GONE, MTIME_NS, NEWER, OLDER

make = trusting.make  # a fixture
SPREAD = True
TIMES = pytest.mark.parametrize(
    "mtime_ns", [OLDER, MTIME_NS, NEWER], ids=["older", "same", "newer"]
)


# A store that asks for less than the others


@pytest.mark.parametrize("witnesses", [(), trusting.WITNESSES], ids=["alone", "among others"])
def test_a_fec_share_of_zeros_is_no_file(make, mounts, witnesses):
    """They parse as a share of k = 1, which would be a file of zeros."""
    stores = make(3, 3, "fec", total=6, witnesses=witnesses)
    stores.put(size=20_000)
    stores.change("02", lambda share: bytes(len(share)))
    # Alone, the two honest stores are fewer than the k that they use: repair asks for --required.
    repair = LOST if witnesses else FAILED
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST, repair=repair, few=not witnesses)


def test_beside_a_fec_share_of_zeros_enough_others_restore(make, mounts):
    stores = make(3, 5, "fec", total=6)
    data = stores.put(size=20_000)
    stores.change("02", lambda share: bytes(len(share)))
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["02"]))
    stores.intact()


FORMATS_AND_TIMES = [
    ("checked", OLDER), ("checked", MTIME_NS), ("checked", NEWER), ("classic", MTIME_NS),
    ("fec", MTIME_NS),
]  # fmt: skip


@pytest.mark.parametrize("share_format, mtime_ns", FORMATS_AND_TIMES)
@pytest.mark.parametrize("witnesses", [(), trusting.WITNESSES], ids=["alone", "among others"])
def test_a_store_does_not_lower_what_is_needed_for_it(
    make, mounts, share_format, witnesses, mtime_ns
):
    """Two honest shares, and another content of that name that says k = 1: neither is enough."""
    stores = make(3, 3, share_format, witnesses=witnesses)
    stores.put(stores=["00", "01"], size=20_000)
    stores.put(stores=["02"], size=7000, required=1, mtime_ns=mtime_ns)
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST)


@TIMES
def test_a_store_that_asks_for_less_beside_enough_that_do_not(make, mounts, mtime_ns):
    """It is replaced, unless it may be what the others will get."""
    stores = make(3, 4)
    data = stores.put(stores=["00", "01", "02"], size=20_000)
    stores.put(stores=["03"], size=20_000, required=1, mtime_ns=mtime_ns)
    writes = stores.shares(data, ["03"]) if mtime_ns == OLDER else {}
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=writes)


def test_a_share_with_k_1_completes_no_honest_copies_without_header(make, mounts):
    """They are of another version, and are no votes for its bytes."""
    stores = make(2, 3)
    stores.put(stores=["00", "01"], size=stores.stripes(3))
    stores.put(stores=["02"], size=stores.stripes(3, 1), required=1, mtime_ns=NEWER)
    for store in ("00", "01"):
        stores.spoil_header(store)
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST)


def test_nor_does_one_that_has_a_digest_of_theirs(make, mounts):
    """It says of its first block, with a right check, that it is of the honest stripe."""
    stores = make(2, 3)
    stores.put(stores=["00", "01"], size=stores.stripes(3))
    stores.put(stores=["02"], size=stores.stripes(3, 1), required=1, mtime_ns=NEWER)
    at = oracle.HEADER_SIZE
    digest = stores.path("00").read_bytes()[at : at + 16]

    def change(share):
        block = digest + share[at + 16 : at + 16 + BLOCK_SIZE]
        share[at : at + trusting.BLOCK_STEP] = block + oracle.checksum(bytes(block), 2)

    stores.change("02", change)
    for store in ("00", "01"):
        stores.spoil_header(store)
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST)


# Kinds of a name


def test_as_many_shares_as_symlinks_are_a_conflict(make, mounts):
    stores = make(2, 4)
    stores.put(stores=["00", "01"])
    for store in ("02", "03"):
        stores.symlink(store, "a", "gone")
    says = [r"conflict: a file in 00 01, a symlink to gone in 02 03"]
    stores.holds(mounts, {"a": CONFLICT}, decode=LOST, check=LOST, says=says, log=says)


def test_a_file_in_one_store_and_a_directory_in_another_are_a_conflict(make, mounts):
    stores = make(1, 2)
    stores.put(stores=["00"])
    stores.path("01").mkdir()
    says = [r"conflict: a file in 00, a directory in 01"]
    stores.holds(mounts, {"a": CONFLICT}, decode=LOST, check=LOST, says=says, log=says)


def test_more_shares_than_symlinks_are_a_file(make, mounts):
    stores = make(2, 5)
    data = stores.put(stores=["00", "01", "04"])
    for store in ("02", "03"):
        stores.symlink(store, "a", "gone")
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, ["02", "03"]))
    stores.intact()


# Stores that hold nothing, or nothing that tells which share they hold


def assert_told_empty(said, *names):
    for name in names:
        lines = [line for line in said.text.splitlines() if f"{name}" in line]
        assert any("holds nothing" in line for line in lines), f"{name}: {said.text}"


def test_empty_stores_have_no_say(make, mounts):
    """The others are enough; the empty ones are told, and nothing is made in them."""
    stores = make(2, 5)
    data = stores.put()
    for store in ("02", "03", "04"):
        shutil.rmtree(stores.folder / store)
        (stores.folder / store).mkdir()
    stores.holds(mounts, {"a": data}, check=DAMAGED)
    said = trusting.run("check", stores.folder)
    assert_told_empty(said, "02", "03", "04")
    assert stores.may_lose() == 0
    held = {os.path.basename(each["store"]): each.get("share")
            for each in stores.check(status=DAMAGED).json[-1]["stores"]}  # fmt: skip
    assert {name for name, share in held.items() if share is not None} == {"00", "01"}, held
    said = stores.repair("--delete", status=FAILED)
    assert_told_empty(said, "02", "03", "04")


def test_with_empty_stores_alone_all_is_lost(make):
    stores = make(2, 3, witnesses=())
    stores.check(status=LOST, required=2, says=["0 stores found, 2 needed"], unsaid=["no files"])
    (line,) = trusting.run("check", stores.folder).demand(LOST).text.splitlines()
    assert "no files" not in line
    stores.decode(expected={}, status=LOST)
    stores.repair(status=LOST)


BESIDE_ONE = {
    "nothing": lambda folder: None,
    "empty": lambda folder: [(folder / name).mkdir() for name in ("01", "02")],
    "directories alone": lambda folder: (folder / "01" / "dir").mkdir(parents=True),
}


@pytest.mark.parametrize("beside", BESIDE_ONE)
def test_fewer_stores_than_k_are_lost_in_one_line(make, mounts, beside):
    stores = make(2, 1)
    stores.put()
    stores.files = {}
    BESIDE_ONE[beside](stores.folder)
    said = trusting.run("check", stores.folder).demand(LOST, ["1 store found, 2 needed"])
    told = [line for line in said.text.splitlines() if "holds nothing" not in line]
    assert len(told) == 1, said.text
    stores.decode(expected={}, status=LOST, says=["1 store found, 2 needed"])
    stores.repair(status=LOST, says=["1 store found, 2 needed"])
    view = stores.view(mounts)
    trusting.assert_error(view / "a")


def test_where_half_of_the_stores_have_no_header_k_has_to_be_given(make, mounts):
    stores = make(2, 4)
    data = stores.put(size=stores.stripes(2))
    stores.settle()
    for store in ("02", "03"):
        for name in ("a", *trusting.WITNESSES):
            stores.spoil_header(store, name)
    view = stores.view(mounts)
    trusting.assert_error(view / "a")
    view.unmount()
    assert "required=" in view.log()
    files, stores.files = stores.files, {}
    for command in (stores.check, stores.repair):
        command(status=FAILED, says=["required"], unsaid=["lost"])
    stores.decode(expected={}, status=FAILED, says=["required"])
    stores.files = files
    stores.holds(mounts, {"a": data}, check=DAMAGED, required=2)


# Versions


@pytest.mark.parametrize("witnesses", [(), trusting.WITNESSES], ids=["alone", "among others"])
@pytest.mark.parametrize("stale", [True, False], ids=["with a stale one", "without"])
def test_blocks_without_header_are_of_the_version_whose_digests_they_have(make, mounts, witnesses,
                                                                          stale):  # fmt: skip
    """00 and 01 have no header, 02 and 03 not their blocks of stripe 1, and 04 is another file."""
    stores = make(2, 5 if stale else 4, witnesses=witnesses, total=5)
    data = stores.put(size=stores.stripes(3))
    if stale:
        stores.put(stores=["04"], size=stores.stripes(3), mtime_ns=OLDER)
    for store in ("00", "01"):
        stores.spoil_header(store)
    for store in ("02", "03"):
        stores.spoil(store, 1)
    if not witnesses and not stale:
        stores.holds(mounts, {"a": data}, check=DAMAGED, required=2,
                     writes=stores.shares(data, ["02", "03"]))  # fmt: skip
        return
    mended = stores.names if witnesses else ["02", "03", "04"]
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, mended))


@pytest.mark.parametrize("length", [-400, 500, trusting.BLOCK_STEP])
def test_blocks_without_header_count_whatever_the_length(make, mounts, length):
    """Of a copy that was cut or has grown: only it has stripe 1."""
    stores = make(1, 3)
    data = stores.put(size=stores.stripes(3))
    stores.spoil_header("00")
    grown = stores.rng.randbytes(max(length, 0))
    stores.change("00", lambda share: share[:length] if length < 0 else share + grown)
    for store in ("01", "02"):
        stores.spoil(store, 1)
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, stores.names))
    stores.intact()


def test_a_touch_that_reached_some_stores_costs_nothing(make, mounts):
    stores = make(3, 4)
    data = stores.put(size=stores.stripes(3))
    stores.put(data=data, stores=["01", "03"], mtime_ns=NEWER)
    writes = stores.shares(data, ["00", "02"], mtime_ns=NEWER)
    view = stores.view(mounts)
    assert (view / "a").stat().st_mtime_ns == NEWER
    view.unmount()
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=writes)
    stores.intact()


def test_copies_that_are_cut_do_not_hide_the_old_version(make, mounts):
    """Half of a newer version in three stores, all of the old one in three others."""
    stores = make(3, 6)
    data = stores.put(stores=["00", "01", "02"], size=stores.stripes(3))
    half = ["03", "04", "05"]
    stores.put(stores=half, size=stores.stripes(3), mtime_ns=NEWER)
    for store in half:
        stores.change(store, lambda share: share[: len(share) // 2])
    stores.holds(mounts, {"a": data}, check=DAMAGED, writes=stores.shares(data, half))


@pytest.mark.parametrize("size", [5000, 9000], ids=["same size", "other size"])
def test_an_old_time_on_newer_content_is_told_and_kept(make, mounts, size):
    """mv old.conf a, half way: five stores of eight have it. The newer one is shown."""
    stores = make(3, 8)
    stores.put(stores=stores.names[:5], size=size, mtime_ns=OLDER)
    newer = stores.put(stores=stores.names[5:], size=5000)
    stores.settle()
    view = stores.view(mounts)
    assert (view / "a").read_bytes() == newer
    view.unmount()
    told = "an older version is in more stores (5) than the one shown (3)"
    assert told in view.log()
    stores.decode(expected={"a": newer}, status=OK, says=[re.escape(told)])
    said = stores.check(status=DAMAGED, health={"a": ("degraded",)})
    (line,) = [line for line in said.lines if line["path"] == "a"]
    assert {problem["store"][-2:] for problem in line["problems"]} == set(stores.names[:5])
    assert line["older_version_in"] == 5
    stores.repair(status=DAMAGED)


def test_two_versions_of_one_time_in_as_many_stores_are_a_conflict(make, mounts):
    stores = make(2, 4)
    stores.put(stores=["00", "01"], size=3000)
    stores.put(stores=["02", "03"], size=4000)
    says = ["conflict", r"\b00\b", r"\b03\b"]
    stores.holds(mounts, {"a": CONFLICT}, decode=LOST, check=LOST, says=says, log=says)


# Two contents of one version

NAMES = ("a", "b", "c")  # each is opened once: what was given of it counts while it is open


def two_contents(stores, same_start):
    """A in 00 01 02, B in 03 04 05. Stripe 1 is A's in one store only, stripe 2 B's."""
    first = stores.rng.randbytes(stores.stripes(4))
    other = bytes(byte ^ 1 for byte in first[stores.stripes(1) :])
    other = (first[: stores.stripes(1)] if same_start else bytes(stores.stripes(1))) + other
    for name in NAMES:
        stores.put(name, data=first, stores=["00", "01", "02"])
        stores.put(name, data=other, stores=["03", "04", "05"])
        for store in ("01", "02"):
            stores.spoil(store, 1, name=name)
        for store in ("04", "05"):
            stores.spoil(store, 2, name=name)
    return first, other


@pytest.mark.parametrize("same_start", [True, False], ids=["same start", "all differs"])
def test_two_contents_are_never_mixed_in_an_open_file(make, mounts, same_start):
    stores = make(2, 6)
    first, other = two_contents(stores, same_start)
    view = stores.view(mounts)
    stripe = stores.stripes(1)

    def read_in_turn(name, *numbers):
        """Of which content each stripe is, or that it is an error."""
        file = os.open(view / name, os.O_RDONLY | os.O_DIRECT)
        found = [trusting.read_at(file, number * stripe, stripe) for number in numbers]
        os.close(file)
        return "".join(content_of(part, number) for part, number in zip(found, numbers))

    def content_of(part, number):
        place = slice(number * stripe, (number + 1) * stripe)
        of = {errno.EIO: "!", other[place]: "B", first[place]: "A"}
        return of.get(part, "?")

    start = "A" if same_start else "!"
    assert read_in_turn("a", 0, 1, 2, 3) in (f"{start}B!!", f"{start}B!B")
    # A small file may be read as a whole when it is opened, which gives its stripes in order.
    assert read_in_turn("b", 2, 1, 2) in ("A!A", "!B!")
    assert read_in_turn("c", 3) == "!"
    view.unmount()
    stores.settle()
    stores.decode(expected=dict.fromkeys(NAMES, GONE), status=LOST, says=[r"\ba\b"])
    stores.check(status=LOST, health=dict.fromkeys(NAMES, ("lost", "conflict")))
    stores.repair(status=LOST)


def sides_of(stores, name="a"):
    """The sides of a conflict, as check's JSON names them; the other things that say it say the same."""
    said = stores.check(status=LOST)
    (line,) = [line for line in said.lines if line["path"] == name]
    assert line["health"] == "conflict" and line["may_lose"] == -1
    sides = line["conflict"]
    stores.check(status=LOST, says=[f"^{name}: LOST: conflict: {re.escape(sides)}(;|$)"])
    return sides


def health_of(mounts, stores, name="a"):
    view = stores.view(mounts)
    health = os.getxattr(view / name, "user.zfec-fs.health").decode()
    view.unmount()
    return health


def test_two_contents_in_as_many_stores_are_a_conflict(make, mounts):
    stores = make(2, 4)
    for side in (["00", "02"], ["01", "03"]):
        stores.put(stores=side, size=stores.stripes(3))
    sides = "contents of stripe 0: one in 00 02, another in 01 03"
    says = [f"a: .*conflict: {sides}"]
    stores.holds(mounts, {"a": CONFLICT}, decode=LOST, check=LOST, says=says, log=says)
    assert sides_of(stores) == sides
    assert health_of(mounts, stores) == f"good=4 stores=4 may_lose=-1 conflict={sides}\n"


def test_each_of_three_contents_is_named(make, mounts):
    """What has fewer shares than these is no side; a second store with a share is on the first's."""
    stores = make(2, ["00", "01", "01-too", "02", "03", "04", "05", "06"])
    for side in (["00", "01", "01-too"], ["02", "03"], ["04", "05"], ["06"]):
        stores.put(stores=side, size=3000)
    sides = "contents of stripe 0: one in 00 01 01-too, another in 02 03, another in 04 05"
    stores.settle()
    stores.decode(expected={"a": CONFLICT}, status=LOST, says=[f"a: .*conflict: {sides}"])
    assert sides_of(stores) == sides
    assert health_of(mounts, stores).endswith(f" may_lose=-1 conflict={sides}\n")


def test_contents_that_differ_late_are_a_conflict_there(make, mounts):
    """The first stripe in conflict is told, though another one is lost before it is read."""
    stores = make(2, 4)
    data = stores.put(size=stores.stripes(40))
    other = data[: stores.stripes(20)] + stores.rng.randbytes(stores.stripes(20))
    stores.put(data=other, stores=["02", "03"])
    for store in ("00", "01", "02"):
        stores.spoil(store, 3)
    stores.settle()
    sides = "contents of stripe 20: one in 00 01, another in 02 03"
    assert sides_of(stores) == sides
    stores.check(status=LOST, says=[f"conflict: {sides}; lost: stripes 3, 20-39 of 40"])
    says = [f"^zfec-fs: a: .*too few good blocks.*(\n.*)*^zfec-fs: a: .*conflict: {sides}"]
    out = stores.base / "out"
    trusting.run("decode", "--salvage", stores.folder, out).demand(LOST, says)
    assert (out / "a.partial").read_bytes()[: stores.stripes(3)] == data[: stores.stripes(3)]
    stores.repair(status=LOST)


def test_two_versions_in_conflict_are_named_in_the_same_words(make, mounts):
    stores = make(2, 4)
    stores.put(stores=["00", "01"], size=3000)
    stores.put(stores=["02", "03"], size=4000)
    stores.settle()
    sides = "versions of one time: 3000 bytes (k = 2) in 00 01, 4000 bytes (k = 2) in 02 03"
    assert sides_of(stores) == sides
    stores.decode(expected={"a": CONFLICT}, status=LOST, says=[f"a: conflict: {re.escape(sides)}"])
    assert health_of(mounts, stores) == f"good=2 stores=4 may_lose=-1 conflict={sides}\n"


@pytest.mark.parametrize("share_format, one, other, sides", [
    ("checked", {"block_size": 4096}, {"block_size": 8192},
     "3000 bytes (k = 2, blocks of 4096) in 00 01, 3000 bytes (k = 2, blocks of 8192) in 02 03"),
    ("fec", {"total": 4}, {"total": 5},
     "3000 bytes (k = 2, n = 4) in 00 01, 3000 bytes (k = 2, n = 5) in 02 03"),
    ("checked", {"required": 2}, {"required": 1},
     "3000 bytes (k = 2) in 00 01, 3000 bytes (k = 1) in 02 03"),
])  # fmt: skip
def test_versions_that_differ_in_little_do_not_read_alike(make, mounts, share_format, one, other, sides):
    stores = make(2, 4, share_format)
    for names, how in ((["00", "01"], one), (["02", "03"], other)):
        data = stores.rng.randbytes(3000)
        for name in names:
            share = stores.share(data, name, **how)
            trees.write_file(stores.path(name), share, trusting.MTIME_NS)
    stores.settle()
    sides = f"versions of one time: {sides}"
    assert sides_of(stores) == sides
    stores.decode(expected={"a": CONFLICT}, status=LOST, says=[f"a: conflict: {re.escape(sides)}"])
    assert f" conflict={sides}\n" in health_of(mounts, stores)


def test_contents_without_the_shares_they_need_are_no_conflict(make):
    """Of three shares: there are two of each content."""
    stores = make(3, 4)
    for side in (["00", "01"], ["02", "03"]):
        stores.put(stores=side, size=3000)
    stores.settle()
    said = stores.check(status=LOST, health={"a": ("lost",)}, unsaid=["conflict:"])
    assert not [line for line in said.lines if "conflict" in line]


def test_of_two_contents_the_one_in_more_stores_is_the_file(make, mounts):
    """Which of them is right is not known: repair leaves the others as they are."""
    stores = make(2, 20)
    data = stores.put(stores=stores.names[:17], size=stores.stripes(3))
    stores.put(stores=stores.names[17:], size=stores.stripes(3))
    stores.holds(mounts, {"a": data}, check=DAMAGED)
