# SPDX-License-Identifier: MIT
"""The rules of trust (docs/design.md, "Whom to believe") as a model: what is owed of stores.

    Model(stores, share_format, required, key=None).name(path)

`stores` is a dict: name of the store -> {path: Entry}; the store's own directory has the path "".
Each rule is in the methods named after its number; rule 9 is that all ask these. The model shares
no code with zfec-fs, and knows nothing of how the stores came to be. With a key, a Key of model_sealed.py,
it says what check and repair find with it. Where two outcomes are right,
it gives a set of them, or None. model_shares.py knows the bytes of shares, model_votes.py counts,
and model_verdicts.py has the words of check.
"""

import functools
import itertools
import os
from collections import Counter, defaultdict

from model_shares import BLOCK, CHAR, CHECKED, DIRECTORY, FILE, LINK, Entry, copy_of, decode, decode_sealed, make_piece, make_share, parse, solve
from model_sealed import share_of
from model_verdicts import FileVerdicts, ModelVerdicts, NameVerdicts
from model_votes import COARSEST, TRANSFERS, coarseness, granularity, is_leftover, is_leftover_name, is_same_at, is_same_time, most, once, votes_of

SAMPLE_HEADERS, SAMPLE_NAMES, SAMPLE_STRIPES = 64, 4096, 4096
PLAIN = Entry().what()


class Sample:
    """Rule 1: what a store says of itself, by its first names, breadth first."""

    def __init__(self, share_format, store):
        self.format, self.store, self.headers = share_format, store, []
        self.modes, self.directories, self.empty = set(), set(), True
        self.unit = COARSEST  # the finest that a time of its files shows
        self._look()
        indexes = Counter(header.index for header in self.headers)
        self.ks = Counter(header.version.k for header in self.headers)
        self.share = min(indexes, key=lambda i: (-indexes[i], i), default=None)
        self.k = max(self.ks, key=lambda k: (self.ks[k], k), default=None)

    def _look(self):
        """A directory at a time: first for what is in it, then at the files."""
        below, queue, looked = defaultdict(list), [""], 0
        for path in sorted(self.store, key=os.fsencode):
            if path and not is_leftover(path):
                below[os.path.dirname(path)].append(path)
        while queue and looked < SAMPLE_NAMES:
            inside = below[queue.pop(0)][: SAMPLE_NAMES - looked]
            directories = [path for path in inside if self.store[path].kind == DIRECTORY]
            self.directories |= {(self.store[path].mode, self.store[path].owner) for path in directories}
            queue += directories
            looked += len(inside)
            for entry in (self.store[path] for path in inside if self.store[path].kind == FILE):
                self.empty = False
                self.unit = min(self.unit, granularity(entry.mtime))
                self.modes.add((entry.mode, entry.owner))
                header = parse(self.format, entry.data)
                self.headers += [header] if header else []
                if len(self.headers) == SAMPLE_HEADERS:
                    return

    def rule_3_keeps_no_modes(self, entry):
        """Whether it looks as if the store showed one mode and owner for everything."""
        shown = self.directories if entry.kind == DIRECTORY else self.modes
        if len(self.modes) > 1 or len(self.directories) > 1:
            return False
        if entry.kind == LINK:
            return {entry.owner} == {owner for _, owner in shown}
        return {(entry.mode, entry.owner)} == shown


class Model(ModelVerdicts):
    """The tree that the stores hold."""

    def __init__(self, stores, share_format, required=None, unconfirmed=False, key=None):
        self.key = key
        self.stores, self.format, self.required, self.unconfirmed = stores, share_format, required, unconfirmed
        self.samples = {name: Sample(share_format, store) for name, store in stores.items()}
        self.with_files = [name for name in stores if not self.samples[name].empty]
        self.voting = self.rule_2_voting()
        self.lending = [name for name in self.with_files if name not in self.voting]
        self.likely = tuple(dict.fromkeys(self.voting.values())) if self.with_files else ()
        self.K = self.rule_1_k()
        self.is_empty = bool(self.with_files) and not self.voting  # no header is intact
        self.unknown = self.K is None and not self.is_empty  # `required=` must be given
        self.too_few = self.is_empty or not self.unknown and self.rule_2_found() < self.K
        self.is_one_store = bool(self.with_files and self.K and self.K > 1) and len(self.voting) > len(self.likely) == 1
        self.shows_nothing = self.unknown or not unconfirmed and (self.is_empty or self.rule_2_found() < self.K)
        self.paths = sorted({path for store in stores.values() for path in store} | (key.paths() if key else set()))
        self._names = {path: Name(self, path) for path in self.paths}

    def rule_1_k(self):
        if self.required is not None:
            return self.required
        if not self.with_files:
            return len(self.voting) // 2 + 1
        if 2 * len(self.voting) <= len(self.with_files):
            return None
        return self.rule_1_commonest()

    def rule_1_commonest(self):
        """The k with most votes; at a tie, the larger."""
        return max(most(votes_of((self.samples[name].k, share) for name, share in self.voting.items()))[0])

    def rule_2_voting(self):
        """Store -> its vote. Without any file, each store that holds names has one."""
        if not self.with_files:
            return {name: name for name in self.stores if set(self.stores[name]) - {""}}
        return {name: s.share for name, s in self.samples.items() if s.share is not None}

    def rule_2_found(self):
        return len({(share, self.samples[name].k) for name, share in self.voting.items()}) + len(self.lending)

    def has_nothing(self, store):
        """Rule 2: whether a store is told as empty, and no longer looked at."""
        return bool(self.with_files) and self.samples[store].empty

    def name(self, path):
        return self._names.get(path) or Name(self, path)

    def names(self):
        return list(self._names.values())

    @once
    def listed(self):
        return [name for name in self.names() if name.path and name.is_listed()]

    @once
    def _children(self):
        return votes_of((os.path.dirname(name.path), os.path.basename(name.path)) for name in self.listed())

    def children(self, path):
        """What a listing of a directory shows."""
        return self._children().get(path, set())

    # Rule 7: what repair writes to, and whose silence counts

    @once
    def rule_7_is_written(self, store):
        """Not a store of another tree; without checks, one that says another k may be none."""
        return store in self.voting and not self.rule_7_is_left(store)

    def rule_7_is_left(self, store):
        """Whether repair names a store and leaves it; at K = 1, a mirror that is ahead looks like that, too."""
        if store not in self.voting:
            return False
        if self.format not in CHECKED and self.samples[store].k != self.rule_1_commonest():
            return True
        return self.rule_7_is_alien(store) and (self.format not in CHECKED or self.K > 1)

    @once
    def rule_7_needs_required(self):
        """Whether fewer stores take part than the largest k that two of them say."""
        says = Counter(k for _, k in {(share, k) for name, share in self.voting.items() for k in self.samples[name].ks})
        largest = max((k for k, count in says.items() if count > 1), default=0)
        return self.required is None and len(set(self.voting.values())) < largest

    def rule_7_is_half_copied(self, store):
        return 2 * self._missing()[store] > len(self.listed())

    @once
    def _missing(self):
        return Counter(store for name in self.listed() for store in self.stores if store not in name.entries)

    def rule_7_is_alien(self, store):
        """Whether most files of a store are in no other one, or not shown."""
        alone, files = self._alone()
        return 2 * alone[store] > files[store]

    @once
    def _alone(self):
        names = [name for name in self.names() if not is_leftover_name(os.path.basename(name.path))]
        alone = [name for name in names if len(name.entries) == 1 or name.state == "foreign"]
        return [Counter(store for name in some for store in name.copies) for some in (alone, names)]

    @once
    def rule_7_scattered(self):
        """Names that only together have the shares that a version needs, and the directories they are in."""
        pieces = defaultdict(dict)
        for name in self.names():
            for version, copies in name.file_of().timed.items():
                full = {copy.header.index for copy in copies.values() if copy.is_full()}
                if version.size and len(full) < max(version.k, self.K):
                    time = version.mtime if self.format in CHECKED else version.mtime // COARSEST
                    shares = {copy.header.index for copy in copies.values()}
                    pieces[version._replace(mtime=time)].setdefault(name.path, set()).update(shares)
        found = {path for version, names in pieces.items() for path in names
                 if len(names) > 1 and len(set().union(*names.values())) >= version.k}  # fmt: skip
        return found | {parent for path in found for parent in parents(path)}


def parents(path):
    while path := os.path.dirname(path):
        yield path


class Name(NameVerdicts):
    """One name of the tree.

    state: shown (kind says as what), lost, conflict, foreign, leftover, or hidden, where the directory
    that it lies in is not there.
    """

    def __init__(self, model, path):
        self.model, self.path = model, path
        self.entries = {s: tree[path] for s, tree in model.stores.items() if path in tree}
        self.copies = {s: copy_of(model.format, e.data, model.likely)
                       for s, e in self.entries.items() if e.kind == FILE}  # fmt: skip

    state = property(lambda self: self.rule_3_name()[0])
    kind = property(lambda self: self.rule_3_name()[1])
    file = property(lambda self: self.rule_3_name()[2])

    def is_listed(self):
        return self.state in ("shown", "lost", "conflict")

    @once
    def file_of(self, required=None):
        return File(self, required)

    def need(self, kind):
        return min(self.model.K, 2) if kind[0] in (DIRECTORY, LINK) else self.model.K

    @once
    def rule_3_votes(self):
        """kind -> the shares that say it, and the stores without one as far as rule 2 lets them."""
        voting = self.model.voting
        found = votes_of((entry.what(), voting[store]) for store, entry in self.entries.items() if store in voting)
        if any(self.speaks(store) for store in self.copies):
            found[PLAIN].update(store for store in self.copies if store in self.model.lending)
        return found

    def speaks(self, store):
        """Whether a voting store's copy has a header: one of another share does not count (rule 6)."""
        voter, header = self.model.voting.get(store), self.copies[store].header
        return header is not None and voter is not None and (self.model.format in CHECKED or header.index == voter)

    def rule_3_winners(self):
        votes = self.rule_3_votes()
        return most({kind: votes[kind] for kind in votes if len(votes[kind]) >= self.need(kind)})[0]

    @once
    def rule_3_name(self):
        """(state, kind, file)"""
        state, kind, file = self._rule_3_by_stores()
        owed = self.model.key and self.model.key.owed(self.model, self.path)
        if owed and (state in ("foreign", "hidden", "leftover") or (state == "shown" and kind[0] != owed[0])):
            return "lost", None, None
        return state, kind, file

    def _rule_3_by_stores(self):
        """The same by what the stores say, of a name that no manifest may have."""
        model, parent = self.model, self.path and self.model.name(os.path.dirname(self.path))
        if model.unknown or model.too_few:
            return "lost", None, None
        if not self.path:
            return "shown", (DIRECTORY, None, 0), None
        if parent.state != "shown" or parent.kind[0] != DIRECTORY:
            return "leftover" if is_leftover(self.path) else "hidden", None, None
        if not self.entries:
            return "hidden", None, None
        winners = self.rule_3_winners()
        if is_leftover(self.path):
            is_file = len(winners) == 1 and self.rule_3_is_complete(winners[0])
            return self._show(winners[0]) if is_file else ("leftover", None, None)
        if len(winners) > 1:
            return "conflict", None, None
        if winners:
            return self._show(winners[0])
        held = {model.voting[s] for s in self.copies if self.speaks(s)}
        return ("lost", None, None) if len(held) >= 2 else self.rule_3_foreign()

    def _show(self, kind, required=None):
        file = self.file_of(required) if kind == PLAIN else None
        return file.state if file else "shown", kind, file

    def rule_3_foreign(self):
        """Unconfirmed, what most say is shown; two kinds with as many votes are a conflict."""
        votes = self.rule_3_votes()
        likely, _ = most({entry.what(): votes.get(entry.what(), set()) for entry in self.entries.values()})
        if self.model.unconfirmed and len(likely) > 1:
            return "conflict", None, None
        if not self.model.unconfirmed or likely[0][0] in (CHAR, BLOCK):
            return "foreign", None, None
        return self._show(likely[0], 1)

    def rule_3_is_complete(self, kind):
        """What a leftover has to be to be shown; of a tool's directory, a file directly in it."""
        if kind == PLAIN:
            return self.file_of().is_complete
        if kind[0] != DIRECTORY:
            return True
        inside = (name for name in self.model.names() if os.path.dirname(name.path) == self.path)
        return len(self.rule_3_votes()[kind]) >= self.model.K and (
            os.path.basename(self.path) not in TRANSFERS
            or any(one.rule_3_winners() == [PLAIN] and one.file_of().is_complete for one in inside)
        )

    # Rule 3: metadata

    @once
    def holders(self):
        """The voting stores that hold what is shown."""
        holding = self.file.members if self.file else self.entries
        return [s for s in holding if s in self.model.voting and self.entries[s].what() == self.kind]

    def _vote(self, stores, value):
        return votes_of((value(self.entries[store]), self.model.voting[store]) for store in stores)

    @once
    def _most_modes(self):
        telling = [s for s in self.holders() if not self.model.samples[s].rule_3_keeps_no_modes(self.entries[s])]
        is_enough = len({self.model.voting[s] for s in telling}) >= 2
        return most(self._vote(telling if is_enough else self.holders(), lambda e: (e.mode, e.owner)))[0]

    @once
    def rule_3_mode(self):
        """(modes, owners): the sets of those that are right."""
        tied = self._most_modes()
        modes, owners = [mode for mode, _ in tied], {owner for _, owner in tied}
        mode = functools.reduce(int.__and__, modes)
        sticky = functools.reduce(int.__or__, modes) & 0o1000 if len(tied) > 1 else 0
        special = self._vote(self.holders(), lambda e: (e.mode & 0o7000, e.owner))
        if any(len(special[mode & 0o7000, owner]) >= self.model.K for owner in owners):
            return {(mode & 0o1777 if len(owners) > 1 else mode) | sticky}, owners
        return {mode & 0o777 | sticky}, owners

    @once
    def rule_3_times(self):
        """The finest of those that are the same as the newest with most votes."""
        times = {self.entries[s].mtime for s in self.holders()}
        votes = votes_of((time, self.model.voting[store]) for store, time in itertools.product(self.holders(), times)
                         if is_same_time(self.entries[store].mtime, time))  # fmt: skip
        same = [time for time in votes if is_same_time(time, max(most(votes)[0]))]
        finest = {time for time in same
                  if not any(is_same_time(time, other) and coarseness(other) < coarseness(time) for other in same)}  # fmt: skip
        return finest | ({self.file.version.mtime} if self.file and self.file.checked else set())

    @once
    def rule_3_attributes(self):
        """name -> the values that are right; None: it is absent."""
        right = {}
        for name in {name for s in self.holders() for name, _ in self.entries[s].xattrs}:
            tied, top = most(self._vote(self.holders(), lambda e: dict(e.xattrs).get(name)))  # noqa: B023
            needs_more = name.startswith(("security.", "trusted.")) and top < self.model.K
            if needs_more or (None in tied and name.startswith("system.posix_acl")):
                tied = [None]
            right[name] = {value for value in tied if value is not None or len(tied) == 1}
        return right

    # Rule 7: what repair leaves, and what --delete removes

    def rule_7_keeps_mode(self, store):
        """Whether repair leaves the mode and owner that a store's copy has."""
        if store not in self.holders():
            return False
        if len(self._most_modes()) > 1:
            return True
        entry, ((mode,), (owner,)) = self.entries[store], self.rule_3_mode()
        deny = {self.model.voting[s] for s in self.holders() if (self.entries[s].mode ^ entry.mode) & 0o7000}
        return not (mode ^ entry.mode) & 0o777 and entry.owner == owner and len(deny) < self.model.K

    def keeps_share(self, store):
        """Whether a store has an intact share where another kind is to be."""
        return store in self.copies and self.kind != PLAIN and self.speaks(store)

    def _shares_with(self, is_there):
        return {share for store, share in self.model.voting.items() if is_there(self.entries.get(store))}

    def _shares_lacking(self, is_there):
        """What a store lacks that is left as it is, perhaps one of another tree, says nothing."""
        model = self.model
        return {share for store, share in model.voting.items()
                if not is_there(self.entries.get(store)) and not model.rule_7_is_left(store)}  # fmt: skip

    @once
    def rule_7_may_go(self, is_there=bool):
        """Whether the name may be removed, if what is_there(its Entry) says so counts as having it."""
        model, lack = self.model, [s for s in self.model.stores if not is_there(self.entries.get(s))]
        return (
            len(self._shares_with(is_there)) < model.K <= len(self._shares_lacking(is_there))
            and not any(map(model.has_nothing, model.stores))
            and not any(map(model.rule_7_is_half_copied, lack))
            and not any(model.rule_7_is_alien(store) for store in self.entries if store not in lack)
            and not (self.copies and self.file_of(1).is_complete)  # enough by its own k
            and self.path not in model.rule_7_scattered()
        )

    def _beneath(self):
        inside = [name for name in self.model.names() if name.path.startswith(self.path + "/")]
        return [name for name in inside if name.state != "leftover"]

    def is_held(self):
        """Whether it is in a store that repair writes to."""
        return any(self.model.rule_7_is_written(store) for store in self.entries)

    @once
    def rule_7_goes(self):
        """Whether repair --delete removes it."""
        if self.model.rule_7_needs_required() or self.state in ("leftover", "conflict", "hidden") or not self.path:
            return False
        if not self.is_held() or not self.rule_7_may_go():
            return False
        if self.state != "shown":
            return all(one.rule_7_may_go() for one in self._beneath())
        return self.is_lost() or (self.kind[0] == DIRECTORY and any(one.copies for one in self._beneath())
                                  and all(one.rule_7_goes() for one in self._beneath()))  # fmt: skip

    def rule_7_is_refused(self):
        """Whether it is told that it stays."""
        is_candidate = self.state in ("foreign", "lost") or (self.state == "shown" and self.is_lost())
        return is_candidate and self.is_held() and not self.rule_7_goes() and len(self._shares_with(bool)) < self.model.K

    def rule_7_gives_way(self, store):
        """Whether what a store has goes with --delete where another kind is shown."""
        if self.keeps_share(store):
            return self.rule_7_may_go(is_file)
        inside = [name for name in self._beneath() if store in name.entries]
        return all(len(one.rule_3_winners()) < 2 and one.rule_7_may_go() for one in inside)


def is_file(entry):
    return bool(entry) and entry.kind == FILE


class File(FileVerdicts):
    """A regular file, its version and its stripes. required: instead of K."""

    def __init__(self, name, required=None):
        self.model, self.all, self.entries = name.model, name.copies, name.entries
        self.shown_times = name.rule_3_times
        self.K = required or name.model.K
        self.checked, self.untimed = name.model.format in CHECKED, False
        self.path = name.path
        self.copies = self.all if self.checked else self.rule_6_copies()
        self.of = {s: copy.header.version for s, copy in self.copies.items() if copy.header}
        self.longest = max((len(copy.data) for copy in self.copies.values()), default=0)
        self.timed = self.versions = self._group()
        if not self.checked:
            self.rule_6_times()
        self.version = self.rule_4_version()
        self.members = self.versions.get(self.version, {})
        self.state = "conflict" if self.in_conflict else "shown" if self.version else "lost"
        self._groups, self._orders, self._given = {}, {}, {}

    def _group(self):
        versions = defaultdict(dict)
        for store, version in self.of.items():
            versions[version][store] = self.copies[store]
        return versions

    def need(self, version):
        need = max(version.k, self.K)  # rule 1
        return need + (need == version.k and self.rule_6_may_be_mixed(version))

    def full_shares(self, version):
        return {copy.header.index for copy in self.versions[version].values() if copy.is_full()}

    # Rule 4: the version

    def rule_4_version(self):
        found = self._enough(self.full_shares)
        self.is_complete = bool(found)
        if not found and self.checked:
            found = self._enough(self.rule_4_completed)
        newest = max((v.mtime or 0 for v in found), default=None)
        tied, _ = most({v: shares for v, shares in found.items() if (v.mtime or 0) == newest})
        self.in_conflict = len(tied) > 1
        return tied[0] if len(tied) == 1 else None

    def _enough(self, shares_of):
        found = {version: shares_of(version) for version in list(self.versions)}
        return {version: shares for version, shares in found.items() if len(shares) >= self.need(version)}

    def rule_4_completed(self, version):
        """
        Indexes of a version's copies, with those of another time or without a header that share a digest.
        A copy counts once, even where its blocks say different indexes: with the last one seen.
        """
        found = {store: copy.header.index for store, copy in self.versions[version].items()}
        alike = {store: copy for store, copy in self.copies.items() if store not in found
                 and (copy.header.version.is_like(version) if copy.header else version.size)}  # fmt: skip
        if not version.size:
            return set(found.values()) | {copy.header.index for copy in alike.values()}
        best, shares = set(found.values()), set()
        for number in self._sampled(version):
            digests = self._digests(version, version, number)
            for store, copy in alike.items():
                index, digest, *_ = copy.block(number, version) or (found.get(store), None)
                if digest in digests:
                    shares.add(store)
                found[store] = index
            now = {index for store, index in found.items() if store in shares or store not in alike}
            best = max(best, now, key=len)
        return best

    def _sampled(self, version):
        """Numbers of stripes that copies without a header are compared in."""
        count = version.stripes()
        step = max(1, count // SAMPLE_STRIPES)
        return range(0, min(count, self.longest // version.block + 1), step)

    def _digests(self, of, version, number):
        """Of the members of one version, in the place that a stripe of another has."""
        found = (copy.block(number, version) for copy in self.versions[of].values() if copy.fits(number, version))
        return {block[1] for block in found if block}

    # Rule 5: blocks, checked

    @once
    def rule_5_is_bound(self, store):
        """Whether a copy without a header is of this version, and of no other."""
        agreement = defaultdict(set)
        for number in self._sampled(self.version):
            block = self.copies[store].block(number, self.version)
            for other in self.versions if block else ():
                digests = self._digests(other, self.version, number)
                if digests:
                    agreement[other].add(block[1] in digests)
        others = [found for v, found in agreement.items() if v != self.version]
        return agreement[self.version] == {True} and all(False in found for found in others)

    def _anchors(self, store):
        return store in self.members or (self.copies[store].header is None and self.rule_5_is_bound(store))

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

    def largest(self, number, trusted=None):
        """The digests of the largest groups, by shares of trusted copies, and how many shares these are."""
        return most({digest: {block[0] for store, block in group.items() if trusted is None or store in trusted}
                     for digest, group in self.groups(number).items()})  # fmt: skip

    def rule_5_chosen(self, number, trusted):
        """The group that is the stripe. None: too few blocks, or a conflict.

        More of the trusted copies have to be in it than in any other group; they are the members and
        bound copies that agreed with all contradicted stripes that were given.
        """
        tied, top = self.largest(number)
        trusting, least = self.largest(number, trusted)
        if top < self.need(self.version) or len(tied) != 1 or not least or trusting != tied:
            return None
        return self.groups(number)[tied[0]]

    def rule_5_read(self, order):
        found, given, trusted = {}, {}, set(filter(self._anchors, self.copies))
        for number in order:
            group = given[number] = self.rule_5_chosen(number, trusted)
            found[number] = self.rule_5_decode(number, group) if group else None
            if found[number] is not None and len(self.groups(number)) > 1:
                trusted &= set(group)
        self._given[order] = given
        return found

    def rule_5_decode(self, number, group):
        key, version = self.model.key, self.version
        bound = key and key.bound(self.path, version)
        if not bound and not version.sealed:
            return decode(version, number, group)
        opens = bound and (lambda tag, stripe: key.open(self.path, version, number, tag, stripe) is not None)
        found = decode_sealed(version, number, group, opens)
        return found and found[0]

    def rule_5_is_refused(self):
        """Whether the key says that it cannot be empty: then nothing proves that it is."""
        key = self.model.key
        if not key or self.version.size:
            return False
        owed = key.owed(self.model, self.path)
        return bool(owed) and (owed[1] is None or owed[1].size > 0)

    # Rule 6: formats without checks

    def rule_6_copies(self):
        """A copy of another share does not count."""
        return {s: c for s, c in self.all.items() if c.header and c.header.index == self.model.voting.get(s)}

    def rule_6_times(self):
        """A copy's time is its version's, unless no version of one time is complete; `unconfirmed` takes k then."""
        untimed = self.of
        self.of = {store: version._replace(mtime=self._time_of(store)) for store, version in untimed.items()}
        self.timed = self.versions = self._group()
        is_complete = bool(self._enough(self.full_shares))
        if not is_complete and len(self.timed) > len(set(untimed.values())):
            self.of, self.untimed = untimed, not self.model.unconfirmed
            self.versions = self._group()

    def _time_of(self, store):
        """The finest of the times that agree with its own; its own where two as fine do."""
        times = {s: self.entries[s].mtime for s, version in self.of.items() if version == self.of[store]}
        units = {s: min(granularity(time), self.model.samples[s].unit) for s, time in times.items()}
        same = [s for s in times if is_same_at(times[s], times[store], max(units[s], units[store]))]
        says = {s: (units[s], coarseness(times[s])[1]) for s in same}
        finest = {times[s] for s in same if says[s] == min(says.values())}
        return finest.pop() if len(finest) == 1 else times[store]

    def rule_6_may_be_mixed(self, version):
        """Any k shares agree, so one more is needed where times do not tell them apart."""
        return self.untimed and version.k > 1 and version.size > 0

    def rule_6_read(self):
        version, found = self.version, {}
        pairs = sorted({(c.header.index, c.data[c.header.start :]) for c in self.members.values()})
        for number in range(version.stripes()):
            place = slice(number * version.block, (number + 1) * version.block)
            there = [(index, data[place]) for index, data in pairs]
            solved = solve(version.k, there)
            if solved and self.rule_6_may_be_mixed(version) and any(make_piece(tuple(solved), i) != data for i, data in there):
                solved = None
            if solved and self.model.format == "classic":
                solved = map(bytes, zip(*solved))
            stripe, length = b"".join(solved or ()), version.length(number)
            found[number] = stripe[:length] if solved and not any(stripe[length:]) else None
        return found

    # What is given

    def rule_8_is_beyond_all(self):
        """Whether nobody has its end."""
        return (self.version.stripes() - 1) * self.version.block > self.longest

    def stripes(self, order=None):
        """Each stripe's bytes, None where it is an error, if they are read in this order."""
        if self.state != "shown" or self.rule_8_is_beyond_all() or self.rule_5_is_refused():
            return [None]
        order = tuple(range(self.version.stripes()) if order is None else order)
        if order not in self._orders:
            found = self.rule_5_read(order) if self.checked else self.rule_6_read()
            self._orders[order] = [found[number] for number in sorted(found)]
        return self._orders[order]

    def given(self, number):
        """The group that a stripe comes from, if all are read in order."""
        self.stripes()
        return self._given[tuple(range(self.version.stripes()))][number]

    @once
    def content(self):
        """All bytes, or None."""
        stripes = self.stripes()
        return None if None in stripes else b"".join(stripes)

    @once
    def share(self, index):
        """A share of the content, byte for byte."""
        if self.version.sealed:
            return self._sealed_share(index)
        return make_share(self.model.format, self.content(), self.version, index)

    def _sealed_share(self, index):
        version, stripes = self.version, self.stripes()
        tags = [next(iter(self.given(number).values()))[1] for number in range(version.stripes())]
        return share_of(list(zip(stripes, tags)), version.size, version.k, index, version.mtime, version.block)

    # Rule 7: repair

    @once
    def rule_7_may_replace(self, store):
        """Whether repair writes over a store's copy. None: only if no number falls by it."""
        copy, own = self.all.get(store), self.of.get(store)
        if copy is None:
            return None if self.rule_7_keeps_older() else True
        if self.state_of(store) == "good":
            return False
        if copy.is_intact() and own == self.version and self.has_other_digests(copy):
            return None if any(copy.block(number, self.version) for number in self.bad_blocks(copy)) else False
        if copy.is_intact() and own is not None and own != self.version:
            is_newer = not self.untimed and own.mtime >= self.version.mtime + (not self.checked)
            if is_newer or self.rule_7_has_claim(own):
                return False
        return None if self._holds_another_share(store, copy) or self.rule_7_keeps_older() else True

    def rule_7_has_claim(self, version):
        """Whether another version is complete in as many stores as what is shown."""
        others = len(self.full_shares(version)) if version in self.versions else 0
        return others >= self.need(version) and others >= len(self.full_shares(self.version))

    @once
    def rule_7_keeps_older(self):
        """Whether repair keeps one: then what it makes of what is shown must not outnumber that."""
        others = {self.of[store] for store, copy in self.all.items() if store in self.of and copy.is_intact()}
        return any(self.rule_7_has_claim(version) for version in others if version != self.version)

    def _holds_another_share(self, store, copy):
        """Whether it may be the only copy of that one; without checks, it counts for nothing."""
        voter = self.model.voting.get(store)
        if not self.checked or copy.header:
            return self.checked and copy.header.index != voter
        for number in self._sampled(self.version):
            block = copy.block(number, self.version)
            if block and block[0] != voter and self._digests(self.version, self.version, number):
                return True
        return False
