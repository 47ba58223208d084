# SPDX-License-Identifier: MIT
"""Every row of the vector file through an encoded mount, and back through a restored one."""

import pytest

import mounts as mounts_module
import oracle
import trees
import vectors_file

GROUPS = vectors_file.groups()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A file of each size that the vectors speak of, with the vectors' mtime."""
    folder = tmp_path_factory.mktemp("vectors")
    for size in {row["size"] for rows in GROUPS.values() for row in rows}:
        trees.write_file(folder / str(size), oracle.source_bytes(size), vectors_file.mtime_ns())
    return folder


def mount_group(mounts, source, group):
    return mounts.encoded(
        source,
        required=group.required,
        shares=group.shares,
        format=group.format,
        block_size=group.block_size,
    )


@pytest.mark.parametrize("group", GROUPS, ids=vectors_file.name_of)
def test_every_row(mounts, source, group):
    view = mount_group(mounts, source, group)
    wrong = []
    for row in GROUPS[group]:
        path = view / trees.share_name(row["index"]) / str(row["size"])
        differences = vectors_file.differences(row, path.read_bytes())
        if path.stat().st_size != row["share_size"]:
            differences.append(f"stat says {path.stat().st_size} bytes")
        if differences:
            wrong.append((row["size"], row["index"], differences))
    assert not wrong


def marks_of(group):
    """What 256 stores do under a sanitizer, a few do as well."""
    return [mounts_module.unsanitized] if "of-256" in vectors_file.name_of(group) else []


@pytest.mark.parametrize(
    "group", [pytest.param(group, marks=marks_of(group), id=vectors_file.name_of(group)) for group in GROUPS]
)
def test_restored_again(mounts, source, group, tmp_path, rng):
    """k random shares, copied away, give each source back."""
    encoded = mount_group(mounts, source, group)
    names = {str(row["size"]) for row in GROUPS[group]}
    for index in rng.sample(range(group.shares), group.required):
        trees.copy_files(
            encoded / trees.share_name(index), tmp_path / "stores" / f"node-{index}", names
        )
    restored = mounts.restored(
        tmp_path / "stores", format=group.format, required=group.required
    )
    assert {path.name for path in restored.path.iterdir()} == names
    for name in names:
        trees.assert_same((restored / name).read_bytes(), oracle.source_bytes(int(name)), name)
        assert (restored / name).stat().st_size == int(name)
        assert (restored / name).stat().st_mtime_ns == vectors_file.mtime_ns()
