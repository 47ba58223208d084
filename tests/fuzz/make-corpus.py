#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the fuzzers' seeds, tests/fuzz/corpus/TARGET/seed-*, anew. Findings beside them stay.

PYTHONPATH=tests tests/fuzz/make-corpus.py; the bytes are the same each time.
"""

import itertools
from pathlib import Path

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


# choice

NO_HEADER, TRUSTED, ANOTHER_K, ANOTHER_INDEX, KNOWN_BAD, EXTENSIONS = 8, 8, 32, 64, 8, 16


def copy(index, content=1, mtime=0, size=0, facts=0, block=0, more=0):
    """One copy as fuzz-choice.c reads it: of which share, and what its block holds."""
    return bytes([index | facts | mtime << 4 | size << 6, content | block, more])


def scene(required, *copies, share_format=0):
    return bytes([required - 1 | share_format << 2]) + b"".join(copies)


GIVEN, NOT_NOTED, BLIND, GONE = 8, 16, 32, 7


def file(required, copies, *stripes):
    """A file of several stripes: the first is what its copies have."""
    how = required - 1 | len(copies) << 4
    return bytes([how]) + b"".join(copies) + b"".join(stripes)


def stripe(*contents, how=0):
    """A further stripe, by the content of each copy's block."""
    return bytes([how, *contents])


def copies_of(*contents):
    return [copy(index, content) for index, content in enumerate(contents)]


TWO_CONTENTS = copies_of(1, 1, 1, 2, 2, 0)

CHOICES = {
    "honest": scene(3, *(copy(i) for i in range(5))),
    "one-share": scene(1, copy(0)),
    "nothing": scene(1),
    "too-few": scene(3, copy(0), copy(1), copy(2, 0)),
    "bad-blocks": scene(3, copy(0, 0), copy(1), copy(2, 0), copy(3), copy(4)),
    "known-bad": scene(2, copy(0, more=KNOWN_BAD), copy(1), copy(2)),
    "duplicates": scene(2, copy(4), copy(4), copy(5)),
    "no-headers": scene(2, copy(0, facts=NO_HEADER), copy(1), copy(2, facts=NO_HEADER)),
    "another-index": scene(
        2, copy(0, facts=NO_HEADER, block=ANOTHER_INDEX, more=5), copy(1), copy(2)
    ),
    "old-and-new": scene(2, copy(0), copy(1), copy(2, 2, 1), copy(3, 2, 1)),
    "new-incomplete": scene(3, *(copy(i) for i in range(3)), copy(3, 2, 2), copy(4, 2, 2)),
    "touched": scene(3, copy(0, mtime=1), copy(1), copy(2), copy(3, size=2)),
    "other-k": scene(2, copy(0), copy(1), copy(2, block=ANOTHER_K, mtime=3)),
    "extensions": scene(2, copy(0, more=EXTENSIONS), copy(1, facts=NO_HEADER), copy(2)),
    "classic": scene(2, copy(0), copy(1), copy(2, size=2), share_format=1),
    "fec": scene(2, copy(0), copy(1), copy(2, block=ANOTHER_K), share_format=2),
    "forged": scene(3, copy(0, 2), *(copy(i) for i in range(1, 4))),
    "forged-twin": scene(2, copy(0, 2), copy(0), copy(1)),
    "forged-twins": scene(3, copy(0, 2), copy(0), copy(1, 2), copy(1), copy(2)),
    "tie": scene(2, copy(0), copy(1, 2), copy(2), copy(3, 2)),
    "tie-and-smaller": scene(
        1, *(copy(i, c) for i, c in enumerate((1, 1, 2, 2, 3)))
    ),
    "contradicted": scene(
        3, copy(0, block=TRUSTED), copy(1, block=TRUSTED), *(copy(i, 2) for i in range(2, 5))
    ),
    "contradicted-first": scene(
        3,
        copy(0, block=TRUSTED),
        copy(1, block=TRUSTED),
        *(copy(i, 2) for i in range(2, 5)),
        copy(5),
    ),
    "contradicted-helpers": scene(
        2, *(copy(i, 2, block=TRUSTED) for i in range(2)), *(copy(i, mtime=1) for i in range(2, 5))
    ),
    "two-contents": file(3, TWO_CONTENTS, stripe(1, 1, 0, 2, 2, 2), stripe(1, 0, 0, 2, 2, 2)),
    "two-for-it": file(
        3,
        TWO_CONTENTS,
        stripe(1, 1, 1, 1, 2, 2),
        stripe(1, 1, 0, 1, 2, 2),
        stripe(1, 1, 2, 1, 1, 2),
        stripe(1, 2, 2, 1, 1, 1),
    ),
    "nothing-in-common": file(
        3,
        copies_of(1, 1, 1, 1, 0, 0, 0, 2),
        stripe(2, 2, 0, 0, 1, 1, 1, 0),
        stripe(2, 2, 1, 1, 1, 1, 0, 0),
    ),
    "without-contradiction": file(
        3, copies_of(1, 1, 1, 1, 0, 0, 0), stripe(2, 2, 0, 1, 1, 1, 0), stripe(2, 2, 1, 1, 1, 0, 0)
    ),
    "changing-witnesses": file(
        2, copies_of(1, 1, 0, 0, 2, 2, 0, 0), stripe(0, 0, 1, 1, 0, 0, 2, 2)
    ),
    "liars": file(
        3,
        copies_of(2, 2, 1, 1, 1),
        stripe(3, 4, 1, 1, 1),
        stripe(1, 2, 1, 1, 1),
        stripe(2, 2, 1, 1, 1),
        stripe(2, 2, 1, 1, 0),
    ),
    "given-gone": file(
        2, copies_of(1, 1, 1, 1), stripe(1, 1, 1, 2, how=GIVEN | GONE), stripe(1, 1, 2, 2)
    ),
    "given-other": file(
        2, copies_of(1, 1, 1, 1), stripe(1, 1, 2, 2, how=GIVEN | 2), stripe(1, 1, 1, 2)
    ),
    "not-noted": file(
        2, copies_of(1, 1, 1, 1, 1), stripe(1, 1, 1, 2, 2, how=NOT_NOTED), stripe(1, 2, 2, 2, 1)
    ),
    "blind": file(
        2, copies_of(1, 1, 1, 1), stripe(1, 1, 1, 2, how=BLIND), stripe(1, 1, 2, 2)
    ),
    "twins": file(
        2,
        [copy(0), copy(0), copy(1, 2), copy(2, 2), copy(3, 0), copy(4)],
        stripe(1, 1, 1, 2, 2, 0),
        stripe(1, 1, 2, 2, 0, 0),
    ),
}


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
    write("choice", CHOICES.items())
