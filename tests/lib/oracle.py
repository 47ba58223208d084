# SPDX-License-Identifier: MIT
"""The three share formats in Python: what the mounts are compared with.

It shares no code with zfec-fs: the code is python3-zfec's, the hash python3-xxhash's.
"""

import functools
import itertools
import struct

import xxhash
import zfec

MAGIC = b"\0ZFECFS1"
HEADER_SIZE = 64
DIGEST_SIZE = 16
CHECK_SIZE = 16
DEFAULT_BLOCK_SIZE = 65536
FEC_BLOCK_SIZE = 4096
FORMATS = ("checked", "classic", "fec")

_HEADER = struct.Struct("<8sBBBBIQq16x")
_BLOCK_EXTRA = DIGEST_SIZE + CHECK_SIZE


class ShareError(Exception):
    """A share, or a set of shares, from which the source does not follow."""


# The code


@functools.lru_cache(maxsize=256)
def _encoder(required, shares):
    return zfec.Encoder(required, shares)


@functools.lru_cache(maxsize=256)
def _decoder(required, shares):
    return zfec.Decoder(required, shares)


def _interpolate(pieces, index):
    """Share `index` of a group of pieces. Its bytes do not depend on the number of shares."""
    required = len(pieces)
    return bytes(_encoder(required, max(required, index + 1)).encode(pieces, [index])[0])


def _pieces_from(required, payloads):
    """The k pieces of which `payloads` (index -> bytes) are shares; exactly k are used."""
    chosen = sorted(payloads)[:required]
    decoder = _decoder(required, max(required, chosen[-1] + 1))
    return [bytes(piece) for piece in decoder.decode([payloads[i] for i in chosen], chosen)]


def checksum(data, seed):
    """XXH3-128 in its canonical form."""
    return xxhash.xxh3_128_digest(data, seed=seed)


# Stripes


def ceil_div(dividend, divisor):
    return -(-dividend // divisor)


def cut(stripe, required):
    """The k pieces of a stripe, the end filled up with zeros."""
    length = ceil_div(len(stripe), required)
    filled = stripe.ljust(length * required, b"\0")
    return [filled[at : at + length] for at in range(0, len(filled), length)]


def stripes_of(data, required, block_size):
    size = required * block_size
    return [data[at : at + size] for at in range(0, len(data), size)]


# checked


def checked_header(required, index, size, mtime_ns=0, block_size=DEFAULT_BLOCK_SIZE):
    block_log = block_size.bit_length() - 1
    fields = _HEADER.pack(MAGIC, required, index, block_log, 0, 0, size, mtime_ns)
    return fields + checksum(fields, 0)


def checked_block(stripe, number, required, index):
    """Block `number` of share `index`: the digest of the stripe, the payload, the check."""
    intact = checksum(stripe, number) + _interpolate(cut(stripe, required), index)
    return intact + checksum(intact, number * 256 + index)


def checked_size(size, required, block_size=DEFAULT_BLOCK_SIZE):
    full, rest = divmod(size, required * block_size)
    blocks = full + (rest > 0)
    return HEADER_SIZE + blocks * _BLOCK_EXTRA + full * block_size + ceil_div(rest, required)


def _make_checked(data, required, _shares, index, mtime_ns, block_size):
    blocks = [
        checked_block(stripe, number, required, index)
        for number, stripe in enumerate(stripes_of(data, required, block_size))
    ]
    return checked_header(required, index, len(data), mtime_ns, block_size) + b"".join(blocks)


class _CheckedShare:
    """A share in checked format, its header verified, its blocks yet to be."""

    def __init__(self, share):
        if len(share) < HEADER_SIZE or checksum(share[:48], 0) != share[48:64]:
            raise ShareError("a header does not verify")
        magic, self.required, self.index, block_log, flags, extensions, self.size, self.mtime_ns = (
            _HEADER.unpack(share[:48])
        )
        if magic != MAGIC or flags or not self.required or not 12 <= block_log <= 20:
            raise ShareError("a header is of no format that is known here")
        self.block_size = 1 << block_log
        self._body = share[HEADER_SIZE + extensions :]
        if len(share) - extensions != checked_size(self.size, self.required, self.block_size):
            raise ShareError("a share is not as long as its header says")

    @property
    def version(self):
        return self.required, self.block_size, self.size, self.mtime_ns

    def block(self, number):
        """The digest and the payload of a block, verified."""
        step = self.block_size + _BLOCK_EXTRA
        block = self._body[number * step : (number + 1) * step]
        if checksum(block[:-CHECK_SIZE], number * 256 + self.index) != block[-CHECK_SIZE:]:
            raise ShareError(f"block {number} of share {self.index} does not verify")
        return block[:DIGEST_SIZE], block[DIGEST_SIZE:-CHECK_SIZE]


def _restore_checked_stripe(shares, number, length):
    blocks = {share.index: share.block(number) for share in shares}
    digests = {digest for digest, _ in blocks.values()}
    if len(digests) != 1:
        raise ShareError(f"blocks {number} are not all of one stripe")
    payloads = {index: payload for index, (_, payload) in blocks.items()}
    stripe = b"".join(_pieces_from(shares[0].required, payloads))[:length]
    if digests != {checksum(stripe, number)}:
        raise ShareError(f"stripe {number} does not verify")
    return stripe


def _restore_checked(shares, _required):
    parsed = [_CheckedShare(share) for share in shares]
    if len({share.version for share in parsed}) != 1:
        raise ShareError("the shares are not of one version")
    first = parsed[0]
    _demand(len({share.index for share in parsed}), first.required)
    stripe_size = first.required * first.block_size
    return b"".join(
        _restore_checked_stripe(parsed, number, min(stripe_size, first.size - at))
        for number, at in enumerate(range(0, first.size, stripe_size))
    )


# classic


def _make_classic(data, required, _shares, index, _mtime_ns, _block_size):
    header = bytes([required, index, len(data) % required])
    if not data:
        return header
    filled = data.ljust(ceil_div(len(data), required) * required, b"\0")
    return header + _interpolate([filled[piece::required] for piece in range(required)], index)


def _restore_classic(shares, required):
    if {(share[0], share[2]) for share in shares} != {(required, shares[0][2])}:
        raise ShareError("the shares are not of one file")
    payloads = {share[1]: share[3:] for share in shares}
    _demand(len(payloads), required)
    if not shares[0][3:]:
        return b""
    pieces = _pieces_from(required, payloads)
    data = bytes(itertools.chain.from_iterable(zip(*pieces)))
    return data[: len(data) - -shares[0][2] % required]


# fec


def fec_header(required, shares, index, size):
    share_bits = (shares - 1).bit_length()
    pad_bits = (required - 1).bit_length()
    fields = ((shares - 1, 8), (required - 1, share_bits), (-size % required, pad_bits), (index, share_bits))
    value = bits = 0
    for field, width in fields:
        value, bits = value << width | field, bits + width
    octets = max(2, ceil_div(bits, 8))
    return (value << octets * 8 - bits).to_bytes(octets, "big")


def parse_fec_header(share):
    """k, n, padding, index and the length of the header."""
    bits = int.from_bytes(share[:4].ljust(4, b"\0"), "big")
    left = 32

    def take(width):
        nonlocal left
        left -= width
        return bits >> left & ((1 << width) - 1)

    shares = take(8) + 1
    required = take((shares - 1).bit_length()) + 1
    padding = take((required - 1).bit_length())
    index = take((shares - 1).bit_length())
    return required, shares, padding, index, max(2, ceil_div(32 - left, 8))


def _make_fec(data, required, shares, index, _mtime_ns, _block_size):
    payloads = [
        _interpolate(cut(stripe, required), index)
        for stripe in stripes_of(data, required, FEC_BLOCK_SIZE)
    ]
    return fec_header(required, shares, index, len(data)) + b"".join(payloads)


def _restore_fec(shares, _required):
    headers = [parse_fec_header(share) for share in shares]
    if len({header[:3] for header in headers}) != 1:
        raise ShareError("the shares are not of one file")
    required, _, padding, _, header_size = headers[0]
    payloads = {header[3]: share[header_size:] for header, share in zip(headers, shares)}
    _demand(len(payloads), required)
    length = len(shares[0]) - header_size
    data = b"".join(
        piece
        for at in range(0, length, FEC_BLOCK_SIZE)
        for piece in _pieces_from(
            required, {index: payload[at : at + FEC_BLOCK_SIZE] for index, payload in payloads.items()}
        )
    )
    return data[: len(data) - padding]


# Any format


def _demand(there, required):
    if there < required:
        raise ShareError(f"{there} shares, {required} required")


_MAKE = {"checked": _make_checked, "classic": _make_classic, "fec": _make_fec}
_RESTORE = {"checked": _restore_checked, "classic": _restore_classic, "fec": _restore_fec}


def make_share(
    share_format, data, required, shares, index, mtime_ns=0, block_size=DEFAULT_BLOCK_SIZE
):
    """Share `index` of n = `shares` of which k = `required` restore `data`."""
    return _MAKE[share_format](data, required, shares, index, mtime_ns, block_size)


def restore(share_format, shares, required=None):
    """The source of which `shares` are shares (bytes each, in any order); `required` for classic.

    Raises ShareError where too few are there or where a check fails.
    """
    return _RESTORE[share_format](list(shares), required)


# The sources of the vector file


def _congruential_bytes():
    state = 1
    while True:
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        yield state >> 24


@functools.lru_cache(maxsize=1)
def _long_prefix():
    return bytes(itertools.islice(_congruential_bytes(), 1 << 20))


def source_bytes(size):
    """The first `size` bytes of the vector file's source."""
    if size > len(_long_prefix()):
        raise ValueError(f"{size} bytes are more than the {len(_long_prefix())} kept ready")
    return _long_prefix()[:size]
