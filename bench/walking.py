# SPDX-License-Identifier: MIT
"""Measures how long it takes to go through a tree that is mounted anew."""

import shlex

from cases import Sample
from commands import timed


def find(path, spare):
    """Names alone, which listings have."""
    return ["find", path]


def find_by_size(path, spare):
    """Attributes of each file as well."""
    return ["find", path, "-size", "+1G"]


def rsync_dry_run(path, spare):
    return ["rsync", "-an", f"{path}/", spare / "new"]


def tar_to_cat(path, spare):
    """All contents; GNU tar itself skips them where it sees that they go to /dev/null."""
    return f"tar -C {shlex.quote(str(path))} -cf - . | cat >/dev/null"


def copy(path, spare):
    return ["cp", "-r", path, spare / "new"]


def walk(lab, mount, command):
    """A measurement: COMMAND(the path of a new mount, a folder to write to), in seconds."""

    def measure():
        with lab.passing_folder() as spare, mount() as mounted:
            sample = timed(command(mounted.path, spare))
            return Sample(sample.value, mounted.memory_mb())

    return measure
