# SPDX-License-Identifier: MIT
"""The relay does what tests over a network rely on."""

import contextlib
import socket
import threading
import time

import pytest

from relay import Relay

LIMIT_S = 20


@pytest.fixture
def relay():
    """To a server that sends back what it gets."""
    listening = socket.create_server(("127.0.0.1", 0))

    def echo(connection):
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    made = Relay(listening.getsockname())
    yield made
    made.close()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def connect(relay):
    return socket.create_connection(("127.0.0.1", relay.port), LIMIT_S)


def receive(connection, size):
    with connection.makefile("rb") as file:
        return file.read(size)


def ask(connection, data):
    connection.sendall(data)
    return receive(connection, len(data))


def test_passes_and_counts(relay, rng):
    data = rng.randbytes(300_000)
    with connect(relay) as connection:
        answer = threading.Thread(target=connection.sendall, args=(data,))
        answer.start()
        assert receive(connection, len(data)) == data
        answer.join()
    assert relay.wait_until_passed(len(data), LIMIT_S)
    assert relay.count() == (len(data), len(data))


def test_delays_both_ways(relay):
    relay.delay_s = 0.1
    with connect(relay) as connection:
        began = time.monotonic()
        assert ask(connection, b"slow") == b"slow"
        assert time.monotonic() - began >= 0.2


def test_stalls_and_goes_on(relay):
    with connect(relay) as connection:
        assert ask(connection, b"one") == b"one"
        relay.stall()
        connection.sendall(b"two")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(3)
        connection.settimeout(LIMIT_S)
        relay.resume()
        assert receive(connection, 3) == b"two"


def test_cuts_and_heals(relay):
    with connect(relay) as connection:
        assert ask(connection, b"one") == b"one"
        relay.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(OSError, match="reset|pipe"), connect(relay) as connection:
        ask(connection, b"two")
        ask(connection, b"three")
    relay.heal()
    with connect(relay) as connection:
        assert ask(connection, b"four") == b"four"


def test_limits_the_rate(relay):
    relay.rate = 500_000
    with connect(relay) as connection:
        began = time.monotonic()
        assert ask(connection, bytes(100_000)) == bytes(100_000)
        assert time.monotonic() - began >= 0.1
