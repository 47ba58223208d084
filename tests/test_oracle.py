# SPDX-License-Identifier: MIT
"""The oracle against the vectors and the worked examples: it is trusted no further than this."""

import pytest

import oracle
import vectors_file

GROUPS = vectors_file.groups()

WORKED = bytes.fromhex(
    "005a464543465331 03 04 10 00 00000000 0a00000000000000 15cde72495cc6d13"
    + "00" * 16
    + "e0bb8c9840abe9a6d738cc3f5ce67019"
    "e353667619ec664b49655fc9692165fb 1011b0ad 5e99b7996696b0bfe799f66d6c32bd38"
)


def test_vector_file_is_whole():
    rows = [row for rows in GROUPS.values() for row in rows]
    assert len(rows) == 669
    assert {row["format"] for row in rows} == set(oracle.FORMATS)


@pytest.mark.parametrize("group", GROUPS, ids=vectors_file.name_of)
def test_every_row(group):
    wrong = []
    for row in GROUPS[group]:
        share = oracle.make_share(
            group.format,
            oracle.source_bytes(row["size"]),
            group.required,
            group.shares,
            row["index"],
            vectors_file.mtime_ns(),
            group.block_size or oracle.DEFAULT_BLOCK_SIZE,
        )
        if vectors_file.differences(row, share):
            wrong.append((row["size"], row["index"], vectors_file.differences(row, share)))
    assert not wrong


def test_worked_example():
    share = oracle.make_share("checked", b"0123456789", 3, 20, 4, 1400000000123456789)
    assert share == WORKED
    assert len(share) == oracle.checked_size(10, 3)


def test_worked_fec_header():
    assert oracle.fec_header(3, 20, 7, 2) == bytes.fromhex("131270")
    assert oracle.parse_fec_header(bytes.fromhex("131270")) == (3, 20, 1, 7, 3)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_restores_what_it_made(share_format, rng):
    for required, shares in ((1, 1), (1, 2), (2, 3), (3, 20), (16, 24), (255, 256)):
        for size in (0, 1, required, required + 1, required * 4096 + 1, 3 * required * 4096 - 5):
            data = rng.randbytes(size)
            made = [
                oracle.make_share(share_format, data, required, shares, index, 0, 4096)
                for index in rng.sample(range(shares), required)
            ]
            assert oracle.restore(share_format, made, required) == data


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_too_few_shares(share_format):
    shares = [oracle.make_share(share_format, b"0123456789", 3, 20, index) for index in (5, 6, 6)]
    with pytest.raises(oracle.ShareError, match="2 shares, 3 required"):
        oracle.restore(share_format, shares, 3)


def test_every_damaged_byte_is_noticed(rng):
    shares = [oracle.make_share("checked", b"0123456789", 3, 20, index) for index in (0, 7, 19)]
    for at in range(len(shares[1])):
        damaged = bytearray(shares[1])
        damaged[at] ^= rng.randrange(1, 256)
        with pytest.raises(oracle.ShareError):
            oracle.restore("checked", [shares[0], bytes(damaged), shares[2]])
