# SPDX-License-Identifier: MIT
"""The rules of trust (docs/design.md, "Whom to believe") as a model: what is owed of stores.

    Model(stores, share_format, required).name(path)

`stores` is a dict: name of the store -> {path: Entry}; the store's own directory has the path "".
The model shares no code with zfec-fs, and knows nothing of how the stores came to be. Where two
outcomes are right, it gives a set of them, or None.
"""

import functools
import itertools
import os
import re
from collections import Counter, defaultdict, deque

from model_shares import BLOCK, CHAR, DIRECTORY, FILE, LINK, Entry, copy_of, decode, differences, make_piece, make_share, parse, patterns, solve

SAMPLE_HEADERS, SAMPLE_NAMES, SAMPLE_STRIPES = 64, 4096, 4096
PLAIN = Entry().what()
TRANSFERS = (".rsync-partial", ".~tmp~", "System Volume Information")
LEFTOVER = re.compile(
    r"\.rsync-partial|\.~tmp~|\..+\.[A-Za-z0-9]{6}|\.zfec-fs-new-.*|.+\.zfec-fs-partial|\.DS_Store|System Volume Information",
    re.DOTALL,
)
RANDOM = re.compile(r"\..+\.[A-Za-z0-9]{6}", re.DOTALL)
GRANULARITIES = (2 * 10**9, 10**9, 10**6, 10**3, 100, 1)


WORD = re.compile(r".*\.([A-Z]?[a-z]*|[A-Z]+)[0-9]*", re.DOTALL)  # .bashrc.backup is the user's


def is_leftover_name(name):
    return LEFTOVER.fullmatch(name) and not (RANDOM.fullmatch(name) and WORD.fullmatch(name))


def is_leftover(path):
    return any(map(is_leftover_name, path.split("/")))


def once(method):
    """Keeps what a method without arguments returns."""
    key = f"once {method.__name__}"

    @functools.wraps(method)
    def kept(self):
        if key not in self.__dict__:
            self.__dict__[key] = method(self)
        return self.__dict__[key]

    return kept


@functools.lru_cache(maxsize=1 << 16)
def granularity(time):
    return next(unit for unit in GRANULARITIES if time % unit == 0)


def is_same_time(one, other):
    if one == other:
        return True
    return is_same_at(one, other, max(granularity(one), granularity(other)))


def is_same_at(one, other, unit):
    return one // unit == other // unit


def most(votes):
    """The keys with the most votes, and how many these are. votes: key -> set of shares."""
    top = max(map(len, votes.values()), default=0)
    return [key for key, shares in votes.items() if len(shares) == top], top


def spare(indexes, need):
    """How many stores can go, whichever, so that `need` indexes (store -> index) remain."""
    stores = sorted(Counter(indexes.values()).values())
    return sum(stores[: len(stores) - need + 1]) - 1 if len(stores) >= need else -1


class Sample:
    """Rule 1: what a store says of itself."""

    def __init__(self, share_format, store):
        self.format, self.store, self.headers = share_format, store, []
        self.modes, self.directories, self.empty = set(), set(), True
        self.unit = GRANULARITIES[0]  # the finest that a time of its files shows
        self._look()
        indexes = Counter(header.index for header in self.headers)
        ks = Counter(header.version.k for header in self.headers)
        self.ks = set(ks)
        self.share = min(indexes, key=lambda i: (-indexes[i], i), default=None)
        self.k = max(ks, key=lambda k: (ks[k], k), default=None)

    def keeps_no_modes(self, entry):
        """Whether it looks as if the store showed one mode and owner for everything."""
        shown = self.directories if entry.kind == DIRECTORY else self.modes
        if len(self.modes) > 1 or len(self.directories) > 1:
            return False
        if entry.kind == LINK:
            return {entry.owner} == {owner for _, owner in shown}
        return {(entry.mode, entry.owner)} == shown

    def _look(self):
        """A directory at a time: first for what is in it, then at the files."""
        below, queue, looked = defaultdict(list), [""], 0
        for path in sorted(self.store, key=os.fsencode):
            if path and not is_leftover(path):
                below[os.path.dirname(path)].append(path)
        while queue and looked < SAMPLE_NAMES:
            inside = below[queue.pop(0)][: SAMPLE_NAMES - looked]
            entries = {path: self.store[path] for path in inside}
            directories = [path for path, entry in entries.items() if entry.kind == DIRECTORY]
            self.directories |= {(entries[path].mode, entries[path].owner) for path in directories}
            queue += directories
            looked += len(entries)
            for entry in entries.values():
                if entry.kind == FILE and not self._look_at(entry):
                    return

    def _look_at(self, entry):
        self.empty = False
        self.unit = min(self.unit, granularity(entry.mtime))
        self.modes.add((entry.mode, entry.owner))
        header = parse(self.format, entry.data)
        self.headers += [header] if header else []
        return len(self.headers) < SAMPLE_HEADERS


class Model:
    """The tree that the stores hold."""

    def __init__(self, stores, share_format, required=None, unconfirmed=False):
        self.stores, self.format, self.required, self.unconfirmed = stores, share_format, required, unconfirmed
        self.samples = {name: Sample(share_format, store) for name, store in stores.items()}
        self.with_files = [name for name in stores if not self.samples[name].empty]
        self.voting = {name: s.share for name, s in self.samples.items() if s.share is not None}
        if not self.with_files:  # rule 2: directories and symlinks alone
            self.voting = {name: name for name in stores if set(stores[name]) - {""}}
        self.lending = [name for name in self.with_files if name not in self.voting]
        self.likely = tuple(dict.fromkeys(self.voting.values())) if self.with_files else ()
        self.K = self._find_k()
        self.is_empty = bool(self.with_files) and not self.voting  # rule 2: no header is intact
        self.unknown = self.K is None and not self.is_empty  # `required=` must be given
        found = {(share, self.samples[name].k) for name, share in self.voting.items()}
        self.too_few = self.is_empty or not self.unknown and len(found) + len(self.lending) < self.K
        self.paths = sorted({path for store in stores.values() for path in store})
        self._names = {}

    def _find_k(self):
        if self.required is not None:
            return self.required
        if not self.with_files:
            return len(self.voting) // 2 + 1
        if 2 * len(self.voting) <= len(self.with_files):
            return None
        votes = defaultdict(set)
        for name, share in self.voting.items():
            votes[self.samples[name].k].add(share)
        return max(most(votes)[0])

    def name(self, path):
        if path not in self._names:
            self._names[path] = Name(self, path)
        return self._names[path]

    @once
    def names(self):
        return [self.name(path) for path in self.paths]

    def children(self, path):
        """What a listing of a directory shows."""
        paths = [p for p in self.paths if p and os.path.dirname(p) == path]
        return {os.path.basename(p) for p in paths if self.name(p).is_listed()}

    def eithers(self):
        """Paths that may be shown and may be not, and what is beneath them."""
        undecided = [name.path for name in self.names() if name.state == "either"]
        return {path for path in self.paths for one in undecided if path == one or path.startswith(one + "/")}

    def has_nothing(self, store):
        """Whether a store is told as empty, and no longer looked at."""
        return bool(self.with_files) and self.samples[store].empty

    def status(self):
        """check's exit status."""
        if self.unknown:
            return 4
        if self.too_few or any(name.is_lost() for name in self.names()):
            return 2
        return int(any(map(self.has_nothing, self.stores)) or any(name.is_wrong() for name in self.names()))

    def is_written(self, store):
        """Rule 7: whether repair writes to a store; without checks, one that says another k may be none."""
        says = Counter(self.samples[name].k for name in self.voting)
        most_said = max(says, key=lambda k: (says[k], k), default=None)
        return store in self.voting and (self.format == "checked" or self.samples[store].k == most_said)

    def is_half_copied(self, store):
        """Rule 7: whether a store lacks more than half of the names that are shown, lost ones included."""
        return 2 * self._missing()[store] > len(self.listed())

    @once
    def listed(self):
        return [name for name in self.names() if name.path and name.is_listed()]

    @once
    def _missing(self):
        return Counter(store for name in self.listed() for store in self.stores if store not in name.entries)

    def is_alien(self, store):
        """Rule 7: whether most files of a store are in no other one, or not shown."""
        alone, files = self._alone()
        return 2 * alone[store] > files[store]

    @once
    def _alone(self):
        alone, files = Counter(), Counter()
        for name in self.names():
            if not is_leftover_name(os.path.basename(name.path)):
                files.update(list(name.copies))
                if len(name.entries) == 1 or name.state == "foreign":
                    alone.update(list(name.copies))
        return alone, files

    @once
    def scattered(self):
        """Rule 7: names that only together have the shares that a version needs."""
        pieces = defaultdict(dict)
        for name in self.names():
            file = File(self, name.copies, name.entries)
            for version in file.versions:
                if version.size and len(file.full_shares(version)) < file.need(version):
                    time = version.mtime if self.format == "checked" or version.mtime is None else version.mtime // GRANULARITIES[0]
                    shares = {copy.header.index for copy in file.versions[version].values()}
                    pieces[version._replace(mtime=time)].setdefault(name.path, set()).update(shares)
        return {path for version, names in pieces.items() for path in names
                if len(names) > 1 and len(set().union(*names.values())) >= version.k}  # fmt: skip

    def repair_needs_required(self):
        """Rule 7: whether fewer stores take part than the largest k that two of them say."""
        says = Counter(k for _, k in {(share, k) for name, share in self.voting.items() for k in self.samples[name].ks})
        largest = max((k for k, count in says.items() if count > 1), default=0)
        return self.required is None and len(set(self.voting.values())) < largest


class Entries:
    """What stores have under one name, and which kinds of it have the votes that they need."""

    def __init__(self, model, path):
        self.model, self.path = model, path
        self.entries = {s: tree[path] for s, tree in model.stores.items() if path in tree}
        self.copies = {s: copy_of(model.format, e.data, model.likely)
                       for s, e in self.entries.items() if e.kind == FILE}  # fmt: skip

    @once
    def votes(self):
        """kind -> the shares that say it, and the stores without one as far as rule 2 lets them."""
        found, model = defaultdict(set), self.model
        for store, entry in self.entries.items():
            if store in model.voting:
                found[entry.what()].add(model.voting[store])
        if any(self.speaks(store) for store in self.copies):
            found[PLAIN].update(store for store in self.copies if store in model.lending)
        return found

    def speaks(self, store):
        """Whether a voting store's copy has a header: one of another share does not count (rule 6)."""
        voter, header = self.model.voting.get(store), self.copies[store].header
        return header is not None and voter is not None and (self.model.format == "checked" or header.index == voter)

    def need(self, kind):
        return min(self.model.K, 2) if kind[0] in (DIRECTORY, LINK) else self.model.K

    def winners(self):
        votes = self.votes()
        return most({kind: votes[kind] for kind in votes if len(votes[kind]) >= self.need(kind)})[0]


class Name(Entries):
    """Rule 3: one name of the tree.

    state: shown (kind says as what), lost, conflict, foreign, leftover, either (unconfirmed: any of its
    kinds may be shown), or hidden, where the directory that it lies in is not there.
    """

    def __init__(self, model, path):
        super().__init__(model, path)
        self.kind = self.file = None
        self.state = self._decide()

    def is_listed(self):
        return self.state in ("shown", "lost", "conflict")

    # What it is

    def _decide(self):
        model = self.model
        if model.unknown or model.too_few:
            return "lost"
        if not self.path:
            self.kind = (DIRECTORY, None, 0)
            return "shown"
        parent = model.name(os.path.dirname(self.path))
        if parent.state != "shown" or parent.kind[0] != DIRECTORY:
            return "leftover" if is_leftover(self.path) else "hidden"
        winners = self.winners()
        if is_leftover(self.path):
            return self._decide_leftover(winners)
        if len(winners) > 1:
            return "conflict"
        if winners:
            return self._show(winners[0])
        held = {model.voting[s] for s in self.copies if self.speaks(s)}
        return "lost" if len(held) >= 2 else self._decide_foreign()

    def _decide_foreign(self):
        """Of kinds with as many votes, either may be shown unconfirmed."""
        votes = self.votes()
        likely, _ = most({entry.what(): votes.get(entry.what(), set()) for entry in self.entries.values()})
        if not self.model.unconfirmed or all(kind[0] in (CHAR, BLOCK) for kind in likely):
            return "foreign"
        return self._show(likely[0], 1) if len(likely) == 1 else "either"

    def _show(self, kind, required=None):
        self.kind = kind
        if kind == PLAIN:
            self.file = File(self.model, self.copies, self.entries, required)
            return self.file.state
        return "shown"

    def _decide_leftover(self, winners):
        if len(winners) != 1:
            return "leftover"
        (kind,) = winners
        if kind == PLAIN and not File(self.model, self.copies, self.entries).is_complete:
            return "leftover"
        if kind[0] == DIRECTORY and len(self.votes()[kind]) < self.model.K:
            return "leftover"
        if kind[0] == DIRECTORY and os.path.basename(self.path) in TRANSFERS and not self._holds_complete():
            return "leftover"
        return self._show(kind)

    def _holds_complete(self):
        """Whether a file directly in this directory is complete."""
        inside = (Entries(self.model, path) for path in self.model.paths if os.path.dirname(path) == self.path)
        return any(one.winners() == [PLAIN] and File(self.model, one.copies, one.entries).is_complete for one in inside)

    # Metadata

    @once
    def holders(self):
        """The voting stores that hold what is shown."""
        holding = self.file.members if self.file else self.entries
        return [s for s in holding if s in self.model.voting and self.entries[s].what() == self.kind]

    def _vote(self, stores, value):
        votes = defaultdict(set)
        for store in stores:
            votes[value(self.entries[store])].add(self.model.voting[store])
        return votes

    @once
    def metadata(self):
        """(modes, owners): the sets of those that are right."""
        stores = self.holders()
        telling = [s for s in stores if not self.model.samples[s].keeps_no_modes(self.entries[s])]
        if len({self.model.voting[s] for s in telling}) < 2:
            telling = stores
        tied, _ = most(self._vote(telling, lambda e: (e.mode, e.owner)))
        mode = functools.reduce(int.__and__, (mode for mode, _ in tied))
        owners = {owner for _, owner in tied}
        sticky = functools.reduce(int.__or__, (mode for mode, _ in tied)) & 0o1000 if len(tied) > 1 else 0
        special = self._vote(stores, lambda e: (e.mode & 0o7000, e.owner))
        if any(len(special[mode & 0o7000, owner]) >= self.model.K for owner in owners):
            return {(mode & 0o1777 if len(owners) > 1 else mode) | sticky}, owners
        return {mode & 0o777 | sticky}, owners

    def keeps_mode(self, store):
        """Rule 7: whether repair leaves the mode and owner that a store's copy has."""
        stores, entry = self.holders(), self.entries.get(store)
        if store not in stores:
            return False
        telling = [s for s in stores if not self.model.samples[s].keeps_no_modes(self.entries[s])]
        if len({self.model.voting[s] for s in telling}) < 2:
            telling = stores
        if len(most(self._vote(telling, lambda e: (e.mode, e.owner)))[0]) > 1:
            return True
        (mode,), (owner,) = self.metadata()
        deny = {self.model.voting[s] for s in stores if (self.entries[s].mode ^ entry.mode) & 0o7000}
        return not (mode ^ entry.mode) & 0o777 and entry.owner == owner and len(deny) < self.model.K

    @once
    def times(self):
        """The times that are right: the finest of those that are the same as the newest with most votes."""
        votes, stores = defaultdict(set), self.holders()
        for store, time in itertools.product(stores, {self.entries[s].mtime for s in stores}):
            if is_same_time(self.entries[store].mtime, time):
                votes[time].add(self.model.voting[store])
        newest = max(most(votes)[0])
        same = [time for time in votes if is_same_time(time, newest)]
        finest = {time for time in same
                  if not any(is_same_time(time, other) and granularity(other) < granularity(time) for other in same)}  # fmt: skip
        return finest | ({self.file.version.mtime} if self.file and self.file.checked else set())

    @once
    def attributes(self):
        """name -> the values that are right; None: it is absent."""
        stores, right = self.holders(), {}
        for name in {name for s in stores for name, _ in self.entries[s].xattrs}:
            tied, top = most(self._vote(stores, lambda e: dict(e.xattrs).get(name)))  # noqa: B023
            if name.startswith(("security.", "trusted.")) and top < self.model.K:
                tied = [None]
            if len(tied) > 1 and None in tied:
                is_acl = name.startswith("system.posix_acl")
                tied = [None] if is_acl else [value for value in tied if value is not None]
            right[name] = set(tied)
        return right

    # Rule 9: verdicts

    @once
    def is_lost(self):
        return self.state in ("lost", "conflict") or (self.file is not None and self.is_listed() and None in self.file.stripes())

    def is_conflict(self):
        """Whether two sides have equal claims: kinds, versions, or contents of a stripe."""
        return self.state == "conflict" or (self.state == "shown" and self.file is not None and self.file.has_rivals())

    def is_wrong(self):
        """Whether something is to be told of it."""
        if self.state in ("hidden", "leftover"):
            return False
        stores = [store for store in self.model.stores if not self.model.has_nothing(store)]
        return self.state != "shown" or self.has_other_metadata() or any(self.state_of(s) != "good" for s in stores)

    @once
    def has_other_metadata(self):
        """Whether not all stores that hold it show it alike, or as it is shown."""
        shown = [self.entries[store] for store in self.holders()]
        if any(entry.mode not in self.metadata()[0] for entry in shown):
            return True
        if self.file and any(s not in self.file.members and self.state_of(s) == "good" for s in self.file.of):
            return True  # it has another time
        times = {entry.mtime for entry in shown}
        return len({(e.mode, e.owner, e.xattrs) for e in shown}) > 1 or not all(
            is_same_time(one, other) for one in times for other in times
        )

    def state_of(self, store):
        """What check says of a store's copy, where the name is shown and not lost."""
        entry = self.entries.get(store)
        if entry is None:
            return "missing"
        if entry.what() != self.kind:
            return "other_kind"
        return self.file.state_of(store) if self.file else "good"

    def keeps_share(self, store):
        """Rule 7: whether a store has an intact share where another kind is to be."""
        return store in self.copies and self.kind != PLAIN and self.speaks(store)

    # Rule 7: repair --delete

    def shares_with(self, is_there):
        return {self.model.voting[s] for s in self.model.voting if is_there(self.entries.get(s))}

    def may_go(self, is_there=bool):
        """Whether the name may be removed, if what is_there(its Entry) says so counts as having it."""
        model, lack = self.model, [s for s in self.model.stores if not is_there(self.entries.get(s))]
        return (
            len(self.shares_with(is_there)) < model.K <= len(self.shares_with(lambda entry: not is_there(entry)))
            and not any(map(model.has_nothing, model.stores))
            and not any(map(model.is_half_copied, lack))
            and not any(model.is_alien(store) for store in self.entries if store not in lack)
            and not self.is_complete_by_own_k()
            and not any(p == self.path or p.startswith(self.path + "/") for p in model.scattered())
        )

    def is_complete_by_own_k(self):
        return bool(self.copies) and File(self.model, self.copies, self.entries, 1).is_complete

    def is_held(self):
        """Whether it is in a store that repair writes to."""
        return any(self.model.is_written(store) for store in self.entries)

    @once
    def goes(self):
        """Whether repair --delete removes it."""
        if self.model.repair_needs_required() or self.state in ("leftover", "conflict", "hidden") or not self.path:
            return False
        if not self.is_held() or not self.may_go():
            return False
        inside = [self.model.name(p) for p in self.model.paths if p.startswith(self.path + "/")]
        inside = [one for one in inside if one.state != "leftover"]
        if self.state != "shown":
            return all(one.may_go() for one in inside)
        return self.is_lost() or (self.kind[0] == DIRECTORY and any(one.copies for one in inside)
                                  and all(one.goes() for one in inside))  # fmt: skip

    def is_refused(self):
        """Whether it is told that it stays."""
        is_candidate = self.state in ("foreign", "lost") or (self.state == "shown" and self.is_lost())
        return is_candidate and self.is_held() and not self.goes() and len(self.shares_with(bool)) < self.model.K

    def gives_way(self, store):
        """Whether what a store has goes where another kind is shown."""
        if self.keeps_share(store):
            return self.may_go(lambda entry: entry and entry.kind == FILE)
        inside = [self.model.name(p) for p in self.model.stores[store] if p.startswith(self.path + "/")]
        return all(one.state == "leftover" or (len(one.winners()) < 2 and one.may_go()) for one in inside)

    def may_lose(self):
        """No more than so many stores can go, whichever. Exact where all copies are good."""
        if self.is_lost() or self.state != "shown":
            return -1
        says = {s: self.model.voting.get(s, s) for s, entry in self.entries.items()
                if entry.what() == self.kind and (s in self.model.voting or self.file)}  # fmt: skip
        least = spare(says, self.need(self.kind))
        return min(least, self.file.may_lose()) if self.file else least


class File:
    """Rules 4 to 6: a regular file, its version and its stripes."""

    def __init__(self, model, copies, entries, required=None):
        self.model, self.all, self.entries = model, copies, entries
        self.K = required or model.K
        self.checked = model.format == "checked"
        if not self.checked:  # rule 6: a copy of another share does not count
            copies = {s: c for s, c in copies.items() if c.header and c.header.index == model.voting.get(s)}
        self.copies = copies
        self.untimed = False
        self.of = {s: copy.header.version for s, copy in copies.items() if copy.header}
        self.longest = max((len(copy.data) for copy in copies.values()), default=0)
        self.versions = self._group()
        if not self.checked and not model.unconfirmed:
            self._tell_by_times()
        self.is_complete = self.in_conflict = False
        self.version = self._choose()
        self.members = self.versions.get(self.version, {})
        self.state = "conflict" if self.in_conflict else "shown" if self.version else "lost"
        self._groups, self._orders, self._given = {}, {}, {}

    def need(self, version):
        need = max(version.k, self.K)
        return need + (need == version.k and self._may_be_mixed(version))

    def _may_be_mixed(self, version):
        """Rule 6: any k shares agree, so one more is needed where times do not tell them apart."""
        return self.untimed and version.k > 1 and version.size > 0

    def _group(self):
        versions = defaultdict(dict)
        for store, version in self.of.items():
            versions[version][store] = self.copies[store]
        return versions

    def _tell_by_times(self):
        """Rule 6: a copy's time is its version's, unless no version of one time is complete."""
        timed = {store: version._replace(mtime=self._time_of(store)) for store, version in self.of.items()}
        untimed, self.of = self.of, timed
        self.versions = self._group()
        if not self._enough(self.full_shares) and len(set(timed.values())) > len(set(untimed.values())):
            self.of, self.untimed = untimed, True
            self.versions = self._group()

    def _time_of(self, store):
        """The finest of the times that agree with its own; of two as fine, the later one."""
        times = {s: self.entries[s].mtime for s, version in self.of.items() if version == self.of[store]}
        units = {s: min(granularity(time), self.model.samples[s].unit) for s, time in times.items()}
        same = [s for s in times if is_same_at(times[s], times[store], max(units[s], units[store]))]
        return min((units[s], -times[s]) for s in same)[1] * -1

    # Rule 4: the version

    def full_shares(self, version):
        return {copy.header.index for copy in self.versions[version].values() if copy.is_full()}

    def _choose(self):
        found = self._enough(self.full_shares)
        self.is_complete = bool(found)
        if not found and self.checked:
            found = self._enough(self._countable)
        newest = max((v.mtime or 0 for v in found), default=None)
        tied, _ = most({v: shares for v, shares in found.items() if (v.mtime or 0) == newest})
        self.in_conflict = len(tied) > 1
        return tied[0] if len(tied) == 1 else None

    def _enough(self, shares_of):
        found = {version: shares_of(version) for version in list(self.versions)}
        return {version: shares for version, shares in found.items() if len(shares) >= self.need(version)}

    def _countable(self, version):
        """
        Indexes of copies that make a version complete of which there are too few whole ones.
        A copy counts once, even where its blocks say different indexes: with the last one seen.
        """
        found = {store: copy.header.index for store, copy in self.versions[version].items()}
        alike = {store: copy for store, copy in self.copies.items() if store not in found
                 and (copy.header.version[:3] == version[:3] if copy.header else version.size)}  # fmt: skip
        if not version.size:
            return set(found.values()) | {copy.header.index for copy in alike.values()}
        most, shares = set(found.values()), set()
        for number in self._sampled(version):
            digests = self._digests(version, number)
            for store, copy in alike.items():
                index, digest, *_ = copy.block(number, version) or (found.get(store), None)
                if digest in digests:
                    shares.add(store)
                found[store] = index
            now = {index for store, index in found.items() if store in shares or store not in alike}
            most = max(most, now, key=len)
        return most

    def _blocks(self, copy, version):
        """(index, whether it is a member's digest too) of intact blocks, where members have some."""
        for number in self._sampled(version):
            block, digests = copy.block(number, version), self._digests(version, number)
            if block and digests:
                yield block[0], block[1] in digests

    def _sampled(self, version):
        """Numbers of stripes that copies without a header are compared in."""
        count = version.stripes()
        step = max(1, count // SAMPLE_STRIPES)
        return range(0, min(count, self.longest // version.block + 1), step)

    def _digests(self, version, number):
        found = (copy.block(number, version) for copy in self.versions[version].values())
        return {block[1] for block in found if block}

    # Rule 5: blocks, checked

    def _is_bound(self, copy, version):
        """Whether a copy without a header is of this version, and of no other."""
        agreement = defaultdict(set)
        for number in self._sampled(version):
            block = copy.block(number, version)
            for other, members in self.versions.items():
                found = [member.block(number, version) for member in members.values() if member.fits(number, version)]
                digests = {one[1] for one in found if one}
                if block and digests:
                    agreement[other].add(block[1] in digests)
        others = [found for v, found in agreement.items() if v != version]
        return agreement[version] == {True} and all(False in found for found in others)

    @once
    def has_rivals(self):
        """Whether two contents of a stripe have what they need, and equally many shares."""
        if self.state != "shown" or not self.checked:
            return False
        numbers = range(min(self.version.stripes(), self.longest // self.version.block + 1))
        for groups in map(self.groups, numbers):
            tied, top = most({digest: {block[0] for block in group.values()} for digest, group in groups.items()})
            if len(tied) > 1 and top >= self.need(self.version):
                return True
        return False

    def groups(self, number):
        """digest -> {store: (index, digest, payload)}, of the groups that are anchored."""
        if number not in self._groups:
            groups = defaultdict(dict)
            for store, copy in self.copies.items():
                block = copy.block(number, self.version) if copy.fits(number, self.version) else None
                if block:
                    groups[block[1]][store] = block
            self._groups[number] = {d: group for d, group in groups.items() if any(map(self._anchors, group))}
        return self._groups[number]

    def _anchors(self, store):
        copy = self.copies[store]
        return store in self.members or (copy.header is None and self._is_bound(copy, self.version))

    def chosen(self, number, trusted=None):
        """The group that is the stripe. None: too few blocks, or a conflict.

        More of the trusted copies have to be in it than in any other group; they are the members and
        bound copies that agreed with all contradicted stripes that were given.
        """
        groups = self.groups(number)
        trusted = {store for store in self.copies if self._anchors(store)} if trusted is None else trusted
        tied, top = most({digest: {block[0] for block in group.values()} for digest, group in groups.items()})
        trusting, least = most({digest: {block[0] for store, block in group.items() if store in trusted}
                                for digest, group in groups.items()})  # fmt: skip
        if top < self.need(self.version) or len(tied) != 1 or not least or trusting != tied:
            return None
        return groups[tied[0]]

    def stripes(self, order=None):
        """Each stripe's bytes, None where it is an error, if they are read in this order."""
        if self.state != "shown":
            return [None]
        if self.is_beyond_all():
            return [None]
        order = tuple(range(self.version.stripes()) if order is None else order)
        if order not in self._orders:
            found = self._read(order) if self.checked else self._read_plain()
            self._orders[order] = [found[number] for number in sorted(found)]
        return self._orders[order]

    def is_beyond_all(self):
        """Rule 8: whether nobody has its end."""
        return (self.version.stripes() - 1) * self.version.block > self.longest

    @once
    def is_contested(self):
        """Whether it depends on what was read before what a stripe is."""
        return self.checked and any(len(self.groups(number)) > 1 for number in range(self.version.stripes()))

    def _read(self, order):
        found, trusted = {}, {store for store in self.copies if self._anchors(store)}
        for number in order:
            group = self.chosen(number, trusted)
            found[number] = decode(self.version, number, group) if group else None
            self._given.setdefault(order, {})[number] = group
            if found[number] is not None and len(self.groups(number)) > 1:
                trusted &= set(group)
        return found

    def given(self, number):
        """The group that a stripe comes from, if all are read in order."""
        self.stripes()
        return self._given[tuple(range(self.version.stripes()))][number]

    # Rule 6: blocks, classic and fec

    def _read_plain(self):
        version, blocks = self.version, {}
        pairs = sorted({(c.header.index, c.data[c.header.start :]) for c in self.members.values()})
        for number in range(version.stripes()):
            place = slice(number * version.block, (number + 1) * version.block)
            there = [(index, data[place]) for index, data in pairs]
            solved = solve(version.k, there)
            if solved and self._may_be_mixed(version) and any(make_piece(tuple(solved), i) != data for i, data in there):
                solved = None
            if solved and self.model.format == "classic":
                solved = map(bytes, zip(*solved))
            blocks[number] = None if solved is None else self._cut(b"".join(solved), version.length(number))
        return blocks

    def _cut(self, stripe, length):
        """None: what fills the stripe up is not zeros, so something is wrong."""
        return None if any(stripe[length:]) else stripe[:length]

    # Rule 9: verdicts

    @once
    def content(self):
        """All bytes, or None."""
        stripes = self.stripes()
        return None if None in stripes else b"".join(stripes)

    def share(self, index):
        """A share of the content, byte for byte."""
        return make_share(self.model.format, self.content(), self.version, index)

    def state_of(self, store):
        copy = self.all[store]
        if copy.header is None or store not in self.copies:
            return "damaged"
        if not self.checked and self._is_like(store) and self._has_right_payload(copy):
            return "good" if copy.header.index == self.model.voting.get(store) else "misplaced"
        if self.of[store] != self.version or (copy.is_intact() and self._has_other_digests(copy)):
            return "stale"
        if copy.data != self.share(copy.header.index):
            return "damaged"
        return "good" if copy.header.index == self.model.voting.get(store) else "misplaced"

    def _has_right_payload(self, copy):
        """Whatever the bits of its header say that mean nothing."""
        return copy.data[copy.header.start :] == self.share(copy.header.index)[copy.header.start :]

    def _is_like(self, store):
        """Whether a copy is of what is shown, but for its time."""
        return self.of[store]._replace(mtime=None) == self.version._replace(mtime=None)

    def may_lose(self):
        need = self.need(self.version)
        if not self.checked:
            members = {store: copy.header.index for store, copy in self.members.items()}
            return min(spare(members, need), self._may_lose_of_bytes() if self.version.size else 1 << 8)
        if not self.version.size:
            same = [v for v in self.versions if v[:3] == self.version[:3]]
            return spare({s: c.header.index for v in same for s, c in self.versions[v].items()}, need)
        return min(self._may_lose_of(number, need) for number in range(self.version.stripes()))

    def _may_lose_of_bytes(self):
        """The same for the bytes of classic and fec: each that is wrong is to be outvoted by two more."""
        rows = []
        for store, copy in self.members.items():
            made = self.share(copy.header.index)
            rows.append(differences(copy.data[copy.header.start :], made[-len(copy.data) + copy.header.start :]))
        least = 1 << 8
        for wrong in patterns(rows):
            right = {s: c.header.index for (s, c), bad in zip(self.members.items(), wrong) if not bad}
            others = {c.header.index for c, bad in zip(self.members.values(), wrong) if bad}
            least = min(least, spare(right, self.version.k + len(others)))
        return least

    def _may_lose_of(self, number, need):
        """The same for a stripe: enough blocks that agree, and k among them that are right."""
        group, right = self.given(number), {}
        for store, (index, digest, payload) in group.items():
            made = self.share(index)[64 + number * (self.version.block + 32) :]
            if made[: len(payload) + 16] == digest + payload:
                right[store] = index
        return max(0, min(spare({store: block[0] for store, block in group.items()}, need), spare(right, self.version.k)))

    # Rule 7: repair

    def may_replace(self, store):
        """Whether repair writes over a store's copy. None: only if no number falls by it."""
        copy, version = self.all.get(store), self.version
        if copy is None:
            return None if self.keeps_older() else True
        state = self.state_of(store)
        if state == "good":
            return False
        if copy.is_intact() and store in self.of:
            own = self.of[store]
            if own != version and not self.untimed and own.mtime >= version.mtime + (not self.checked):
                return False
            if own == version and self._has_other_digests(copy):
                return None if self._has_wrong_block(copy) else False
            if own != version and self._has_claim(own):
                return False
        return None if self._holds_another_share(store, copy) or self.keeps_older() else True

    def _has_claim(self, version):
        """Whether another version is complete in as many stores as what is shown."""
        others = len(self.full_shares(version)) if version in self.versions else 0
        return others >= self.need(version) and others >= len(self.full_shares(self.version))

    def keeps_older(self):
        """Whether repair keeps one: then what it makes of what is shown must not outnumber that."""
        others = [self.of[store] for store, copy in self.all.items() if store in self.of and copy.is_intact()]
        return any(self._has_claim(version) for version in others if version != self.version)

    def _holds_another_share(self, store, copy):
        """Whether it may be the only copy of that one."""
        if not self.checked:
            return False  # it counts for nothing
        if copy.header:
            return copy.header.index != self.model.voting.get(store)
        return any(index != self.model.voting.get(store) for index, _ in self._blocks(copy, self.version))

    def _has_wrong_block(self, copy):
        """Whether some block says that it is of what is shown, and is not."""
        return any(copy.block(number, self.version) for number in self.bad_blocks(copy))

    def bad_blocks(self, copy):
        """The numbers of a member's blocks that are not intact, or not what their digest says (checked)."""
        made, step, bad = self.share(copy.header.index), self.version.block + 32, set()
        for number in range(self.version.stripes()):
            block = copy.block(number, self.version)
            right = made[64 + number * step :]
            if not block or (block[1] == right[:16] and block[2] != right[16 : len(block[2]) + 16]):
                bad.add(number)
        return bad

    def _has_other_digests(self, copy):
        """Whether an intact copy is of another content, and not just wrong."""
        if not self.checked:
            return False
        numbers = range(self.version.stripes())
        return any(copy.block(t, self.version)[1] not in {b[1] for b in self.given(t).values()} for t in numbers)
