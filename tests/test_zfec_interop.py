# SPDX-License-Identifier: MIT
"""Shares made by zfec-fs restored by python3-zfec, and the other way round."""

import random

import pytest

import conftest
import oracle
import trees
import zfec_cli

BLOCK_SIZE = 4096


def random_parameters():
    """(k, n): small ones, where most users are, and some from the whole range."""
    rng = random.Random(f"{conftest.SEED} interop")
    found = [(1, 1), (1, 2), (2, 2)]
    for limit in (6, 12, 40, 256):
        shares = rng.randint(3, limit)
        found.append((rng.randint(1, min(shares, 255)), shares))
    return found


PARAMETERS = [(f, k, n) for f in oracle.FORMATS for k, n in random_parameters()]
FEC_PARAMETERS = [(k, n) for f, k, n in PARAMETERS if f == "fec"]


def some_indexes(rng, required, shares):
    return rng.sample(range(shares), required)


def block_size_for(share_format):
    return BLOCK_SIZE if share_format == "checked" else None


@pytest.mark.parametrize("share_format, required, shares", PARAMETERS)
def test_made_here_restored_by_zfec(mounts, tmp_path, rng, share_format, required, shares):
    sizes = trees.interesting_sizes(required, BLOCK_SIZE)
    contents = trees.write_sizes(tmp_path / "source", sizes, rng)
    view = mounts.encoded(
        tmp_path / "source",
        required=required,
        shares=shares,
        format=share_format,
        block_size=block_size_for(share_format),
    )
    for name, data in contents.items():
        made = [
            (view / trees.share_name(index) / name).read_bytes()
            for index in some_indexes(rng, required, shares)
        ]
        trees.assert_same(oracle.restore(share_format, made, required), data, name)


@pytest.mark.parametrize("share_format, required, shares", PARAMETERS)
def test_made_by_zfec_restored_here(mounts, tmp_path, rng, share_format, required, shares):
    contents = {}
    for size in trees.interesting_sizes(required, BLOCK_SIZE):
        contents[f"size-{size}"] = data = rng.randbytes(size)
        trees.make_stores(
            tmp_path / "stores",
            f"size-{size}",
            data,
            some_indexes(rng, required, shares),
            required,
            shares=shares,
            share_format=share_format,
            block_size=BLOCK_SIZE,
        )
    view = mounts.restored(tmp_path / "stores", format=share_format, required=required)
    for name, data in contents.items():
        trees.assert_same((view / name).read_bytes(), data, name)
        assert (view / name).stat().st_size == len(data)


@pytest.mark.parametrize("required, shares", FEC_PARAMETERS)
def test_share_files_of_the_zfec_command_restored_here(mounts, tmp_path, rng, required, shares):
    contents = {}
    for size in trees.interesting_sizes(required, BLOCK_SIZE):
        name = f"size-{size}"
        contents[name] = data = rng.randbytes(size)
        made = zfec_cli.encode(data, required, shares, tmp_path / name)
        chosen = {index: made[index] for index in some_indexes(rng, required, shares)}
        trees.write_shares(tmp_path / "stores", name, chosen)
    view = mounts.restored(tmp_path / "stores", format="fec")
    for name, data in contents.items():
        trees.assert_same((view / name).read_bytes(), data, name)


@pytest.mark.parametrize("required, shares", [p for p in FEC_PARAMETERS if p[1] > 1])
def test_share_files_made_here_restored_by_zunfec(mounts, tmp_path, rng, required, shares):
    sizes = trees.interesting_sizes(required, BLOCK_SIZE)
    contents = trees.write_sizes(tmp_path / "source", sizes, rng)
    view = mounts.encoded(tmp_path / "source", required=required, shares=shares, format="fec")
    for name, data in contents.items():
        indexes = some_indexes(rng, max(required, 2), shares)
        paths = [view / trees.share_name(index) / name for index in indexes]
        trees.assert_same(zfec_cli.decode(paths, tmp_path / "output"), data, name)
