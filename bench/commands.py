# SPDX-License-Identifier: MIT
"""Runs programs, and tells how long they took and how much memory they held."""

import ctypes
import os
import signal
import subprocess
import time

from cases import Sample

_PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """A program that is measured, or needed for it, did not do its work."""


def adopt_orphans():
    """zfec-fs works in a child of the process that is started; its memory is told to its parent."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_quietly(command, accepted=(0,), **how):
    """Runs it to its end; what it printed is shown only if it failed."""
    result = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", **how,
    )  # fmt: skip
    if result.returncode not in accepted:
        words = " ".join(map(str, command))
        raise Failed(f"{words}: exit status {result.returncode}\n{result.stdout[-2000:]}")
    return result.stdout


def _memory_of_workers(leader):
    """Waits for a process and those that it left to us; the most memory that one of these held.

    None where there are none: for what we started ourselves, the kernel counts our own memory.
    """
    most_kb = None
    while True:
        try:
            pid = os.waitid(os.P_PGID, leader, os.WEXITED | os.WNOWAIT).si_pid
            used_kb = os.wait4(pid, 0)[2].ru_maxrss
        except ChildProcessError:
            return most_kb and most_kb / 1000
        if pid != leader:
            most_kb = max(most_kb or 0, used_kb)


def timed(command, accepted=(0,)):
    """Runs a command for its time, a list of words or a line for bash."""
    shell = isinstance(command, str)
    words = ["bash", "-o", "pipefail", "-c", command] if shell else command
    began = time.monotonic()
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        info = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        took = time.monotonic() - began
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    memory = _memory_of_workers(process.pid)
    process.returncode = info.si_status
    if info.si_code != os.CLD_EXITED or info.si_status not in accepted:
        raise Failed(f"{command}: exit status {info.si_status}")
    return Sample(took, memory)
