# SPDX-License-Identifier: MIT
"""What follows from the measurements: ratios, medians, and which targets are met."""

import statistics
from typing import NamedTuple, Optional

from cases import all_cases


class Spread(NamedTuple):
    median: float
    least: float
    most: float


def spread(values):
    return Spread(statistics.median(values), min(values), max(values))


def _column(result, subject, column):
    for each in result["subjects"]:
        if each["name"] == subject:
            return each[column]
    return None


def ratios(result, subject, reference, column="values"):
    """Round by round, since what disturbs one disturbs the other; None where one was left out."""
    ours, theirs = (_column(result, name, column) for name in (subject, reference))
    if not ours or not theirs or not all(theirs):
        return None
    return spread([our / their for our, their in zip(ours, theirs)])


class Verdict(NamedTuple):
    case: str
    target: str
    ratio: Spread
    processor: Optional[Spread]  # the ratio of processor time, also for what is measured in GB/s
    bound: float
    is_upper: bool  # the bound is the most that the ratio may be
    is_met: bool
    is_aim: bool


def verdicts(result):
    """Of the targets of a case, those that could be measured."""
    case = all_cases.get(result["name"])
    for target in case.targets if case else []:
        pair = target.subject, target.reference
        ratio = ratios(result, *pair, "memory_mb" if target.of_memory else "values")
        if ratio:
            is_upper = target.at_most is not None
            yield Verdict(
                result["name"], str(target), ratio, ratios(result, *pair, "processor_s"),
                target.at_most if is_upper else target.at_least,
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
        {**verdict._asdict(), "ratio": _as_dict(verdict.ratio),
         "processor": _as_dict(verdict.processor)}
        for verdict in verdicts(result)
    ]
    return {**result, "subjects": subjects, "targets": targets}


def _as_dict(found):
    return found._asdict() if found else None
