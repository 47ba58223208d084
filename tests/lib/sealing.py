# SPDX-License-Identifier: MIT
"""The sealed format in Python, from its specification and not from the C code.

The cipher is RFC 8452 over OpenSSL's AES; its POLYVAL is worked out here. For small trees.
"""

import base64
import ctypes
import ctypes.util
import functools
import grp
import hashlib
import hmac
import os
import pwd
import stat
import struct

import keyfiles
import oracle

MANIFEST = "zmanifest"
UNIT = 1024
ID_SIZE = 10
DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TIME = struct.Struct("<Q")


class Forged(Exception):
    """A tag that does not fit."""


# AES


@functools.cache
def _openssl():
    library = ctypes.CDLL(ctypes.util.find_library("crypto"))
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_ecb"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


@functools.lru_cache(maxsize=64)
def _aes_context(key):
    library = _openssl()
    context = ctypes.c_void_p(library.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(library.EVP_aes_256_ecb())
    assert library.EVP_EncryptInit_ex(context, cipher, None, key, None) == 1
    assert library.EVP_CIPHER_CTX_set_padding(context, 0) == 1
    return context


def _aes(key, blocks):
    """AES-256 of each 16 bytes. The few contexts that are made live as long as the process."""
    room, done = ctypes.create_string_buffer(len(blocks) + 16), ctypes.c_int()
    status = _openssl().EVP_EncryptUpdate(
        _aes_context(key), room, ctypes.byref(done), blocks, len(blocks)
    )
    assert status == 1 and done.value == len(blocks)
    return room.raw[: len(blocks)]


# POLYVAL: a bit of an element stands in a byte of its own, so that a product of integers is one of
# polynomials, whose coefficients are the lowest bits of its bytes

_SPREAD = [bytes(byte >> bit & 1 for bit in range(8)) for byte in range(256)]
_ONES = {bits: int.from_bytes(b"\1" * bits, "little") for bits in (64, 256)}


def _spread(block):
    return int.from_bytes(b"".join([_SPREAD[byte] for byte in block]), "little")


def _gather(value):
    bits = value.to_bytes(128, "little")
    return bytes(
        sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, 128, 8)
    )


def _dot(a, b):
    """a * b * x^-128 modulo x^128 + x^127 + x^126 + x^121 + 1."""
    product = a * b & _ONES[256]
    for _ in range(2):
        low = product & _ONES[64]
        for power in (0, 121, 126, 127, 128):
            product ^= low << 8 * power
        product >>= 8 * 64
    return product


def polyval(key, data):
    multiplier, result = _spread(key), 0
    for at in range(0, len(data), 16):
        result = _dot(result ^ _spread(data[at : at + 16]), multiplier)
    return _gather(result)


# AES-256-GCM-SIV


def _filled(data):
    return data + bytes(-len(data) % 16)


def _message_keys(key, nonce):
    blocks = b"".join(struct.pack("<I", number) + nonce for number in range(6))
    parts = _aes(key, blocks)
    halves = [parts[at : at + 8] for at in range(0, len(parts), 16)]
    return b"".join(halves[:2]), b"".join(halves[2:])


def _tag(keys, nonce, data, plain):
    lengths = struct.pack("<QQ", 8 * len(data), 8 * len(plain))
    sum_ = bytearray(polyval(keys[0], _filled(data) + _filled(plain) + lengths))
    for i, byte in enumerate(nonce):
        sum_[i] ^= byte
    sum_[15] &= 0x7F
    return _aes(keys[1], bytes(sum_))


def _stream(keys, tag, plain):
    start, rest = struct.unpack("<I", tag[:4])[0], tag[4:15] + bytes([tag[15] | 0x80])
    count = oracle.ceil_div(len(plain), 16)
    counters = b"".join(struct.pack("<I", start + i & 0xFFFFFFFF) + rest for i in range(count))
    key_bytes = int.from_bytes(_aes(keys[1], counters)[: len(plain)], "little")
    return (int.from_bytes(plain, "little") ^ key_bytes).to_bytes(len(plain), "little")


def seal(key, nonce, data, plain):
    """The ciphertext, and the tag; data: what is authenticated beside it."""
    keys = _message_keys(key, nonce)
    tag = _tag(keys, nonce, data, plain)
    return _stream(keys, tag, plain), tag


def open_sealed(key, nonce, data, cipher, tag):
    keys = _message_keys(key, nonce)
    plain = _stream(keys, tag, cipher)
    if _tag(keys, nonce, data, plain) != tag:
        raise Forged()
    return plain


# Keys and ids


class Keys:
    def __init__(self, master):
        self.master = master
        self.id = keyfiles.expand(master, b"id", 16)
        for label in ("content", "manifest", "names", "links", "times"):
            setattr(self, label, keyfiles.expand(master, label.encode(), 32))

    def path_id(self, path):
        return hmac.digest(self.names, os.fsencode(path), hashlib.sha256)[:ID_SIZE]

    def name(self, path):
        """What the last part of a path is called in a share."""
        hex_digits = base64.b32hexencode(self.path_id(path))
        return hex_digits.decode().lower()

    def share_path(self, path):
        """The path in a share of a path in the source; the root's is empty."""
        parts = path.split("/") if path else []
        return "/".join(self.name("/".join(parts[: i + 1])) for i in range(len(parts)))

    def link(self, inode, size, mtime_ns, root):
        facts = struct.pack("<QQq", inode, size, mtime_ns) + os.fsencode(root)
        return hmac.digest(self.links, facts, hashlib.sha256)[:8]

    def manifest_time(self, newest_ctime_ns, content):
        fraction = _TIME.unpack(hmac.digest(self.times, content, hashlib.sha256)[:8])[0]
        return newest_ctime_ns // 10**6 * 10**6 + fraction % 10**6



# Shares


def header(required, index, size, mtime_ns, block_size):
    fields = bytearray(oracle.checked_header(required, index, size, mtime_ns, block_size)[:48])
    fields[11] = 1
    return bytes(fields) + oracle.checksum(bytes(fields), 0)


def block(cipher, tag, number, required, index):
    # pylint: disable-next=protected-access
    intact = tag + oracle._interpolate(oracle.cut(cipher, required), index)
    return intact + oracle.checksum(intact, number * 256 + index)


def seal_stripes(key, associated, data, required, block_size):
    """(ciphertext, tag) of each stripe; associated(whether it is the last one)."""
    stripes = oracle.stripes_of(data, required, block_size)
    return [
        seal(key, _TIME.pack(number) + bytes(4), associated(number + 1 == len(stripes)), stripe)
        for number, stripe in enumerate(stripes)
    ]


def _shares(sealed, size, mtime_ns, required, indexes, block_size):
    return {
        index: header(required, index, size, mtime_ns, block_size)
        + b"".join(
            block(cipher, tag, number, required, index)
            for number, (cipher, tag) in enumerate(sealed)
        )
        for index in indexes
    }


def file_shares(keys, path, data, mtime_ns, required, indexes, block_size):
    """index -> share of a regular file's content."""
    ident = keys.path_id(path)
    sealed = seal_stripes(
        keys.content, lambda last: ident + bytes([last]), data, required, block_size
    )
    return _shares(sealed, len(data), mtime_ns, required, indexes, block_size)


def manifest_shares(keys, content, time_ns, required, indexes, block_size):
    facts = header(required, 0, len(content), time_ns, block_size)[16:32]
    sealed = seal_stripes(keys.manifest, lambda last: facts, content, required, block_size)
    return _shares(sealed, len(content), time_ns, required, indexes, block_size)


# CBOR, deterministic


def _head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    size = next(log for log in range(4) if number < 1 << (8 << log))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def cbor(value):
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    items = sorted((cbor(key), cbor(each)) for key, each in value.items())
    return _head(5, len(items)) + b"".join(key + each for key, each in items)


def padded(data):
    return data + bytes(-len(data) % UNIT)


# Trees


def _clamped(time_ns):
    return max(-(1 << 63), min((1 << 63) - 1, time_ns))


def _owner(ask, number):
    try:
        return ask(number)[0]
    except KeyError:
        return None


def _type_facts(path, status):
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        return {"size": status.st_size}
    if kind == stat.S_IFLNK:
        return {"target": os.fsencode(os.readlink(path))}
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return {"device": [os.major(status.st_rdev), os.minor(status.st_rdev)]}
    return {}


def attributes(path, status):
    """All of an object that does not depend on keys."""
    names = os.listxattr(path, follow_symlinks=False)
    xattrs = {os.fsencode(n): os.getxattr(path, n, follow_symlinks=False) for n in names}
    facts = {
        "mode": status.st_mode,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "user": _owner(pwd.getpwuid, status.st_uid),
        "group": _owner(grp.getgrgid, status.st_gid),
        "mtime": _clamped(status.st_mtime_ns),
        "xattrs": xattrs or None,
        **_type_facts(path, status),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _entry(keys, root, path):
    """An entry of a manifest, and its ctime, which counts unless it is a directory's."""
    whole = os.path.join(root, path)
    status = os.lstat(whole)
    name = {"name": os.fsencode(os.path.basename(path))}
    if stat.S_ISDIR(status.st_mode):
        return {**name, "mode": stat.S_IFDIR, "id": keys.path_id(path)}, None
    entry = {**name, **attributes(whole, status)}
    if stat.S_ISREG(status.st_mode):
        entry["id"] = keys.path_id(path)
        if status.st_nlink > 1:
            entry["link"] = keys.link(status.st_ino, status.st_size, entry["mtime"], "")
    return entry, status.st_ctime_ns


def manifest(keys, root, path):
    """The content, with its padding, and the time of a directory's manifest; all is on one disk."""
    folder = os.path.join(root, path)
    status = os.lstat(folder)
    found = [_entry(keys, root, os.path.join(path, name)) for name in os.listdir(folder)]
    ctimes = [status.st_ctime_ns, *(ctime for _, ctime in found if ctime is not None)]
    whole = {
        "version": 1,
        "path": os.fsencode(path),
        "self": attributes(folder, status),
        "entries": sorted((entry for entry, _ in found), key=lambda entry: entry["name"]),
    }
    content = padded(cbor(whole))
    return content, keys.manifest_time(_clamped(max(ctimes)), content)


def _file_of(keys, root, path, geometry):
    whole = os.path.join(root, path)
    with open(whole, "rb") as file:
        data = file.read()
    mtime_ns = _clamped(os.lstat(whole).st_mtime_ns)
    return file_shares(keys, path, data, mtime_ns, *geometry)


def tree_shares(keys, root, required, indexes, block_size):
    """path in a share -> (index -> bytes) of all files, None of directories."""
    root, geometry = os.fspath(root), (required, indexes, block_size)
    found = {}
    for folder, _, names in os.walk(root):
        path = os.path.relpath(folder, root)
        path = "" if path == "." else path
        start = keys.share_path(path) + "/" if path else ""
        found[start.rstrip("/")] = None
        found[start + MANIFEST] = manifest_shares(keys, *manifest(keys, root, path), *geometry)
        for name in names:
            at = os.path.join(path, name)
            if stat.S_ISREG(os.lstat(os.path.join(root, at)).st_mode):
                found[keys.share_path(at)] = _file_of(keys, root, at, geometry)
    return found
