# SPDX-License-Identifier: MIT
"""Shares as the model of the rules sees them: headers, blocks, and what they solve to."""

import functools
import itertools
import operator
import struct
from collections import defaultdict
from typing import NamedTuple, Optional

import oracle

FILE, DIRECTORY, LINK, FIFO, SOCKET, CHAR, BLOCK = ("file", "dir", "link", "fifo", "sock", "chr", "blk")
_CHECKED = struct.Struct("<8sBBBBIQq16s")
_IS_ONE = bytes([0]) + bytes([1]) * 255
_ATTEMPT = 16  # columns that are solved before the others: often these already cannot be


class Entry(NamedTuple):
    """What a store has of one name."""

    kind: str = FILE
    data: bytes = b""
    mode: int = 0o644
    owner: tuple = (0, 0)
    mtime: int = 0
    xattrs: tuple = ()  # of (name, value), sorted
    target: Optional[str] = None
    rdev: int = 0

    def what(self):
        """Its kind, as names are compared."""
        return self.kind, self.target, self.rdev


class Version(NamedTuple):
    k: int
    block: int  # payload bytes of a full block
    size: int
    mtime: Optional[int] = None  # checked
    count: Optional[int] = None  # fec's m
    sealed: bool = False

    def is_laid_out_as(self, other):
        return self[:2] == other[:2] and self.sealed == other.sealed

    def is_like(self, other):
        """Whether it is of another time, at most."""
        return self[:3] == other[:3] and self.sealed == other.sealed

    def stripes(self):
        return -(-self.size // (self.k * self.block))

    def length(self, number):
        """Bytes of a stripe."""
        return max(0, min(self.k * self.block, self.size - number * self.k * self.block))

    def payload(self, number):
        return -(-self.length(number) // self.k)


class Header(NamedTuple):
    version: Version
    index: int
    start: int  # of the blocks


# Headers

CHECKED = ("checked", "sealed")


def parse(share_format, data):
    """The header of a share, or None where it is not intact."""
    return {"checked": _parse_checked, "sealed": _parse_checked, "classic": _parse_classic, "fec": _parse_fec}[share_format](data)


def _parse_checked(data):
    if len(data) < 64 or oracle.checksum(data[:48], 0) != data[48:64]:
        return None
    magic, k, index, log, flags, extensions, size, mtime, zero = _CHECKED.unpack(data[:48])
    if magic != oracle.MAGIC or flags > 1 or any(zero) or not k or not 12 <= log <= 20 or size >> 63:
        return None
    if oracle.checked_size(size, k, 1 << log) + extensions >> 63:
        return None  # no file can be so long
    return Header(Version(k, 1 << log, size, mtime, None, bool(flags)), index, 64 + extensions)


def _parse_classic(data):
    if len(data) < 3 or data[0] == 0 or data[2] >= data[0] or (len(data) == 3 and data[2]):
        return None
    size = (len(data) - 3) * data[0] - -data[2] % data[0]
    return Header(Version(data[0], oracle.FEC_BLOCK_SIZE, size), data[1], 3)


def _parse_fec(data):
    if len(data) < 2:
        return None
    k, count, padding, index, start = oracle.parse_fec_header(data)
    size = (len(data) - start) * k - padding
    if k > count or index >= count or padding >= k or size < 0:
        return None
    return Header(Version(k, oracle.FEC_BLOCK_SIZE, size, None, count), index, start)


# Copies


class Copy:
    """What one store has of a file: its header, and its blocks as far as they are intact."""

    def __init__(self, share_format, data, likely=()):
        self.data, self.checked = data, share_format in CHECKED
        self.header = parse(share_format, data)
        self._likely, self._blocks, self._intact = likely, {}, None

    def is_of(self, version):
        return self.header is not None and self.header.version == version

    def is_full(self):
        """Whether it is as long as its header says."""
        if self.header is None or not self.checked:
            return self.header is not None
        version = self.header.version
        size = oracle.checked_size(version.size, version.k, version.block) - 64
        return len(self.data) == self.header.start + size

    def block(self, number, version):
        """(index, digest, payload) of an intact block of a version's stripe, or None (checked)."""
        key = number, version.block, version.payload(number)
        if key not in self._blocks:
            self._blocks[key] = self._verify(*key)
        return self._blocks[key]

    def _verify(self, number, size, payload):
        start = (self.header.start if self.header else 64) + number * (size + 32)
        block = self.data[start : start + payload + 32]
        if len(block) < payload + 32 or not payload:
            return None
        for index in [self.header.index] if self.header else [*self._likely, *range(256)]:
            if oracle.checksum(block[:-16], number * 256 + index) == block[-16:]:
                return index, block[:16], block[16:-16]
        return None

    def fits(self, number, version):
        """Whether its block may be one of the version's stripe."""
        if self.header is None:
            return True
        own = self.header.version
        return own.is_laid_out_as(version) and own.payload(number) == version.payload(number)

    def is_intact(self):
        """Whether header, length and all blocks are right, as far as the copy itself tells."""
        if self._intact is None:
            version = self.header.version if self.is_full() else None
            self._intact = bool(version) and (
                not self.checked or all(self.block(t, version) for t in range(version.stripes()))
            )
        return self._intact


copy_of = functools.lru_cache(maxsize=1 << 15)(Copy)


# Contents


@functools.lru_cache(maxsize=1 << 14)
def make_share(share_format, content, version, index):
    return oracle.make_share(share_format, content, version.k, version.count or 256, index,
                             version.mtime or 0, version.block)  # fmt: skip


@functools.lru_cache(maxsize=1 << 14)
def make_piece(source, index):
    """Share `index` of the k pieces of a stripe."""
    return oracle._interpolate(list(source), index)


def pieces(k, payloads):
    """The k pieces of which `payloads` (index -> bytes) are k shares."""
    if max(payloads) < k:
        return [payloads[index] for index in range(k)]
    return oracle._pieces_from(k, payloads)


def decode(version, number, group):
    """The stripe that has the group's digest, of k of its blocks (store -> block); or None."""
    payloads = defaultdict(set)
    for index, digest, payload in group.values():
        payloads[index].add(payload)
    for indexes in itertools.combinations(sorted(payloads), version.k):
        for chosen in itertools.product(*(payloads[index] for index in indexes)):
            stripe = b"".join(pieces(version.k, dict(zip(indexes, chosen))))[: version.length(number)]
            if oracle.checksum(stripe, number) == digest:
                return stripe
    return None


def decode_sealed(version, number, group, opens):
    """(the sealed stripe of the group, its tag); None: there is none.

    opens(tag, stripe) says whether the tag proves it; None: nobody can, and all blocks have to agree.
    """
    payloads = defaultdict(set)
    for index, tag, payload in group.values():
        payloads[index].add(payload)
    for indexes in itertools.combinations(sorted(payloads), version.k):
        for chosen in itertools.product(*(payloads[index] for index in indexes)):
            source = pieces(version.k, dict(zip(indexes, chosen)))
            stripe = b"".join(source)[: version.length(number)]
            if opens and opens(tag, stripe):
                return stripe, tag
            if not opens:
                source = tuple(oracle.cut(stripe, version.k))  # what fills up its end is zeros
                right = all(make_piece(source, index) == payload for index, _, payload in group.values())
                return (stripe, tag) if right else None
    return None


def differences(one, other):
    """1 where the bytes differ, else 0."""
    number = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return number.to_bytes(len(one), "big").translate(_IS_ONE)


def patterns(rows):
    """The different columns of rows whose bytes are 0 or 1, as tuples of these."""
    parts = []
    for some in (rows[at : at + 8] for at in range(0, len(rows), 8)):
        bits = sum(int.from_bytes(row, "big") << place for place, row in enumerate(some))
        parts.append(bits.to_bytes(len(some[0]), "big"))
    return [tuple(column[at // 8] >> at % 8 & 1 for at in range(len(rows))) for column in set(zip(*parts))]


def _differences(one, other):
    """The same, as one large number."""
    return int.from_bytes(differences(one, other), "big")


def solve(k, pairs):
    """The k pieces that, at every byte, contradict at most (m - k) / 2 of m different pairs.

    `pairs` is a list of (index, bytes). None where there is no such solution at some byte. There is
    never more than one: k different indexes would agree with both.
    """
    indexes = sorted({index for index, _ in pairs})
    if len(indexes) < k:
        return None
    first = dict(reversed(pairs))
    source = pieces(k, {index: first[index] for index in indexes[:k]})
    expected = {index: oracle._interpolate(source, index) for index in indexes}
    wrong = 0
    for index, data in pairs:
        wrong |= _differences(data, expected[index])
    if not wrong:
        return source
    places = [at for at, bad in enumerate(wrong.to_bytes(len(source[0]), "big")) if bad]
    contested = list(zip(*(operator.itemgetter(*places, places[0])(data) for _, data in pairs)))[:-1]
    columns, known = list(dict.fromkeys(contested)), {}
    for some in (columns[:_ATTEMPT], columns[_ATTEMPT:]):
        if some and not _solve_columns(k, [index for index, _ in pairs], some, known):
            return None
    whole = [bytearray(piece) for piece in source]
    for at, column in zip(places, contested):
        for piece, value in zip(whole, known[column]):
            piece[at] = value
    return list(map(bytes, whole))


def _solve_columns(k, indexes, columns, known):
    """Adds column -> its k bytes to `known`. False where there are none for some column."""
    data = [bytes(values) for values in zip(*columns)]
    for chosen in itertools.combinations(range(len(indexes)), k):
        if len({indexes[place] for place in chosen}) < k:
            continue
        source = pieces(k, {indexes[place]: data[place] for place in chosen})
        wrong, there = _count(indexes, data, source)
        if min(wrong) > (len(indexes) - k) // 2:
            continue
        left = []
        for at, column in enumerate(columns):
            if wrong[at] <= (there[at] - k) // 2:
                known[column] = bytes(piece[at] for piece in source)
            else:
                left.append(column)
        if not left:
            return True
        columns, data = left, [bytes(values) for values in zip(*left)]
    return False


def _count(indexes, data, source):
    """For each column how many pairs a solution contradicts, and how many different ones there are."""
    wrong = there = 0
    ones = int.from_bytes(bytes([1]) * len(data[0]), "big")
    made = {index: oracle._interpolate(source, index) for index in set(indexes)}
    for place, (index, values) in enumerate(zip(indexes, data)):
        new = ones  # whether no earlier copy says the same
        for earlier in range(place):
            if indexes[earlier] == index:
                new &= _differences(values, data[earlier])
        wrong += new & _differences(values, made[index])
        there += new
    return wrong.to_bytes(len(data[0]), "big"), there.to_bytes(len(data[0]), "big")
