# SPDX-License-Identifier: MIT
"""What check says by the rules of the model: words for copies, and how many stores may be lost (rule 9)."""

from model_shares import differences, patterns
from model_votes import granularity, is_same_at, is_same_time, once, spare


class ModelVerdicts:
    """Mixed into Model."""

    def status(self):
        """check's exit status."""
        if self.unknown:
            return 4
        if self.too_few or any(name.is_lost() for name in self.names()):
            return 2
        return int(any(map(self.has_nothing, self.stores)) or any(name.is_wrong() for name in self.names()))


class NameVerdicts:
    """Mixed into Name."""

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
        if any(entry.mode not in self.rule_3_mode()[0] for entry in shown):
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

    @once
    def may_lose(self):
        """No more than so many stores can go, whichever. Exact where all copies are good."""
        if self.is_lost() or self.state != "shown":
            return -1
        says = {s: self.model.voting.get(s, s) for s, entry in self.entries.items()
                if entry.what() == self.kind and (s in self.model.voting or self.file)}  # fmt: skip
        least = spare(says, self.need(self.kind))
        return min(least, self.file.may_lose()) if self.file else least


class FileVerdicts:
    """Mixed into File."""

    @once
    def state_of(self, store):
        copy = self.all[store]
        if copy.header is None or store not in self.copies:
            return "damaged"
        if self._has_lost_fractions(store) and self._has_right_payload(copy):
            return "stale"
        good = "good" if copy.header.index == self.model.voting.get(store) else "misplaced"
        if not self.checked and self._is_like(store) and self._has_right_payload(copy) and not self._hides_its_time(store):
            return good
        if self.of[store] != self.version or (copy.is_intact() and self.has_other_digests(copy)):
            return "stale"
        return good if copy.data == self.share(copy.header.index) else "damaged"

    def _has_right_payload(self, copy):
        """Whatever the bits of its header say that mean nothing."""
        return copy.data[copy.header.start :] == self.share(copy.header.index)[copy.header.start :]

    def _hides_its_time(self, store):
        """Whether it is of another version by a time that nobody would mend, as it looks like a rounded one."""
        return self.of[store] != self.version and is_same_time(self.entries[store].mtime, self.version.mtime)

    def _has_lost_fractions(self, store):
        """Whether a member would be of another version if times told versions apart, by a time as before."""
        own = self.entries[store].mtime
        unit = min(granularity(own), self.model.samples[store].unit)
        return self.untimed and self.of[store] == self.version and any(
            granularity(time) < granularity(own) and is_same_time(own, time) and not is_same_at(own, time, unit)
            for time in self.shown_times()
        )

    def _is_like(self, store):
        """Whether a copy is of what is shown, but for its time."""
        return self.of[store]._replace(mtime=None) == self.version._replace(mtime=None)

    @once
    def has_rivals(self):
        """Whether two contents of a stripe have what they need, and equally many shares."""
        if self.state != "shown" or not self.checked:
            return False
        numbers = range(min(self.version.stripes(), self.longest // self.version.block + 1))
        return any(len(tied) > 1 and top >= self.need(self.version) for tied, top in map(self.largest, numbers))

    @once
    def is_contested(self):
        """Whether it depends on what was read before what a stripe is."""
        return self.checked and any(len(self.groups(number)) > 1 for number in range(self.version.stripes()))

    def has_other_digests(self, copy):
        """Whether an intact copy is of another content, and not just wrong."""
        if not self.checked:
            return False
        numbers = range(self.version.stripes())
        return any(copy.block(t, self.version)[1] not in {b[1] for b in self.given(t).values()} for t in numbers)

    def unverified(self):
        """The numbers of stripes of which nothing but their own k blocks says what they are."""
        if not self.version.sealed or (self.model.key and self.model.key.bound(self.path, self.version)):
            return set()
        numbers = range(self.version.stripes())
        return {t for t in numbers if (given := self.given(t)) and len({b[0] for b in given.values()}) == self.version.k}

    def bad_blocks(self, copy):
        """The numbers of a member's blocks that are not intact, or not what their digest says (checked)."""
        made, step, bad = self.share(copy.header.index), self.version.block + 32, set()
        for number in range(self.version.stripes()):
            block = copy.block(number, self.version)
            right = made[64 + number * step :]
            if not block or (block[1] == right[:16] and block[2] != right[16 : len(block[2]) + 16]):
                bad.add(number)
        return bad

    def may_lose(self):
        need = self.need(self.version)
        if not self.checked:
            members = {store: copy.header.index for store, copy in self.members.items()}
            return min(spare(members, need), self._may_lose_of_bytes() if self.version.size else 1 << 8)
        if not self.version.size:
            same = [v for v in self.versions if v.is_like(self.version)]
            return spare({s: c.header.index for v in same for s, c in self.versions[v].items()}, need)
        return min(self._may_lose_of(number, need) for number in range(self.version.stripes()))

    def _may_lose_of_bytes(self):
        """The same for the bytes of classic and fec: each that is wrong is to be outvoted by two more."""
        rows = []
        for copy in self.members.values():
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
