# SPDX-License-Identifier: MIT
"""The last line that a test run prints: how many tests passed, failed and were skipped."""

import pytest

_COUNTED = {"passed": ("passed", "xfailed"), "failed": ("failed", "error", "xpassed")}


def _count(reporter, kinds):
    return sum(len(reporter.stats.get(kind, [])) for kind in kinds)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    passed, failed = (_count(reporter, _COUNTED[kind]) for kind in ("passed", "failed"))
    skipped = _count(reporter, ("skipped",))
    more = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{more}", flush=True)
