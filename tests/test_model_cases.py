# SPDX-License-Identifier: MIT
"""The model of the rules of trust, held against small cases of which it is known what must come."""

import os
import random

import oracle
from model import Model
from model_shares import BLOCK, CHAR, DIRECTORY, FIFO, FILE, LINK, Entry

BLOCK_SIZE = 4096
STEP = BLOCK_SIZE + 32
TIME = 1400000000123456789
HOUR = 3600 * 10**9
FOLDER = Entry(DIRECTORY, mode=0o755, mtime=TIME)
RNG = random.Random(14)


class Stores:
    """Stores 00, 01, ... of a tree, whose files are put there one by one."""

    def __init__(self, k, count, share_format="checked"):
        self.k, self.count, self.format = k, count, share_format
        self.trees = {f"{index:02x}": {"": FOLDER} for index in range(count)}

    def put(self, path, data, stores=None, time=TIME, k=None, **fields):
        """The shares of a file, in all stores or those that are named by index."""
        for index in range(self.count) if stores is None else stores:
            share = oracle.make_share(self.format, data, k or self.k, self.count, index, time, BLOCK_SIZE)
            self.trees[f"{index:02x}"][path] = Entry(FILE, share, mtime=time, **fields)
        return data

    def put_entry(self, path, entry, stores):
        for index in stores:
            self.trees[f"{index:02x}"][path] = entry

    def change(self, path, store, change):
        data = bytearray(self.trees[f"{store:02x}"][path].data)
        changed = change(data)
        entry = self.trees[f"{store:02x}"][path]
        self.trees[f"{store:02x}"][path] = entry._replace(data=bytes(data if changed is None else changed))

    def fill(self):
        """Other files, all as they should be, from which K and the shares of stores follow."""
        for number in range(3):
            self.put(f"other-{number}", RNG.randbytes(100))
        return self

    def model(self, names=None, required=None):
        trees = self.trees if names is None else {name: self.trees[name] for name in names}
        return Model(trees, self.format, required)


def spoil_header(data):
    data[:64] = bytes(64)


def spoil_block(number):
    def change(data):
        data[64 + number * STEP + 100] ^= 1

    return change


def content(model, path="a"):
    name = model.name(path)
    return None if name.is_lost() else name.file.content()


def test_a_share_that_reads_as_zeros():
    stores = Stores(3, 6, "fec").fill()
    data = stores.put("a", RNG.randbytes(5000))
    stores.change("a", 2, lambda data: bytes(len(data)))
    three = stores.model(["00", "01", "02"])
    assert three.K == 3 and three.name("a").is_lost() and three.status() == 2
    five = stores.model(["00", "01", "02", "03", "04"])
    assert content(five) == data and five.status() == 1
    assert five.name("a").state_of("02") == "damaged" and five.name("a").file.rule_7_may_replace("02")


def test_a_single_store_is_not_believed():
    stores = Stores(3, 3).fill()
    stores.put("a", RNG.randbytes(5000), [0, 1])
    stores.put("a", RNG.randbytes(5000), [2], k=1)
    model = stores.model()
    assert model.K == 3 and model.name("a").state == "lost" and model.status() == 2


def test_names_that_one_store_has():
    stores = Stores(3, 5).fill()
    stores.put("a", RNG.randbytes(10))
    stores.put("setuid", b"x", [4], k=1, mode=0o4755)
    alone = {
        "device": Entry(BLOCK, rdev=os.makedev(8, 0)),
        "character": Entry(CHAR, rdev=os.makedev(1, 3)),
        "fifo": Entry(FIFO),
        "link": Entry(LINK, target="/etc"),
        "folder": FOLDER,
    }
    for path, entry in alone.items():
        stores.put_entry(path, entry, [4])
    entry = stores.trees["04"]["a"]
    given = (("security.capability", b"x"), ("system.posix_acl_access", b"x"), ("trusted.x", b"x"))
    stores.trees["04"]["a"] = entry._replace(xattrs=given, mode=0o4755)
    model = stores.model()
    for path in ("setuid", *alone):
        assert model.name(path).state == "foreign", path
        assert path not in model.children("")
    assert model.status() == 1
    assert all(values == {None} for values in model.name("a").rule_3_attributes().values())
    assert model.name("a").rule_3_mode() == ({0o644}, {(0, 0)})


def test_two_kinds_of_a_name():
    stores = Stores(2, 4).fill()
    stores.put("a", RNG.randbytes(10), [0, 1])
    stores.put_entry("a", Entry(LINK, target="nothing"), [2, 3])
    model = stores.model()
    assert model.name("a").state == "conflict" and model.status() == 2
    pair = Stores(1, 2).fill()
    pair.put("a", b"x", [0])
    pair.put_entry("a", FOLDER, [1])
    model = pair.model()
    assert model.K == 1 and model.name("a").state == "conflict" and model.status() == 2


def test_empty_stores():
    stores = Stores(2, 5).fill()
    for name in ("02", "03", "04"):
        stores.trees[name] = {"": FOLDER}
    model = stores.model()
    assert model.K == 2 and len(model.voting) == 2 and model.status() == 1
    assert [name for name in stores.trees if model.has_nothing(name)] == ["02", "03", "04"]
    assert stores.model(["00", "02", "03"]).too_few and stores.model(["00", "02"]).status() == 2
    assert stores.model(["02", "03"]).status() == 2


def test_damaged_headers_and_blocks_of_an_older_version():
    stores = Stores(2, 5).fill()
    data = stores.put("a", RNG.randbytes(3 * 2 * BLOCK_SIZE))
    stores.put("a", RNG.randbytes(len(data)), [4], time=TIME - HOUR)
    for store in (0, 1):
        stores.change("a", store, spoil_header)
    for store in (2, 3):
        stores.change("a", store, spoil_block(1))
    assert content(stores.model()) == data


def test_a_damaged_header_and_another_length():
    for change in (lambda data: data[:-400], lambda data: data + bytes(400)):
        stores = Stores(1, 3).fill()
        data = stores.put("a", RNG.randbytes(3 * BLOCK_SIZE))
        stores.change("a", 0, spoil_header)
        stores.change("a", 0, change)
        for store in (1, 2):
            stores.change("a", store, spoil_block(1))
        assert content(stores.model()) == data


def test_an_index_that_is_not_the_stores():
    stores = Stores(3, 4, "classic").fill()
    data = stores.put("a", RNG.randbytes(5000))

    def be_share_1(data):
        data[1] = 1

    stores.change("a", 0, be_share_1)
    model = stores.model()
    assert content(model) == data
    states = [model.name("a").state_of(store) for store in stores.trees]
    assert states == ["damaged", "good", "good", "good"] and model.status() == 1


def test_copies_of_one_index_that_differ():
    stores = Stores(3, 5, "classic").fill()
    data = stores.put("a", RNG.randbytes(5000))
    stores.trees["again"] = dict(stores.trees["00"])
    stores.change("a", 0, lambda data: data[:3] + RNG.randbytes(len(data) - 3))
    assert content(stores.model()) == data, "one of six is wrong"
    stores = Stores(3, 5, "classic").fill()
    stores.put("a", RNG.randbytes(5000))
    for store in (0, 1):
        stores.change("a", store, lambda data: data[:3] + RNG.randbytes(len(data) - 3))
    assert stores.model().name("a").is_lost()


def test_bytes_are_judged_one_by_one():
    stores = Stores(2, 5, "fec").fill()
    data = stores.put("a", RNG.randbytes(5000))
    for store, at in ((1, 100), (3, 200)):
        stores.change("a", store, spoil_at(at))
    model = stores.model()
    assert content(model) == data
    assert [model.name("a").state_of(s) for s in ("01", "03")] == ["damaged"] * 2
    assert model.name("a").file.rule_7_may_replace("01")


def spoil_at(at):
    def change(data):
        data[at] ^= 1

    return change


def test_one_hostile_store_under_two_names():
    stores = Stores(2, 3).fill()
    stores.put_entry("link", Entry(LINK, target="x"), [2])
    stores.put_entry("device", Entry(CHAR, rdev=os.makedev(1, 1)), [2])
    stores.put("setuid", b"x", [2], k=1, mode=0o4755)
    stores.trees["again"] = dict(stores.trees["02"])
    model = stores.model()
    assert {model.name(path).state for path in ("link", "device", "setuid")} == {"foreign"}


def test_fewer_shares_than_needed_are_lost():
    stores = Stores(3, 3).fill()
    stores.put("a", RNG.randbytes(100), [0, 1])
    model = stores.model()
    assert model.name("a").state == "lost" and model.status() == 2 and "a" in model.children("")


def test_headers_alone_complete_nothing():
    stores = Stores(2, 3).fill()
    stores.put("a", RNG.randbytes(5000))
    for store in (0, 1):
        stores.change("a", store, spoil_header)
    stores.put("a", RNG.randbytes(5000), [2], k=1, time=TIME + HOUR)
    assert stores.model().name("a").is_lost()


def test_a_touch_that_reached_two_of_four():
    stores = Stores(3, 4).fill()
    data = stores.put("a", RNG.randbytes(5000))
    stores.put("a", data, [0, 1], time=TIME + HOUR)
    model = stores.model()
    assert content(model) == data and model.name("a").file.version.mtime == TIME + HOUR


def test_new_copies_that_are_cut():
    stores = Stores(3, 6).fill()
    old = stores.put("a", RNG.randbytes(3 * 3 * BLOCK_SIZE))
    new = bytearray(old)
    new[10] ^= 1
    stores.put("a", bytes(new), [0, 1, 2], time=TIME + HOUR)
    for store in (0, 1, 2):
        stores.change("a", store, lambda data: data[: 64 + STEP])
    assert content(stores.model()) == old


def test_an_old_time_on_newer_content():
    stores = Stores(3, 8).fill()
    newer = stores.put("a", RNG.randbytes(5000))
    older = stores.put("a", RNG.randbytes(6000), range(5), time=TIME - HOUR)
    model = stores.model()
    assert content(model) == newer != older
    assert [model.name("a").file.rule_7_may_replace(f"{i:02x}") for i in range(5)] == [False] * 5


def test_storage_without_symlinks_and_empty_directories():
    stores = Stores(3, 5).fill()
    stores.put_entry("link", Entry(LINK, target="x"), [0, 1])
    stores.put_entry("folder", FOLDER, [0, 1])
    model = stores.model()
    assert model.name("link").state == model.name("folder").state == "shown"


def test_storage_that_shows_one_mode():
    stores = Stores(3, 5).fill()
    stores.put("a", b"x", range(3))
    stores.put("a", b"x", (3, 4), mode=0o600)
    assert stores.model().name("a").rule_3_mode()[0] == {0o600}


def test_two_contents_are_never_mixed():
    stores = Stores(2, 6).fill()
    one = stores.put("a", RNG.randbytes(3 * 2 * BLOCK_SIZE), range(3))
    other = stores.put("a", RNG.randbytes(len(one)), range(3, 6))
    for store, number in ((1, 1), (2, 1), (4, 2), (5, 2)):
        stores.change("a", store, spoil_block(number))
    file = stores.model().name("a").file
    step = 2 * BLOCK_SIZE
    assert file.stripes() == [None, other[step : 2 * step], None]
    assert file.stripes([2, 1])[1:] == [one[2 * step :]] and file.stripes([2, 1])[0] is None


def test_more_stores_win():
    stores = Stores(2, 20).fill()
    most = stores.put("a", RNG.randbytes(5000))
    stores.put("a", RNG.randbytes(5000), (3, 7, 11))
    model = stores.model()
    assert content(model) == most
    assert not any(model.name("a").file.rule_7_may_replace(store) for store in ("03", "07", "0b"))


def test_classic_has_one_solution_or_an_error():
    for copy in (bytes, lambda data: data[:3] + bytes(byte ^ 7 for byte in data[3:])):
        stores = Stores(2, 3, "classic").fill()
        data = stores.put("a", RNG.randbytes(5000))
        stores.trees["again"] = dict(stores.trees["00"])
        stores.change("a", 2, copy)
        assert content(stores.model()) == (data if copy is bytes else None)


def test_half_way_to_another_k():
    stores = Stores(3, 4).fill()
    data = stores.put("a", RNG.randbytes(5000), [0, 1], k=2, time=TIME + HOUR)
    stores.put("a", data, [2, 3])
    assert stores.model().K == 3 and stores.model().name("a").is_lost()
    assert content(stores.model(required=2)) == data


def test_directories_of_several_k():
    stores = Stores(5, 6)
    for number in range(3):
        stores.put(f"five/{number}", RNG.randbytes(100))
    two = stores.put("two/a", RNG.randbytes(100), range(4), k=2)
    for tree in stores.trees.values():
        tree.update({"five": FOLDER, "two": FOLDER})
    assert stores.model().K == 5 and stores.model().name("two/a").is_lost()
    assert content(stores.model(required=2), "two/a") == two
    assert content(stores.model(required=1), "five/0") is not None


def test_leftovers_are_no_files():
    stores = Stores(3, 5).fill()
    share = stores.trees["04"]["other-0"].data
    for store, path in (("04", ".rsync-partial/a"), ("04", ".movie.HEPgLa"),
                        ("03", "System Volume Information/x"), ("02", ".DS_Store")):  # fmt: skip
        stores.trees[store][path] = Entry(FILE, share[:50])
        if "/" in path:
            stores.trees[store][os.path.dirname(path)] = FOLDER
    model = stores.model()
    assert model.status() == 0 and model.children("") == {"other-0", "other-1", "other-2"}


def test_a_store_whose_headers_are_gone_lends_blocks():
    stores = Stores(2, 3).fill()
    stores.trees["01"] = {path: entry._replace(data=bytes(64) + entry.data[64:]) if path else entry
                          for path, entry in stores.trees["01"].items()}  # fmt: skip
    model = stores.model(["00", "01"], required=2)
    assert model.voting == {"00": 0} and content(model, "other-0") is not None
    assert stores.model(["00", "01"]).unknown


def test_a_copy_that_was_being_written_in_place():
    """Its last block is of the older version, of which there would be enough: no reason to mix."""
    stores = Stores(3, 5).fill()
    old = stores.put("a", RNG.randbytes(3 * 3 * BLOCK_SIZE), time=TIME - HOUR)
    torn = stores.trees["02"]["a"].data
    new = stores.put("a", RNG.randbytes(len(old)), range(3))
    stores.change("a", 2, lambda data: data[: 64 + 2 * STEP] + torn[64 + 2 * STEP :])
    file = stores.model().name("a").file
    step = 3 * BLOCK_SIZE
    assert file.stripes() == [new[:step], new[step : 2 * step], None]
    assert file.stripes([2, 1, 0])[2] is None
