# SPDX-License-Identifier: MIT
"""What the tests share: mounts that are looked after, a printed seed, a guard for what is left."""

import os
import random
import secrets
import tempfile
import zlib
from pathlib import Path

import pytest

import mounts as mounts_module

SEED = os.environ.setdefault("ZFEC_FS_TEST_SEED", str(secrets.randbelow(1 << 32)))


def pytest_report_header():
    return [
        f"zfec-fs: {mounts_module.BINARY} (ZFEC_FS)",
        f"seed: {SEED} (repeat with ZFEC_FS_TEST_SEED={SEED})",
    ]


def pytest_configure(config):
    config.addinivalue_line("markers", "unsanitized: a sanitizer needs more memory, or time, than there is")
    config.addinivalue_line("markers", "long: for .ci/run (ZFEC_FS_TEST_LONG=1), as others have the same in small")


def pytest_collection_modifyitems(config, items):
    """The tests of a file run in one process, as they share fixtures; where it says SPREAD, in any.

    Those that wait most (EARLY) come first, so that others have the processors meanwhile. Files that say
    UNSANITIZED wait for other programs, count memory, or go through so many combinations that they
    would take longer under a sanitizer than all others.
    """
    for item in items:
        if getattr(item.module, "UNSANITIZED", False):
            item.add_marker(mounts_module.unsanitized)
    if mounts_module.IS_SANITIZED:
        left = [item for item in items if item.get_closest_marker("unsanitized")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("unsanitized")]
    items.sort(key=lambda item: not getattr(item.module, "EARLY", False))
    for item in items:
        if item.get_closest_marker("long") and not mounts_module.IS_LONG:
            item.add_marker(pytest.mark.skip(reason="long: ZFEC_FS_TEST_LONG=1 runs it"))
        spread = getattr(item.module, "SPREAD", False)
        item.add_marker(pytest.mark.xdist_group(item.nodeid if spread else item.path.name))


def random_of(node):
    """Random numbers that depend on the seed and the name alone; not on its group of tests."""
    return random.Random(f"{SEED} {node.nodeid.partition('@')[0]}")


@pytest.fixture(autouse=True)
def leaks(request, monkeypatch):
    """Looking for leaks takes a command as long as all that it does under AddressSanitizer: one test
    in four does, and those of files that say EVERY_LEAK.
    """
    name = request.node.nodeid.partition("@")[0]
    if zlib.crc32(name.encode()) % 4 and not getattr(request.module, "EVERY_LEAK", False):
        monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", ""))


@pytest.fixture
def rng(request):
    return random_of(request.node)


@pytest.fixture(scope="module")
def module_rng(request):
    return random_of(request.node)


@pytest.fixture(scope="session")
def binary():
    if not os.access(mounts_module.BINARY, os.X_OK):
        pytest.fail(f"{mounts_module.BINARY} is not there: build it, or name it in ZFEC_FS")
    return mounts_module.BINARY


@pytest.fixture(autouse=True, scope="session")
def nothing_left(tmp_path_factory):
    """Neither a mount nor a server outlives the tests, however they ended."""
    mounts_module.adopt_servers()
    yield
    mounted = mounts_module.mounted_beneath(tmp_path_factory.getbasetemp())
    for path in mounted:
        mounts_module.unmount_at_any_cost(path)
    servers = mounts_module.servers()
    for pid in servers:
        mounts_module.stop_process(pid)
    assert not mounted, f"mounts left behind: {mounted}"
    assert not servers, f"servers left behind: {servers}"


@pytest.fixture
def mounts(binary, tmp_path):
    made = mounts_module.Mounts(tmp_path)
    yield made
    made.end_all()


@pytest.fixture(scope="module")
def module_mounts(binary, tmp_path_factory):
    limit_s = 6 * mounts_module.LIFE_LIMIT_S
    made = mounts_module.Mounts(tmp_path_factory.mktemp("mounts"), limit_s)
    yield made
    made.end_all()


@pytest.fixture
def public_path():
    """A folder that every user can reach; tmp_path is for the user who runs the tests alone."""
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        left = mounts_module.mounted_beneath(folder)
        for path in left:
            mounts_module.unmount_at_any_cost(path)
        assert not left, f"mounts left behind: {left}"
