# SPDX-License-Identifier: MIT
"""Holds up whoever reads certain files until told otherwise, by fanotify: a slow disk to order."""

import ctypes
import os
import select
import struct
import threading

_FAN_CLASS_CONTENT = 0x4
_FAN_CLOEXEC = 0x1
_FAN_MARK_ADD = 0x1
_FAN_ACCESS_PERM = 0x20000
_FAN_ALLOW = 0x1
_AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")
_RESPONSE = struct.Struct("=iI")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fanotify_mark.argtypes = [
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_char_p,
]  # fmt: skip


def _checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class HeldReads:
    """Sees each read of the files it was given; lets it pass, or holds it from hold() on.

    The files are to be given before the server opens them: the kernel asks only for files that
    were watched when they were opened. Raises OSError where watching is not allowed.
    """

    def __init__(self, paths):
        flags = _FAN_CLASS_CONTENT | _FAN_CLOEXEC
        self._group = _checked(_libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC))
        self._held = []
        self._holding = False
        self._changed = threading.Condition()
        self._stop, self._stopping = os.pipe()
        try:
            self._watch(paths)
        except OSError:
            self._close_files()
            raise
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    def _watch(self, paths):
        for path in paths:
            _checked(
                _libc.fanotify_mark(
                    self._group, _FAN_MARK_ADD, _FAN_ACCESS_PERM, _AT_FDCWD, os.fsencode(path)
                )
            )

    def _serve(self):
        waiting = select.poll()
        waiting.register(self._group, select.POLLIN)
        waiting.register(self._stop, select.POLLHUP)
        while self._stop not in dict(waiting.poll()):
            for fields in _EVENT.iter_unpack(os.read(self._group, _EVENT.size * 64)):
                self._receive(fields[5])

    def _receive(self, file):
        with self._changed:
            if self._holding:
                self._held.append(file)
                self._changed.notify_all()
            else:
                self._allow(file)

    def _allow(self, file):
        os.write(self._group, _RESPONSE.pack(file, _FAN_ALLOW))
        os.close(file)

    def hold(self):
        with self._changed:
            self._holding = True

    def wait_for(self, count, limit_s=30):
        """Waits until `count` reads are held. Returns how many there are, then or after the time."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._held) >= count, limit_s)
            return len(self._held)

    def release(self):
        """Lets all reads go on, those held and those to come."""
        with self._changed:
            self._holding = False
            while self._held:
                self._allow(self._held.pop())

    def close(self):
        self.release()
        os.close(self._stopping)
        self._stopping = -1
        self._server.join()
        self._close_files()

    def _close_files(self):
        for file in (self._group, self._stop, self._stopping):
            if file >= 0:
                os.close(file)
