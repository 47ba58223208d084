# SPDX-License-Identifier: MIT
"""As test_damage_matrix.py, of sealed shares: which stripes are there follows from which blocks are intact.

With the key and without it, by check, a view and decode; and forged blocks, which the key alone finds.
ZFEC_FS_TEST_CASES says how many patterns there are.
"""

import errno
import itertools
import os
import random

import pytest

import commands
import forging
import keyfiles
import model_sealed
import share_cases
import trees
from conftest import SEED

SPREAD = True
UNSANITIZED = True
CASES = int(os.environ.get("ZFEC_FS_TEST_CASES", "1000"))
REQUIRED_MAX, SHARES_MAX, STRIPES_MAX, BLOCKS_MAX = 4, 6, 5, 12
BLOCK_SIZE = model_sealed.BLOCK_SIZE
STEP = BLOCK_SIZE + 32


def flip(block, rng):
    at = rng.randrange(len(block))
    return block[:at] + bytes([block[at] ^ 1 << rng.randrange(8)]) + block[at + 1 :]


def zeros(block, _rng):
    return bytes(len(block))


def noise(block, rng):
    return rng.randbytes(len(block))


class Pattern:
    """A file's shares, of which some blocks (share, stripe) are bad or forged."""

    def __init__(self, name, sealer, required, rng):
        self.name, self.required = name, required
        self.count = rng.randint(required, SHARES_MAX)
        self.stripes = rng.randint(1, min(STRIPES_MAX, BLOCKS_MAX // self.count))
        size = (self.stripes - 1) * required * BLOCK_SIZE + rng.randint(1, required * BLOCK_SIZE)
        self.data = rng.randbytes(size)
        places = list(itertools.product(range(self.count), range(self.stripes)))
        self.bad = {place for place in places if rng.random() < rng.choice((0.1, 0.3, 0.5))}
        self.forged = {place for place in places if place not in self.bad and rng.random() < rng.choice((0, 0, 0.2))}
        self.shares = [self._spoil(sealer.share(name, self.data, required, i, trees.MTIME_NS), i, rng) for i in range(self.count)]

    def _spoil(self, share, index, rng):
        forged = forging.Share(share)
        for number in range(self.stripes):
            if (index, number) in self.forged:
                digest, payload = forged.blocks[number]
                forged.blocks[number] = digest, flip(payload, rng)
        share = bytearray(forged.bytes())
        for number in range(self.stripes):
            if (index, number) in self.bad:
                place = slice(64 + number * STEP, 64 + (number + 1) * STEP)
                share[place] = rng.choice((flip, flip, zeros, noise))(bytes(share[place]), rng)
        return bytes(share)

    def intact(self, number):
        return [index for index in range(self.count) if (index, number) not in self.bad]

    def lost(self, with_key):
        """Numbers of stripes. Without the key, more than k blocks of which one is forged contradict each other."""
        found = set()
        for number in range(self.stripes):
            intact = self.intact(number)
            forged = [index for index in intact if (index, number) in self.forged]
            right = len(intact) - len(forged)
            if right < self.required if with_key else (len(intact) < self.required or (forged and len(intact) > self.required)):
                found.add(number)
        return found

    def owed(self):
        """Each stripe, as the key opens it."""
        full = self.required * BLOCK_SIZE
        lost = self.lost(True)
        return [errno.EIO if number in lost else self.data[number * full : (number + 1) * full] for number in range(self.stripes)]

    def damaged(self, index, with_key):
        found = {number for share, number in self.bad if share == index}
        proven = {number for share, number in self.forged if share == index} - self.lost(True)
        return found | (proven if with_key else set())


def make_set(folder, required, rng):
    sealer = model_sealed.Sealer(rng, trees.MTIME_NS)
    patterns = [Pattern(f"file-{number}", sealer, required, rng) for number in range(CASES // REQUIRED_MAX)]
    entries = {each.name: model_sealed.File(len(each.data), trees.MTIME_NS, (0, 0)) for each in patterns}
    manifest = sealer.manifest("", entries, required)
    for index in range(SHARES_MAX):
        store = folder / "stores" / trees.share_name(index)
        trees.write_file(store / "zmanifest", manifest(index).data, manifest(index).mtime)
        for each in patterns:
            if index < each.count:
                trees.write_file(store / sealer.raw(each.name), each.shares[index])
    (folder / "set.key").write_text(keyfiles.key_text(sealer.keys.master))
    (folder / "set.key").chmod(0o600)
    return sealer, patterns


def numbers_of(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


def check_told(told, pattern, with_key):
    line = told
    lost = pattern.lost(with_key)
    wrong = []
    if numbers_of(line.get("lost_stripes", [])) != lost or (line["health"] == "lost") != bool(lost):
        wrong.append(f"{line['health']}, lost {line.get('lost_stripes')}, owed {lost}")
    problems = {os.path.basename(each["store"]): each for each in line["problems"]}
    for index in range(pattern.count):
        said = numbers_of(problems.get(trees.share_name(index), {}).get("damaged_blocks", []))
        if said != pattern.damaged(index, with_key):
            wrong.append(f"store {index}: {said}, owed {pattern.damaged(index, with_key)}")
    unverified = {n for n in range(pattern.stripes) if len(pattern.intact(n)) == pattern.required}
    if numbers_of(line.get("unverified_stripes", [])) != (set() if with_key else unverified):
        wrong.append(f"unverified {line.get('unverified_stripes')}, owed {unverified}")
    return wrong


@pytest.mark.parametrize("required", range(1, REQUIRED_MAX + 1))
def test_patterns_of_bad_and_forged_blocks(mounts, tmp_path, required):
    rng = random.Random(f"{SEED} {required}")
    sealer, patterns = make_set(tmp_path, required, rng)
    stores, key = tmp_path / "stores", tmp_path / "set.key"
    wrong = {}
    for words in ((), ("--key", key)):
        done = commands.run("check", "--verbose", *words, stores, status=commands.LOST, noisy=True)
        told = {line["path"]: line for line in done.json if line["message_type"] == "check"}
        for each in patterns:
            found = check_told(told[each.name if words else sealer.raw(each.name)], each, bool(words))
            if found:
                wrong[each.name, words] = found, each.bad, each.forged, each.required, each.count
    view = mounts.restored(stores, key=key)
    view.expect_log(r".*", 0)
    for each in patterns:
        size = type("Version", (), {"k": required, "block": BLOCK_SIZE})
        found = share_cases.error_or(lambda: share_cases.read_stripes(view / each.name, size, range(each.stripes)))  # noqa: B023
        if found != each.owed() and (found != errno.EIO or errno.EIO not in each.owed()):
            wrong[each.name, "view"] = each.bad, each.forged
    view.unmount()
    before = {path: path.read_bytes() for path in stores.rglob("*") if path.is_file()}
    commands.run("repair", stores, status=commands.LOST, noisy=True)
    for each, index in itertools.product(patterns, range(SHARES_MAX)):
        path = stores / trees.share_name(index) / sealer.raw(each.name)
        if path in before and not each.damaged(index, False) and path.read_bytes() != before[path]:
            wrong[each.name, "repair"] = "an intact share was replaced", index
    commands.run("repair", "--key", key, stores, status=commands.LOST, noisy=True)
    for each, index in itertools.product(patterns, range(SHARES_MAX)):
        path = stores / trees.share_name(index) / sealer.raw(each.name)
        if not each.lost(True) and path.read_bytes() != sealer.share(each.name, each.data, required, index, trees.MTIME_NS):
            wrong[each.name, "repair --key"] = index, each.bad, each.forged
    shown = "\n".join(f"{what}: {text}" for what, text in list(wrong.items())[:10])
    assert not wrong, f"seed {SEED}, {len(wrong)} wrong\n{shown}"
