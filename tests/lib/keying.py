# SPDX-License-Identifier: MIT
"""Runs zfec-fs key, and makes its files and stores."""

import subprocess

import keyfiles
import mounts as mounts_module
from commands import OK

MASTER = bytes(range(32))
OTHER = bytes(range(32, 64))


def key(*words, status=OK, **how):
    done = subprocess.run(
        [mounts_module.BINARY, "key", *words],
        check=False, capture_output=True, text=True, timeout=120, **{"stdin": subprocess.DEVNULL} | how,
    )  # fmt: skip
    assert not mounts_module.SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) <= (status != OK), done.stderr
    return done


def write_key(path, master=MASTER, stretch=None):
    path.write_text(keyfiles.key_text(master, stretch))
    path.chmod(0o600)
    return path


def make_stores(folder, shares):
    folder.mkdir(exist_ok=True)
    for index, share in enumerate(shares):
        store = folder / f"s{index}"
        store.mkdir()
        (store / "key").write_bytes(share)
    return folder


def stores_of(folder, required=3, count=5, master=MASTER, stretch=None):
    return make_stores(
        folder, [keyfiles.key_share(master, required, i, stretch) for i in range(count)]
    )


def stretch_for(passphrase, folder, master=MASTER):
    """P and what it was made with, as the program makes it."""
    path, secret = write_key(folder / "stretched", master), folder / "stretching"
    secret.write_text(passphrase)
    key("passphrase", "--passphrase-file", secret, path)
    stretch = keyfiles.read_key_text(path.read_text())[1]
    path.unlink()
    return stretch


def keys_in(stores):
    return {path.parent.name: path.read_bytes() for path in stores.glob("*/key")}
