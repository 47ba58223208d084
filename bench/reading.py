# SPDX-License-Identifier: MIT
"""Measures how fast files of a mount are read."""

from cases import Sample
from commands import run_quietly

KIB = 1024


def read(lab, mount, *names, how="read", number=256 * KIB, before=None):
    """A measurement: NAMES of a new mount, each by a reader of its own, in GB/s of all together.

    A name may be a function that finds the file in the mount. HOW and NUMBER as bench/reader.c takes
    them. BEFORE gets the paths first, unmeasured.
    """

    def measure():
        with mount() as mounted:
            paths = [name(mounted.path) if callable(name) else mounted.path / name for name in names]
            if before:
                before(paths)
            words = [lab.tools / "reader", how, str(number), *paths]
            done, seconds = run_quietly(words).split()
            return Sample(int(done) / float(seconds) / 1e9, mounted.memory_mb())

    return measure
