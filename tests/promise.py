# SPDX-License-Identifier: MIT
"""What the restored view owes of a file: the stripes that copies of its shares give, by hashes.

It shares no code with zfec-fs. It looks at the bytes of the copies alone, not at how they came
to be, but for the contents of the versions: those it is told.
"""

import struct
from collections import namedtuple

import oracle

_HEADER = struct.Struct("<8sBBBBIQq16s")
_LIMIT = 1 << 63

Header = namedtuple("Header", "required block_size size mtime_ns index extensions")
Version = namedtuple("Version", "required block_size size mtime_ns")


class Ambiguous(Exception):
    """Shares that agree on a lie, or versions that nothing tells apart: no damage does that."""


class Contested(bytes):
    """A stripe that may be EIO, though k shares say what it is.

    Two or more others agree on something else, and of the k fewer than two (or than k) have an
    intact block of some other stripe that is there. That is no damage any more: to take the k's
    word may be to put the file together from two contents.
    """


def version_of(header):
    return Version(*header[:4])


def parse_header(share):
    """The header of a share in checked format, or None where it is not intact."""
    if len(share) < oracle.HEADER_SIZE or oracle.checksum(share[:48], 0) != share[48:64]:
        return None
    magic, required, index, block_log, flags, extensions, size, mtime_ns, zero = _HEADER.unpack(
        share[:48]
    )
    known = magic == oracle.MAGIC and not flags and zero == bytes(16)
    if not known or not required or not 12 <= block_log <= 20 or size >= _LIMIT:
        return None
    return Header(required, 1 << block_log, size, mtime_ns, index, extensions)


class Copy:
    """One store's file: what it says it is, and its blocks."""

    def __init__(self, share):
        self.share = share
        self.header = parse_header(share)

    def is_of(self, version):
        return self.header is not None and version_of(self.header) == version

    def could_be_of(self, version, versions):
        """Whether it has lost its header, but still the size of this version's shares alone."""
        return self.header is None and [
            other for other in versions if size_of_shares(other) == len(self.share)
        ] == [version]

    def helps(self, version):
        """Whether it may have blocks of the version."""
        return self.header is None or self.header[:2] == version[:2]

    def block(self, number, version):
        """(index, digest) of its block `number`, or None where that is not intact."""
        payload = payload_size(version, number)
        if self.header is not None and payload_size(self.header, number) != payload:
            return None
        start = oracle.HEADER_SIZE + (self.header.extensions if self.header else 0)
        start += number * (version.block_size + 32)
        block = self.share[start : start + payload + 32]
        if len(block) < payload + 32:
            return None
        for index in [self.header.index] if self.header else range(256):
            if oracle.checksum(block[:-16], number * 256 + index) == block[-16:]:
                return index, block[:16]
        return None


def size_of_shares(version):
    return oracle.checked_size(version.size, version.required, version.block_size)


def payload_size(version, number):
    """Bytes of the payload of block `number`, 0 behind the last one."""
    stripe = version.required * version.block_size
    left = max(0, min(stripe, version.size - number * stripe))
    return oracle.ceil_div(left, version.required)


def stripe_ranges(version):
    """(offset, length) of each stripe."""
    stripe = version.required * version.block_size
    return [(at, min(stripe, version.size - at)) for at in range(0, version.size, stripe)]


def choose_version(copies):
    """The newest version that k or more shares are of, or else the newest; None without headers."""
    versions = {version_of(copy.header) for copy in copies if copy.header}
    if not versions:
        return None

    def preference(version):
        members = {copy.header.index for copy in copies if copy.is_of(version)}
        nameless = sum(copy.could_be_of(version, versions) for copy in copies)
        shares = len(members) + nameless
        return shares >= version.required, version.mtime_ns, shares

    first, *others = sorted(versions, key=preference, reverse=True)
    if others and preference(others[0]) == preference(first):
        raise Ambiguous("nothing tells which version is right")
    return first


def _can_be_opened(copies, version):
    """Whether there can be k different shares, whatever their blocks are."""
    useful = [copy for copy in copies if copy.helps(version)]
    indexes = {copy.header.index for copy in useful if copy.header}
    return len(indexes) + sum(copy.header is None for copy in useful) >= version.required


class _Group:
    """Copies whose blocks of one stripe have one digest: number of the copy -> index of its block."""

    def __init__(self):
        self.copies = {}
        self.anchored = False  # whether a share of the version is among them

    def shares(self, copies=None):
        """How many different shares they are, or those of them that are among `copies`."""
        return len({i for copy, i in self.copies.items() if copies is None or copy in copies})


def _groups(copies, version, versions, number):
    """digest -> its group"""
    groups = {}
    for place, copy in enumerate(copies):
        found = copy.block(number, version) if copy.helps(version) else None
        if found is None:
            continue
        group = groups.setdefault(found[1], _Group())
        group.copies[place] = found[0]
        group.anchored |= copy.is_of(version) or copy.could_be_of(version, versions)
    return groups


class Stripe:
    """What the copies say of one stripe."""

    def __init__(self, copies, version, versions, number, data):
        groups = _groups(copies, version, versions, number)
        self.data, self.required = data, version.required
        self.right = groups.pop(oracle.checksum(data, number), _Group())
        self.others = [group for group in groups.values() if group.anchored]
        if any(group.shares() >= version.required for group in self.others):
            raise Ambiguous(f"k shares agree on another stripe {number}")

    def is_there(self):
        return self.right.anchored and self.right.shares() >= self.required

    def opponents(self):
        """The copies that agree with another share on something else."""
        return {copy for group in self.others if group.shares() >= 2 for copy in group.copies}

    def has_nothing_in_common_with(self, stripe):
        common = self.right.shares(stripe.right.copies)
        return self.is_there() and common < min(2, self.required)

    def owed(self, all_stripes):
        if not self.is_there():
            return None
        if self.opponents() and any(
            other.has_nothing_in_common_with(self) for other in all_stripes if other is not self
        ):
            return Contested(self.data)
        return self.data


def expected(shares, contents):
    """(version, stripes) of the copies `shares`: each stripe's bytes, or None where it is lost.

    The bytes are Contested where EIO is right, too.

    `contents` has the bytes of each version. The stripes are None where open has to fail already.
    """
    copies = [Copy(share) for share in shares]
    version = choose_version(copies)
    if version is None or not _can_be_opened(copies, version):
        return version, None
    versions = {version_of(copy.header) for copy in copies if copy.header}
    data = contents[version]
    stripes = [
        Stripe(copies, version, versions, number, data[at : at + length])
        for number, (at, length) in enumerate(stripe_ranges(version))
    ]
    return version, [stripe.owed(stripes) for stripe in stripes]
