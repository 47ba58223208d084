# SPDX-License-Identifier: MIT
"""A tree and its shares in every format, stores of them, and what repair leaves as it is."""

import re

import pytest

import oracle
import repairing
import trees
from repairing import assert_stores, repair

REQUIRED, COUNT = 3, 7

formats = pytest.mark.parametrize("shares", oracle.FORMATS, indirect=True)


@pytest.fixture(scope="module")
def every_format(module_mounts, tmp_path_factory, module_rng):
    """Format -> (source, shares)."""
    folder = tmp_path_factory.mktemp("repair")
    source = folder / "source"
    repairing.make_source(source, REQUIRED, module_rng)
    return {
        name: (source, repairing.encode(module_mounts, source, folder / name, name, REQUIRED, COUNT))
        for name in oracle.FORMATS
    }


@pytest.fixture
def shares(every_format, request):
    """The shares as they should be, in checked format where a test does not say otherwise."""
    return every_format[getattr(request, "param", "checked")][1]


@pytest.fixture
def source(every_format):
    return every_format["checked"][0]


@pytest.fixture
def stores(shares, tmp_path):
    return shares.copy_to(tmp_path / "stores")


def big_file(shares):
    """One of several stripes."""
    return f"sizes/size-{max(trees.interesting_sizes(shares.required))}"


def kept(shares, stores, *words, reason=""):
    """Repair leaves all stores as they are, and says which copies it keeps, and why; returns these."""
    before = repairing.states_of(stores)
    result = repair(shares, stores, *words, status=1)
    assert_stores(stores, before)
    return set(re.findall(rf"^zfec-fs: (.*) in \S*/(\w+) is kept: {reason}", result.stderr, re.M))
