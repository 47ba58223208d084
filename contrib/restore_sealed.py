#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Restores a tree from sealed shares of zfec-fs, with Python 3 and its module cryptography.

    restore_sealed.py [--key FILE] STORES DEST

The directories in STORES (or symlinks to them) are the stores; any k are enough. The key comes from
the files `key` in them, if it has no passphrase, or from FILE, which `zfec-fs key` has made. A name
is restored whole and proven by the key, or not at all: then a line says why, and the status is 2.
DEST must not exist. Devices and sockets are left out. It needs restore.py beside it. A megabyte
takes some seconds. docs/format.md describes the format, under "Sealed shares".
"""

import base64
import hashlib
import hmac
import itertools
import os
import stat
import struct
import sys
import tempfile
from argparse import ArgumentParser, RawTextHelpFormatter
from contextlib import suppress

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from restore import LOGS, POWERS, checksum, failures, pieces_of, read_share, tell

# The cipher: AES-256-GCM-SIV of RFC 8452.


def aes(key, blocks):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)


# A bit of an element of POLYVAL's field stands in a byte of its own: then a product of integers is
# one of polynomials, whose coefficients are the lowest bits of its bytes.
SPREAD = [bytes(byte >> bit & 1 for bit in range(8)) for byte in range(256)]
LOWEST = {bits: int.from_bytes(b"\1" * bits, "little") for bits in (64, 256)}


def spread(block):
    return int.from_bytes(b"".join([SPREAD[byte] for byte in block]), "little")


def polyval(key, data):
    multiplier, total = spread(key), 0
    for at in range(0, len(data), 16):
        product = (total ^ spread(data[at : at + 16])) * multiplier & LOWEST[256]
        for _ in range(2):  # times x^-64, modulo x^128 + x^127 + x^126 + x^121 + 1
            low = product & LOWEST[64]
            for power in (0, 121, 126, 127, 128):
                product ^= low << 8 * power
            product >>= 8 * 64
        total = product
    bits = total.to_bytes(128, "little")
    return bytes(sum(bits[at + i] << i for i in range(8)) for at in range(0, 128, 8))


def unseal(key, number, associated, data, tag):
    """The bytes of stripe `number`, where the tag proves them."""
    nonce = struct.pack("<QI", number, 0)
    parts = aes(key, b"".join(struct.pack("<I", i) + nonce for i in range(6)))
    halves = [parts[at : at + 8] for at in range(0, 96, 16)]
    authentication, encryption = b"".join(halves[:2]), b"".join(halves[2:])
    start, rest = struct.unpack("<I", tag[:4])[0], tag[4:15] + bytes([tag[15] | 0x80])
    counters = (struct.pack("<I", start + i & 0xFFFFFFFF) for i in range(-(-len(data) // 16)))
    stream = aes(encryption, b"".join(counter + rest for counter in counters))[: len(data)]
    plain = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    plain = plain.to_bytes(len(data), "little")
    lengths = struct.pack("<QQ", 8 * len(associated), 8 * len(plain))
    filled = [part + bytes(-len(part) % 16) for part in (associated, plain)]
    digest = bytearray(polyval(authentication, b"".join(filled) + lengths))
    for i, byte in enumerate(nonce):
        digest[i] ^= byte
    digest[15] &= 0x7F
    if aes(encryption, bytes(digest)) != tag:
        raise ValueError(f"stripe {number} is not what its tag proves")
    return plain


# The key.


def expand(key, label, size=32):
    """HKDF-Expand with SHA-256."""
    done, block = b"", b""
    while len(done) < size:
        text = block + b"zfec-fs sealed 1 " + label + bytes([len(done) // 32 + 1])
        block = hmac.new(key, text, hashlib.sha256).digest()
        done += block
    return done[:size]


def value_at_0(points):
    """Of the polynomial through these: {x: bytes}."""
    total = bytearray(32)
    for x, data in points.items():
        log = sum(LOGS[other] - LOGS[other ^ x] for other in points if other != x)
        for i, byte in enumerate(data):
            total[i] ^= POWERS[(LOGS[byte] + log) % 255] if byte else 0
    return bytes(total)


def key_in(stores):
    groups = {}
    for store in stores:
        with suppress(OSError), open(os.path.join(store, b"key"), "rb") as file:
            data = file.read(129)
            is_intact = len(data) == 128 and checksum(data[:112], 0) == data[112:]
            if is_intact and data[:9] == b"\0ZFECFSK\1":
                same = data[9:10] + data[11:64] + data[96:112]
                groups.setdefault(same, {})[data[10] + 1] = data[64:96]
    for same, points in groups.items():
        for some in itertools.islice(itertools.combinations(points, same[0]), 10_000):
            secret = value_at_0({x: points[x] for x in some})
            if expand(secret, b"secret", 16) != same[-16:]:
                continue
            if same[1] == 1:
                raise SystemExit("restore_sealed.py: the key has a passphrase: the program is needed")
            if expand(secret, b"id", 16) == same[6:22]:
                return secret
    raise SystemExit("restore_sealed.py: too few stores have the key; give --key FILE")


def key_of(path):
    with open(path, encoding="ascii") as file:
        lines = dict(line.split(maxsplit=1) for line in file)
    if "salt" in lines:
        raise SystemExit("restore_sealed.py: the key has a passphrase: the program is needed")
    return bytes.fromhex(lines["master"])


# Manifests: CBOR, of which these kinds occur.


def parse(data, at=0):
    """A value, and where it ends."""
    major, size = data[at] >> 5, data[at] & 31
    at += 1
    if size >= 24:
        wide = 1 << size - 24
        size, at = int.from_bytes(data[at : at + wide], "big"), at + wide
    if major < 2:
        return (size if major == 0 else -1 - size), at
    if major < 4:
        bytes_ = data[at : at + size]
        return (bytes_ if major == 2 else bytes_.decode()), at + size
    values = []
    for _ in range(size * (major - 3)):
        value, at = parse(data, at)
        values.append(value)
    return (values if major == 4 else dict(zip(values[::2], values[1::2]))), at


# Files and directories.


def stripes(shares, key, associated):
    """What each stripe proves to be; associated(whether it is the last one)."""
    k, _, _, size, block = shares[0].version
    count = -(-size // (k * block))
    for number in range(count):
        length, groups = min(k * block, size - number * k * block), {}
        for share in shares:
            at = share.start + number * (block + 32)
            data = os.pread(share.file.fileno(), 32 + -(-length // k), at)
            if checksum(data[:-16], number * 256 + share.index) == data[-16:]:
                groups.setdefault(data[:16], {})[share.index] = data[16:-16]
        why = ValueError(f"stripe {number} has too few good blocks")
        for tag, known in groups.items():
            if len(known) >= k:
                cipher = b"".join(pieces_of(k, known).values())[:length]
                try:
                    yield unseal(key, number, associated(number + 1 == count), cipher, tag)
                    break
                except ValueError as error:
                    why = error
        else:
            raise why


def versions(sources, name):
    """The shares of each version of a file that enough stores have, the newest first."""
    found = {}
    for source in sources:
        with suppress(OSError, ValueError):
            share = read_share(os.path.join(source, name), None)
            if share.version.format == "sealed":
                found.setdefault(share.version, []).append(share)
    for version, shares in sorted(found.items(), key=lambda item: -item[0].mtime):
        if len({share.index for share in shares}) >= version.k:
            yield version, shares


class Restoring:
    def __init__(self, master):
        self.content, self.manifest, self.names = (
            expand(master, label) for label in (b"content", b"manifest", b"names")
        )
        self.links = {}

    def id_of(self, path):
        return hmac.new(self.names, path, hashlib.sha256).digest()[:10]

    def manifest_of(self, path, sources):
        for version, shares in versions(sources, b"zmanifest"):
            facts = struct.pack("<Qq", version.size, version.mtime)
            with suppress(ValueError):
                found, _ = parse(b"".join(stripes(shares, self.manifest, lambda last: facts)))
                if found["version"] == 1 and found["path"] == path:
                    return found
        return None

    def file(self, entry, sources, dest):
        why = "too few stores have a share of it"
        name = base64.b32encode(entry["id"]).translate(HEX).lower()
        for version, shares in versions(sources, name):
            if version.size == 0 < entry["size"]:
                continue
            try:
                with tempfile.TemporaryDirectory(b"", b".restore-", os.path.dirname(dest)) as folder:
                    temporary = os.path.join(folder, b"file")
                    with open(temporary, "xb") as file:
                        ends = [entry["id"] + bytes([last]) for last in (0, 1)]
                        file.writelines(stripes(shares, self.content, ends.__getitem__))
                    self.finish(temporary, {**entry, "mtime": version.mtime})
                    os.rename(temporary, dest)
                return True
            except ValueError as error:
                why = str(error)
        raise ValueError(why)

    def finish(self, path, facts):
        if os.geteuid() == 0:
            os.chown(path, facts["uid"], facts["gid"], follow_symlinks=False)
        for name, value in facts.get("xattrs", {}).items():
            with suppress(OSError):
                os.setxattr(path, name, value, follow_symlinks=False)
        if not stat.S_ISLNK(facts["mode"]):
            os.chmod(path, facts["mode"] & 0o7777)
        os.utime(path, ns=(facts["mtime"], facts["mtime"]), follow_symlinks=False)

    def entry(self, entry, path, sources, dest):
        kind, link = stat.S_IFMT(entry["mode"]), entry.get("link")
        if "id" in entry and entry["id"] != self.id_of(path):
            raise ValueError("its id is not that of its path")
        if kind == stat.S_IFDIR:
            name = base64.b32encode(entry["id"]).translate(HEX).lower()
            below = [os.path.join(source, name) for source in sources]
            self.directory(path, [one for one in below if os.path.isdir(one)], dest)
        elif kind == stat.S_IFREG and link in self.links:
            os.link(self.links[link], dest)
        elif kind == stat.S_IFREG:
            self.file(entry, sources, dest)
            if link:
                self.links[link] = dest
        elif kind in (stat.S_IFLNK, stat.S_IFIFO):
            os.symlink(entry["target"], dest) if "target" in entry else os.mkfifo(dest)
            self.finish(dest, entry)
        else:
            raise ValueError("a device or a socket: left out")

    def directory(self, path, sources, dest):
        found = self.manifest_of(path, sources)
        if not found:
            raise ValueError("its manifest cannot be restored")
        os.mkdir(dest, 0o700)
        for entry in found["entries"]:
            below = os.path.join(path, entry["name"])
            try:
                self.entry(entry, below, sources, os.path.join(dest, entry["name"]))
            except (OSError, ValueError) as error:
                tell(below, error)
        self.finish(dest, found["self"])


# From the digits of base32 to those of base32hex, which are in the order of their values.
HEX = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHIJKLMNOPQRSTUV")


def main():
    parser = ArgumentParser(description=__doc__, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--key", metavar="FILE")
    parser.add_argument("stores", type=os.fsencode, metavar="STORES")
    parser.add_argument("dest", type=os.fsencode, metavar="DEST")
    given = parser.parse_args()
    stores = sorted(entry.path for entry in os.scandir(given.stores) if entry.is_dir())
    if not stores or os.path.lexists(given.dest):
        parser.error("DEST exists already" if stores else "there are no stores")
    restoring = Restoring(key_of(given.key) if given.key else key_in(stores))
    restoring.directory(b"", stores, given.dest)
    sys.exit(2 if failures else 0)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"restore_sealed.py: {error}")
