# SPDX-License-Identifier: MIT
"""Nothing damaged is called intact, and nothing intact is called damaged.

ZFEC_FS_TEST_CASES says how many files with random damage there are (2000). What check says of each
of their copies, of what is lost of them, and of how many stores more they can lose is held against
the bytes of the copies, and against what is left of a file when stores are taken away.
"""

import itertools
import os
import shutil
from collections import Counter

import commands
import oracle
import promise
import share_cases
import test_damage_matrix as damage_matrix
import trees
from conftest import SEED

CASES = int(os.environ.get("ZFEC_FS_TEST_CASES", "2000"))
BATCH = 1000  # files of one tree
FOLDERS = 20  # of each tree
STORES = 6
REQUIRED_MAX, STRIPES_MAX = 4, 5
SUBJECTS = 150  # files before they are damaged, of each tree
BLOCK_SIZE, BLOCK_STEP = damage_matrix.BLOCK_SIZE, damage_matrix.BLOCK_STEP
WRONG_SHOWN = 20


# Files and their damage. Copy number i of a case lies in store i, or nowhere where it is None.


class Case(share_cases.Case):
    """A file's shares, one in each store that has one, and what was done to them."""

    def __init__(self, subject, held, rng):
        super().__init__([bytearray(subject.shares[index]) for index in held], subject.contents)
        self.subject = subject
        self.indexes = list(held)
        self.story = []
        if rng.random() < 0.3:
            for number in rng.sample(range(STORES), rng.randint(1, STORES - 1)):
                self.copies[number] = None
                self.story.append(f"lose_share {number}")

    def write(self, stores, name):
        for number, copy in enumerate(self.copies):
            if copy is not None:
                trees.write_file(stores / f"store-{number}" / name, copy)

    def __str__(self):
        return f"{self.subject}: {'; '.join(self.story)}"


def copy_over(case, copy, number, rng):
    """A store has what another one should have, and may have still."""
    other = rng.randrange(STORES)
    case.copies[other] = bytearray(copy)


def swap_copies(case, _copy, number, rng):
    """Two stores have each what the other should have."""
    other = rng.randrange(STORES)
    case.copies[number], case.copies[other] = case.copies[other], case.copies[number]


def forge_block(_case, copy, _number, rng):
    """Its check is right, and its payload is not."""
    header = promise.parse_header(bytes(copy))
    start, end = damage_matrix.some_block(copy, rng)
    if header is None or end - start < 33:
        return
    block = copy[start : end - 16]
    block[rng.randrange(16, len(block))] ^= 1 << rng.randrange(8)
    number = (start - oracle.HEADER_SIZE) // BLOCK_STEP
    copy[start:end] = block + oracle.checksum(bytes(block), number * 256 + header.index)


def forge_index(case, copy, number, rng):
    """An intact header that says another share."""
    header = promise.parse_header(bytes(copy))
    if header is not None:
        index = rng.choice(case.subject.indexes)
        copy[:64] = oracle.checked_header(
            header.required, index, header.size, header.mtime_ns, header.block_size
        )


DAMAGE = {
    **damage_matrix.DAMAGE,
    copy_over: 4, swap_copies: 4, forge_block: 3, forge_index: 1,
}  # fmt: skip
del DAMAGE[damage_matrix.copy_share]


def damage_somewhere(case, rng):
    number = rng.randrange(STORES)
    if case.copies[number] is None:
        return
    (kind,) = rng.choices(list(DAMAGE), DAMAGE.values())
    case.story.append(f"{kind.__name__} {number}")
    kind(case, case.copies[number], number, rng)


def random_case(subjects, held, rng):
    """Nothing is wrong with one in five; some promise nothing, and are made again."""
    while True:
        case = Case(rng.choice(subjects), held, rng)
        spare = STORES - case.subject.required
        for _ in range(rng.choice((0, 1, 1, 2, rng.randint(2, 2 + 3 * spare)))):
            damage_somewhere(case, rng)
        if case.settle():
            return case


def random_subjects(held, rng):
    for _ in range(min(SUBJECTS, CASES)):
        required = rng.randint(1, REQUIRED_MAX)
        size = damage_matrix.ragged_size(required, rng.randint(0, STRIPES_MAX), rng)
        yield damage_matrix.Subject(required, sorted(set(held)), size, rng)


# What the copies are, by their bytes


class KnownCopy(promise.Copy):
    """A copy that answers the same question again without another look."""

    def __init__(self, store, share):
        super().__init__(share)
        self.store = store
        self._blocks = {}

    def block(self, number, version):
        key = number, version
        if key not in self._blocks:
            self._blocks[key] = super().block(number, version)
        return self._blocks[key]

    def holds(self, number, version, stripe):
        """Whether its block is byte for byte the stripe's one of its share."""
        found = self.block(number, version)
        if found is None or found[1] != stripe.digest:
            return False
        start = oracle.HEADER_SIZE + number * (version.block_size + 32) + 16
        payload = self.share[start : start + promise.payload_size(version, number)]
        return payload == stripe.payload(found[0])


class KnownStripe:
    """A stripe of a file before it was damaged, and the blocks that it makes."""

    def __init__(self, data, number, required):
        self.data, self.required = data, required
        self.digest = oracle.checksum(data, number)
        self._blocks, self._number = {}, number

    def payload(self, index):
        if index not in self._blocks:
            block = oracle.checked_block(self.data, self._number, self.required, index)
            self._blocks[index] = block[16:-16]
        return self._blocks[index]


def stripes_of(version, data):
    return [
        KnownStripe(data[at : at + length], number, version.required)
        for number, (at, length) in enumerate(promise.stripe_ranges(version))
    ]


class Unsure(Exception):
    """Two contents claim to be one version, or nothing tells which version is right."""


class Group:
    """Blocks of one stripe that have one digest."""

    def __init__(self):
        self.indexes, self.forged = set(), set()
        self.anchored = False  # by a copy that may speak for the version
        self.anchored_by_forgery = False


def groups_of(copies, anchors, version, number, stripe):
    """digest -> its group; a block that has the stripe's digest by forgery is no share of it."""
    groups = {}
    for copy in copies:
        found = copy.block(number, version) if copy.helps(version) else None
        if found is None:
            continue
        group = groups.setdefault(found[1], Group())
        if found[1] == stripe.digest and not copy.holds(number, version, stripe):
            group.anchored_by_forgery |= copy in anchors
            group.forged.add(found[0])
            continue
        group.indexes.add(found[0])
        group.anchored |= copy in anchors
    return groups


def only_padding_is_forged(right, stripe):
    """The last stripe's bytes may not reach all k pieces: those that they do reach are there."""
    pieces = range(-(-len(stripe.data) // len(stripe.payload(0))))
    return right.indexes.issuperset(pieces) and len(right.indexes | right.forged) >= stripe.required


def is_there(copies, anchors, version, number, stripe):
    """Whether k shares have a stripe; Unsure where two agree on something else."""
    groups = groups_of(copies, anchors, version, number, stripe)
    right = groups.pop(stripe.digest, Group())
    limit = min(2, version.required)
    if any(group.anchored and len(group.indexes) >= limit for group in groups.values()):
        raise Unsure
    enough = len(right.indexes) >= version.required
    if enough and right.anchored_by_forgery and not right.anchored:
        raise Unsure
    if not enough and right.forged and only_padding_is_forged(right, stripe):
        raise Unsure
    return enough and right.anchored


def share_count(copies):
    named = {copy.header.index for copy in copies if copy.header}
    return len(named) + sum(copy.header is None for copy in copies)


class Outcome:
    """What a mount of the stores with these copies gives of a file."""

    def __init__(self, copies, stripes_by_version):
        self.contested = set()
        try:
            self.version = promise.choose_version(copies)
        except promise.Ambiguous:
            raise Unsure from None
        self.stripes = stripes_by_version.get(self.version, [])
        self.lost = set(range(len(self.stripes)))
        helpers = [copy for copy in copies if self.version and copy.helps(self.version)]
        self.opens = self.version is not None and share_count(helpers) >= self.version.required
        if self.opens:
            self._look_at_stripes(copies)

    def _look_at_stripes(self, copies):
        version = self.version
        versions = {promise.version_of(copy.header) for copy in copies if copy.header}
        anchors = {c for c in copies if c.is_of(version) or c.could_be_of(version, versions)}
        for number, stripe in enumerate(self.stripes):
            try:
                if is_there(copies, anchors, version, number, stripe):
                    self.lost.discard(number)
            except Unsure:
                self.lost.discard(number)
                self.contested.add(number)

    def is_whole(self):
        if self.contested and self.opens and not self.lost:
            raise Unsure
        return self.opens and not self.lost


def may_lose(copies, versions, stripes_by_version):
    """The most stores that can be taken away, whichever, so that one of VERSIONS is restored."""
    for lost in range(len(copies) + 1):
        for left in itertools.combinations(copies, len(copies) - lost):
            outcome = Outcome(left, stripes_by_version)
            if outcome.version not in versions or not outcome.is_whole():
                return lost - 1
    raise AssertionError("a file without stores cannot be restored")


class Verdict:
    """What is right to say of a file."""

    def __init__(self, case, expected_share):
        self.case = case
        self.stripes_by_version = {
            version: stripes_of(version, data) for version, data in case.contents.items()
        }
        self.copies = [
            KnownCopy(store, bytes(share))
            for store, share in enumerate(case.copies)
            if share is not None
        ]
        outcome = Outcome(self.copies, self.stripes_by_version)
        self.version, self.stripes = outcome.version, outcome.stripes
        self.lost, self.contested = outcome.lost, outcome.contested
        self.is_lost = not outcome.opens or bool(self.lost)
        try:
            self.may_lose = may_lose(self.copies, {self.version}, self.stripes_by_version)
        except Unsure:
            self.may_lose = None
        self.right = {store: "missing" for store in range(STORES)}
        for copy in self.copies:
            self.right[copy.store] = self._state_of(copy, expected_share[copy.store])
        self.bad_blocks = {copy.store: self._bad_blocks(copy) for copy in self.copies}
        self.doubtful = {copy.store: self._doubtful_blocks(copy) for copy in self.copies}

    def may_lose_to_another_version(self):
        """The same, where another version that takes this one's place is as good."""
        try:
            return may_lose(self.copies, set(self.stripes_by_version), self.stripes_by_version)
        except Unsure:
            return STORES

    def _is_exact(self, copy):
        """Byte for byte a share of the version."""
        if copy.header is None or promise.version_of(copy.header) != self.version:
            return False
        size = promise.size_of_shares(self.version)
        return len(copy.share) == size and not copy.header.extensions and not self._bad_blocks(copy)

    def _state_of(self, copy, share):
        if self._is_exact(copy):
            return "good" if copy.header.index == share else "misplaced"
        if copy.header is not None and promise.version_of(copy.header) != self.version:
            return "stale"
        return "damaged"

    def _bad_blocks(self, copy):
        return {
            number
            for number, stripe in enumerate(self.stripes)
            if not copy.holds(number, self.version, stripe)
        }

    def _doubtful_blocks(self, copy):
        """Bad ones that nothing shows to be bad: they are intact in themselves, and what the others
        say is not enough to contradict them."""
        return {
            number
            for number in self._bad_blocks(copy) & (self.lost | self.contested)
            if copy.block(number, self.version) is not None
        }

    def may_be_taken_for_good(self, store):
        """Whether nothing shows what is wrong with a damaged copy."""
        (copy,) = (copy for copy in self.copies if copy.store == store)
        return (
            copy.header is not None
            and len(copy.share) == promise.size_of_shares(self.version)
            and self.bad_blocks[store] == self.doubtful[store]
        )


# What check says


def numbers_in(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


def store_number(problem):
    return int(problem["store"].rpartition("-")[2])


class Said:
    """What check says of a file."""

    def __init__(self, line):
        self.health, self.may_lose = line["health"], line["may_lose"]
        self.lost = numbers_in(line.get("lost_stripes", []))
        self.problems = {store_number(problem): problem for problem in line["problems"]}
        assert len(self.problems) == len(line["problems"]), line
        assert not any(problem.get("other_metadata") for problem in line["problems"]), line

    def state(self, store):
        return self.problems[store]["state"] if store in self.problems else "good"


INTACT = ("good", "misplaced")


def judge_copy(verdict, said, store, counts):
    """What is wrong with what is said of one copy, in words."""
    right, told = verdict.right[store], said.state(store)
    word = "intact" if right in INTACT else "damaged"
    if right == "missing" or told == "missing":
        counts["missing called missing"] += right == told
    else:
        counts[f"{word} called {'intact' if told in INTACT else 'damaged'}"] += 1
    if right == told:
        return []
    if right == "damaged" and told in INTACT and verdict.may_be_taken_for_good(store):
        counts["damaged called intact"] -= 1
        counts["in doubt"] += 1
        return []
    return [f"store {store} is {right}, and called {told}"]


def judge_blocks(verdict, said, store, counts):
    """Each bad block of a copy of the version is named, and no other."""
    copy = next((copy for copy in verdict.copies if copy.store == store), None)
    if copy is None or not copy.is_of(verdict.version):
        return []
    told = numbers_in(said.problems.get(store, {}).get("damaged_blocks", []))
    bad, doubtful = verdict.bad_blocks[store], verdict.doubtful[store]
    if bad - doubtful <= told <= bad:
        counts["bad blocks named"] += len(told)
        return []
    return [f"store {store}: bad blocks {sorted(bad)}, named {sorted(told)}"]


def judge_details(verdict, said, counts):
    wrong = []
    for copy in verdict.copies:
        problem = said.problems.get(copy.store, {})
        told = problem.get("header_damaged", False), problem.get("size_wrong", False)
        right = copy.header is None, copy.is_of(verdict.version) and (
            len(copy.share) != promise.size_of_shares(verdict.version)
        )
        if told != right:
            wrong.append(f"store {copy.store}: header, size bad {right}, called {told}")
        counts["headers and sizes"] += told == right
    return wrong


def judge_file(verdict, said, counts):
    wrong = []
    if said.lost != verdict.lost and not said.lost ^ verdict.lost <= verdict.contested:
        wrong.append(f"lost stripes {sorted(verdict.lost)}, called {sorted(said.lost)}")
    is_lost = said.health == "lost"
    if verdict.contested and is_lost != verdict.is_lost:
        counts["contested"] += 1
    else:
        right, told = ("lost" if each else "there" for each in (verdict.is_lost, is_lost))
        counts[f"{right} called {told}"] += 1
        if is_lost != verdict.is_lost:
            wrong.append(f"{'lost' if verdict.is_lost else 'not lost'}, called {said.health}")
        flawless = all(state == "good" for state in verdict.right.values()) and not verdict.is_lost
        if flawless != (said.health == "intact"):
            wrong.append(f"{'flawless' if flawless else 'not flawless'}, called {said.health}")
    if verdict.may_lose is None:
        counts["may_lose in doubt"] += 1
    elif said.may_lose == verdict.may_lose:
        counts["may_lose exact"] += 1
    elif verdict.may_lose < said.may_lose <= verdict.may_lose_to_another_version():
        counts["may_lose to another version"] += 1
    else:
        wrong.append(f"may lose {verdict.may_lose}, called {said.may_lose}")
    return wrong


def judge(verdict, line, counts):
    said = Said(line)
    wrong = judge_file(verdict, said, counts) + judge_details(verdict, said, counts)
    for store in range(STORES):
        wrong += judge_copy(verdict, said, store, counts)
        wrong += judge_blocks(verdict, said, store, counts)
    return wrong


# A tree at a time


def path_of(number):
    return f"folder-{number % FOLDERS}/file-{number}"


def write_tree(stores, cases):
    for number, case in enumerate(cases):
        case.write(stores, path_of(number))
    for store in range(STORES):
        root = stores / f"store-{store}"
        for folder in range(FOLDERS):
            (root / f"folder-{folder}").mkdir(parents=True, exist_ok=True)
        for path in (*root.iterdir(), root):
            os.utime(path, ns=(trees.MTIME_NS, trees.MTIME_NS))


def shares_held(cases):
    """The share that most headers in each store say, the first of equally frequent ones."""
    held = []
    for store in range(STORES):
        found = Counter()
        for case in cases:
            header = case.copies[store] is not None and promise.parse_header(
                bytes(case.copies[store])
            )
            if header:
                found[header.index] += 1
        held.append(min(found, key=lambda index: (-found[index], index)))
    return held


def check_tree(stores, cases, counts):
    """Runs check over the cases. Returns what is wrong, in words."""
    write_tree(stores, cases)
    held = shares_held(cases)
    verdicts = [Verdict(case, held) for case in cases]
    status = commands.LOST if any(verdict.is_lost for verdict in verdicts) else commands.DAMAGED
    result = commands.run("check", "-v", stores, status=status, noisy=True)
    shutil.rmtree(stores)
    lines = {line["path"]: line for line in result.json if line["message_type"] == "check"}
    folders = {"", *(f"folder-{number}" for number in range(FOLDERS))}
    assert set(lines) == folders | {path_of(number) for number in range(len(cases))}
    assert all(lines[path]["health"] == "intact" for path in folders)
    check_summary(result.summary, [lines[path_of(number)] for number in range(len(cases))])
    told = [int(store["share"], 16) for store in result.summary["stores"]]
    assert told == held, "the share that each store holds"
    failures = []
    for number, verdict in enumerate(verdicts):
        wrong = judge(verdict, lines[path_of(number)], counts)
        failures += [f"{path_of(number)}: {verdict.case}: {'; '.join(wrong)}"] if wrong else []
    return failures


def check_summary(summary, lines):
    """The sums are those of what was told of the files."""
    health = Counter(line["health"] for line in lines)
    assert summary["files"] == len(lines) and summary["others"] == FOLDERS + 1
    assert summary["intact"] == health["intact"] + FOLDERS + 1
    assert (summary["degraded"], summary["lost"]) == (health["degraded"], health["lost"])
    assert summary["may_lose"] == min(line["may_lose"] for line in lines)
    states, blocks = Counter(), Counter()
    for line in lines:
        for problem in line["problems"]:
            states[store_number(problem), problem["state"]] += 1
            blocks[store_number(problem)] += len(numbers_in(problem.get("damaged_blocks", [])))
    for number, store in enumerate(summary["stores"]):
        bad = {name: states[number, name] for name in ("missing", "stale", "damaged", "misplaced")}
        assert {name: store[name] for name in bad} == bad
        assert store["good"] == len(lines) + FOLDERS + 1 - sum(bad.values())
        assert store["damaged_blocks"] == blocks[number]


def sentence_of(counts):
    return (
        f"seed {SEED}: {counts['intact called intact']} intact called intact, "
        f"{counts['intact called damaged']} otherwise; "
        f"{counts['damaged called damaged']} damaged or stale called so, "
        f"{counts['damaged called intact']} otherwise ({counts['in doubt']} in doubt); "
        f"{counts['lost called lost']} lost files called lost, "
        f"{counts['lost called there']} otherwise; "
        f"{counts['there called there']} others not, {counts['there called lost']} otherwise "
        f"({counts['contested']} contested); "
        f"may_lose exact for {counts['may_lose exact']}, "
        f"for {counts['may_lose to another version']} where another version follows ({counts['may_lose in doubt']} in doubt)"
    )


def test_nothing_damaged_is_called_intact_and_nothing_intact_damaged(tmp_path, binary, rng):
    counts, failures = Counter(), []
    for first in range(0, CASES, BATCH):
        held = rng.sample(range(256), STORES)
        if rng.random() < 0.5:  # two stores hold the same share
            held[rng.randrange(1, STORES)] = held[0]
        subjects = list(random_subjects(held, rng))
        cases = [random_case(subjects, held, rng) for _ in range(min(BATCH, CASES - first))]
        failures += check_tree(tmp_path / "stores", cases, counts)
    print(sentence_of(counts))
    print(", ".join(f"{what}: {count}" for what, count in sorted(counts.items())))
    shown = "\n".join(failures[:WRONG_SHOWN])
    assert not failures, f"{len(failures)} of {CASES} files:\n{shown}"
    assert counts["damaged called intact"] == counts["intact called damaged"] == 0
    for what in ("intact called intact", "damaged called damaged", "there called there"):
        assert counts[what] > CASES // 10, what
    for what in ("in doubt", "contested", "may_lose in doubt", "may_lose to another version"):
        assert counts[what] <= 1 + CASES // 20, what
