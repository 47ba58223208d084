# SPDX-License-Identifier: MIT
"""File systems for a test: in memory, in a file, small ones, and those that take no writes."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import whole_tree

MEMORY = "/dev/shm"
LIMIT_S = 120


class TemporaryMount:
    """A file system of its own in the source."""

    def __init__(self, path, kind):
        path.mkdir()
        self._path = path
        if subprocess.run(["mount", "-t", kind, kind, path], check=False).returncode:
            pytest.skip(f"{kind} cannot be mounted here")

    def __enter__(self):
        return self._path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self._path], check=True)


@contextlib.contextmanager
def small_disk(path, size):
    """A file system in memory, for root."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    path.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path]
    done = subprocess.run(words, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a file system in memory: {done.stderr}")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def enlarge(path, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", path], check=True)


def need(*programs):
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in programs if not shutil.which(name, path=path)]
    if missing:
        pytest.skip(f"missing: {' '.join(missing)}")


def run(*words, **how):
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
    environment.update(how.pop("environment", {}))
    done = subprocess.run(words, check=False, capture_output=True, timeout=LIMIT_S, env=environment,
                          **how)  # fmt: skip
    assert done.returncode == 0, (words, done.stderr.decode(errors="replace")[-2000:])
    return done.stdout.decode()


@contextlib.contextmanager
def loop_mount(image, folder, *mount):
    """A file system in a file."""
    folder.mkdir()
    try:
        device = run("losetup", "--find", "--show", image).strip()
    except AssertionError as error:
        pytest.skip(f"no loop device: {error}")
    try:
        run(*mount, device, folder)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)
        run("losetup", "--detach", device)


def new_image(path, size, *make):
    if os.geteuid() != 0:
        pytest.skip("loop devices need root")
    with open(path, "wb") as file:
        file.truncate(size)
    run(*make, path)
    return path


class ReadOnly:
    """A bind mount of a directory over itself that takes no writes."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        bind = ["mount", "--bind", self._path, self._path]
        done = subprocess.run(bind, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no bind mount: {done.stderr.strip()}")
        subprocess.run(["mount", "-o", "remount,bind,ro", self._path], check=True)

    def __exit__(self, *_):
        subprocess.run(["umount", self._path], check=True)



@pytest.fixture(scope="module")
def fast_place(tmp_path_factory):
    """In memory, where that holds all that a tree may have: large attributes and all times."""
    free = shutil.disk_usage(MEMORY).free if os.access(MEMORY, os.W_OK) else 0
    if free < 400 << 20:
        yield tmp_path_factory.mktemp("place")
        return
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-", dir=MEMORY) as folder:
        if whole_tree.set_attribute(folder, "user.probe", b""):
            yield Path(folder)
        else:
            yield tmp_path_factory.mktemp("place")
