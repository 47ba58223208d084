# SPDX-License-Identifier: MIT
"""The files of keys, written from docs/format.md and not from the C code."""

import functools
import hashlib
import hmac
import re
import struct

import xxhash

PREFIX = b"zfec-fs sealed 1 "


def expand(secret, label, size):
    """HKDF-Expand with SHA-256."""
    block, result, number = b"", b"", 0
    while len(result) < size:
        number += 1
        block = hmac.digest(secret, block + PREFIX + label + bytes([number]), hashlib.sha256)
        result += block
    return result[:size]


def digest(data):
    return xxhash.xxh3_128_digest(data)


@functools.cache
def product(a, b):
    result = 0
    while b:
        if b & 1:
            result ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return result


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def key_share(master, required, index, stretch=None):
    """The file `key`; stretch: (P, salt, KiB, passes, lanes)."""
    kind = stretch is not None
    p, salt, *numbers = stretch if kind else (b"", bytes(16), 0, 0, 0)
    secret = xor(master, p) if kind else master
    head = b"\0ZFECFSK" + bytes([1, required, index, kind]) + bytes(4)
    head += expand(master, b"id", 16) + salt + struct.pack("<III", *numbers) + bytes(4)
    stream = expand(master, b"shamir" + head[9:10] + head[11:60] + p, 32 * (required - 1))
    value = bytearray(32)
    for j in reversed(range(required)):
        coefficient = stream[(j - 1) * 32 : j * 32] if j else secret
        value = [product(v, index + 1) ^ c for v, c in zip(value, coefficient)]
    body = head + bytes(value) + expand(secret, b"secret", 16)
    return body + digest(body)


def key_text(master, stretch=None):
    """The file of the master key."""
    lines = f"zfec-fs key 1\nmaster {master.hex()}\n"
    if stretch:
        p, salt, *numbers = stretch
        lines += f"salt {salt.hex()}\nargon2id {' '.join(map(str, numbers))}\npassphrase {p.hex()}\n"
    return lines + f"check {digest(lines.encode())[:4].hex()}\n"


def paper(master, stretch=None):
    """What show prints of it."""
    lines = ["zfec-fs key 1"]
    for line in key_text(master, stretch).splitlines()[1:]:
        label, digits = line.split(" ", 1)
        for part in re.findall(".{1,32}", digits):
            check = xxhash.xxh3_128_digest(f"{label} {part}".encode(), seed=len(lines) + 1)[:2]
            groups = part if label == "argon2id" else " ".join(re.findall(".{1,4}", part))
            lines.append(f"{label:10} {groups}  {check.hex()}")
    return "\n".join(lines) + "\n"


def read_key_text(text):
    """(master, stretch) of such a file, whose form must be right."""
    fields = dict(line.split(" ", 1) for line in text.splitlines()[1:])
    master, stretch = bytes.fromhex(fields["master"]), None
    if "salt" in fields:
        numbers = map(int, fields["argon2id"].split())
        stretch = (bytes.fromhex(fields["passphrase"]), bytes.fromhex(fields["salt"]), *numbers)
    assert text == key_text(master, stretch)
    return master, stretch


def time_of(share):
    return 1_000_000_000 + int.from_bytes(share[-4:], "big") % 500_000_000
