# SPDX-License-Identifier: MIT
"""Every k-subset of the shares restores.

One mount serves all subsets: a file per subset, named by it, of which each store holds a share
only where its index is in the subset. Where the files are of several k, each share's own is taken.
"""

import itertools

import pytest

import trees

UNSANITIZED = True
SPREAD = True
BLOCK_SIZE = 4096


def name_of(required, shares, subset):
    # A name of all indexes would be too long for k = 255; where it is cut, it is numbered.
    words = "-".join(map(str, subset))
    return f"{required}-of-{shares}-{words}"[:200]


def ragged(required, rng):
    """Two whole stripes and a part of a third, which no k above 1 divides evenly."""
    return rng.randbytes(2 * required * BLOCK_SIZE + required * 1000 + 1)


class Subsets:
    """Files, each of which the shares of one subset are there of."""

    def __init__(self, stores, share_format, rng):
        self._stores = stores
        self._format = share_format
        self._rng = rng
        self.contents = {}

    def add(self, required, shares, subsets, data=None):
        subsets = list(subsets)
        data = ragged(required, self._rng) if data is None else data
        made = trees.make_shares(
            self._format, data, required, shares, set(itertools.chain(*subsets)), BLOCK_SIZE
        )
        for subset in subsets:
            name = name_of(required, shares, subset)
            name = f"{name}-{len(self.contents)}" if name in self.contents else name
            self.contents[name] = data
            trees.write_shares(self._stores, name, {index: made[index] for index in subset})

    def check(self, view):
        assert {path.name for path in view.path.iterdir()} == self.contents.keys()
        wrong = [
            name for name, data in self.contents.items() if (view / name).read_bytes() != data
        ]
        assert not wrong, f"{len(wrong)} of {len(self.contents)} wrong: {wrong[:20]}"


@pytest.fixture
def checked(tmp_path, rng):
    return Subsets(tmp_path / "stores", "checked", rng)


def all_subsets(required, shares):
    return itertools.combinations(range(shares), required)


def test_all_1140_subsets_of_3_of_20(mounts, tmp_path, checked):
    checked.add(3, 20, all_subsets(3, 20))
    assert len(checked.contents) == 1140
    checked.check(mounts.restored(tmp_path / "stores"))


def test_all_subsets_up_to_8(mounts, tmp_path, checked):
    """In checked format n is in no share: the k-subsets of 8 are those of every smaller n, too."""
    for required in range(1, 9):
        checked.add(required, 8, all_subsets(required, 8))
    assert len(checked.contents) == 255
    checked.check(mounts.restored(tmp_path / "stores", required=1))


def random_subset(required, shares, rng):
    return tuple(sorted(rng.sample(range(shares), required)))


def random_parameters(rng, count):
    for _ in range(count):
        shares = rng.randint(9, 256)
        yield rng.randint(1, min(shares, 255)), shares


def test_random_subsets_up_to_255_of_256(mounts, tmp_path, checked, rng):
    for required, shares in [(1, 256), (128, 256), (254, 256), (255, 255)]:
        checked.add(required, shares, [random_subset(required, shares, rng)])
    checked.add(255, 256, [random_subset(255, 256, rng) for _ in range(4)])
    for required, shares in random_parameters(rng, 12):
        checked.add(required, shares, [random_subset(required, shares, rng) for _ in range(3)])
    checked.check(mounts.restored(tmp_path / "stores", required=1))


def test_fec_all_subsets_up_to_8(mounts, tmp_path, rng):
    fec = Subsets(tmp_path / "stores", "fec", rng)
    for shares in range(1, 9):
        for required in range(1, shares + 1):
            fec.add(required, shares, all_subsets(required, shares))
    assert len(fec.contents) == sum(2**shares - 1 for shares in range(1, 9))
    fec.check(mounts.restored(tmp_path / "stores", format="fec", required=1))


def test_fec_random_subsets(mounts, tmp_path, rng):
    fec = Subsets(tmp_path / "stores", "fec", rng)
    for required, shares in [(3, 20), (255, 256), *random_parameters(rng, 6)]:
        fec.add(required, shares, [random_subset(required, shares, rng) for _ in range(2)])
    fec.check(mounts.restored(tmp_path / "stores", format="fec", required=1))


@pytest.mark.parametrize("required", range(1, 9))
def test_classic_all_subsets_of_8(mounts, tmp_path, rng, required):
    classic = Subsets(tmp_path / "stores", "classic", rng)
    classic.add(required, 8, all_subsets(required, 8))
    classic.check(mounts.restored(tmp_path / "stores", format="classic", required=required))


def test_classic_random_subsets(mounts, tmp_path, rng):
    for number, required in enumerate([3, 255, rng.randint(4, 254)]):
        stores = tmp_path / f"stores-{number}"
        classic = Subsets(stores, "classic", rng)
        classic.add(required, 256, [random_subset(required, 256, rng) for _ in range(4)])
        classic.check(mounts.restored(stores, format="classic", required=required))
