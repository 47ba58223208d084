#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Restores a tree from shares of zfec-fs, with nothing but Python 3.6 or newer.

    restore.py [-k K] STORES DEST

The directories in STORES (or symlinks to them) are the stores: each has one share of every file,
and any k are enough. Shares say of which format they are and what k is, but those of the format
classic, which need -k. A file is restored whole and right, or not at all: then a line says why,
and the status is 2. Of several versions, the one that needs most shares is taken, and of these the
newest. DEST must not exist. Owners, extended attributes, devices and times of symlinks are not
restored; hard links are copies. docs/format.md describes the formats.
"""

import os
import stat
import sys
import tempfile
from argparse import ArgumentParser, RawTextHelpFormatter
from collections import Counter, namedtuple
from contextlib import suppress

# The code: GF(2^8) with the polynomial 0x11D. Share i of k pieces is, byte by byte, the value at
# POINTS[i] of the polynomial of degree < k that has the pieces as its values at POINTS[0..k-1].
POWERS = [1]
for _ in range(254):
    POWERS.append(POWERS[-1] << 1 ^ (0x11D if POWERS[-1] & 0x80 else 0))
LOGS, POINTS = {value: log for log, value in enumerate(POWERS)}, [0, *POWERS]
# What each byte is times a power of 2, for bytes.translate.
TABLES = [bytes([0] + [POWERS[(LOGS[b] + log) % 255] for b in range(1, 256)]) for log in range(255)]

def interpolate(known, index):
    """Share `index` of a group, from k of its shares: {index: bytes}."""
    total = 0
    for this, data in known.items():
        log = 0
        for other in known.keys() - {this}:
            log += LOGS[POINTS[index] ^ POINTS[other]] - LOGS[POINTS[this] ^ POINTS[other]]
        total ^= int.from_bytes(data.translate(TABLES[log % 255]), "little")
    return total.to_bytes(len(data), "little")

# The hash of the format checked: XXH3 with 128 bits, as https://xxhash.com specifies it.
MASK, P32_1, P32_2, P32_3 = (1 << 64) - 1, 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5, P6, P7 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5, 0x165667919E3779F9, 0x9FB21C651E98DF25
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)

def word(data, at, size=8, order="little"):
    return int.from_bytes(data[at : at + size], order)
def swap(value, size):
    return word(value.to_bytes(size, "little"), 0, size, "big")
def fold(a, b):
    return (a * b ^ a * b >> 64) & MASK

def mix(value, shifts=(37, 32), primes=(P6,)):
    value &= MASK
    for shift, prime in zip(shifts, primes):
        value = (value ^ value >> shift) * prime & MASK
    return value ^ value >> shifts[-1]

def hash_16(data, seed):
    size, key = len(data), [word(SECRET, at) for at in range(0, 64, 8)]
    if size > 8:
        low, high = word(data, 0), word(data, size - 8)
        first = (low ^ high ^ ((key[4] ^ key[5]) - seed & MASK)) * P1
        high ^= (key[6] ^ key[7]) + seed & MASK
        high = (first >> 64) + high + (high & 0xFFFFFFFF) * (P32_2 - 1) & MASK
        last = (first + (size - 1 << 54) & MASK ^ swap(high, 8)) * P2
        return mix(last), mix((last >> 64) + high * P2)
    if size > 3:
        seed ^= swap(seed & 0xFFFFFFFF, 4) << 32
        value = word(data, 0, 4) + (word(data, size - 4, 4) << 32)
        product = (value ^ (key[2] ^ key[3]) + seed & MASK) * (P1 + (size << 2))
        high = (product >> 64) + (product << 1) & MASK
        return mix((product & MASK) ^ high >> 3, (35, 28), (P7,)), mix(high)
    low = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
    high = swap(low, 4) << 13 | swap(low, 4) >> 19
    low ^= (key[0] ^ key[0] >> 32) % 2**32 + seed & MASK
    high = high % 2**32 ^ (key[1] ^ key[1] >> 32) % 2**32 - seed & MASK
    return mix(low, (33, 29, 32), (P2, P3)), mix(high, (33, 29, 32), (P2, P3))

def hash_240(data, seed):
    size, sums = len(data), [len(data) * P1, 0]
    def add(first, second, at, seed=seed):
        for half, (one, two) in enumerate(((first, second), (second, first))):
            key = word(SECRET, at + 16 * half) + seed, word(SECRET, at + 16 * half + 8) - seed
            value = fold(word(data, one) ^ key[0] & MASK, word(data, one + 8) ^ key[1] & MASK)
            sums[half] = sums[half] + value & MASK ^ word(data, two) + word(data, two + 8) & MASK
    if size <= 128:
        for at in range((size - 1) // 32 * 16, -1, -16):
            add(at, size - at - 16, 2 * at)
    else:
        for at in range(0, size // 32 * 32, 32):
            add(at, at + 16, at if at < 128 else at - 125)
            sums = [mix(half) for half in sums] if at == 96 else sums
        add(size - 16, size - 32, 103, -seed)
    return mix(sum(sums)), -mix(sums[0] * P1 + sums[1] * P4 + (size - seed) * P2) & MASK

def hash_more(data, seed):
    size, sums = len(data), [P32_3, P1, P2, P3, P4, P32_2, P5, P32_1]
    words = [word(SECRET, at) + (-seed if at % 16 else seed) & MASK for at in range(0, 192, 8)]
    secret = b"".join(value.to_bytes(8, "little") for value in words)
    def accumulate(at, keys):
        for lane in range(8):
            value = int.from_bytes(data[at + 8 * lane : at + 8 * lane + 8], "little")
            sums[lane ^ 1] += value
            sums[lane] += ((value ^ keys[lane]) & 0xFFFFFFFF) * ((value ^ keys[lane]) >> 32)
    for number in range((size - 1) // 64):
        accumulate(64 * number, words[number % 16 : number % 16 + 8])
        if number % 16 == 15:
            for lane in range(8):
                value = sums[lane] & MASK
                sums[lane] = (value ^ value >> 47 ^ words[16 + lane]) * P32_1
    accumulate(size - 64, [word(secret, at) for at in range(121, 185, 8)])
    def half(at, total):
        keyed = [value & MASK ^ word(secret, at + 8 * lane) for lane, value in enumerate(sums)]
        return mix(total + sum(fold(*keyed[i : i + 2]) for i in range(0, 8, 2)))
    return half(11, size * P1), half(117, ~(size * P2))

def plain_hash(data, seed):
    size = len(data)
    low, high = (hash_16 if size <= 16 else hash_240 if size <= 240 else hash_more)(data, seed)
    return (high << 64 | low).to_bytes(16, "big")

try:
    from xxhash import xxh3_128_digest as checksum
except ImportError:
    checksum = plain_hash

# Shares. `version` is equal in all that are of one version of a file.
Share = namedtuple("Share", "file index version start mode mtime_ns")
Version = namedtuple("Version", "k mtime format size block")

MAGIC, NO_SHARE = b"\0ZFECFS1", ValueError("a copy is no share, or its header is damaged")
def read_checked(file, head, status):
    k, index, bits, flags = head[8:12]
    extensions, size, mtime = word(head, 12, 4), word(head, 16), word(head, 24)
    full, rest = divmod(size, max(k, 1) << bits)
    length = 64 + extensions + full * (32 + (1 << bits)) + (rest and 32 - -rest // max(k, 1))
    is_intact = head[:8] == MAGIC and checksum(head[:48], 0) == head[48:]
    if not is_intact or length != status.st_size or flags > 1 or k == 0 or not 12 <= bits <= 20:
        raise NO_SHARE
    version = Version(k, mtime - (mtime >> 63 << 64), ("checked", "sealed")[flags], size, 1 << bits)
    return Share(file, index, version, 64 + extensions, status.st_mode, version.mtime)

def read_other(file, head, status, k):
    """classic, where k is given; else fec."""
    kind, count, index, pad, start = "classic", 256, head[1], -head[2] % max(k, 1), 3
    if k == 0:  # four numbers, of 8 bits, of as many as the first one needs, and so on
        bits, kind, count = format(word(head, 0, 4, "big"), "032b"), "fec", head[0] + 1
        wide = head[0].bit_length()
        k = int(bits[8 : 8 + wide], 2) + 1
        end = 8 + wide + (k - 1).bit_length() + wide
        pad, index = int(bits[8 + wide : end - wide] or "0", 2), int(bits[end - wide : end], 2)
        start = max(2, -(-end // 8))
    elif head[0] != k or head[2] >= k:
        raise NO_SHARE
    size = k * (status.st_size - start) - pad
    if max(k, index + 1) > count or pad >= k or size < 0:
        raise NO_SHARE
    # Some storage keeps times to two seconds.
    version = Version(k, status.st_mtime_ns // 2_000_000_000, kind, size, count)
    return Share(file, index, version, start, status.st_mode, status.st_mtime_ns)

def read_share(path, k):
    """Of the format checked; or else, where k is no None, of classic (k), or fec (0)."""
    file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    status = os.fstat(file.fileno())
    head = (file.read(64) if stat.S_ISREG(status.st_mode) else b"").ljust(64, b"\0")
    if k is None or head[0] == 0:
        return read_checked(file, head, status)
    return read_other(file, head, status, k)

def marked(path):
    with suppress(OSError, ValueError):
        return bool(read_share(path, None))

def pieces_of(k, known):
    first = dict(sorted(known.items())[:k])
    return {piece: first.get(piece) or interpolate(first, piece) for piece in range(k)}

def checked_stripes(shares):
    k, _, _, size, block = shares[0].version
    for number in range(-(-size // (k * block))):
        length = min(k * block, size - number * k * block)
        groups = {}  # of one stripe, as their digests say: {digest: {index: payload}}
        for share in shares:
            at = share.start + number * (block + 32)
            data = os.pread(share.file.fileno(), 32 + -(-length // k), at)
            if checksum(data[:-16], number * 256 + share.index) == data[-16:]:
                groups.setdefault(data[:16], {})[share.index] = data[16:-16]
        good = [(digest, known) for digest, known in groups.items() if len(known) >= k]
        if len(good) != 1:
            raise ValueError("two contents" if good else f"stripe {number} has too few good blocks")
        stripe = b"".join(pieces_of(k, good[0][1]).values())[:length]
        if checksum(stripe, number) != good[0][0]:
            raise ValueError(f"stripe {number} is not what its digest says")
        yield stripe

def other_stripes(shares):
    """Without checks, all shares have to agree."""
    k, _, kind, size, _ = shares[0].version
    for at in range(0, -(-size // k), 4096):
        read = [(one.index, os.pread(one.file.fileno(), 4096, one.start + at)) for one in shares]
        if len({len(data) for _, data in read}) > 1:
            raise ValueError("its shares changed while they were read")
        pieces = pieces_of(k, dict(read))
        if any(data != (pieces.get(i) or interpolate(pieces, i)) for i, data in read):
            raise ValueError("its shares contradict each other")
        stripe = bytearray(b"".join(pieces.values()))
        for piece in range(k if kind == "classic" else 0):
            stripe[piece::k] = pieces[piece]
        yield stripe[: size - k * at]

failures = []
def tell(path, why):
    failures.append(path)
    print(f"restore.py: {os.fsdecode(path)!r}: {why}", file=sys.stderr)

def finish(path, modes, mtime_ns):
    os.chmod(path, Counter(mode & 0o777 for mode in modes).most_common(1)[0][0])
    os.utime(path, ns=(mtime_ns, mtime_ns))

def write_file(shares, dest):
    if shares[0].version.format == "sealed":
        raise ValueError("its shares are sealed: see restore_sealed.py")
    stripes = checked_stripes if shares[0].version.format == "checked" else other_stripes
    with tempfile.TemporaryDirectory(prefix=b".restore-", dir=os.path.dirname(dest)) as folder:
        temporary = os.path.join(folder, b"file")
        with open(temporary, "xb") as file:
            file.writelines(stripes(shares))
        finish(temporary, [share.mode for share in shares], shares[0].mtime_ns)
        os.rename(temporary, dest)

def restore_file(path, sources, dest, k):
    versions, why = {}, "too few stores have a share of it"
    for source in sources:
        try:
            share = read_share(source, k)
            versions.setdefault(share.version, []).append(share)
        except (OSError, ValueError) as error:
            why = str(error)
    for version, shares in sorted(versions.items(), reverse=True):
        try:
            if len({share.index for share in shares}) >= version.k:
                return write_file(shares, dest)
        except (OSError, ValueError) as error:
            why = str(error)
    tell(path, why)

def restore_directory(path, sources, dest, k):
    """What two stores have, or the only one, and as most of them have it."""
    os.mkdir(dest, 0o700)
    ours = () if path else (b"zfec-fs-set.ini",)  # which `sync` leaves in a store's root
    for name in sorted({name for source in sources for name in os.listdir(source)} - {*ours}):
        below, target, found = os.path.join(path, name), os.path.join(dest, name), {}
        for source in filter(os.path.lexists, (os.path.join(one, name) for one in sources)):
            kind = stat.S_IFMT(os.lstat(source).st_mode)
            link = os.readlink(source) if kind == stat.S_IFLNK else None
            found.setdefault((kind, link), []).append(source)
        (kind, link), there = max(found.items(), key=lambda item: len(item[1]))
        if sum(len(one) == len(there) for one in found.values()) > 1:
            tell(below, "the stores disagree on what it is")
        elif kind == stat.S_IFREG:
            restore_file(below, there, target, k)
        elif len(there) < min(2, len(sources)):
            tell(below, "one store alone has it")
        elif kind == stat.S_IFDIR:
            restore_directory(below, there, target, k)
        elif kind == stat.S_IFLNK:
            os.symlink(link, target)
        else:
            tell(below, "neither a file, a directory nor a symlink")
    states = [os.stat(source) for source in sources]
    finish(dest, [one.st_mode for one in states], max(one.st_mtime_ns for one in states))

def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawTextHelpFormatter)
    parser.add_argument("-k", type=int, choices=range(1, 256), metavar="K")
    parser.add_argument("stores", type=os.fsencode, metavar="STORES")
    parser.add_argument("dest", type=os.fsencode, metavar="DEST")
    given = parser.parse_args()
    stores = sorted(entry.path for entry in os.scandir(given.stores) if entry.is_dir())
    if not stores or os.path.lexists(given.dest):
        parser.error("DEST exists already" if stores else "there are no stores")
    # fec has no mark: where a file has that of checked, no file is taken for fec.
    files = (os.path.join(at, name) for top in stores for at, _, f in os.walk(top) for name in f)
    restore_directory(b"", stores, given.dest, given.k or (None if any(map(marked, files)) else 0))
    sys.exit(2 if failures else 0)

if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"restore.py: {error}")
