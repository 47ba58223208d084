# SPDX-License-Identifier: MIT
"""What a case is: subjects that do the same work, of which one is what the others are compared with.

A module cases_*.py holds the cases of one kind, and gives them to `add`. Each is small: a function
that gets the lab and returns the subjects, and the targets that are reported with their ratios.
"""

import shutil
from dataclasses import dataclass, field
from typing import Callable, NamedTuple, Optional

GBPS = "GB/s"  # the more the better
SECONDS = "s"  # the less the better


class Sample(NamedTuple):
    """One measurement, in the case's unit, and the most memory that the program held."""

    value: float
    memory_mb: Optional[float] = None


@dataclass
class Subject:
    """`measure` does the whole work once, beginning cold, and returns a Sample."""

    name: str
    measure: Callable[[], Sample]
    needs: Optional[str] = None  # a program without which it is left out

    def can_run(self):
        return self.needs is None or shutil.which(self.needs) is not None


@dataclass
class Target:
    """How SUBJECT has to be, as a multiple of REFERENCE: at least so many, or at most."""

    subject: str
    reference: str
    at_least: Optional[float] = None
    at_most: Optional[float] = None
    of_memory: bool = False
    is_aim: bool = False  # what to go for once the target itself is met

    def is_met(self, ratio):
        return ratio >= self.at_least if self.at_most is None else ratio <= self.at_most

    def __str__(self):
        bound = f"at least {self.at_least:g}" if self.at_most is None else f"at most {self.at_most:g}"
        what = "memory: " if self.of_memory else ""
        aim = " (aim)" if self.is_aim else ""
        return f"{what}{self.subject}: {bound} x {self.reference}{aim}"


@dataclass
class Case:
    name: str
    title: str
    unit: str
    reference: str  # the subject that ratios are of
    subjects: Callable  # of the lab, which has a folder for this case alone
    targets: list = field(default_factory=list)
    only_by_name: bool = False  # takes very long


all_cases = {}


def add(case):
    assert case.name not in all_cases, case.name
    all_cases[case.name] = case
