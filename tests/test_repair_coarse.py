# SPDX-License-Identifier: MIT
"""`zfec-fs repair` of stores whose file systems keep less than others: times to the second or two,
no owners, no modes, no extended attributes, no times of symlinks.
"""

import contextlib
import os
import re
import shutil
import stat
import subprocess

import pytest

import oracle
import repairing
import trees
from sftp_store import SftpStore
from disks import loop_mount, need, new_image
from disks import ReadOnly
from users import NOBODY

REQUIRED, COUNT = 2, 5
SECOND = 10**9


@pytest.fixture
def shares(mounts, tmp_path, rng):
    """Of a small tree of files and directories alone."""
    source = tmp_path / "source"
    for path in ("a", "b", "dir/c", "dir/sub/d"):
        trees.write_file(source / path, rng.randbytes(rng.randint(1, 20_000)))
    for path in sorted(source.rglob("*")) + [source]:
        repairing.give_time(path, rng)
    return repairing.encode(mounts, source, tmp_path / "shares", "checked", REQUIRED, COUNT)


@contextlib.contextmanager
def behind_sftp(stores, names, **how):
    """Puts these stores behind SFTP. Gives the folder that theirs are in now."""
    with contextlib.ExitStack() as stack:
        for name in names:
            behind = stores.parent / "behind" / name
            behind.parent.mkdir(exist_ok=True)
            os.rename(stores / name, behind)
            stack.enter_context(SftpStore(behind, stores / name, **how))
        yield stores.parent / "behind"


def to_the_second(item):
    return item._replace(mtime_ns=item.mtime_ns // SECOND * SECOND)


# Times


def spoil(stores, local, far):
    """A lost and a damaged file in one store of each kind, and other times."""
    for name in [*local[:1], *far[:1]]:
        repairing.remove(stores / name / "a")
        repairing.change_bytes(stores / name / "b", 70)
        os.utime(stores / name / "dir" / "sub" / "d", ns=(0, SECOND))
        os.utime(stores / name / "dir", ns=(0, SECOND))


def allowed_states(shares, name, far):
    """What SFTP was to give may have whole seconds."""
    state = shares.states[name]
    if name not in far:
        return [state, state]
    return [state, {path: to_the_second(item) for path, item in state.items()}]


def assert_times(folder, shares, name, far):
    exact, rounded = allowed_states(shares, name, far)
    for path, item in repairing.state_of(folder).items():
        assert item in (exact[path], rounded[path]), f"{name}/{path}"


@pytest.mark.parametrize("count", [1, 3, 4])
def test_times_to_the_second(shares, tmp_path, count):
    """Neither in the stores that keep nanoseconds nor in the others are good times rewritten, and
    what is made has the finest time at hand, be it a header's. Another run finds nothing to do."""
    stores = shares.copy_to(tmp_path / "stores")
    far, local = shares.names[:count], shares.names[count:]
    spoil(stores, local if len(local) > 1 else [], far)
    repairing.remove(stores / local[-1] / "a")
    repairing.change_bytes(stores / local[-1] / "b", 3)
    with behind_sftp(stores, far) as behind:
        repairing.repair(shares, stores, status=1)
        before = [trees.snapshot(stores), trees.snapshot(behind)]
        repairing.repair(shares, stores, status=0)
        repairing.assert_intact(shares, stores)
        assert [trees.snapshot(stores), trees.snapshot(behind)] == before
        for name in shares.names:
            assert_times((behind if name in far else stores) / name, shares, name, far)
        assert repairing.state_of(stores / local[-1]) == shares.states[local[-1]]
        if len(far) > 1:
            assert repairing.state_of(behind / far[-1]) == shares.states[far[-1]]


def test_exfat(shares, tmp_path):
    """Times to the second, and neither owners nor modes: what is lost or damaged there is made all
    the same, with its time, and the line says what it lacks. The other stores stay as they are."""
    need("losetup", "mkfs.exfat", "mount.exfat-fuse")
    image = new_image(tmp_path / "image", 64 << 20, "mkfs.exfat")
    stores = shares.copy_to(tmp_path / "stores")
    for name in shares.names:
        for path in ("a", "b"):
            os.chown(stores / name / path, 1000, 1000)
    os.rename(stores / "01", tmp_path / "01")
    with loop_mount(image, stores / "01", "mount.exfat-fuse") as disk:
        shutil.copytree(tmp_path / "01", disk, dirs_exist_ok=True)
        repairing.remove(disk / "a")
        repairing.change_bytes(disk / "b", 70)
        result = repairing.repair(shares, stores, status=4)
        assert f"a in {disk}: owner, mode not given: Operation not permitted" in result.stderr
        assert f"dir/c in {disk}: mode not given: the file system does not keep it" in result.stderr
        for path, item in repairing.state_of(disk).items():
            wanted = to_the_second(shares.states["01"][path])
            assert (item.content, item.mtime_ns) == (wanted.content, wanted.mtime_ns), path
        before = trees.snapshot(stores)
        result = repairing.repair(shares, stores, status=4)
        assert trees.snapshot(stores) == before
        assert "; 0 made, 0 given metadata, 0 removed, 7 failed" in result.stdout


# Symlinks


def test_symlinks_behind_sftp(shares, tmp_path):
    """sshfs gives a symlink's owner and time to what it leads to. So these are not given at all."""
    outside = trees.write_file(tmp_path / "outside", b"of somebody")
    stores = shares.copy_to(tmp_path / "stores")
    for name in shares.names:
        with repairing.same_time(stores / name / "a"):
            for link, target in (("inner", "a"), ("outer", outside), ("nowhere", "/not/there")):
                (stores / name / link).symlink_to(target)
                os.utime(stores / name / link, ns=(0, SECOND), follow_symlinks=False)
                if os.geteuid() == 0:
                    os.lchown(stores / name / link, 5, 5)
    for link in ("inner", "outer", "nowhere"):
        repairing.remove(stores / "01" / link)
    before = os.lstat(outside)
    with behind_sftp(stores, ["01"]) as behind:
        result = repairing.repair(shares, stores, status=4)
        assert os.readlink(behind / "01" / "outer") == str(outside)
        after = os.lstat(outside)
        assert (after.st_uid, after.st_mtime_ns) == (before.st_uid, before.st_mtime_ns)
        assert repairing.item_of(behind / "01" / "a") == shares.states["01"]["a"]._replace(group=())
        lines = re.findall(r"(\w+) in \S*/01: (?:owner, )?time not given: .*", result.stderr)
        assert sorted(lines) == ["inner", "nowhere", "outer"]
        assert not repairing.temporary_names(tmp_path)


# Stores that cannot be written to


@contextlib.contextmanager
def read_only_mount(stores):
    """Of the store 02, which only root can make."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    with ReadOnly(stores / "02"):
        yield []


@contextlib.contextmanager
def closed_root(stores):
    """The store 02 is another user's, and so is all that is in it."""
    before = as_user()
    chown_all(stores, 1000)
    chown_all(stores / "02", 1001)
    yield before


@contextlib.contextmanager
def read_only_server(stores):
    """The store 02 is behind a server that refuses each change with EACCES, or EPERM."""
    with behind_sftp(stores, ["02"], more=["-R"]):
        yield []


@contextlib.contextmanager
def hidden_root(stores):
    """The names in the store 02 can be looked up, and not listed."""
    with closed_root(stores) as before:
        os.chmod(stores / "02", 0o711)
        yield before


WRONG = {
    read_only_mount: "Read-only file system",
    read_only_server: "Permission denied",
    closed_root: "Permission denied",
    hidden_root: "Permission denied",
}


@pytest.mark.parametrize("closed", WRONG, ids=lambda closed: closed.__name__)
def test_store_that_takes_no_writes(shares, public_path, closed):
    """One line for the store, not one for each name in it; the others are mended."""
    stores = shares.copy_to(public_path / "stores")
    lost, other = ["a", "dir/c"], ["b", "dir/sub/d", "dir/sub"]
    for name in ("02", "03"):
        for path in lost:
            repairing.remove(stores / name / path)
        for path in other:
            os.utime(stores / name / path, ns=(0, SECOND))
        (stores / name / f"{repairing.TEMPORARY}{int(name):016x}").write_bytes(b"left behind")
    with closed(stores) as before:
        for dry in (["--dry-run"], []):
            status = 1 if dry and closed is not hidden_root else 4
            result = repairing.repair(shares, stores, *dry, status=status, before=before)
        lines = [line for line in result.stderr.splitlines() if " is bad: " not in line]
        wrong = f"zfec-fs: {stores}/02: nothing can be written there: {WRONG[closed]}"
        if closed is hidden_root:  # nor is it known which share it holds
            wrong = f"zfec-fs: . in {stores}/02: {WRONG[closed]}"
        assert [line for line in lines if "/02" in line and "than most" not in line] == [wrong]
        assert re.search(r"; 2 made, \d given metadata, 0 removed, 1 failed", result.stdout)
        as_json = repairing.repair(shares, stores, "--json", status=4, before=before).stdout
        failed = [line for line in repairing.json_lines(as_json) if line.get("action") == "failed"]
        assert [(line["path"], line["target"]) for line in failed] == [(".", f"{stores}/02")]
    for path in [*lost, *other]:
        item = repairing.item_of(stores / "03" / path)
        wanted = shares.states["03"][path]
        assert (item.content, item.mtime_ns) == (wanted.content, wanted.mtime_ns)
    assert not repairing.temporary_names(stores / "03")


def test_directory_that_takes_no_writes(shares, public_path):
    """Where only part of a store is closed, each name in there is told, and the rest is mended."""
    before = as_user()
    stores = shares.copy_to(public_path / "stores")
    chown_all(stores, 1000)
    chown_all(stores / "02" / "dir", 1001)
    for path in ("a", "dir/c", "dir/sub/d"):
        repairing.remove(stores / "02" / path)
    time = os.stat(stores / "02").st_mtime_ns
    result = repairing.repair(shares, stores, status=4, before=before)
    for path in ("dir/c", "dir/sub/d"):
        assert f"{path} in {stores}/02: Permission denied" in result.stderr
    assert (stores / "02" / "a").exists()
    assert os.stat(stores / "02").st_mtime_ns == time


# Owners


def chown_all(folder, user):
    subprocess.run(["chown", "-hR", f"{user}:{user}", folder], check=True)


def as_user(user=1000):
    if os.geteuid() != 0:
        pytest.skip("only root can be several users")
    need("setpriv")
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def test_owner_refused(shares, public_path):
    """A server that may not give files away. They are made, and have no bits that would make their
    owner's rights those of everybody. The server wants its user to have a name."""
    stores = shares.copy_to(public_path / "stores")
    for name in shares.names:
        os.chmod(stores / name / "a", 0o4755)
        os.chmod(stores / name / "b", 0o2751)
    chown_all(stores / "01", NOBODY)
    repairing.change_bytes(stores / "01" / "a", 70)
    repairing.remove(stores / "01" / "b")
    for path in ("a", "b"):
        shares.states["01"][path] = repairing.item_of(stores / "02" / path)
    with behind_sftp(stores, ["01"], before=as_user(NOBODY)) as behind:
        result = repairing.repair(shares, stores, status=4)
        found = repairing.state_of(behind / "01")
    for path, mode in (("a", 0o755), ("b", 0o751)):
        assert f"{path} in {stores}/01: owner, mode not given: Permission denied" in result.stderr
        share = (shares.folder / "01" / path).read_bytes()
        assert (found[path].content, found[path].mode, found[path].uid) == (share, mode, NOBODY)


def test_another_owner(shares, public_path):
    """Who is not root cannot give a file away: that is told, and does not keep others from it."""
    stores = shares.copy_to(public_path / "stores")
    chown_all(stores, 1000)
    os.chown(stores / "03" / "a", 1001, 1000)
    os.chown(stores / "03" / "b", 1000, 5)
    repairing.remove(stores / "03" / "dir" / "c")
    result = repairing.repair(shares, stores, status=4, before=as_user())
    for path in ("a", "b"):
        line = f"{path} in {stores}/03: owner not given: Operation not permitted\n"
        assert result.stderr.count(line) == (path == "a")
    assert (stores / "03" / "b").stat().st_gid == 1000
    assert (stores / "03" / "dir" / "c").exists()


def test_decoded_by_a_user(shares, public_path):
    """What is restored is the user's own, which is no failure, and gives nobody the user's rights."""
    stores = shares.copy_to(public_path / "stores")
    for name in shares.names:
        os.chmod(stores / name / "a", 0o4755)
    (public_path / "out").mkdir()
    os.chown(public_path / "out", 1000, 1000)
    for expected in (r"; 6 made", r"; 0 made, 0 given metadata, 0 removed, 0 failed"):
        result = repairing.run("decode", stores, public_path / "out", before=as_user())
        assert result.returncode == 0 and re.search(expected, result.stdout), result
        assert stat.S_IMODE(os.stat(public_path / "out" / "a").st_mode) == 0o755


# Access control lists


def set_acl(path, *entries):
    subprocess.run(["setfacl", "-m", ",".join(entries), path], check=True)


@pytest.fixture
def acl_shares(mounts, public_path, rng):
    """Files and directories with access control lists, without, and with default ones."""
    need("setfacl")
    source = public_path / "source"
    for path in ("a", "plain", "closed", "dir/c", "dir/plain", "dir/sub/d"):
        trees.write_file(source / path, rng.randbytes(rng.randint(1, 20_000)))
    for path in (source / "a", source / "dir" / "c", source / "dir"):
        set_acl(path, "u:1:rw", "g:5:r")
    set_acl(source / "dir", "d:u:1:rwx", "d:g:5:r")
    set_acl(source / "closed", "u:1:r", "u:7:-")
    subprocess.run(["setfacl", "-b", source / "dir" / "plain"], check=True)
    os.chmod(source / "plain", 0o444)
    for path in sorted(source.rglob("*")) + [source]:
        repairing.give_time(path, rng)
    return repairing.encode(mounts, source, public_path / "shares", "checked", REQUIRED, COUNT)


def damage_all(stores, shares, rng):
    """Each file in two stores of five: stale, damaged, lost; with another list and with none."""
    for path in shares.files():
        kinds = ["stale", "header", "block", "lost"]
        for name, kind in zip(rng.sample(shares.names, 2), rng.sample(kinds, 2)):
            place = stores / name / path
            with repairing.same_time(place):
                os.chmod(place, 0o600)
                if rng.random() < 0.5:
                    set_acl(place, "u:7:rwx")
                else:
                    subprocess.run(["setfacl", "-b", place], check=True)
            if kind == "lost":
                repairing.remove(place)
            elif kind == "block":
                repairing.change_bytes(place, 70)
            elif kind == "stale":
                older = place.stat().st_mtime_ns - 3600 * 10**9
                place.write_bytes(oracle.make_share("checked", b"old" * 999, REQUIRED, COUNT, int(name, 16), older))
                os.utime(place, ns=(older, older))
            else:
                share = bytearray(place.read_bytes())
                share[0:64] = bytes(64)
                place.write_bytes(share)


@pytest.mark.parametrize("user", ["root", "user"])
def test_acls(acl_shares, public_path, user, rng):
    """Root and others mend what has access control lists, or should have."""
    before = as_user() if user == "user" else []
    stores = acl_shares.copy_to(public_path / "stores")
    if before:
        chown_all(public_path, 1000)
    expected = repairing.states_of(stores)
    damage_all(stores, acl_shares, rng)
    repairing.repair(acl_shares, stores, status=1, before=before)
    repairing.assert_stores(stores, expected)
    repairing.remove(stores / rng.choice(acl_shares.names) / "dir")
    repairing.repair(acl_shares, stores, status=1, before=before)
    repairing.assert_stores(stores, expected)
    repairing.repair(acl_shares, stores, status=0, before=before)


class NoAcls:
    """A file system in memory that has neither access control lists nor other attributes."""

    def __init__(self, place):
        self._place = place
        if os.geteuid() != 0:
            pytest.skip("only root can mount")

    def __enter__(self):
        done = subprocess.run(["mount", "-t", "ramfs", "ramfs", self._place], capture_output=True)
        if done.returncode:
            pytest.skip(f"no ramfs: {done.stderr!r}")
        os.chmod(self._place, 0o755)

    def __exit__(self, *_):
        subprocess.run(["umount", self._place], check=True)


MODES_WITHOUT = {"a": 0o644, "dir/c": 0o644, "closed": 0o600, "plain": 0o444, "dir": 0o744}


@pytest.mark.parametrize("user", ["root", "user"])
def test_acls_that_a_store_cannot_hold(acl_shares, public_path, user, rng):
    """All is mended there but the lists; and nobody gets rights by that."""
    before = as_user() if user == "user" else []
    stores = acl_shares.copy_to(public_path / "stores")
    place = stores / "01"
    shutil.rmtree(place)
    place.mkdir()
    with NoAcls(place):
        shutil.copytree(acl_shares.folder / "01", place, dirs_exist_ok=True)
        if before:
            chown_all(public_path, 1000)
        for path in acl_shares.files()[::2]:
            repairing.change_bytes(place / path, 70)
        for path in acl_shares.files()[1::2]:
            repairing.remove(place / path)
        result = repairing.repair(acl_shares, stores, status=4, before=before)
        for path, item in repairing.state_of(place).items():
            wanted = repairing.item_of(stores / "02" / path)
            wanted = wanted._replace(content=acl_shares.states["01"][path].content, xattrs={})
            wanted = wanted._replace(mode=MODES_WITHOUT.get(path, wanted.mode))
            assert item._replace(group=()) == wanted, path
        for path in ("a", "dir/c", "closed", "dir"):
            line = f"{path} in {place}: attributes, mode not given: Operation not supported"
            assert line in result.stderr
        assert not re.search(r"plain in .* not given", result.stderr)
        snapshot = trees.snapshot(stores)
        repairing.repair(acl_shares, stores, status=4, before=before)
        assert trees.snapshot(stores) == snapshot
