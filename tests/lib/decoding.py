# SPDX-License-Identifier: MIT
"""Stores of a small source, spoiled and thinned, and what was decoded from them."""

import os

import pytest

import encoding
import oracle
from commands import run
from encoding import ENCODE, K

source = encoding.source  # a fixture

BLOCK_SIZE = 4096
STEP = BLOCK_SIZE + oracle.DIGEST_SIZE + oracle.CHECK_SIZE
STRIPE = K * BLOCK_SIZE


@pytest.fixture
def stores(tmp_path, source):
    run("encode", *ENCODE, source, tmp_path / "stores")
    return tmp_path / "stores"


def damage(path, block):
    """One bit of a block of a share, under the same size and time."""
    found = path.stat()
    with open(path, "r+b") as file:
        file.seek(oracle.HEADER_SIZE + block * STEP + oracle.DIGEST_SIZE)
        byte = file.read(1)[0] ^ 0x10
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte]))
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))


def keep(stores, rng, count=K):
    """Throws away all stores but some."""
    names = sorted(os.listdir(stores))
    for name in rng.sample(names, len(names) - count):
        (stores / name).rename(stores.parent / f"lost-{name}")


@pytest.fixture
def out(tmp_path, stores):
    run("decode", stores, tmp_path / "out")
    return tmp_path / "out"
