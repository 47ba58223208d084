# SPDX-License-Identifier: MIT
"""Random stores for the model: trees of hundreds of files, each damaged in its own way."""

import copy
import functools
import os
import struct

import oracle
import sealing
from model_sealed import Key, Sealer
from model_sealed import File as SealedFile
from model_shares import BLOCK, CHAR, CHECKED, DIRECTORY, FIFO, FILE, LINK, SOCKET, Entry

BLOCK_SIZE = 4096
STEP = BLOCK_SIZE + 32
TIME = 1400000000123456789
HOUR = 3600 * 10**9
FOLDERS = ("", "d0", "d1", "d1/sub", "d2")
IS_ROOT = os.geteuid() == 0
OWNERS = ((0, 0), (1000, 1000), (1, 5)) if IS_ROOT else ((os.geteuid(), os.getegid()),)


@functools.lru_cache(maxsize=1 << 13)
def share(share_format, data, k, count, index, mtime):
    return oracle.make_share(share_format, data, k, max(k, count), index, mtime, BLOCK_SIZE)


class Subject:
    """A file before it is damaged, and other files that it may be taken for."""

    path = ""  # in the source, which sealed shares are bound to

    def __init__(self, tree, rng):
        self.tree = tree
        size = random_size(tree.k, rng)
        later = rng.choice((-1, 1)) * rng.choice((1, 1000, HOUR))
        self.time = TIME + rng.randrange(10**9)
        data = rng.randbytes(size)
        edited = bytearray(data)
        if edited:
            edited[rng.randrange(size)] ^= 1
        other = rng.randbytes(rng.choice((size, size, random_size(tree.k, rng))))
        self.contents = {
            "right": (data, self.time),
            "twin": (rng.randbytes(size), self.time),  # the same size and time
            "edited": (bytes(edited), self.time),
            "touched": (data, self.time + later),
            "other": (other, self.time + later),
            "edit": (bytes(edited), self.time + later),
            "alien": (rng.randbytes(random_size(tree.k, rng)), self.time),
        }

    def entry(self, which, index, k=None):
        data, time = self.contents[which]
        tree = self.tree
        made = tree.share(self.path, data, k or tree.k, index, time)
        return Entry(FILE, made, 0o644, OWNERS[0], time)

    def at(self, path):
        """The same file under its name."""
        found = copy.copy(self)
        found.path = path
        return found


def random_size(k, rng):
    full = k * BLOCK_SIZE
    most = 3 if k <= 4 else 1
    kind = rng.random()
    if kind < 0.1:
        return 0
    if kind < 0.45 or (k > 4 and kind < 0.8):
        return rng.randint(1, 40 * k)
    stripes = rng.randint(1, most)
    return (stripes - 1) * full + rng.choice((1, k, full - 1, full, rng.randint(1, full), rng.randint(1, full)))


class Case:
    """One name, and what each store has of it."""

    def __init__(self, tree, path, subject):
        self.path, self.subject, self.tree, self.story = path, subject.at(path), tree, []
        self.entries = {store: self.subject.entry("right", index) for store, index in tree.indexes.items()}

    def change(self, store, **fields):
        self.entries[store] = self.entries[store]._replace(**fields)

    def bytes_of(self, store):
        return bytearray(self.entries[store].data)

    def __str__(self):
        size = len(self.subject.contents["right"][0]) if self.subject else "-"
        return f"{self.path} ({size} bytes): {'; '.join(self.story) or 'as it was'}"


# Damage of one copy: each takes its bytes and changes them


def some_block(data, rng):
    count = max(1, -(-(len(data) - 64) // STEP))
    start = 64 + rng.randrange(count) * STEP
    return min(start, len(data)), min(start + STEP, len(data))


def flip(data, start, end, rng):
    start, end = max(0, start), min(end, len(data))
    if start < end:
        data[rng.randrange(start, end)] ^= 1 << rng.randrange(8)


def flip_anywhere(data, rng):
    flip(data, 0, len(data), rng)


def flip_header(data, rng):
    flip(data, 0, 64, rng)


def flip_start(data, rng):
    flip(data, 0, 3, rng)


def flip_digest(data, rng):
    start, _ = some_block(data, rng)
    flip(data, start, start + 16, rng)


def flip_payload(data, rng):
    start, end = some_block(data, rng)
    flip(data, start + 16, end - 16, rng)


def flip_check(data, rng):
    _, end = some_block(data, rng)
    flip(data, end - 16, end, rng)


def flip_many(data, rng):
    for _ in range(rng.randint(2, 20)):
        flip_anywhere(data, rng)


def cut(data, rng):
    del data[rng.randrange(len(data) + 1) :]


def cut_end(data, rng):
    del data[-rng.randint(1, 500) :]


def cut_header(data, rng):
    del data[rng.randrange(65) :]


def grow(data, rng):
    data += rng.choice((bytes, rng.randbytes))(rng.choice((1, 16, 32, STEP, rng.randint(1, 5000))))


def zeros(data, _rng):
    data[:] = bytes(len(data))


def zero_page(data, rng):
    at = rng.randrange(len(data) // 4096 + 1) * 4096
    data[at : at + 4096] = bytes(len(data[at : at + 4096]))


def noise(data, rng):
    data[:] = rng.randbytes(len(data))


def swap_blocks(data, rng):
    (start, end), (other, other_end) = some_block(data, rng), some_block(data, rng)
    if end - start == other_end - other:
        data[start:end], data[other:other_end] = data[other:other_end], data[start:end]


def lose_header(data, rng):
    length = min(64, len(data))
    data[:length] = rng.choice((bytes(length), rng.randbytes(length)))


def lose_header_and_length(data, rng):
    lose_header(data, rng)
    rng.choice((cut_end, grow, cut))(data, rng)


def damage_header_and_length(data, rng):
    flip_header(data, rng)
    rng.choice((cut_end, grow, cut))(data, rng)


BYTES = {
    flip_anywhere: 6, flip_header: 3, flip_start: 2, flip_digest: 3, flip_payload: 8, flip_check: 3,
    flip_many: 2, cut: 2, cut_end: 3, cut_header: 1, grow: 3, zeros: 3, zero_page: 4, noise: 1,
    swap_blocks: 4, lose_header: 5, lose_header_and_length: 4, damage_header_and_length: 3,
}  # fmt: skip


# Damage of one copy by what others have


def spoil(case, store, rng):
    if case.entries[store].kind == FILE:
        (change,) = rng.choices(list(BYTES), BYTES.values())
        data = case.bytes_of(store)
        change(data, rng)
        case.change(store, data=bytes(data))
        case.story.append(f"{change.__name__} {store}")


def lose(case, store, _rng):
    del case.entries[store]


def take(case, store, rng):
    """The copy of another file or version."""
    which = rng.choice(("twin", "edited", "touched", "other", "edit", "other", "touched"))
    case.entries[store] = case.subject.entry(which, case.tree.indexes[store])
    case.story.append(which)


def take_block(case, store, rng):
    """A block of another file, version or share over the same one of this."""
    which = rng.choice(("right", "twin", "edited", "other", "edit"))
    index = case.tree.indexes[store if rng.random() < 0.7 else rng.choice(list(case.tree.indexes))]
    other = case.subject.entry(which, index).data
    data = case.bytes_of(store)
    start, end = some_block(data, rng)
    if len(other) >= end:
        data[start:end] = other[start:end]
        case.change(store, data=bytes(data))
        case.story.append(f"of {which} {index}")


def swap(case, store, rng):
    other = rng.choice(list(case.entries))
    case.entries[store], case.entries[other] = case.entries[other], case.entries[store]


def copy_over(case, store, rng):
    case.entries[rng.choice(list(case.tree.indexes))] = case.entries[store]


def forge_share(case, store, rng):
    """Valid in itself, with another k and perhaps other content, or another index."""
    k = rng.choice((1, 1, 1, 2, rng.randint(1, 20)))
    index = rng.choice((case.tree.indexes[store], 0, rng.choice(list(case.tree.indexes.values()))))
    which = rng.choice(("right", "alien", "alien", "other", "twin"))
    if case.tree.format == "fec":
        k = min(k, case.tree.count)
    case.entries[store] = case.subject.entry(which, index, k)
    case.story.append(f"k {k} index {index} {which}")


def forge_newer(case, store, rng):
    data = rng.randbytes(rng.randint(0, 3000))
    k = rng.choice((1, 1, case.tree.k))
    time = case.subject.time + 10 * HOUR
    if case.tree.format == "fec":
        k = min(k, case.tree.count)
    made = case.tree.share(case.path, data, k, case.tree.indexes[store], time)
    case.change(store, kind=FILE, data=made, mtime=time)


def forge_block(case, store, rng):
    """Its check is right, its payload is not."""
    data = case.bytes_of(store)
    start, end = some_block(data, rng)
    if case.tree.format not in CHECKED or end - start < 33:
        return
    block = data[start : end - 16]
    block[rng.randrange(16, len(block))] ^= 1 << rng.randrange(8)
    seed = (start - 64) // STEP * 256 + case.tree.indexes[store]
    data[start:end] = block + oracle.checksum(bytes(block), seed)
    case.change(store, data=bytes(data))


def huge_header(case, store, rng):
    if case.tree.format in CHECKED:
        size = rng.choice((1 << 62, (1 << 63) - 1, 1 << 40))
        time = case.subject.time + rng.choice((0, HOUR))
        make = oracle.checked_header if case.tree.format == "checked" else sealing.header
        header = make(rng.choice((1, case.tree.k)), case.tree.indexes[store], size, time, 1 << rng.choice((12, 20)))
        data = case.bytes_of(store)
        data[:64] = header
        case.change(store, data=bytes(data))


def other_kind(case, store, rng):
    case.entries[store] = random_special(rng)


def other_mode(case, store, rng):
    entry = with_mode(case.entries[store], rng.choice((0o600, 0o666, 0o4755, 0o755, 0o400)))
    case.entries[store] = entry._replace(owner=rng.choice(OWNERS))


def other_attributes(case, store, rng):
    case.entries[store] = with_attributes(case.entries[store], rng)


ONE = {
    spoil: 55, lose: 8, take: 14, take_block: 10, swap: 3, copy_over: 4, forge_share: 4, forge_newer: 2,
    forge_block: 3, huge_header: 2, other_kind: 4, other_mode: 4, other_attributes: 2,
}  # fmt: skip


def random_special(rng, plain=False):
    kinds = [DIRECTORY, LINK, LINK, FIFO] + ([] if plain else [SOCKET] + [CHAR, BLOCK] * IS_ROOT)
    kind = rng.choice(kinds)
    mode = {DIRECTORY: rng.choice((0o755, 0o700, 0o2755, 0o1777)), LINK: 0o777}.get(kind, rng.choice((0o644, 0o600)))
    time = TIME + rng.randrange(5) * HOUR
    target = rng.choice(("a", "/nowhere")) if kind == LINK else None
    rdev = os.makedev(1, rng.randint(3, 9)) if kind in (CHAR, BLOCK) else 0
    return Entry(kind, b"", mode, OWNERS[0], time, (), target, rdev)


CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
ACLS = ("system.posix_acl_access", "system.posix_acl_default")


def acl(mode, named):
    """An access control list that goes with a mode; a user has the `named` rights in it."""
    rights = ((1, mode >> 6, -1), (2, named, 1000), (4, 4, -1), (16, mode >> 3, -1), (32, mode, -1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", tag, right & 7, who) for tag, right, who in rights)


def with_mode(entry, mode):
    """Its access control list has to go with it."""
    lists = tuple((name, acl(mode, value[14]) if name == ACLS[0] else value) for name, value in entry.xattrs)
    return entry._replace(mode=mode, xattrs=lists)


def with_attributes(entry, rng):
    found = {}
    if entry.kind in (FILE, DIRECTORY):
        found = {"user.test": rng.choice((b"one", b"two"))} if rng.random() < 0.8 else {}
        for name in ACLS[: 1 + (entry.kind == DIRECTORY)]:
            if rng.random() < 0.3:
                found[name] = acl(entry.mode if name == ACLS[0] else 0o755, rng.choice((4, 7)))
    if IS_ROOT and rng.random() < 0.4:
        found["trusted.test"] = rng.choice((b"one", b"two"))
    if IS_ROOT and entry.kind == FILE and rng.random() < 0.2:
        found["security.capability"] = CAPABILITY
    return entry._replace(xattrs=tuple(sorted(found.items())))


# What befalls several copies at once


def single(case, rng):
    """Independent damage of some copies."""
    for _ in range(rng.choice((1, 1, 2, rng.randint(1, 2 * len(case.tree.indexes))))):
        present = [store for store in case.entries if case.entries[store].kind == FILE]
        if present:
            store = rng.choice(present)
            (change,) = rng.choices(list(ONE), ONE.values())
            if change is not spoil:
                case.story.append(f"{change.__name__} {store}")
            change(case, store, rng)


def nothing(_case, _rng):
    pass


def few(case, rng):
    """In few stores only."""
    if rng.random() < 0.5:  # and under no other name
        case.subject = Subject(case.tree, rng).at(case.path)
        case.entries = {store: case.subject.entry("right", index) for store, index in case.tree.indexes.items()}
    for store in rng.sample(list(case.entries), max(0, len(case.entries) - rng.randint(1, case.tree.k))):
        del case.entries[store]


def camps(case, rng):
    """Some stores have another content of the same size and time, or another version."""
    which = rng.choice(("twin", "edited", "edited", "other", "touched", "edit"))
    for store in case.entries:
        if rng.random() < 0.5:
            case.entries[store] = case.subject.entry(which, case.tree.indexes[store])
            case.story.append(f"{store}")
    case.story.append(which)
    if rng.random() < 0.6:
        single(case, rng)


def no_headers(case, rng):
    """Headers are damaged in many stores; in others, blocks."""
    for store in case.entries:
        data = case.bytes_of(store)
        change = rng.choice((lose_header, lose_header_and_length, flip_payload, flip_payload, zero_page))
        if rng.random() < 0.6:
            change(data, rng)
            case.story.append(f"{change.__name__} {store}")
            case.change(store, data=bytes(data))


def kinds(case, rng):
    """Other kinds of the same name in some stores."""
    others = [random_special(rng) for _ in range(rng.choice((1, 1, 2)))]
    for store in list(case.entries):
        if rng.random() < 0.5:
            case.entries[store] = rng.choice(others)
            case.story.append(f"{case.entries[store].kind} {store}")


def special(case, rng):
    """No file at all."""
    one = random_special(rng)
    for store in list(case.entries):
        case.entries[store] = one
        if rng.random() < 0.3:
            case.entries[store] = random_special(rng)
        elif rng.random() < 0.2:
            del case.entries[store]
    case.story.append(one.kind)


def modes(case, rng):
    """Modes, owners and attributes that stores do not agree on."""
    choices = rng.sample((0o644, 0o600, 0o664, 0o4755, 0o2755, 0o755), 2)
    owners = rng.choices(OWNERS, k=rng.choice((1, 2)))
    ways = [with_attributes(Entry(mode=mode), rng) for mode in (*choices, *choices)] + [Entry(mode=choices[0])]
    for store in case.entries:
        way = rng.choice(ways)
        case.change(store, mode=way.mode, owner=rng.choice(owners), xattrs=way.xattrs)
    case.story.append("modes")


SEVERAL = {nothing: 15, single: 50, few: 7, camps: 9, no_headers: 6, kinds: 4, special: 3, modes: 4}
LEFTOVER_NAMES = (".movie.Ab12xY", "movie.5a8d90e6.zfec-fs-partial", ".DS_Store", ".zfec-fs-new-1", ".rsync-partial/a", "System Volume Information/x")


def trade(tree, rng):
    """Two names of a store stand for each other's files."""
    files = [path for path, entry in tree.items() if entry.kind == FILE]
    if files:
        one, other = rng.choice(files), rng.choice(files)
        tree[one], tree[other] = tree[other], tree[one]


# Trees


class Tree:
    """A set of stores, its format and what `required=` is given."""

    def __init__(self, rng, cases, share_format, honest=False):
        self.rng, self.format = rng, share_format
        self.sealer = Sealer(rng, TIME) if share_format == "sealed" else None
        self.k = rng.choice((1, 2, 2, 2, 3, 3, 3, 4, rng.randint(1, 20)))
        number = rng.randint(1, 12) if rng.random() < 0.3 else min(12, self.k + rng.randint(0, 4))
        self.count = max(self.k, number) + rng.choice((0, 0, 5))
        places = range(self.count) if rng.random() < 0.7 or share_format == "fec" else range(256)
        indexes = rng.sample(places, number)
        names = [f"{i:02x}" for i in indexes] if rng.random() < 0.8 else [f"store {i}" for i in range(number)]
        self.indexes = dict(zip(names, indexes))
        self.required = rng.choices((None, self.k, 1, rng.randint(1, 6)), (80, 12, 4, 4))[0]
        self.cases = []
        self._make(rng, cases, honest)
        self.stores = self._lay_out(rng)
        if not honest:
            self._dress_folders(rng)
            self._plant(rng)
            self._change_stores(rng)

    key = property(lambda self: self.sealer and Key(self.sealer))

    def share(self, path, data, k, index, time):
        if self.sealer:
            return self.sealer.share(path, data, k, index, time)
        return share(self.format, data, k, self.count, index, time)

    def raw(self, path):
        """What a path of the source is called in a share."""
        return self.sealer.raw(path) if self.sealer else path

    def _make(self, rng, cases, honest):
        subjects = [Subject(self, rng) for _ in range(min(cases, 60))]
        for number in range(cases):
            folder = rng.choice(FOLDERS)
            name = f"{rng.choice('abz')}{number}"
            if not honest and rng.random() < 0.01:
                name = f"{number}{rng.choice(LEFTOVER_NAMES)}"[len(str(number)) :]
            case = Case(self, f"{folder}/{name}" if folder else name, rng.choice(subjects))
            self.cases.append(case)
            if not honest:
                (change,) = rng.choices(list(SEVERAL), SEVERAL.values())
                case.story.append(change.__name__)
                change(case, rng)

    def _lay_out(self, rng):
        roots = self.folder = Entry(DIRECTORY, b"", 0o755, OWNERS[0], TIME)
        stores = {store: {"": roots} for store in self.indexes}
        taken = {folder: roots for folder in FOLDERS}
        for case in self.cases:
            for store, entry in case.entries.items():
                parent = os.path.dirname(case.path)
                while parent:
                    stores[store].setdefault(parent, taken.get(parent, roots))
                    parent = os.path.dirname(parent)
                stores[store][case.path] = entry
        for tree in stores.values():
            for path in sorted(tree):
                if path and tree.get(os.path.dirname(path), Entry()).kind != DIRECTORY:
                    del tree[path]
        return self._seal(stores, rng) if self.sealer else stores

    def _seal(self, stores, rng):
        """Under their ids, with a manifest in each directory, which may be damaged, too."""
        stores = {store: {self.raw(path): entry for path, entry in tree.items()} for store, tree in stores.items()}
        files = {}
        for case in self.cases:
            data, time = case.subject.contents["right"]
            files[case.path] = SealedFile(len(data), time, OWNERS[0])
        parents = {""}
        for path in files:
            while path := os.path.dirname(path):
                parents.add(path)
        for folder in sorted(parents):
            inside = {path: files.get(path) for path in [*files, *parents - {""}] if os.path.dirname(path) == folder}
            entry_of = self.sealer.manifest(folder, inside, self.k)
            entries = {store: entry_of(index) for store, index in self.indexes.items()}
            if rng.random() < 0.5:
                self._damage_manifest(entries, rng)
            for store, entry in entries.items():
                if stores[store].get(self.raw(folder), Entry()).kind == DIRECTORY:
                    stores[store][os.path.join(self.raw(folder), sealing.MANIFEST)] = entry
        return stores

    def _damage_manifest(self, entries, rng):
        for store in rng.sample(list(entries), rng.randint(1, len(entries))):
            if rng.random() < 0.2:
                del entries[store]
            elif rng.random() < 0.6:
                data = bytearray(entries[store].data)
                rng.choice(list(BYTES))(data, rng)
                entries[store] = entries[store]._replace(data=bytes(data))

    def _dress_folders(self, rng):
        """Stores do not agree on what directories are like."""
        for folder in map(self.raw, FOLDERS[1:]):
            if rng.random() < 0.5:
                continue
            ways = [self.folder._replace(mode=mode, owner=rng.choice(OWNERS)) for mode in (0o755, 0o2775, 0o1777, 0o700)]
            ways = [with_attributes(way, rng) for way in rng.sample(ways, 2) * 2] + [self.folder]
            for tree in self.stores.values():
                if tree.get(folder, Entry()).kind == DIRECTORY:
                    tree[folder] = rng.choice(ways)

    def _plant(self, rng):
        """Directories that few stores have, also where others have a file."""
        for number in range(rng.choice((0, 1, 1, 3))):
            stores = rng.sample(list(self.indexes), min(len(self.indexes), rng.randint(1, self.k)))
            place = self.raw(rng.choice(self.cases).path) if rng.random() < 0.5 else os.path.join(self.raw(rng.choice(("", "d0"))), f"own{number}")
            parent = os.path.dirname(place)
            stores = [s for s in stores if not parent or self.stores[s].get(parent, Entry()).kind == DIRECTORY]
            inside = {place: None, f"{place}/f": (Subject(self, rng), self.k), f"{place}/sub": None}
            inside[f"{place}/g"] = Subject(self, rng), rng.choice((1, self.k))
            inside[f"{place}/sub/h"] = Subject(self, rng), self.k
            inside[f"{place}/.x.Ab12xY"] = Subject(self, rng), self.k
            for path, made in inside.items():
                if made and rng.random() < 0.4:
                    continue
                for store in stores:
                    if made is None:
                        self.stores[store][path] = self.folder
                    elif rng.random() < 0.8:
                        self.stores[store][path] = made[0].entry("right", self.indexes[store], made[1])

    def _change_stores(self, rng):
        names = list(self.stores)
        if rng.random() < 0.15:  # under two names
            self._add("again", dict(self.stores[rng.choice(names)]))
        if rng.random() < 0.08:
            self._add("empty", {"": Entry(DIRECTORY, b"", 0o755, OWNERS[0], TIME)})
        if rng.random() < 0.05:
            one = self.stores[rng.choice(names)]
            self._add("junk", {p: e._replace(data=bytes(len(e.data))) for p, e in one.items()})
        if rng.random() < 0.06:  # a store that shows one mode for everything
            name = rng.choice(names)
            for path, entry in self.stores[name].items():
                if entry.kind != LINK:
                    mode = 0o777 if entry.kind == DIRECTORY else 0o666
                    self.stores[name][path] = with_mode(entry, mode)._replace(owner=OWNERS[0])
        if rng.random() < 0.06:  # one that keeps times to the second, or of these 32 bits
            name, turn = rng.choice(names), rng.choice((0, 0, 2**32))
            for path, entry in self.stores[name].items():
                seconds = entry.mtime // 10**9 + turn
                self.stores[name][path] = entry._replace(mtime=seconds * 10**9)
        if rng.random() < 0.05:  # one that lacks a directory
            name, folder = rng.choice(names), self.raw(rng.choice(FOLDERS[1:]))
            tree = self.stores[name]
            for path in [path for path in tree if path == folder or path.startswith(folder + "/")]:
                del tree[path]
        if rng.random() < 0.05:  # one that is copied in part
            tree = self.stores[rng.choice(names)]
            for path in [path for path, entry in tree.items() if entry.kind != DIRECTORY and rng.random() < 0.7]:
                del tree[path]
        if rng.random() < 0.1:  # one with another store's share
            one, other = rng.choice(names), rng.choice(names)
            self.stores[one] = dict(self.stores[other])
        if rng.random() < 0.1:  # two that have changed places
            one, other = rng.choice(names), rng.choice(names)
            self.stores[one], self.stores[other] = self.stores[other], self.stores[one]
        for tree in self.stores.values():
            if rng.random() < 0.1:
                trade(tree, rng)

    def _add(self, name, tree):
        self.stores[name] = tree

    def __str__(self):
        required = f", required {self.required}" if self.required is not None else ""
        shares = ", ".join(f"{name}={index:02x}" for name, index in self.indexes.items())
        extra = [name for name in self.stores if name not in self.indexes]
        return f"{self.format}, k {self.k}, {len(self.cases)} cases{required}; {shares} {extra}"
