# SPDX-License-Identifier: MIT
"""The code in memory: ours against ISA-L without us, and python3-zfec."""

import functools
import json
import time

from cases import GBPS, Case, Sample, Subject, Target, add
from commands import run_quietly

SECONDS = 0.3
PARITIES = 3
ISAL, OURS = "ISA-L alone", "our codec, code alone"

try:
    import zfec
except ImportError:
    zfec = None


def speeds(lab, required):
    """What `zfec-fs bench` says of one thread: a line of JSON for each of its measurements."""
    words = ["bench", "-j1", "--json", "-k", str(required), "-n", str(required + PARITIES)]
    lines = map(json.loads, run_quietly([lab.binary, *words]).splitlines())
    return {line["what"]: line for line in lines if line["message_type"] == "speed"}


def ours(lab, required, what):
    return lambda: Sample(speeds(lab, required)[what]["bytes_per_second"] / 1e9)


def isal(lab, required):
    """With pieces of the same size as ours."""
    size = speeds(lab, required)["code"]["piece_size"]
    words = [lab.tools / "isal", *map(str, (required, PARITIES, size, SECONDS))]
    return lambda: Sample(float(run_quietly(words)) / 1e9)


def python_zfec(required):
    pieces = [bytes([number + 1]) * 65536 for number in range(required)]
    encoder = zfec.Encoder(required, required + PARITIES)
    wanted = list(range(required, required + PARITIES))

    def measure():
        began, done = time.monotonic(), 0
        while (took := time.monotonic() - began) < SECONDS:
            encoder.encode(pieces, wanted)
            done += required * len(pieces[0])
        return Sample(done / took / 1e9)

    return measure


def code(required, lab):
    subjects = [
        Subject(ISAL, isal(lab, required)),
        Subject(OURS, ours(lab, required, "code")),
        Subject("encode, with digests and checks", ours(lab, required, "encode")),
        Subject("decode, with checks", ours(lab, required, "decode")),
        Subject("the hash alone", ours(lab, required, "hash")),
    ]
    if zfec:
        subjects.append(Subject("python3-zfec", python_zfec(required)))
    return subjects


for k in (3, 10, 30):
    targets = [Target(OURS, ISAL, at_least=0.95)]
    add(Case(f"code-k{k}", f"Code and hash in memory, k = {k}, {PARITIES} parity shares, one thread",
             GBPS, ISAL, functools.partial(code, k), targets if k == 3 else []))  # fmt: skip
