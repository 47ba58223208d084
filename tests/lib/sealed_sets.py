# SPDX-License-Identifier: MIT
"""Sets whose shares are sealed, with nodes of all kinds on this machine."""

import subprocess

import commands
import trees
from commands import OK

REQUIRED = 2


def write(sets, source, places, more="", **how):
    sets.write(source, places, more=f"format = sealed\n{more}", **{"required": REQUIRED, **how})


def key_of(sets, name="home"):
    return sets.state_folder / f"{name}.key"


def new_key(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    commands.run("key", "new", path, noisy=True)
    return path


def share_of(sets, source, nodes, name, index, count, folder):
    """What encode makes with the set's key is at the node, and what tells of the others; no more."""
    encoded = folder / f"encoded-{name}"
    commands.run("encode", "--format", "sealed", "--key", key_of(sets), "-k", str(REQUIRED),
                 "-n", str(count), source, encoded, noisy=True)  # fmt: skip
    found = nodes / name
    expected = encoded / trees.share_name(index)
    return {
        str(path.relative_to(found)): path.read_bytes() for path in found.rglob("*") if path.is_file()
    }, {str(path.relative_to(expected)): path.read_bytes() for path in expected.rglob("*") if path.is_file()}


def rsync_differences(source, found):
    """As rsync tells them, modes, owners, times, attributes and links among them."""
    words = ["rsync", "-aHAXin", "--modify-window=-1", "--checksum", "--delete", f"{source}/", f"{found}/"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout


def run_json(sets, command, *words, status=OK):
    return commands.run(command, "-c", sets.file, *words, status=status, env=sets.environment, noisy=True)


def moves(done, node):
    """What was done for a node, in its order."""
    return [(line["action"], line["path"]) for line in done.json
            if line["message_type"] == "file" and line["node"] == node]  # fmt: skip


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
