# SPDX-License-Identifier: MIT
"""repair leaves alone what cannot be restored, and says what it could not do."""

import os
import shutil
import subprocess

import pytest

import all_formats
import mounts as mounts_module
import repairing
import trees
from disks import ReadOnly
from all_formats import COUNT, REQUIRED, big_file, formats
from repairing import actions, assert_intact, assert_mended, assert_stores, json_lines, repair

BLOCK_SIZE = repairing.BLOCK_SIZE
shares = all_formats.shares  # a fixture
every_format = all_formats.every_format  # a fixture
stores = all_formats.stores  # a fixture


# What cannot be restored


@formats
def test_lost_files_are_not_touched(shares, stores, rng):
    """Not in any store, whatever is left of them; the others are mended."""
    lost = ["wide", "dir/sub/deep"]
    for path in lost:
        for name in rng.sample(shares.names, COUNT - REQUIRED + 1):
            repairing.remove(stores / name / path)
    kept = {
        path: repairing.item_of(path) for path in stores.rglob("*") if inner(stores, path) in lost
    }
    times = {path: os.lstat(path).st_ctime_ns for path in kept}
    repairing.remove(stores / "05" / "dir" / "file")
    repairing.remove(stores / "00" / "link")
    for jobs in ("1", "4"):
        result = repair(shares, stores, "-j", jobs, status=2)
    assert all(f"{path}: LOST" in result.stdout for path in lost)
    assert {path: os.lstat(path).st_ctime_ns for path in kept} == times
    wrong = repairing.store_differences(repairing.states_of(stores), shares.states)
    assert all("is missing" in line and line.split("'")[1] in lost for line in wrong), wrong
    assert len(wrong) == 2 * (COUNT - REQUIRED + 1)
    assert {path: repairing.item_of(path) for path in kept} == kept


def inner(stores, path):
    return "/".join(path.relative_to(stores).parts[1:])


def test_one_stripe_lost(shares, stores):
    """Also the file whose other stripes could be restored is left as it is."""
    path = big_file(shares)
    for name in shares.names[: COUNT - REQUIRED + 1]:
        repairing.change_bytes(stores / name / path, 64 + BLOCK_SIZE + 32 + 100)
    repairing.remove(stores / shares.names[-1] / "wide")
    repairing.change_bytes(stores / shares.names[0] / path, 64 + 200)
    before = {name: trees._state(stores / name / path) for name in shares.names}
    result = repair(shares, stores, status=2)
    assert {name: trees._state(stores / name / path) for name in shares.names} == before
    assert f"{path}: LOST, stripes 1 of 4" in result.stdout
    assert (stores / shares.names[-1] / "wide").exists()


def test_files_that_are_no_shares(shares, stores):
    """The same name in all stores, but nothing that zfec-fs made."""
    for name in shares.names:
        trees.write_file(stores / name / "text", f"of {name}".encode() * 50)
    before = {name: trees._state(stores / name / "text") for name in shares.names}
    repair(shares, stores, status=2)
    assert {name: trees._state(stores / name / "text") for name in shares.names} == before


# What goes wrong


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_read_only_store(shares, stores):
    """One cannot be written to: that is said, and the others are mended."""
    for name in ("02", "03"):
        repairing.remove(stores / name / "wide")
    with ReadOnly(stores / "02"):
        result = repair(shares, stores, status=4)
        assert "Read-only file system" in result.stderr
    assert repairing.item_of(stores / "03" / "wide") == shares.states["03"]["wide"]._replace(group=())
    assert_mended(shares, stores)


def as_user():
    """Words to run a program as a user whom modes keep out."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is missing")
    return ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]


@pytest.fixture
def users_stores(mounts, public_path, rng):
    """Some files in stores that belong to a user."""
    folder = public_path / "all"
    folder.mkdir()
    for name in ("file", "dir/file", "dir/other"):
        trees.write_file(folder / "source" / name, rng.randbytes(5000))
    shares = repairing.encode(mounts, folder / "source", folder / "shares", "checked", 2, 5)
    stores = shares.copy_to(folder / "stores")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "1000:1000", folder], check=True)
    return stores


@pytest.mark.parametrize("closed", ["03", "03/dir", "03/file", "03/dir/file"])
def test_what_a_store_closes_to_its_owner(users_stores, closed):
    """It is mended, or it is said that it is not; and others are mended."""
    expected = repairing.states_of(users_stores)
    repairing.remove(users_stores / "01" / "dir" / "other")
    os.chmod(users_stores / closed, 0)
    result = repairing.run("repair", users_stores, before=as_user())
    left = repairing.store_differences(repairing.states_of(users_stores), expected)
    assert result.returncode == (4 if left else 1), f"{left}\n{result.stdout}{result.stderr}"
    assert all(line.startswith("03: ") for line in left)
    assert not left or result.stderr


def test_leftovers_of_an_interrupted_run(shares, stores):
    """They go, whatever they are; what only looks like one stays."""
    before = repairing.states_of(stores)
    for number, place in enumerate([stores / "01", stores / "02" / "dir", stores / "03" / "sizes"]):
        with repairing.same_time(place / "x"):
            (place / f"{repairing.TEMPORARY}{number:016x}").write_bytes(b"half")
    os.link(stores / "04" / "wide", stores / "04" / f"{repairing.TEMPORARY}{77:016x}")
    result = repair(shares, stores, status=1)
    assert "failed" in result.stdout
    assert not repairing.temporary_names(stores)
    assert_stores(stores, before)


def test_a_share_that_is_copied_meanwhile(mounts, tmp_path, rng):
    """What someone has put there since it was looked at does not give way to what is made of it."""
    trees.write_file(tmp_path / "source" / "file", rng.randbytes(20_000_000))
    trees.write_file(tmp_path / "source" / "other", b"other")
    shares = repairing.encode(mounts, tmp_path / "source", tmp_path / "all", "checked", 2, 4)
    stores = shares.copy_to(tmp_path / "stores")
    repairing.change_bytes(stores / "01" / "file", 500)
    with subprocess.Popen(
        [mounts_module.BINARY, "repair", stores], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not repairing.temporary_names(stores) and process.poll() is None:
            pass
        (tmp_path / "newer").write_bytes(b"newer")
        os.rename(tmp_path / "newer", stores / "01" / "file")
        errors, shown = process.stderr.read(), process.stdout.read()
    assert process.returncode == 4 and b"busy" in errors, errors
    assert shown.endswith(b"\nNot all is mended: 1 failure\n")
    assert (stores / "01" / "file").read_bytes() == b"newer"
    assert not repairing.temporary_names(stores)
    assert_mended(shares, stores)


def test_a_store_that_cannot_be_opened(shares, stores):
    """What may be a store and is not mended is told; the others are."""
    repairing.remove(stores / "01" / "wide")
    (stores / "loop").symlink_to("loop")
    result = repair(shares, stores, status=4)
    assert "stores/loop is left out" in result.stderr
    assert repairing.run("check", stores).returncode == 1
    (stores / "loop").unlink()
    assert_stores(stores, shares.states)
    assert_intact(shares, stores)


# JSON


def test_json(shares, stores):
    repairing.remove(stores / "01" / "wide")
    repairing.change_bytes(stores / "03" / "dir" / "sub" / "\udcff", 70)
    os.chmod(stores / "04" / "sizes", 0o711)
    result = repair(shares, stores, "--json", "--verbose", status=1)
    lines = json_lines(result.stdout)
    checks = {line["path"]: line for line in lines if line["message_type"] == "check"}
    assert checks["wide"]["health"] == "degraded" and checks["wide"]["may_lose"] == 3
    assert checks["wide"]["problems"] == [{"state": "missing", "store": f"{stores}/01"}]
    assert checks["sizes"]["problems"][0]["other_metadata"] is True
    assert checks["dir/file"]["health"] == "intact"
    assert ("made", "wide", f"{stores}/01") in actions(lines)
    assert ("metadata", "sizes", f"{stores}/04") in actions(lines)
    summary = lines[-1]
    assert summary["message_type"] == "summary" and summary["command"] == "repair"
    assert (summary["exit_status"], summary["made"], summary["failed"]) == (1, 2, 0)
    (last,) = json_lines(repair(shares, stores, "--json", status=0).stdout)
    assert (last["exit_status"], last["made"], last["metadata"], last["lost"]) == (0, 0, 0, 0)


def test_json_of_what_is_lost(shares, stores):
    for name in shares.names[REQUIRED - 1 :]:
        repairing.remove(stores / name / "wide")
    lines = json_lines(repair(shares, stores, "--json", status=2).stdout)
    (line,) = [line for line in lines if line.get("path") == "wide"]
    assert line["health"] == "lost" and line["may_lose"] == -1
    assert lines[-1]["exit_status"] == 2
