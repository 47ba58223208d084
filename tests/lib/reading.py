# SPDX-License-Identifier: MIT
"""What the server and the kernel do for a read: what is kept, how much is read, when all is at rest."""

import time
from pathlib import Path

SETTLED_S = 3  # after that long a file's pages may stay in the kernel's cache


def read_calls(pid):
    """Bytes that a process has read, the kernel's requests among them."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return int(file.readline().split()[1])


def wait_until_idle(pid):
    """The server is told what the kernel forgets, and comes to it when it gets a processor."""
    while any(state != "S" for state in thread_states(pid)):
        time.sleep(0.01)


def thread_states(pid):
    texts = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return [text.rpartition(")")[2].split()[0] for text in texts]
