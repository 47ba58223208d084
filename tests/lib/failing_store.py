# SPDX-License-Identifier: MIT
"""A store that fails to order: a read-only pass-through file system in a process of its own.

FailingStore mounts it and gives it orders; run as a program, the module forks its servers. Needs
python3-pyfuse3 (Debian).
"""

import contextlib
import errno
import functools
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

ROOT_INODE = 1


@functools.cache
def parent_of_servers():
    """A process that has read what servers need, and forks one for each line that it is sent: to
    read that takes longer than what most tests do with a store."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd="/")
    return ours


class Server:
    """A process that serves one store, and the connection to it."""

    def __init__(self, source, mountpoint):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            words = json.dumps([str(source), str(mountpoint)])
            socket.send_fds(parent_of_servers(), [words.encode()], [theirs.fileno()])
            self._process = os.pidfd_open(int(parent_of_servers().recv(100)))
            self.orders, self.answers = ours.makefile("w"), ours.makefile("r")

    def is_running(self):
        return not select.select([self._process], [], [], 0)[0]

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def end(self):
        self.send_signal(signal.SIGKILL)
        select.select([self._process], [], [])
        os.close(self._process)
        for each in (self.orders, self.answers):
            with contextlib.suppress(BrokenPipeError):
                each.close()


class FailingStore:
    """A folder, mounted elsewhere, whose files can be made to fail, to hang and to die."""

    def __init__(self, source, mountpoint):
        self.source, self.path = Path(source), Path(mountpoint)
        self.path.mkdir(parents=True, exist_ok=True)
        self._server = None
        self.start()

    def start(self):
        """Mounts it, the first time or again."""
        self._server = Server(self.source, self.path)
        assert self._answer() == "mounted"

    def _answer(self):
        return json.loads(self._server.answers.readline() or "null")

    def order(self, what, *words):
        """Has the server do something, and waits until it has. Returns its answer."""
        self._server.orders.write(json.dumps([what, *words]) + "\n")
        self._server.orders.flush()
        return self._answer()

    def fail(self, name, start=0, end=1 << 62, error=errno.EIO):
        """Reads of bytes start..end-1 of a file fail from now on."""
        self.order("fail", name, start, end, error)

    def refuse(self, error, *operations):
        """These operations, or all, fail with this error from now on; 0: nothing any more."""
        self.order("refuse", error, *(operations or ["all"]))

    def hang(self, *operations):
        """These operations are not answered from now on: 'read', 'lookup', ...; or 'all'."""
        self.order("hang", *operations)

    def delay(self, seconds, *operations):
        """These operations, or 'all', take so long from now on; many of them at once."""
        self.order("delay", seconds, *operations)

    def take_turns(self, seconds, *operations):
        """As `delay`, but one after the other, as where a narrow line lies between."""
        self.order("take turns", seconds, *operations)

    def say_sizes(self, *sizes):
        """One extended attribute after the other that is asked for has so many bytes."""
        self.order("say sizes", *sizes)

    def go_on(self):
        """Answers everything that hangs, at once, and fails nothing any more."""
        if self._server and self._server.is_running():
            self.order("go on")

    def counts(self):
        """How often each operation was asked for since the last time."""
        return self.order("counts")

    def most_at_once(self):
        """How many of each operation were under way at once, at most, since the last time."""
        return self.order("most at once")

    def freeze(self):
        """Stops the whole server: not one request is answered, of whatever kind."""
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._server.send_signal(signal.SIGCONT)

    def kill(self):
        """The server dies, and leaves a mount that answers ENOTCONN."""
        self._end()

    def unmount(self):
        subprocess.run(["fusermount3", "-uz", self.path], check=False, capture_output=True)

    def close(self):
        """Leaves neither process nor mount."""
        if self._server:
            self._server.send_signal(signal.SIGKILL)
        self.unmount()
        self._end()

    def _end(self):
        if self._server:
            self._server.end()
        self._server = None


# The server


def serve(source, mountpoint):
    """Serves until it is unmounted or killed. Orders come as lines of JSON, answers go as such."""
    import pyfuse3
    import trio

    class Operations(pyfuse3.Operations):
        """Inodes are numbers given to paths when they are first looked up."""

        def __init__(self):
            super().__init__()
            self.paths = [None, ""]
            self.numbers = {"": ROOT_INODE}
            self.open_files = {}
            self.failing, self.hanging, self.refusals = [], set(), {}
            self.delays, self.counts = {}, {}
            self.turn, self.in_turn = trio.Lock(), set()
            self.sizes = []
            self.under_way, self.most = {}, {}
            self.changed = trio.Event()

        def obey(self, what, *words):
            if what == "fail":
                self.failing.append(words)
            elif what == "refuse":
                error, *operations = words
                self.refusals = dict.fromkeys(operations, error)
            elif what == "hang":
                self.hanging |= set(words)
            elif what in {"delay", "take turns"}:
                seconds, *operations = words
                self.delays.update(dict.fromkeys(operations, seconds))
                self.in_turn |= set(operations) if what == "take turns" else set()
            elif what == "say sizes":
                self.sizes = list(words)
            elif what == "go on":
                self.failing, self.hanging, self.refusals = [], set(), {}
                self.delays, self.in_turn = {}, set()
                self.changed.set()
                self.changed = trio.Event()
            elif what == "most at once":
                most, self.most = self.most, {}
                return most
            counts, self.counts = self.counts, {}
            return counts

        async def enter(self, operation):
            """Called first by each operation: it may be told to take long, to hang, or to fail."""
            under_way = self.under_way.get(operation, 0) + 1
            self.under_way[operation] = under_way
            self.most[operation] = max(under_way, self.most.get(operation, 0))
            try:
                await self.wait_as_told(operation)
            finally:
                self.under_way[operation] -= 1

        async def wait_as_told(self, operation):
            self.counts[operation] = self.counts.get(operation, 0) + 1
            while {operation, "all"} & self.hanging:
                await self.changed.wait()
            seconds = self.delays.get(operation, self.delays.get("all", 0))
            if seconds:
                async with self.turn if operation in self.in_turn else contextlib.nullcontext():
                    await trio.sleep(seconds)
            error = self.refusals.get(operation, self.refusals.get("all", 0))
            if error:
                raise pyfuse3.FUSEError(error)

        def number_of(self, path):
            if path not in self.numbers:
                self.numbers[path] = len(self.paths)
                self.paths.append(path)
            return self.numbers[path]

        def attributes(self, path):
            try:
                found = os.lstat(os.path.join(source, path))
            except OSError as error:
                raise pyfuse3.FUSEError(error.errno) from None
            entry = pyfuse3.EntryAttributes()
            for name in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size"):
                setattr(entry, name, getattr(found, name))
            entry.st_mtime_ns, entry.st_ctime_ns = found.st_mtime_ns, found.st_ctime_ns
            entry.st_ino = self.number_of(path)
            entry.entry_timeout = entry.attr_timeout = 0
            return entry

        async def lookup(self, parent, name, ctx=None):
            await self.enter("lookup")
            return self.attributes(os.path.join(self.paths[parent], os.fsdecode(name)))

        async def getattr(self, inode, ctx=None):
            await self.enter("getattr")
            return self.attributes(self.paths[inode])

        async def readlink(self, inode, ctx):
            await self.enter("readlink")
            return os.fsencode(os.readlink(os.path.join(source, self.paths[inode])))

        async def opendir(self, inode, ctx):
            await self.enter("opendir")
            return inode

        async def readdir(self, handle, start, token):
            await self.enter("readdir")
            names = sorted(os.listdir(os.path.join(source, self.paths[handle])))
            for at, name in list(enumerate(names, 1))[start:]:
                entry = self.attributes(os.path.join(self.paths[handle], name))
                if not pyfuse3.readdir_reply(token, os.fsencode(name), entry, at):
                    break

        async def open(self, inode, flags, ctx):
            await self.enter("open")
            file = os.open(os.path.join(source, self.paths[inode]), os.O_RDONLY)
            self.open_files[file] = self.paths[inode]
            return pyfuse3.FileInfo(fh=file, direct_io=True)

        async def read(self, handle, offset, size):
            await self.enter("read")
            for name, start, end, error in self.failing:
                if name == self.open_files[handle] and offset < end and start < offset + size:
                    raise pyfuse3.FUSEError(error)
            return os.pread(handle, size, offset)

        async def getxattr(self, inode, name, ctx):
            if not self.sizes:
                raise pyfuse3.FUSEError(errno.ENOSYS)
            return b"x" * self.sizes.pop(0)

        async def flush(self, handle):
            await self.enter("flush")

        async def release(self, handle):
            await self.enter("release")
            os.close(handle)

    operations = Operations()

    async def obey_orders():
        print('"mounted"', flush=True)
        async with trio.lowlevel.FdStream(os.dup(0)) as orders:
            left = b""
            async for more in orders:
                *lines, left = (left + more).split(b"\n")
                for line in lines:
                    print(json.dumps(operations.obey(*json.loads(line))), flush=True)

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey_orders)
            await pyfuse3.main()
            nursery.cancel_scope.cancel()

    assert stat.S_ISDIR(os.stat(source).st_mode)
    pyfuse3.init(operations, mountpoint, {"fsname=failing-store", "ro"})
    trio.run(main)


def fork_servers(connection):
    import pyfuse3  # noqa: F401
    import trio  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # they are waited for by others
    while True:
        words, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
        if not words:
            return
        child = os.fork()
        if not child:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            connection.close()
            for number in (0, 1):
                os.dup2(descriptors[0], number)
            os.close(descriptors[0])
            serve(*json.loads(words))
            return
        os.close(descriptors[0])
        connection.send(str(child).encode())


if __name__ == "__main__":
    fork_servers(socket.socket(fileno=int(sys.argv[1])))
