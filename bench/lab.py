# SPDX-License-Identifier: MIT
"""Where the benchmark works: a scratch folder, the programs, and the data that cases share."""

import contextlib
import functools
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import mounting
from commands import run_quietly

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build-bench"
BUILT = ["zfec-fs", "bench/floor", "bench/reader", "bench/isal"]
MEMORY = Path("/dev/shm")
ROOM_NEEDED = 8 << 30
ROOM_NEEDED_QUICKLY = 1 << 30
FILES_IN_A_DIRECTORY = 100
LARGEST_SMALL_FILE = 4096
LARGE_FILE = 960 << 20
SMALL_FILES = 50_000
QUICK_PART = 10  # a tenth of all data


def default_scratch(quick):
    """In memory where there is room: disks differ, and what is measured is not the disk."""
    needed = ROOM_NEEDED_QUICKLY if quick else ROOM_NEEDED
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= needed:
        return MEMORY
    return Path(tempfile.gettempdir())


def build():
    subprocess.run(
        [REPOSITORY / "scripts" / "build", BUILD, "-Dbuildtype=release", "-Dbench=true", *BUILT], check=True
    )


class Lab:
    def __init__(self, folder, quick):
        self.folder = Path(folder)
        self.quick = quick
        self.part = QUICK_PART if quick else 1
        self.binary = BUILD / "zfec-fs"
        self.tools = BUILD / "bench"
        self.mounts = mounting.Mounts(self)
        self.case_folder = None
        self._count = 0

    @contextlib.contextmanager
    def for_case(self):
        """Gives a case a folder for its data, and removes it at the end."""
        self.case_folder = self.new_folder()
        try:
            yield
        finally:
            shutil.rmtree(self.case_folder)

    def new_folder(self):
        self._count += 1
        folder = self.folder / f"{self._count:04}"
        folder.mkdir()
        return folder

    @contextlib.contextmanager
    def passing_folder(self):
        folder = self.new_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    # Data

    @functools.cached_property
    def large(self):
        """A folder with one large file of random bytes, called `large`."""
        folder = self.folder / "large"
        folder.mkdir()
        self.write_random(folder / "large", LARGE_FILE // self.part)
        return folder

    @functools.cached_property
    def small(self):
        """A tree of many small files."""
        return self.make_tree(self.folder / "small", SMALL_FILES // self.part)

    @staticmethod
    def write_random(path, size):
        source = random.Random(size)
        with open(path, "wb") as file:
            while size > 0:
                file.write(source.randbytes(min(size, 1 << 22)))
                size -= min(size, 1 << 22)

    @staticmethod
    def make_tree(folder, count):
        """COUNT files of 0 to 4 KiB, 100 in each directory."""
        source = random.Random(count)
        for number in range(count):
            directory = folder / f"d{number // FILES_IN_A_DIRECTORY:05}"
            if number % FILES_IN_A_DIRECTORY == 0:
                directory.mkdir(parents=True)
            size = source.randrange(LARGEST_SMALL_FILE + 1)
            (directory / f"file-{number:07}").write_bytes(source.randbytes(size))
        return folder

    @functools.cached_property
    def key(self):
        """The file with the key of sealed shares."""
        path = self.folder / "set.key"
        run_quietly([self.binary, "key", "new", path])
        return path

    def shares(self, source, required, indices, sealed=False):
        """Writes shares of SOURCE for the case; returns the folder that holds their directories."""
        form = ["--format", "sealed", "--key", self.key] if sealed else []
        stores = self.new_folder_of_case()
        listed = ",".join(f"{index:02x}" for index in indices)
        count = max(max(indices) + 1, required)
        run_quietly([self.binary, "encode", "-q", "-k", str(required), "-n", str(count), *form,
                     "--shares", listed, source, stores])  # fmt: skip
        return stores

    def new_folder_of_case(self):
        return Path(tempfile.mkdtemp(dir=self.case_folder))
