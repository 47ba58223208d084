# SPDX-License-Identifier: MIT
"""Counting votes, comparing times and telling leftovers, for the model of the rules."""

import functools
import re
from collections import Counter, defaultdict

COARSEST = 2 * 10**9
GRANULARITIES = (COARSEST, 10**9, 10**6, 10**3, 100, 1)
TRANSFERS = (".rsync-partial", ".~tmp~", "System Volume Information")
LEFTOVER = re.compile(
    r"\.rsync-partial|\.~tmp~|\..+\.[A-Za-z0-9]{6}|\.zfec-fs-new-.*|.+\.zfec-fs-partial|\.DS_Store|System Volume Information",
    re.DOTALL,
)
RANDOM = re.compile(r"\..+\.[A-Za-z0-9]{6}", re.DOTALL)
WORD = re.compile(r".*\.([A-Z]?[a-z]*|[A-Z]+)[0-9]*", re.DOTALL)  # .bashrc.backup is the user's


def once(method):
    """Keeps what a method returns."""
    key = f"once {method.__name__}"

    @functools.wraps(method)
    def kept(self, *words):
        known = self.__dict__.setdefault(key, {})
        if words not in known:
            known[words] = method(self, *words)
        return known[words]

    return kept


@functools.lru_cache(maxsize=1 << 14)
def is_leftover_name(name):
    return bool(LEFTOVER.fullmatch(name)) and not (RANDOM.fullmatch(name) and WORD.fullmatch(name))


def is_leftover(path):
    """Its own name is one, or it is in a tool's directory."""
    *above, name = path.split("/")
    return is_leftover_name(name) or any(part in TRANSFERS for part in above)


@functools.lru_cache(maxsize=1 << 16)
def granularity(time):
    return next(unit for unit in GRANULARITIES if time % unit == 0)


def is_same_time(one, other):
    if one == other:
        return True
    return is_same_at(one, other, max(granularity(one), granularity(other)))


def is_same_at(one, other, unit):
    """Of whole seconds, by the 32 bits of them that SFTP keeps."""
    if unit >= 10**9:
        return one // unit * unit // 10**9 % 2**32 == other // unit * unit // 10**9 % 2**32
    return one // unit == other // unit


def coarseness(time):
    """The less, the more a time says; of two as fine, one that SFTP does not keep is the right one."""
    return granularity(time), 0 <= time // 10**9 < 2**32


def most(votes):
    """The keys with the most votes, and how many these are. votes: key -> set of shares."""
    top = max(map(len, votes.values()), default=0)
    return [key for key, shares in votes.items() if len(shares) == top], top


def votes_of(pairs):
    """key -> set of shares, of (key, share)."""
    votes = defaultdict(set)
    for key, share in pairs:
        votes[key].add(share)
    return votes


def spare(indexes, need):
    """How many stores can go, whichever, so that `need` indexes (store -> index) remain."""
    stores = sorted(Counter(indexes.values()).values())
    return sum(stores[: len(stores) - need + 1]) - 1 if len(stores) >= need else -1
