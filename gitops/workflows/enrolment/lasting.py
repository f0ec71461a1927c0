"""A box whose key is gone with its power is whoever says so next time: it is Unknown, whatever it says.

In: a report. Out: the same, as it counts. Such a box has neither a disk nor a TPM nor a key stick (docs/joining.md).

    judged(report).health
"""

from dataclasses import replace

from gitops.model import Health, Report

IN_MEMORY = "memory"
WORDS = "its key is in memory alone, and gone with its power: give it a key stick (docs/joining.md)"


def judged(report: Report) -> Report:
    """Never Healthy."""
    if report.kept != IN_MEMORY:
        return report
    return replace(report, health=Health.UNKNOWN, degraded=(*report.degraded, WORDS))
