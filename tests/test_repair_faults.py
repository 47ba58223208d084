# SPDX-License-Identifier: MIT
"""`zfec-fs repair` that is killed, stopped, or refused something, at any of its system calls.

Whatever happens, each name in a store stands for what it stood for before, or for what it should,
whole and with its metadata; and another run finishes the work. tracer.c interferes with the calls.

By default some of all calls are taken, by the seed; ZFEC_FS_TEST_FAULTS=all takes them all.
"""

import errno
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import repairing
import trees
from repairing import is_directory, same_metadata

REQUIRED, COUNT = 2, 5
STRIPE = REQUIRED * repairing.BLOCK_SIZE
ALL = os.environ.get("ZFEC_FS_TEST_FAULTS") == "all"
WORKERS = 2 * len(os.sched_getaffinity(0))
FAILURES_SHOWN = 15
TRACING_FAILED = 125

# These change something, so that just before and after each of them is another state to be in.
CHANGES = (
    "pwrite64 ftruncate renameat renameat2 linkat unlinkat mkdirat symlinkat mknodat fchownat fchown "
    "chmod fchmod fchmodat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr "
    "fremovexattr fsync fdatasync syncfs"
).split()
# These change nothing; how they fail matters.
LOOKS = (
    "openat openat2 open pread64 read fstat newfstatat statx listxattr llistxattr flistxattr getxattr "
    "lgetxattr fgetxattr getdents64 readlinkat readlink flock fcntl lseek mmap clone3 getrandom write"
).split()
RUNS = 4  # to look at the calls of a run, to tell how many of them each run has
# How often threads call these depends on how they meet: a trial may not come to its call. A thread
# is only started (clone3) where none of those that have helped before is idle.
BY_CHANCE = "futex mmap munmap mprotect madvise brk sched_yield rt_sigtimedwait clone3".split()
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
# These give metadata. Where they are not permitted, what was made has its name without.
METADATA = (
    "fchownat fchmod chmod fchmodat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr "
    "fremovexattr"
).split()
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOTSUP)
O_CREAT = 0o100

Call = namedtuple("Call", "name number result arguments place path")  # the Nth of its name
Trial = namedtuple("Trial", "what words call")


# The tracer


@pytest.fixture(scope="module")
def tracer(tmp_path_factory):
    """The program that interferes with another one's system calls."""
    if platform.machine() != "x86_64":
        pytest.skip(f"tracer.c knows no registers of {platform.machine()}")
    path = tmp_path_factory.mktemp("tracer") / "tracer"
    words = ["gcc", "-O1", "-Wall", "-Werror", "-o", path, Path(__file__).parent / "lib" / "tracer.c"]
    if not shutil.which("gcc"):
        pytest.skip("gcc is missing")
    subprocess.run(words, check=True)
    done = subprocess.run([path, os.devnull, "log", "/bin/true"], capture_output=True, text=True)
    if done.returncode == TRACING_FAILED:
        pytest.skip(f"ptrace is not permitted: {done.stderr.strip()}")
    assert done.returncode == 0
    return path


@pytest.fixture(scope="module")
def numbers():
    """Name of a system call -> its number here."""
    words = ["gcc", "-dM", "-E", "-include", "sys/syscall.h", "-x", "c", os.devnull]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def environment():
    """A sanitizer cannot look for leaks while it is traced."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return os.environ | {"ASAN_OPTIONS": f"{options}:detect_leaks=0"}


def trace(tracer, log, words, *repair_words):
    """Runs `repair` in one thread, as far as work goes."""
    result = subprocess.run(
        [tracer, log, *map(str, words), mounts_module.BINARY, "repair", "-j", "1", *repair_words],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        env=environment(),
    )
    assert result.returncode != TRACING_FAILED, result.stderr
    return result


def read_calls(log, numbers):
    """All calls of a run, in their order."""
    names = {number: name for name, number in numbers.items()}
    counts, calls = Counter(), []
    for line in log.read_text(errors="replace").splitlines():
        fields = line.split(" ")
        name = names.get(int(fields[1]), fields[1])
        counts[name] += 1
        arguments = tuple(map(int, fields[3:7]))
        place, path = (field.removeprefix("p:") for field in fields[7:9])
        calls.append(Call(name, counts[name], int(fields[2]), arguments, place, path))
    return calls


# A small tree with damage of all kinds


@pytest.fixture(scope="module")
def workshop():
    """A folder in memory, where that is possible: nothing here is about a real disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-", dir=place) as folder:
        yield Path(folder)


def make_source(folder, rng):
    folder.mkdir()
    for path, size in (
        ("several", 2 * STRIPE + 1234),
        ("linked", STRIPE + 5),
        ("small", 100),
        ("dir/file", 3000),
        ("dir/other", 5),
        ("dir/sub/deep", STRIPE + 1),
        ("dir/sub/empty", 0),
        ("dir/sub/old", STRIPE),
        ("dir/sub/meta", 10),
        ("gone/one", 50),
        ("gone/further/two", STRIPE),
    ):
        trees.write_file(folder / path, rng.randbytes(size))
    os.link(folder / "linked", folder / "linked-2")
    os.link(folder / "gone" / "one", folder / "gone" / "further" / "one-2")
    (folder / "link").symlink_to("dir/file")
    (folder / "gone" / "link").symlink_to("one")
    os.mkfifo(folder / "dir" / "fifo")
    for path in sorted(folder.rglob("*")):
        if not path.is_dir():
            repairing.give_metadata(path, rng)
    for path in repairing.directories_of(folder):
        repairing.give_metadata(path, rng)


def damage(stores, outside, rng):
    """What lies in a directory is damaged in two of five stores: its time is known to the others."""
    first, second, third, fourth, fifth = (stores / trees.share_name(index) for index in range(5))
    repairing.change_bytes(first / "several", 64 + repairing.BLOCK_SIZE + 32 + 9)
    repairing.change_bytes(first / "linked", 500)
    repairing.replace(first / "link", lambda place: place.symlink_to("elsewhere"))
    stale = oracle.make_share(
        "checked", rng.randbytes(STRIPE), REQUIRED, COUNT, 1, 10**18, repairing.BLOCK_SIZE
    )
    trees.write_file(second / "dir" / "sub" / "old", stale, 10**18)
    repairing.change_bytes(second / "dir" / "sub" / "empty", 20)
    repairing.change_size(second / "dir" / "sub" / "deep", 70)
    repairing.give_metadata(third / "dir" / "sub" / "meta", rng)
    os.chmod(third / "dir", 0o711)
    repairing.remove(fourth / "dir" / "file")
    repairing.remove(fourth / "dir" / "fifo")
    repairing.replace(fourth / "dir" / "other", os.mkdir)
    repairing.replace(fifth / "dir" / "sub", lambda place: place.symlink_to(outside))
    repairing.replace(fifth / "linked-2", lambda place: shutil.copy2(fifth / "linked", place))
    repairing.remove(fifth / "gone")
    repairing.change_bytes(fifth / "several", 3)


class Tree:
    """The tree as it should be, and as it is before each trial; and places for workers."""

    def __init__(self, folder, shares, rng):
        self.folder = folder
        self.outside = folder / "outside"
        trees.write_file(self.outside / "deep", b"of somebody")
        (folder / "good").mkdir()
        repairing.copy_tree(shares.folder, folder / "good")
        self.good = repairing.states_of(folder / "good")
        (folder / "damaged").mkdir()
        repairing.copy_tree(folder / "good", folder / "damaged")
        damage(folder / "damaged", self.outside, rng)
        self.before = repairing.states_of(folder / "damaged")
        self.outside_before = trees.snapshot(self.outside)
        self._local = threading.local()

    def place(self):
        """This worker's own."""
        if not hasattr(self._local, "place"):
            self._local.place = Path(tempfile.mkdtemp(dir=self.folder))
        return self._local.place

    def fresh(self):
        """A directory of damaged stores."""
        stores = self.place() / "stores"
        shutil.rmtree(stores, ignore_errors=True)
        stores.mkdir()
        repairing.copy_tree(self.folder / "damaged", stores)
        return stores


@pytest.fixture(scope="module")
def tree(module_mounts, workshop, tmp_path_factory, module_rng):
    folder = tmp_path_factory.mktemp("faults")
    make_source(folder / "source", module_rng)
    shares = repairing.encode(
        module_mounts, folder / "source", folder / "shares", "checked", REQUIRED, COUNT
    )
    return Tree(workshop, shares, module_rng)


def all_calls(tracer, numbers, tree):
    """Those of a run that nothing interferes with."""
    stores = tree.fresh()
    result = trace(tracer, tree.place() / "log", ["log"], stores)
    assert result.returncode == 1, result.stdout + result.stderr
    repairing.assert_stores(stores, tree.good)
    return read_calls(tree.place() / "log", numbers)


@pytest.fixture(scope="module")
def calls(tracer, numbers, tree):
    """The calls of a run from its first thread to its report.

    Before are those of the dynamic linker. The last write reports the status to the user's process,
    whose end ends this one: how far it comes after that is chance.
    """
    found = all_calls(tracer, numbers, tree)
    start = next(i for i, call in enumerate(found) if call.name in ("clone3", "clone"))
    end = max(i for i, call in enumerate(found) if call.name == "write")
    return found[start : end + 1]


# What must be at any moment


def is_content(item, other):
    return other is not None and (item.kind, item.content) == (other.kind, other.content)


def copy_problem(found, before, good, lacking=False):
    """What is wrong with what a name stands for now, in words; '' if nothing is.

    LACKING: it may lack metadata.
    """
    if found is None:
        making_way = before is not None and is_directory(before) != is_directory(good)
        return "" if before is None or making_way else "is gone"
    if not is_content(found, before) and not is_content(found, good):
        return "is neither what it was nor what it should be"
    if is_content(found, good) and not same_metadata(found, good) and not lacking:
        if is_content(before, good) if before else False:
            return "has lost metadata" if same_metadata(before, good) else ""
        return "" if is_directory(found) else "is new, and has not its metadata"
    return ""


def problems_now(stores, tree, lacking=False):
    """What is wrong with stores in the middle of the work."""
    problems = []
    for name, state in repairing.states_of(stores).items():
        before, good = tree.before[name], tree.good[name]
        for path in before.keys() | good.keys() | state.keys():
            if repairing.TEMPORARY in path:
                continue
            problem = copy_problem(state.get(path), before.get(path), good.get(path), lacking)
            problems += [f"{name}/{path} {problem}"] if problem else []
    if trees.snapshot(tree.outside) != tree.outside_before:
        problems.append("something outside has changed")
    return problems


def problems_later(stores, tree):
    """What another run leaves undone."""
    result = repairing.run("repair", stores)
    problems = repairing.store_differences(repairing.states_of(stores), tree.good)
    problems += [f"{path} is left" for path in repairing.temporary_names(stores)]
    if result.returncode not in (0, 1):
        problems.append(f"exit status {result.returncode}: {result.stderr}")
    return [f"after another run: {problem}" for problem in problems]


# Many trials


def sample(calls, count, rng):
    """So many of them in their order, or all; a third of it where there is no time."""
    count = count if mounts_module.IS_LONG else 1 + count // 3
    if ALL or len(calls) <= count:
        return list(calls)
    return sorted(rng.sample(calls, count), key=calls.index)


def is_change(call):
    return call.name in CHANGES or (call.name == "openat" and call.arguments[2] & O_CREAT)


def describe(trial):
    call = trial.call
    return f"{trial.what} at {call.name} number {call.number} ({call.path!r})"


def run_trials(trials, tracer, numbers, tree, check, lacking=False):
    """Does them all, several at once. CHECK says what is wrong with (trial, result, stores)."""

    def run(trial):
        stores, log = tree.fresh(), tree.place() / "log"
        words = [*trial.words, numbers[trial.call.name], trial.call.number]
        result = trace(tracer, log, words, stores)
        came = bool(log.read_text())
        problems = [] if not mounts_module.SANITIZER.search(result.stderr) else [result.stderr]
        problems += problems_now(stores, tree, lacking)
        problems += check(trial, result, stores, came)
        problems += problems_later(stores, tree)
        return came, [f"{describe(trial)}: {problem}" for problem in problems[:4]]

    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(run, trials))
    failures = [problems for _, problems in results if problems]
    missed = [trial for trial, (came, _) in zip(trials, results) if not came]
    print(f"{len(trials)} trials, {len(missed)} did not come to their call; {len(failures)} failed")
    shown = "\n".join("\n".join(problems) for problems in failures[:FAILURES_SHOWN])
    assert not failures, f"{len(failures)} of {len(trials)} trials failed:\n{shown}"
    missed = [trial for trial in missed if trial.call.name not in BY_CHANCE]
    if not missed:
        return
    # Which stores there are is looked at once a second, and the table of mounts is read again when
    # anybody mounts something: a slow run, as the first one may have been, has some calls more than
    # others.
    counts = [Counter(call.name for call in all_calls(tracer, numbers, tree)) for _ in range(RUNS)]
    least = {name: min(count[name] for count in counts) for name in counts[0]}
    strange = [describe(trial) for trial in missed if trial.call.number <= least[trial.call.name]]
    assert not strange, f"calls come otherwise than they did before: {strange}"


def no_temporaries(stores):
    return [f"{path} is left" for path in repairing.temporary_names(stores)]


def test_killed(tracer, numbers, tree, calls, rng):
    """Just before each call that changes something, and before some others."""
    changes = [call for call in calls if is_change(call)]
    others = [call for call in calls if not is_change(call) and call.name not in BY_CHANCE]
    chosen = sample(changes, 35, rng) + sample(others, 7, rng)
    trials = [Trial("killed", ["signal", int(signal.SIGKILL)], call) for call in chosen]

    def check(trial, result, stores, came):
        expected = 128 + signal.SIGKILL if came else 1
        return [] if result.returncode == expected else [f"exit status {result.returncode}"]

    run_trials(trials, tracer, numbers, tree, check)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped(tracer, numbers, tree, calls, rng, number):
    """It cleans up behind itself; what is done stays done."""
    chosen = sample([call for call in calls if call.name not in BY_CHANCE], 7, rng)
    trials = [Trial(number.name, ["signal", int(number)], call) for call in chosen]

    def check(trial, result, stores, came):
        problems = no_temporaries(stores)
        wrong = repairing.store_differences(repairing.states_of(stores), tree.good)
        expected = (4,) if wrong else (1, 4)
        if result.returncode not in expected:
            problems.append(f"exit status {result.returncode}: {result.stderr}; {wrong[:3]}")
        return problems

    run_trials(trials, tracer, numbers, tree, check)


def error_trials(calls, rng):
    errors = {name: ERRORS for name in CHANGES + LOOKS}
    errors |= {name: (errno.ENOSPC, errno.EIO) for name in METADATA}
    errors |= {"mmap": (errno.ENOMEM,), "clone3": (errno.EAGAIN,), "getrandom": (errno.EINTR,)}
    errors |= {name: (*ERRORS, errno.EMFILE) for name in ("openat", "openat2", "fcntl")}
    errors |= {name: (*ERRORS, errno.EINTR) for name in ("pread64", "pwrite64")}
    changes = [call for call in calls if call.name in CHANGES]
    looks = [call for call in calls if call.name in LOOKS]
    if mounts_module.IS_SANITIZED:  # its own mmap may not fail
        looks = [call for call in looks if call.name != "mmap"]
    kinds = {call.name: call for call in looks}  # of each kind one, at least
    chosen = sample(changes, 22, rng) + sample(looks, 15, rng)
    chosen += [call for call in kinds.values() if call not in chosen]
    return [
        Trial(errno.errorcode[error], ["error", error], call)
        for call in chosen
        for error in (errors[call.name] if ALL else [rng.choice(errors[call.name])])
    ]


def check_refused(tree):
    """What was to be done is done, or it is said that it is not."""

    def check(trial, result, stores, came):
        excused = trial.call.name in ("unlinkat", "openat2", "openat")  # these are needed to clean up
        problems = [] if excused else no_temporaries(stores)
        wrong = repairing.store_differences(repairing.states_of(stores), tree.good)
        told = f"exit status {result.returncode}: {result.stderr.strip()}"
        if result.returncode not in (0, 1, 2, 4):
            problems.append(told)
        elif result.returncode < 2 and wrong:
            problems.append(f"{told}, but {'; '.join(wrong[:3])}")
        return problems

    return check


def test_refused(tracer, numbers, tree, calls, rng):
    """Each call fails once."""
    run_trials(error_trials(calls, rng), tracer, numbers, tree, check_refused(tree))


def test_a_directory_that_cannot_be_looked_at(tracer, numbers, tree, calls):
    """It keeps its own mode and owner, whether or not the stores agree on another."""
    looks = [call for call in calls if call.name == "newfstatat" and call.path in ("dir", "sub", "gone")]
    trials = [Trial("EIO", ["error", errno.EIO], call) for call in looks]
    run_trials(trials, tracer, numbers, tree, check_refused(tree))


def test_metadata_refused(tracer, numbers, tree, calls, rng):
    """Once. All contents are mended, and what was not given is told; another run gives it."""
    chosen = sample([call for call in calls if call.name in METADATA], 10, rng)
    trials = [
        Trial(errno.errorcode[error], ["error", error], call)
        for call in chosen
        for error in (REFUSALS if ALL else [rng.choice(REFUSALS)])
    ]

    def check(trial, result, stores, came):
        problems = no_temporaries(stores)
        found = repairing.states_of(stores)
        for name, path in ((name, path) for name, state in tree.good.items() for path in state):
            if not is_content(tree.good[name][path], found[name].get(path)):
                problems.append(f"{name}/{path} is not mended")
        wrong = repairing.store_differences(found, tree.good)
        told = f"exit status {result.returncode}: {result.stderr.strip()}"
        if wrong and (result.returncode != 4 or " not given: " not in result.stderr):
            problems.append(f"{told}, but {'; '.join(wrong[:3])}")
        return problems

    run_trials(trials, tracer, numbers, tree, check, lacking=True)


def test_short_transfers(tracer, numbers, tree, calls, rng):
    """From some call on, all reads or writes transfer a part of what was asked for."""
    chosen = []
    for name in ("pread64", "pwrite64"):
        of_name = [call for call in calls if call.name == name]
        chosen += [of_name[0], *sample(of_name[1:], 2, rng)]
    trials = [Trial("short", ["part", 0], call) for call in chosen]

    def check(trial, result, stores, came):
        problems = repairing.store_differences(repairing.states_of(stores), tree.good)
        if result.returncode != 1:
            problems.append(f"exit status {result.returncode}: {result.stderr}")
        return problems + no_temporaries(stores)

    run_trials(trials, tracer, numbers, tree, check)


def test_lost_writes(tracer, numbers, tree, calls, rng):
    """A disk says that it has written, and has not: what was written is read again."""
    writes = [call for call in calls if call.name == "pwrite64"]
    trials = [Trial("lost", ["void", 0], call) for call in sample(writes, 2, rng)]

    def check(trial, result, stores, came):
        problems = [] if result.returncode == 4 else [f"exit status {result.returncode}"]
        return problems + no_temporaries(stores)

    run_trials(trials, tracer, numbers, tree, check)


# Power failures


def test_written_out_before_it_is_named(calls):
    """No file gets its name before its content and its metadata are on the disk."""
    files, written, synced, named = {}, {}, {}, 0
    for at, call in enumerate(calls):
        descriptor = call.arguments[0]
        if call.place.startswith("/proc/self/fd/"):
            descriptor = int(call.place.rpartition("/")[2])
        if call.name == "openat" and call.result >= 0:
            files.pop(call.result, None)
            if call.arguments[2] & O_CREAT:
                files[call.result] = call.path
        elif call.name in ("fsync", "fdatasync") and descriptor in files:
            synced[files[descriptor]] = at
        elif call.name == "syncfs":
            synced |= {path: at for path in written}
        elif call.name in ("renameat", "renameat2") and call.path in written:
            named += 1
            assert synced.get(call.path, -1) > written[call.path], f"{call.path} is not written out"
        elif call.name in CHANGES and descriptor in files:
            written[files[descriptor]] = at
    assert named >= 6


# Several stores are filled at once


def test_killed_while_several_stores_are_filled(tracer, numbers, tree):
    """The few that were good still know each mode and owner and attribute, after another run too."""
    lost = ("01", "03", "04")
    words = [word for name in lost for word in ("--add", f"{name}={{stores}}/{name}")]

    def run(number):
        stores = tree.place() / "stores"
        shutil.rmtree(stores, ignore_errors=True)
        stores.mkdir()
        repairing.copy_tree(tree.folder / "good", stores)
        for name in lost:
            shutil.rmtree(stores / name)
        added = [word.format(stores=stores) for word in words]
        options = ["signal", int(signal.SIGKILL), numbers["pwrite64"], number]
        trace(tracer, tree.place() / "log", options, *added, stores)
        repairing.run("repair", *added, stores)
        found, good = repairing.states_of(stores), tree.good
        return [
            f"killed at pwrite64 number {number}: {name}/{path} has lost metadata"
            for name, state in found.items()
            for path, item in state.items()
            if path not in good[name] or not same_metadata(item, good[name][path])
        ]

    with ThreadPoolExecutor(WORKERS) as pool:
        failures = [problem for problems in pool.map(run, range(1, 20, 4)) for problem in problems]
    assert not failures, "\n".join(failures[:FAILURES_SHOWN])
