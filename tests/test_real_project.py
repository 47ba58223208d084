# SPDX-License-Identifier: MIT
"""A project is built from the restored view, runs there, and its files are read in every way there is."""

import errno
import mmap
import os
import socket
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest

import mounts as mounts_module
import real_trees
import trees
from real_trees import MIB, in_child, round_trip, run

UNSANITIZED = True

rngs = real_trees.rngs  # a fixture


# A project to build and to run

PART_COUNT = 12
PART = """\
#include "part_{0}.h"
unsigned part_{0}(unsigned value)
{{
    return value * FACTOR_{0} + {1}u;
}}
"""
PART_HEADER = """\
#define FACTOR_{0} {1}u
unsigned part_{0}(unsigned value);
"""
MAIN = """\
#include "parts.h"
#include <stdio.h>
int main(void)
{
    unsigned value = 1;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        value = parts[i](value);
    printf("%u\\n", value);
    return 0;
}
"""
COMPILE = ["gcc", "-O1", "-Wall", "-Werror"]


def write_text(path, text):
    trees.write_file(path, text.encode())


def write_project(folder, rng):
    """Parts in C that each change a number; returns what the program prints in the end."""
    value = 1
    for number in range(PART_COUNT):
        factor, term = rng.getrandbits(32), rng.getrandbits(32)
        value = (value * factor + term) % (1 << 32)
        write_text(folder / f"include/part_{number}.h", PART_HEADER.format(number, factor))
        write_text(folder / f"src/part_{number}.c", PART.format(number, term))
    includes = "".join(f'#include "part_{number}.h"\n' for number in range(PART_COUNT))
    names = ", ".join(f"part_{number}" for number in range(PART_COUNT))
    table = f"static unsigned (*const parts[])(unsigned) = {{{names}}};\n"
    write_text(folder / "include/parts.h", includes + table)
    write_text(folder / "src/main.c", MAIN)
    return b"%d\n" % value


def build_project(folder):
    """A program, one that needs a library beside it, and a script that runs both."""
    parts = sorted((folder / "src").glob("part_*.c"))
    include = f"-I{folder}/include"
    (folder / "bin").mkdir()
    run(*COMPILE, include, *parts, folder / "src/main.c", "-o", folder / "bin/whole")
    run(*COMPILE, include, "-shared", "-fPIC", *parts, "-o", folder / "bin/libparts.so")
    link = [f"-L{folder}/bin", "-lparts", "-Wl,-rpath,$ORIGIN"]
    run(*COMPILE, include, folder / "src/main.c", *link, "-o", folder / "bin/linked")
    write_text(folder / "bin/script", '#!/bin/sh\n"${0%/*}/whole" && "${0%/*}/linked"\n')
    (folder / "bin/script").chmod(0o755)


# Sizes of files to read in every way there is.
SIZES = {"large": 9 * MIB + 12345, "page": 4096, "small": 777, "empty": 0}
Project = namedtuple("Project", "source view answer contents")


@pytest.fixture(scope="module")
def project(module_mounts, tmp_path_factory, rngs):
    rng = rngs["project"]
    source = tmp_path_factory.mktemp("project") / "source"
    answer = write_project(source, rng)
    build_project(source)
    contents = {name: rng.randbytes(size) for name, size in SIZES.items()}
    for name, content in contents.items():
        trees.write_file(source / name, content)
    view = round_trip(module_mounts, source, source.parent / "stores", rng)
    return Project(source, view.path, answer, contents)


@pytest.fixture(params=SIZES)
def subject(request, project):
    """A restored file, and what has to be in it."""
    return project.view / request.param, project.contents[request.param]


@pytest.fixture
def fresh(project):
    """Nothing of the view's files in memory, so that a way to read them does read them."""
    for name in SIZES:
        with open(project.view / name, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@mounts_module.long
def test_project_compiles(project, tmp_path):
    sources = sorted((project.view / "src").glob("*.c"))
    run(*COMPILE, f"-I{project.view}/include", *sources, "-o", tmp_path / "program")
    assert run(tmp_path / "program") == project.answer


@mounts_module.long
def test_objects_are_the_same(project, tmp_path):
    """What is compiled in the view is what is compiled in the source, to the last byte."""
    for name in ("source", "view"):
        words = ["-g", "-Iinclude", "-c", "src/main.c", "-o", tmp_path / name]
        words.append(f"-ffile-prefix-map={getattr(project, name)}=.")
        run(*COMPILE, *words, cwd=getattr(project, name))
    assert (tmp_path / "view").read_bytes() == (tmp_path / "source").read_bytes()


def test_programs_run_in_the_view(project):
    assert run(project.view / "bin/whole") == project.answer
    assert run(project.view / "bin/linked") == project.answer
    assert run(project.view / "bin/script") == project.answer * 2


# All ways to read a file


def check_mapping(path, expected, flags, rng):
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ) as mapped:
            for _ in range(200):
                at = rng.randrange(len(expected))
                end = at + rng.choice((1, 100, 10_000, 300_000))
                trees.assert_same(mapped[at:end], expected[at:end], f"bytes from {at}")
            trees.assert_same(mapped[:], expected, "all of it")


@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
@pytest.mark.parametrize("name", ["large", "small"])
def test_mapped(project, fresh, rng, name, flags):
    in_child(check_mapping, project.view / name, project.contents[name], flags, rng)


def check_private_mapping(path, expected):
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
            mapped[5000:5004] = b"mine"
            trees.assert_same(mapped[:], expected[:5000] + b"mine" + expected[5004:], "mapping")
        trees.assert_same(file.read(), expected, "file")


def test_private_mapping_is_written(project, fresh):
    """Its pages are the process's own: the file does not get to know."""
    in_child(check_private_mapping, project.view / "large", project.contents["large"])


def test_sendfile_to_file(subject, fresh, tmp_path):
    path, expected = subject
    with open(path, "rb") as file, open(tmp_path / "out", "wb") as out:
        while os.sendfile(out.fileno(), file.fileno(), None, 700_001):
            pass
    trees.assert_same((tmp_path / "out").read_bytes(), expected, path.name)


def receive(connection):
    with connection, connection.makefile("rb") as stream:
        return stream.read()


def test_sendfile_to_socket(subject, fresh):
    path, expected = subject
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as threads, open(path, "rb") as file:
        received = threads.submit(receive, theirs)
        with ours:
            at = 0
            while sent := os.sendfile(ours.fileno(), file.fileno(), at, 1 << 30):
                at += sent
        trees.assert_same(received.result(), expected, path.name)


def splice_all(source, target):
    with open(source, "rb") as file, open(target, "wb") as pipe:
        while os.splice(file.fileno(), pipe.fileno(), 1 << 20):
            pass


def test_splice(subject, fresh, tmp_path):
    """From the file to a pipe, which needs no copy."""
    path, expected = subject
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as threads:
        splicing = threads.submit(splice_all, path, tmp_path / "pipe")
        trees.assert_same((tmp_path / "pipe").read_bytes(), expected, path.name)
        splicing.result()


def test_copy_file_range(subject, fresh, tmp_path):
    """Newer kernels do not copy so from one file system to another, and say EXDEV."""
    path, expected = subject
    with open(path, "rb") as file, open(tmp_path / "out", "wb") as out:
        try:
            while os.copy_file_range(file.fileno(), out.fileno(), 1 << 30):
                pass
        except OSError as error:
            assert error.errno == errno.EXDEV
            expected = b""
    trees.assert_same((tmp_path / "out").read_bytes(), expected, path.name)


@pytest.mark.parametrize(
    "words",
    [
        ["cp", "--reflink=auto"],
        ["cp", "--reflink=never", "--sparse=always"],
        ["install", "-m", "600"],
    ],
    ids=" ".join,
)
def test_copied(subject, fresh, tmp_path, words):
    path, expected = subject
    run(*words, path, tmp_path / "out")
    trees.assert_same((tmp_path / "out").read_bytes(), expected, path.name)


@pytest.mark.parametrize("block_size", [512, 4096, 65536, 1 << 20, 999_999])
def test_direct(subject, tmp_path, block_size):
    """Past the page cache; 512 bytes at a time only some of the large file."""
    path, expected = subject
    count = 1000 if block_size == 512 else 100_000
    size = min(count * block_size, len(expected))
    words = ["iflag=direct", f"bs={block_size}", f"count={count}", "status=none"]
    trees.assert_same(run("dd", f"if={path}", *words), expected[:size], path.name)


def test_direct_from_anywhere(project, rng):
    expected = project.contents["large"]
    for _ in range(20):
        skip, count = rng.randrange(2300), rng.randrange(1, 300)
        words = ["iflag=direct", "bs=4096", f"skip={skip}", f"count={count}", "status=none"]
        read = run("dd", f"if={project.view / 'large'}", *words)
        trees.assert_same(read, expected[skip * 4096 :][: count * 4096], f"{skip} + {count}")


@pytest.mark.parametrize("count", [1, 100, 4096, 4097, 1_000_003, 10_000_000])
def test_tail_and_head(subject, fresh, count):
    path, expected = subject
    trees.assert_same(run("tail", "-c", str(count), path), expected[-count:], "the last")
    trees.assert_same(run("tail", "-c", f"+{count}", path), expected[count - 1 :], "all after")
    trees.assert_same(run("head", "-c", str(count), path), expected[:count], "the first")


def test_cmp(project, fresh):
    for name in SIZES:
        assert run("cmp", project.source / name, project.view / name) == b""
    assert run("cmp", "-i", "70001", project.source / "large", project.view / "large") == b""


def test_holes(subject):
    """A file that has none is one piece of data, with a hole behind its end."""
    path, expected = subject
    with open(path, "rb") as file:
        if expected:
            assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0
            assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == len(expected)
        with pytest.raises(OSError, match="No such device or address"):
            os.lseek(file.fileno(), len(expected), os.SEEK_DATA)
