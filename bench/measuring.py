# SPDX-License-Identifier: MIT
"""Measures a case: all its subjects in turn, several times over, so that noise hits all alike."""

import os
import resource
import time

PREWARMING = 1


def processor_s():
    """Of all that was started and has ended: what load from others disturbs the least."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(case, lab, rounds, tell):
    """Returns the case's results as they go to JSON. TELL is called with what goes on."""
    with lab.for_case():
        tell("preparing")
        subjects = [subject for subject in case.subjects(lab) if subject.can_run()]
        samples = {subject.name: [] for subject in subjects}
        load = os.getloadavg()[0]
        for number in range(PREWARMING + rounds):
            tell("prewarming" if number < PREWARMING else f"round {number} of {rounds}")
            for subject in subjects:
                before = processor_s()
                sample = subject.measure()
                if number >= PREWARMING:
                    samples[subject.name].append((sample, processor_s() - before))
    return {
        "name": case.name,
        "title": case.title,
        "unit": case.unit,
        "reference": case.reference,
        "rounds": rounds,
        "quick": lab.quick,
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "subjects": [_in_columns(name, taken) for name, taken in samples.items()],
    }


def _in_columns(name, samples):
    memory = [sample.memory_mb for sample, _ in samples]
    return {
        "name": name,
        "values": [sample.value for sample, _ in samples],
        "processor_s": [seconds for _, seconds in samples],
        "memory_mb": memory if all(each is not None for each in memory) else None,
    }
