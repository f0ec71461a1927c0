"""What is seen for the first time, what can be fixed now, and what is gone. Pure.

In: the sightings that stand, what was found in each role now, the time. Out: the sightings that changed. Rules: only
where all is known does something that is not found count as gone.

    changed(store.sightings.current(), {"vm": exposure}, {"vm"}, now)
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from gitops.model import Exposure, Finding, Severity, Sighting, Standing

Name = tuple[str, str]
"""An advisory, and a source."""


def named(findings: Iterable[Finding]) -> dict[Name, Finding]:
    """One finding for each vulnerability of a source: of its components, one that can be fixed comes first."""
    found: dict[Name, Finding] = {}
    for each in findings:
        name = each.advisory.id, each.component.source
        if name not in found or each.standing is Standing.open:
            found[name] = each
    return found


def changed(
    before: Iterable[Sighting], exposures: Mapping[str, Exposure], certain: Set[str], now: int
) -> list[Sighting]:
    """What has to be saved. `certain`: roles of whose boxes all is known."""
    old = {each.key: each for each in before}
    found = {
        (role, *name): each for role, exposure in exposures.items() for name, each in named(exposure.findings).items()
    }
    rows = [_row(key, each, old.get(key), now) for key, each in found.items()]
    gone = [replace(each, gone=now) for key, each in old.items() if key not in found and each.role in certain]
    return [row for row in rows if row != old.get(row.key)] + gone


def _row(key: tuple[str, str, str], finding: Finding, old: Sighting | None, now: int) -> Sighting:
    severity = Severity(finding.advisory.severity)
    fixable = (old.fixable if old else 0) or (now if finding.fixed else 0)
    return Sighting(*key, severity, old.seen if old else now, fixable)
