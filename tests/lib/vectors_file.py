# SPDX-License-Identifier: MIT
"""Reads vectors/shares.json: shares made by an implementation of its own."""

import collections
import functools
import hashlib
import json
from pathlib import Path

PATH = Path(__file__).resolve().parents[1] / "vectors" / "shares.json"

Group = collections.namedtuple("Group", "format required shares block_size")


@functools.lru_cache(maxsize=1)
def load():
    return json.loads(PATH.read_text())


def mtime_ns():
    return load()["mtime_ns"]


def groups():
    """The rows that one mount can serve, by (format, k, n, block size)."""
    found = collections.defaultdict(list)
    for row in load()["shares"]:
        found[Group(row["format"], row["k"], row["n"], row.get("block"))].append(row)
    return found


def differences(row, share):
    """In what a share differs from its row, as a list of words; an empty list where it does not."""
    found = []
    if len(share) != row["share_size"]:
        found.append(f"{len(share)} bytes instead of {row['share_size']}")
    if hashlib.sha256(share).hexdigest() != row["sha256"]:
        found.append("sha256")
    if "hex" in row and share.hex() != row["hex"]:
        found.append("bytes")
    return found


def name_of(group):
    words = f"{group.format}-{group.required}-of-{group.shares}"
    return f"{words}-block-{group.block_size}" if group.block_size else words
