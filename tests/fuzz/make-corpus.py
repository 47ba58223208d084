#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the fuzzers' seeds, tests/fuzz/corpus/TARGET/seed-*, anew. Findings beside them stay.

PYTHONPATH=tests/lib tests/fuzz/make-corpus.py; the bytes are the same each time.
"""

import itertools
from pathlib import Path

import keyfiles
import oracle

CORPUS = Path(__file__).parent / "corpus"
MTIME_NS = 1400000000123456789
FORMATS = {"checked": 0, "classic": 1, "fec": 2}
RIGHT_HASH = 129  # bit 7 of the first byte, and 0 mod 3: checked

# header


def header_input(how, required, share_size, first):
    return bytes([how, required]) + share_size.to_bytes(8, "little") + first


def shares():
    """Shares of several sizes and numbers in all formats: (format, k, share)."""
    for name, required, size in itertools.product(FORMATS, (1, 3, 255), (0, 10, 70000)):
        index = min(required, 7)
        yield name, required, oracle.make_share(
            name, oracle.source_bytes(size), required, 256, index, MTIME_NS, 4096
        )


# Headers that lie, whose hash the target makes right: what stands at which offset.
LIES = {
    "size-63": (16, (1 << 63).to_bytes(8, "little")),
    "size-63-less-1": (16, ((1 << 63) - 1).to_bytes(8, "little")),
    "k-0": (8, b"\0"),
    "k-255": (8, b"\xff"),
    "block-11": (10, b"\x0b"),
    "block-21": (10, b"\x15"),
    "block-255": (10, b"\xff"),
    "flags": (11, b"\x80"),
    "extensions": (12, b"\xff" * 4),
    "zero": (47, b"\1"),
    "mtime": (24, b"\0" * 7 + b"\x80"),
}


def header_seeds():
    for number, (name, required, share) in enumerate(shares()):
        yield f"{name}-{number}", header_input(FORMATS[name], required, len(share), share[:64])
    share = oracle.make_share("checked", b"0123456789", 3, 20, 4, MTIME_NS)
    for name, (at, value) in LIES.items():
        lie = share[:at] + value + share[at + len(value) : 64]
        yield f"lie-{name}", header_input(RIGHT_HASH, 0, len(share), lie)
    for length in (0, 1, 2, 3, 63):
        yield f"cut-{length}", header_input(length % 3, 3, length, share[:length])


# block


def block_seeds():
    for number, size in enumerate((1, 2, 10, 240, 1000)):
        block = oracle.checked_block(oracle.source_bytes(size), number, 3, number)
        for place, change in ((0, 1), (20, 0x80), (len(block) - 1, 0x10), (7, 0)):
            # The target shifts the number by 9 bits, so that it never overflows.
            numbers = bytes([number]) + (number << 9).to_bytes(8, "little")
            how = place.to_bytes(4, "big") + bytes([change])
            yield f"{size}-{place}-{change}", numbers + how + block


# key

SHARE, TEXT, PAPER = 129, 130, 2  # mod 3, and whether what is right is made so
STRETCHES = (None, (bytes(range(100, 132)), b"s" * 16, 65536, 3, 4))


def key_seeds():
    for number, stretch in enumerate(STRETCHES):
        for required, index in ((1, 0), (3, 254), (255, 7)):
            share = keyfiles.key_share(bytes(range(32)), required, index, stretch)
            yield f"share-{number}-{required}", bytes([SHARE]) + share
        text = keyfiles.key_text(bytes(range(32)), stretch).encode()
        yield f"text-{number}", bytes([TEXT]) + text
        yield f"paper-{number}", bytes([PAPER]) + keyfiles.paper(bytes(range(32)), stretch).encode()


# trust

NO_HEADER, OTHER_BLOCK_SIZE = 8, 128
CUT, MISPLACED, BOUND, TRUSTED, LATE, LAST_SHARES = 4, 8, 16, 32, 64, 128
FILE, DIRECTORY, LINK, OTHER_LINK, PIPE, DEVICE = 1, 3, 4, 5, 6, 7
NO_INTACT_HEADER, NO_VOTE, SAME_VOTE, STICKY = 8, 16, 32, 64
CONTESTED = 32


def copy(index, content=1, k=3, mtime=0, size=0, head=0, facts=0, shift=0, name=FILE):
    """One copy as fuzz-trust.c reads it: of which share, what its block holds, and what it is."""
    first = index | mtime << 4 | size << 6 | head
    return bytes([first, k - 1 | facts, content | shift << 3, name])


def scene(required, *copies, share_format=0, how=0):
    return bytes([required | share_format << 3 | how]) + b"".join(copies)


def members(contents, **facts):
    return [copy(index, content, **facts) for index, content in enumerate(contents)]


def names(*kinds):
    return [copy(index, name=kind) for index, kind in enumerate(kinds)]


def nameless(index, content=1, **facts):
    return copy(index, content, head=NO_HEADER, **facts)


TRUSTS = {
    "honest": scene(3, *members((1,) * 5)),
    "one-share": scene(1, copy(0, k=1)),
    "nothing": scene(1),
    "k-is-not-known": scene(0, *members((1,) * 4)),
    "too-few": scene(3, *members((1, 1, 0))),
    "fewer-than-k": scene(4, *members((1, 1, 1))),
    "bad-blocks": scene(3, *members((0, 1, 0, 1, 1))),
    "duplicates": scene(2, copy(4, k=2), copy(4, k=2), copy(5, k=2)),
    "twins-that-differ": scene(2, copy(4, 2, k=2), copy(4, k=2), copy(5, k=2)),
    "late": scene(3, copy(0, facts=LATE), copy(1, facts=LATE), *members((1,) * 5)[2:]),
    "cut": scene(3, copy(0, facts=CUT), *members((1,) * 4)[1:]),
    "last-shares": scene(3, *members((1,) * 4, facts=LAST_SHARES)),
    "old-and-new": scene(2, *members((1, 1), k=2), copy(2, 2, 2, 1), copy(3, 2, 2, 1)),
    "new-incomplete": scene(3, *members((1, 1, 1)), copy(3, 2, mtime=2), copy(4, 2, mtime=2)),
    "rival": scene(2, *members((1,) * 4, k=2), copy(4, 2, 2, 1), copy(5, 2, 2, 1)),
    "tied": scene(2, *members((1, 1), k=2), *members((2, 2), k=2, size=1)),
    "touched": scene(3, *members((1, 1)), copy(2, mtime=1), copy(3, mtime=2)),
    "other-k": scene(3, *members((1, 1, 1)), copy(3, k=4, mtime=3)),
    "other-block-size": scene(3, *members((1, 1, 1)), copy(3, head=OTHER_BLOCK_SIZE)),
    "no-headers": scene(3, copy(0), nameless(1), nameless(2)),
    "no-headers-bound": scene(2, copy(0, k=2), *(nameless(i, 2, facts=BOUND) for i in (1, 2))),
    "no-headers-unbound": scene(3, copy(0, 0), *(nameless(i, shift=1) for i in (1, 2, 3))),
    "forged": scene(2, *members((2, 2, 1, 1, 1), k=2)),
    "equal": scene(2, *members((2, 2, 1, 1), k=2)),
    "without-anchor": scene(
        2, *members((1, 1), k=2), *(copy(i, 2, k=2, mtime=1) for i in (2, 3, 4))
    ),
    "contested": scene(2, *members((2, 2, 1, 1, 1), k=2), how=CONTESTED),
    "contested-trusted": scene(
        2, *members((2, 2), k=2), *(copy(i, k=2, facts=TRUSTED) for i in (2, 3, 4)), how=CONTESTED
    ),
    "classic": scene(3, *members((1,) * 4), copy(4, k=2), share_format=1),
    "classic-misplaced": scene(3, copy(0, facts=MISPLACED), *members((1,) * 4)[1:], share_format=1),
    "fec": scene(3, *members((1,) * 4), nameless(4), share_format=2),
    "kinds": scene(3, *names(FILE, FILE, FILE, DIRECTORY, DIRECTORY)),
    "kinds-equal": scene(3, *names(LINK, LINK, OTHER_LINK, OTHER_LINK, PIPE)),
    "kinds-few": scene(4, *names(FILE, FILE, DIRECTORY, DEVICE, 0)),
    "kinds-lost": scene(3, *names(PIPE, FILE | NO_INTACT_HEADER, FILE, FILE | SAME_VOTE)),
    "kinds-without-vote": scene(3, *names(FILE, FILE | NO_VOTE, FILE | NO_VOTE, DIRECTORY)),
    "kinds-third": scene(5, *names(*[DIRECTORY] * 4, *[FILE] * 5)),
    "special-bits": scene(3, *names(*[DIRECTORY | STICKY] * 2, DIRECTORY, DIRECTORY | STICKY)),
}

# manifest

PADDED, AS_IT_IS = b"\0", b"\1"
ID = b"i" * 10  # as the target has it for each object
OWNER = {"uid": 1000, "gid": 100, "user": "me", "group": "users", "mtime": MTIME_NS}
SELF = OWNER | {"mode": 0o40755}
ENTRIES = {
    "file": {"id": ID, "mode": 0o100644, "size": 10},
    "names": {"id": ID, "mode": 0o100600, "size": 0, "link": b"12345678"},
    "directory": {"id": ID, "mode": 0o40000},
    "symlink": {"mode": 0o120777, "target": b"../file"},
    "pipe": {"mode": 0o10600},
    "socket": {"mode": 0o140700, "mtime": -1},
    "disk": {"mode": 0o60660, "device": [8, 1]},
    "device": {"mode": 0o20666, "device": [1 << 20, 3], "uid": 0, "gid": 1 << 31},
    "xattrs": {"mode": 0o10600, "xattrs": {b"user.colour": b"blue", b"user.x": b"", b"z" * 30: b"y" * 300}},
}


def head(kind, number):
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([kind << 5 | number])
        if number < 1 << 8 * size:
            return bytes([kind << 5 | extra]) + number.to_bytes(size, "big")
    raise ValueError(number)


def cbor(value):
    """RFC 8949, 4.2.1."""
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    pairs = sorted((cbor(key), cbor(each)) for key, each in value.items())
    return head(5, len(pairs)) + b"".join(itertools.chain(*pairs))


def entry(name):
    owner = {} if name == "directory" else OWNER
    return {"name": name.encode()} | owner | ENTRIES[name]


def manifest(*names, **changes):
    entries = [entry(name) for name in sorted(names)]
    return cbor({"version": 1, "path": b"", "self": SELF, "entries": entries} | changes)


def manifest_seeds():
    yield "empty", PADDED + manifest()
    yield "path", PADDED + manifest("file", path=b"some/where")
    yield "all", PADDED + manifest(*ENTRIES)
    for name in ENTRIES:
        yield name, PADDED + manifest(name)
    yield "self", PADDED + manifest(self=SELF | {"xattrs": {b"user.x": b"y"}})
    yield "bare", PADDED + manifest(self={key: SELF[key] for key in ("uid", "gid", "mtime", "mode")})
    yield "whole", AS_IT_IS + manifest("file").ljust(1024, b"\0")
    yield "unpadded", AS_IT_IS + manifest("file")
    yield "lie-entries", PADDED + manifest("file").replace(b"entries\x81", b"entries\x9b\x10" + bytes(7))
    yield "lie-name", PADDED + manifest("file").replace(b"\x44file", b"\x5b\x10" + bytes(7) + b"file")
    yield "endless", PADDED + b"\xbf" + manifest("file")[1:] + b"\xff"
    yield "nested", PADDED + b"\x81" * 900


def write(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("seed-*"):
        old.unlink()
    for name, data in seeds:
        (folder / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    write("header", header_seeds())
    write("block", block_seeds())
    write("key", key_seeds())
    write("manifest", manifest_seeds())
    write("trust", TRUSTS.items())
