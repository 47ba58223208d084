# SPDX-License-Identifier: MIT
"""Sealed shares for the model: what its trees are made of, and what a key says of them.

A stripe opens if it was made here: nobody makes another one with its tag, so the model decrypts nothing.
"""

import base64
import binascii
import functools
import os

import oracle
import sealing
from model_shares import DIRECTORY, FILE, Entry

BLOCK_SIZE = 4096


def is_id(name):
    try:
        return len(name) == 16 and name == name.lower() and len(base64.b32hexdecode(name.upper())) == sealing.ID_SIZE
    except (binascii.Error, ValueError):
        return False


class Sealer:
    """Makes shares with one key, and remembers what they are of."""

    def __init__(self, rng, time):
        self.keys, self.time = sealing.Keys(rng.randbytes(32)), time
        self.made = {}  # (what it is bound to, number, tag, ciphertext) -> its bytes
        self.plain = {"": ""}  # path in a share -> in the source
        self.folders = {}  # path of a directory in a share -> its entries: path in a share -> (kind, size)
        self._stripes = functools.cache(self._seal)

    def raw(self, path):
        return self.keys.share_path(path)

    def _seal(self, key, bound, data, k):
        found = []
        for number, stripe in enumerate(stripes := oracle.stripes_of(data, k, BLOCK_SIZE)):
            what = bound if len(bound) == 16 else bound + bytes([number + 1 == len(stripes)])
            cipher, tag = sealing.seal(key, number.to_bytes(8, "little") + bytes(4), what, stripe)
            self.made[what, number, tag, cipher] = stripe
            found.append((cipher, tag))
        return found

    def share(self, path, data, k, index, time):
        """Of a file, as it is at a path in the source."""
        stripes = self._stripes(self.keys.content, self.keys.path_id(path), data, k)
        return share_of(stripes, len(data), k, index, time)

    def manifest(self, folder, entries, k):
        """The share of each index; entries: the paths of what is in a directory -> the Entry of a file, or None."""
        where = self.raw(folder)
        self.plain[where] = folder
        self.folders[where] = {}
        items = []
        for path, entry in sorted(entries.items(), key=lambda item: os.path.basename(item[0])):
            ident = {"name": os.path.basename(path).encode(), "id": self.keys.path_id(path)}
            self.plain[self.raw(path)] = path
            self.folders[where][self.raw(path)] = (FILE, entry) if entry else (DIRECTORY, None)
            items.append({**ident, **(attributes(entry) if entry else {"mode": 0o40000})})
        me = {"mode": 0o40755, "uid": 0, "gid": 0, "mtime": self.time}
        data = sealing.padded(sealing.cbor({"version": 1, "path": folder.encode(), "self": me, "entries": items}))
        time = self.time + len(self.folders)
        bound = sealing.header(k, 0, len(data), time, BLOCK_SIZE)[16:32]
        stripes = self._stripes(self.keys.manifest, bound, data, k)
        return lambda index: Entry(FILE, share_of(stripes, len(data), k, index, time), 0o644, (0, 0), time)


class File:
    """What a manifest says of one."""

    def __init__(self, size, time, owner):
        self.size, self.time, self.owner = size, time, owner


def attributes(file):
    return {"mode": 0o100644, "uid": file.owner[0], "gid": file.owner[1], "mtime": file.time, "size": file.size}


def share_of(stripes, size, k, index, time, block_size=BLOCK_SIZE):
    blocks = [sealing.block(cipher, tag, number, k, index) for number, (cipher, tag) in enumerate(stripes)]
    return sealing.header(k, index, size, time, block_size) + b"".join(blocks)


class Key:
    """What the key says of the names of a model (Model.key)."""

    def __init__(self, sealer):
        self.sealer = sealer

    def bound(self, path, version):
        """What the stripes of a file are bound to; None where the name is none of a sealed share."""
        name = os.path.basename(path)
        if name == sealing.MANIFEST:
            return sealing.header(version.k, 0, version.size, version.mtime, version.block)[16:32]
        return base64.b32hexdecode(name.upper()) if is_id(name) else None

    def open(self, path, version, number, tag, cipher):
        """The bytes of a stripe; None where its tag does not prove it."""
        bound = self.bound(path, version)
        if len(bound) != 16:
            bound += bytes([number + 1 == version.stripes()])
        return self.sealer.made.get((bound, number, tag, cipher))

    def knows(self, model, folder):
        """Whether it is known which directory of the source this one is."""
        return folder == "" or (self.owed(model, folder) or (None,))[0] == DIRECTORY

    def has_manifest(self, model, folder):
        if folder not in self.sealer.folders or not self.knows(model, folder):
            return False
        name = model.name(os.path.join(folder, sealing.MANIFEST))
        return not name.is_lost() and name.state == "shown" and name.file is not None

    def owed(self, model, path):
        """(kind, what its directory's manifest says of it); None: nothing."""
        folder, name = os.path.split(path)
        if not path or folder not in self.sealer.folders or model.name(folder).state != "shown":
            return None
        if name == sealing.MANIFEST:
            return (FILE, None) if self.knows(model, folder) else None
        return self.sealer.folders[folder].get(path) if self.has_manifest(model, folder) else None

    def paths(self):
        """All that may be owed."""
        found = {os.path.join(folder, sealing.MANIFEST) for folder in self.sealer.folders}
        return found.union(*self.sealer.folders.values())
