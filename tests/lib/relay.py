# SPDX-License-Identifier: MIT
"""A TCP relay that does to connections what networks do: it delays them, slows them, lets them stall
and cuts them. It counts what passes, and a test can wait until so much has.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import threading
from asyncio import StreamWriter

_CLONE_NEWNET = 0x40000000
_CHUNK = 1 << 16
_CHUNKS_UNDER_WAY = 64


def _enter(network):
    """Puts this thread alone into a network namespace, given by its path."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(network, "rb") as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns", network)


class Relay:
    """Listens on a port of its own, and passes each connection on to `target` (host, port).

    Its sockets are in `network`, the path of a network namespace; without one, in the test's own.
    delay_s (each way) and rate (bytes a second each way, or None) hold for all that arrives later.
    """

    def __init__(self, target, network=None):
        self.target = target
        self.delay_s, self.rate = 0, None
        self.to_target = self.from_target = 0
        self._passed = threading.Condition()
        self._connections = set()
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(network, ready), daemon=True)
        self._thread.start()
        ready.wait()
        if not self._thread.is_alive():
            raise OSError(f"no relay to {target}")

    # What a test says

    def stall(self):
        """From now on nothing passes, and nobody is told."""
        self._call(self._flowing.clear)

    def resume(self):
        self._call(self._flowing.set)

    def cut(self):
        """Resets what is open, and each connection that comes."""
        self._is_cut = True
        self._call(self._reset_all)

    def heal(self):
        self._is_cut = False

    def count(self):
        """Bytes that have passed: to the target, and from it."""
        return self.to_target, self.from_target

    def wait_until_passed(self, to_target, limit_s):
        """Waits until so many bytes in all have gone to the target. Returns whether they have."""
        with self._passed:
            return self._passed.wait_for(lambda: self.to_target >= to_target, limit_s)

    def close(self):
        self._call(self._reset_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What the thread does

    def _call(self, function):
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (function(), done.set()))
        done.wait()

    def _run(self, network, ready):
        try:
            if network:
                _enter(network)
            asyncio.set_event_loop(self._loop)
            self._flowing = asyncio.Event()
            self._flowing.set()
            listening = socket.create_server(("127.0.0.1", 0), backlog=100)
            self.port = listening.getsockname()[1]
            server = self._loop.run_until_complete(asyncio.start_server(self._serve, sock=listening))
        finally:
            self._loop.call_soon(ready.set)
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end_tasks())

    async def _end_tasks(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reset_all(self):
        for writer in self._connections:
            self._reset(writer)

    @staticmethod
    def _reset(writer):
        """As a host does that knows nothing of a connection: the other end gets an error."""
        connection = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            # struct linger {1, 0}
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def _serve(self, reader, writer):
        self._connections.add(writer)
        target, end = None, self._reset
        try:
            if self._is_cut:
                return
            target_reader, target = await asyncio.open_connection(*self.target)
            self._connections.add(target)
            for each in (writer, target):
                # asyncio does so only for sockets that say which protocol they are of.
                each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(
                self._pass_on(reader, target, True), self._pass_on(target_reader, writer, False)
            )
            end = StreamWriter.close
        except OSError:
            pass
        finally:
            for each in filter(None, (writer, target)):
                self._connections.discard(each)
                end(each)

    async def _pass_on(self, reader, writer, to_target):
        """One direction. What waits for its time is a queue, so that delays do not add up."""
        queue = asyncio.Queue(_CHUNKS_UNDER_WAY)
        sending = asyncio.ensure_future(self._send(queue, writer, to_target))
        try:
            data = b"-"
            while data and not sending.done():
                data = await reader.read(_CHUNK)
                await queue.put((self._loop.time() + self.delay_s, data))
            await sending
        finally:
            sending.cancel()

    async def _send(self, queue, writer, to_target):
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - self._loop.time()))
            await self._flowing.wait()
            if not data:
                writer.write_eof()
                return
            self._count(len(data), to_target)
            writer.write(data)
            await writer.drain()
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)

    def _count(self, size, to_target):
        with self._passed:
            if to_target:
                self.to_target += size
            else:
                self.from_target += size
            self._passed.notify_all()
