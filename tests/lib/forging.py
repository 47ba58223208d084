# SPDX-License-Identifier: MIT
"""What those who hold fewer than k stores of a sealed set, and not its key, may put into them."""

import itertools
import os
import shutil
import struct

import oracle
import sealing

FIELDS = struct.Struct("<8sBBBBIQq16x")


class Share:
    """A share's header, and its blocks as (digest, payload), to be changed at will."""

    def __init__(self, data):
        _, self.required, self.index, self.log, _, _, self.size, self.mtime_ns = FIELDS.unpack(
            data[:48]
        )
        step, body = (1 << self.log) + 32, data[64:]
        whole = [body[at : at + step] for at in range(0, len(body), step)]
        self.blocks = [(each[:16], each[16:-16]) for each in whole]

    @property
    def stripe_size(self):
        return self.required << self.log

    def bytes(self):
        """All checks are right."""
        head = bytearray(
            FIELDS.pack(
                oracle.MAGIC, self.required, self.index, self.log, 1, 0, self.size, self.mtime_ns
            )
        )
        parts = [bytes(head), oracle.checksum(bytes(head), 0)]
        for number, block in enumerate(self.blocks):
            intact = b"".join(block)
            parts += [intact, oracle.checksum(intact, number * 256 + self.index)]
        return b"".join(parts)


class Liar:
    """One forgery of one file: what is common to all liars (they act as one) is in the random numbers.

    now, old, foreign: the file's share of this store, what it was before, and another set's for that
    path; other: another file's. Old and foreign ones may be None.
    """

    def __init__(self, seed, now, old, foreign, other):
        self.together, self.alone = seed
        self.now, self.old, self.foreign, self.other = now, old, foreign, other

    def _some(self):
        count = len(self.now.blocks)
        chosen = [i for i in range(count) if self.together.random() < 0.5]
        return chosen or list(range(count))[-1:]

    def payloads(self):
        for i in self._some():
            digest, payload = self.now.blocks[i]
            self.now.blocks[i] = digest, self.alone.randbytes(len(payload))
        return self.now

    def flipped_bits(self):
        for i in self._some():
            digest, payload = self.now.blocks[i]
            at = self.alone.randrange(len(payload))
            changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
            self.now.blocks[i] = digest, changed
        return self.now

    def digests(self):
        for i in self._some():
            digest, payload = self.together.randbytes(16), self.now.blocks[i][1]
            self.now.blocks[i] = digest, self.alone.choice([payload, bytes(len(payload))])
        return self.now

    def replayed(self):
        return self.old or self.other

    def replayed_as_newer(self):
        share = self.old or self.other
        share.mtime_ns = self.now.mtime_ns + self.together.choice([1, 10**9, 10**18])
        return share

    def old_blocks(self):
        return self._with_blocks_of(self.old or self.other)

    def foreign_blocks(self):
        return self._with_blocks_of(self.foreign or self.other)

    def blocks_of_another(self):
        return self._with_blocks_of(self.other)

    def _with_blocks_of(self, share):
        """Where blocks are as long as ours."""
        for i in self._some():
            if i < len(share.blocks) and len(share.blocks[i][1]) == len(self.now.blocks[i][1]):
                self.now.blocks[i] = share.blocks[i]
        return self.now

    def exchanged(self):
        return self.other

    def foreign_share(self):
        return self.foreign or self.other

    def moved_blocks(self):
        self.together.shuffle(self.now.blocks)
        return self.now

    def cut_at_a_stripe(self):
        left = self.together.randrange(len(self.now.blocks) + 1)
        self.now.blocks = self.now.blocks[:left]
        self.now.size = min(self.now.size, left * self.now.stripe_size)
        self.now.mtime_ns += self.together.choice([-1, 0, 1, 10**9])
        return self.now

    def made_longer(self):
        """By stripes of zeros, or of its first one again."""
        full = self.now.blocks[:1] if len(self.now.blocks) > 1 else []
        if full and self.now.size % self.now.stripe_size == 0:
            self.now.blocks += full
            self.now.size += self.now.stripe_size
        else:
            self.now.size += self.together.randrange(1, 9)
        self.now.mtime_ns += self.together.choice([0, 1, 10**9])
        return self.now

    def empty(self):
        self.now.blocks, self.now.size = [], 0
        self.now.mtime_ns += self.together.choice([-(10**9), 0, 1, 10**12])
        return self.now

    def other_time(self):
        self.now.mtime_ns += self.together.choice([-1, 1, -(10**15), 10**15])
        return self.now

    def other_size(self):
        self.now.size = max(0, self.now.size + self.together.choice([-1, 1, 1 << 40, -4096]))
        return self.now

    def other_index(self):
        self.now.index = self.together.choice([0, 1, 2, 77, 255])
        return self.now

    def other_required(self):
        self.now.required = self.together.choice([1, self.now.required - 1, 255]) or 1
        return self.now

    def other_block_size(self):
        self.now.log = self.together.choice([12, 13, 16, 20])
        return self.now

    def all_new(self):
        """A whole file of their own, of another size and newer."""
        size = self.together.randrange(1, 3 * self.now.stripe_size)
        stripes = oracle.stripes_of(bytes(size), self.now.required, 1 << self.now.log)
        self.now.blocks = [
            (
                self.together.randbytes(16),
                self.alone.randbytes(oracle.ceil_div(len(stripe), self.now.required)),
            )
            for stripe in stripes
        ]
        self.now.size = size
        self.now.mtime_ns += self.together.choice([0, 1, 10**9])
        return self.now

    def random_bytes(self):
        return self.alone.randbytes(len(self.now.bytes()))

    def cut_off(self):
        data = self.now.bytes()
        return data[: self.alone.randrange(len(data))]


FORGERIES = sorted(
    name for name in vars(Liar) if not name.startswith("_") and name not in ("together", "alone")
)
IN_PLACE = ("missing", "folder", "link", "fifo")


def _read(path):
    with open(path, "rb") as file:
        return Share(file.read())


def _read_if_there(path):
    return _read(path) if path and os.path.isfile(path) else None


def forge(seeds, kind, path, old, foreign, other):
    """Replaces a share at PATH by a forged one; the others are paths of what liars may use, or None."""
    time_ns = os.stat(path).st_mtime_ns
    if kind in FORGERIES:
        liar = Liar(
            seeds, _read(path), _read_if_there(old), _read_if_there(foreign), _read(other)
        )
        share = getattr(liar, kind)()
        data = share if isinstance(share, bytes) else share.bytes()
        if not isinstance(share, bytes):
            time_ns = share.mtime_ns
    os.unlink(path)
    if kind == "folder":
        os.mkdir(path)
    elif kind == "link":
        os.symlink(other, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind in FORGERIES:
        with open(path, "wb") as file:
            file.write(data)
        limit = (1 << 63) - 1
        os.utime(path, ns=(time_ns, max(-limit, min(limit, time_ns))))


def files_of(store):
    return sorted(
        os.path.relpath(os.path.join(folder, name), store)
        for folder, _, names in os.walk(store)
        for name in names
        if name != "key"
    )


def folders_of(store):
    found = (os.path.relpath(folder, store) for folder, _, _ in os.walk(store))
    return sorted(folder for folder in found if folder != ".")


def plant(rng, store):
    """Names that no manifest has: ids, and names as they are in a source."""
    files = [each for each in files_of(store) if os.path.isfile(os.path.join(store, each))]
    for name in (rng.choice(sealing.DIGITS) * 16, "plain", "..zmanifest", "zmanifest~"):
        where = os.path.dirname(rng.choice(files))
        shutil.copyfile(os.path.join(store, rng.choice(files)), os.path.join(store, where, name))


def exchange_folders(rng, store):
    """Two directories of one level, if there are, change places."""
    groups = itertools.groupby(sorted(folders_of(store), key=os.path.dirname), os.path.dirname)
    pairs = [found for _, group in groups if len(found := list(group)) > 1]
    if pairs:
        one, other = (os.path.join(store, each) for each in rng.sample(rng.choice(pairs), 2))
        os.rename(one, one + "~")
        os.rename(other, one)
        os.rename(one + "~", other)
