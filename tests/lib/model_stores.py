# SPDX-License-Identifier: MIT
"""Stores as the model describes them, on a disk: written, and read back."""

import errno
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path


from disks import MEMORY
from model_shares import BLOCK, CHAR, DIRECTORY, FIFO, FILE, LINK, SOCKET, Entry

KIND = {
    stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: LINK, stat.S_IFIFO: FIFO,
    stat.S_IFSOCK: SOCKET, stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCK,
}  # fmt: skip
LONGEST, PIECE = 1 << 26, 1 << 20
FORMAT = {kind: number for number, kind in KIND.items()}


@contextmanager
def fast_folder(otherwise):
    """A directory in memory, where that has room; it is removed."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 1 << 30:
        yield Path(tempfile.mkdtemp(dir=otherwise))
        return
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-", dir=MEMORY) as folder:
        yield Path(folder)


def _make(path, entry):
    if entry.kind == FILE:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, entry.mode & 0o777)
        os.write(file, entry.data)
        os.close(file)
    elif entry.kind == DIRECTORY:
        os.makedirs(path, exist_ok=True)
    elif entry.kind == LINK:
        os.symlink(entry.target, path)
    elif entry.kind == SOCKET:
        # The path of a socket may be too long, so it is bound beside the current directory's name.
        place = os.open(os.path.dirname(path), os.O_PATH)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{place}/{os.path.basename(path)}")
        os.close(place)
    else:
        os.mknod(path, FORMAT[entry.kind] | entry.mode & 0o777, entry.rdev)


def _dress(path, entry):
    if entry.owner != (os.geteuid(), os.getegid()):
        os.lchown(path, *entry.owner)
    for name, value in entry.xattrs:
        os.setxattr(path, name, value, follow_symlinks=False)
    if entry.kind != LINK and (entry.kind != FILE or entry.mode != 0o644):
        os.chmod(path, entry.mode)
    os.utime(path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)


def write(folder, stores):
    """Makes the stores (name -> {path: Entry}) in a new directory."""
    before = os.umask(0)
    os.makedirs(folder)
    for name, tree in stores.items():
        root = os.path.join(folder, name)
        places = {path: os.path.join(root, path) if path else root for path in sorted(tree)}
        for path, place in places.items():
            _make(place, tree[path])
        for path in reversed(places):  # what is in a directory before its time
            _dress(places[path], tree[path])
    os.umask(before)


def xattr_of(path, name):
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        return f"listed, but: {error.strerror}"


def xattrs_of(path):
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return tuple((name, xattr_of(path, name)) for name in names)


def read_bytes(path):
    """The bytes of a file; of one that says it is huge, no more than a bit."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no file")
        if status.st_size < PIECE:
            found = os.read(file, status.st_size + 1)
            if len(found) == status.st_size:
                return found
        found = [os.pread(file, PIECE, 0)]
        while len(found[-1]) and len(found) < LONGEST // PIECE:
            found.append(os.pread(file, PIECE, sum(map(len, found))))
        return b"".join(found)
    finally:
        os.close(file)


def remove(folder):
    """Faster than shutil.rmtree: it is many files."""
    subprocess.run(["rm", "-rf", folder], check=True)


def entry_at(path, content=None, status=None, is_bare=False):
    """content: the bytes of a file, where they are known or not wanted. is_bare: it has no attributes."""
    found = status or os.lstat(path)
    kind = KIND[stat.S_IFMT(found.st_mode)]
    if kind != FILE:
        content = b""
    return Entry(
        kind,
        read_bytes(path) if content is None else content,
        0o777 if kind == LINK else stat.S_IMODE(found.st_mode),
        (found.st_uid, found.st_gid),
        found.st_mtime_ns,
        () if is_bare else xattrs_of(path),
        os.readlink(path) if kind == LINK else None,
        found.st_rdev if kind in (CHAR, BLOCK) else 0,
    )


def walk(folder):
    """(path, what lstat says of it) for all that lies in a directory, "" for itself."""
    yield "", os.lstat(folder)
    below = [""]
    while below:
        parent = below.pop()
        with os.scandir(os.path.join(folder, parent)) as found:
            for entry in found:
                path = f"{parent}/{entry.name}" if parent else entry.name
                if entry.is_dir(follow_symlinks=False):
                    below.append(path)
                yield path, entry.stat(follow_symlinks=False)


def look(folder):
    """(store, path) -> what lstat says of it."""
    return {(name, path): status for name in os.listdir(folder) for path, status in walk(os.path.join(folder, name))}


def read(folder):
    """What write() takes, of stores on a disk."""
    return read_again(folder, look(folder), {}, {})


def read_again(folder, looks, before, stores):
    """The same by what look() finds now; what nothing was done to is as it was in `stores`."""
    found = {name: {} for name in sorted(os.listdir(folder))}
    for (name, path), status in looks.items():
        if (name, path) in before and marks(before[name, path]) == marks(status):
            found[name][path] = stores[name][path]
        else:
            found[name][path] = entry_at(os.path.join(folder, name, path), None, status)
    return found


def marks(status):
    """What no write leaves as it was."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
