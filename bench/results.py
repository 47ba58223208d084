# SPDX-License-Identifier: MIT
"""What follows from the measurements: ratios, medians, and which targets are met."""

import statistics
from typing import NamedTuple

from cases import all_cases


class Spread(NamedTuple):
    median: float
    least: float
    most: float


def spread(values):
    return Spread(statistics.median(values), min(values), max(values))


def _column(result, subject, of_memory):
    for each in result["subjects"]:
        if each["name"] == subject:
            return each["memory_mb" if of_memory else "values"]
    return None


def ratios(result, subject, reference, of_memory=False):
    """Round by round, since what disturbs one disturbs the other; None where one was left out."""
    ours, theirs = (_column(result, name, of_memory) for name in (subject, reference))
    if not ours or not theirs:
        return None
    return spread([our / their for our, their in zip(ours, theirs)])


class Verdict(NamedTuple):
    case: str
    target: str
    ratio: Spread
    bound: float
    is_upper: bool  # the bound is the most that the ratio may be
    is_met: bool
    is_aim: bool


def verdicts(result):
    """Of the targets of a case, those that could be measured."""
    case = all_cases.get(result["name"])
    for target in case.targets if case else []:
        ratio = ratios(result, target.subject, target.reference, target.of_memory)
        if ratio:
            is_upper = target.at_most is not None
            yield Verdict(
                result["name"], str(target), ratio, target.at_most if is_upper else target.at_least,
                is_upper, target.is_met(ratio.median), target.is_aim,
            )  # fmt: skip


def summary(result):
    """The result with all that follows from it, for JSON."""
    subjects = [
        {
            **subject,
            **spread(subject["values"])._asdict(),
            "ratio": _as_dict(ratios(result, subject["name"], result["reference"])),
        }
        for subject in result["subjects"]
    ]
    targets = [
        {**verdict._asdict(), "ratio": verdict.ratio._asdict()} for verdict in verdicts(result)
    ]
    return {**result, "subjects": subjects, "targets": targets}


def _as_dict(found):
    return found._asdict() if found else None
