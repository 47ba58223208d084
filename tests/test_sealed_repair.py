# SPDX-License-Identifier: MIT
"""Without the key, repair makes the very bytes that encode makes with it: random trees and losses."""

import os
import shutil
from pathlib import Path

import pytest

import commands
import keyfiles
import repairing
import trees
from commands import DAMAGED

SPREAD = True
CASES = max(16, int(os.environ.get("ZFEC_FS_TEST_CASES", "0")) // 20)


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def flip(data, rng):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def lose_header(data, _rng):
    return bytes(64) + data[64:]


def noise(data, rng):
    return rng.randbytes(len(data))


def grow(data, rng):
    return data + rng.randbytes(rng.randrange(1, 5000))


def lose_something(path, rng):
    if rng.random() < 0.3:
        path.unlink()
        return
    data = path.read_bytes()
    change = rng.choice((cut, flip, flip, lose_header, noise, grow) if path.name != "key" else (cut, flip, noise))
    path.write_bytes(change(data, rng))


def times_as_in(right, stores):
    """What was lost tells no directory's time."""
    for folder, _, names in os.walk(stores, topdown=False):
        for path in [*(os.path.join(folder, name) for name in names), folder]:
            there = right / os.path.relpath(path, stores)
            os.utime(path, ns=(os.stat(there).st_mtime_ns,) * 2)


@pytest.mark.parametrize("number", range(CASES))
def test_repair_makes_what_encode_makes(rng, tmp_path, number):
    required = rng.randint(1, 4)
    count = required + rng.randint(1, 3)
    source, right, stores, key = (tmp_path / name for name in ("source", "right", "stores", "set.key"))
    repairing.make_random_source(source, required, rng)
    has_passphrase = required == 1 or rng.random() < 0.3
    key.write_text(keyfiles.key_text(rng.randbytes(32)))
    key.chmod(0o600)
    words = ["--format", "sealed", "--key", key, "-k", str(required), "-n", str(count), "--block-size", "4K"]
    if has_passphrase:
        (tmp_path / "phrase").write_text("correct horse\n")
        commands.run("key", "passphrase", "--passphrase-file", tmp_path / "phrase", key, noisy=True)
    commands.run("encode", *words, source, right, noisy=True)
    shutil.copytree(right, stores, symlinks=True)
    away = rng.sample(range(count), rng.randint(0, count - required))
    left = sorted(set(range(count)) - set(away))
    for index in away:
        shutil.rmtree(stores / trees.share_name(index))
    for path in sorted(path.relative_to(right / "00") for path in (right / "00").rglob("*") if path.is_file()):
        for index in rng.sample(left, rng.randint(0, len(left) - required)):
            lose_something(stores / trees.share_name(index) / path, rng)
    times_as_in(right, stores)
    added = [word for index in away for word in ("--add", f"{index:02x}={stores / trees.share_name(index)}")]
    done = commands.run("repair", *added, stores, status=DAMAGED if is_damaged(right, stores) else 0, noisy=True)
    for index in range(count):
        commands.compare_trees(right / trees.share_name(index), stores / trees.share_name(index))
    assert done.json[-1]["failed"] == 0
    commands.run("check", stores)
    commands.run("check", "--key", key, stores)


def is_damaged(right, stores):
    return any(
        not (there := stores / path.relative_to(right)).exists() or (path.is_file() and there.read_bytes() != path.read_bytes())
        for path in Path(right).rglob("*")
    )
