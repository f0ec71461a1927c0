"""What two reports of one box have in common.

In: two reports. Out: whether a person would see a difference. Rules: counters, times and what was fetched are none.

    same(before, after)
"""

from dataclasses import replace

from gitops.model import Report


def same(before: Report, after: Report) -> bool:
    """Whether a person would say that nothing changed since the last report."""
    return _plain(before) == _plain(after)


def _plain(report: Report) -> Report:
    return replace(report, boot_id="", counter=0, time=0, fetched={}, checks=(), facts=None)
