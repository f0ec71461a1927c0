"""What is seen for the first time, what can be fixed now, and what is gone. Pure.

In: the sightings that stand, what was found in each role now, the time. Out: the sightings that changed. Rules:

- only what is certainly gone is gone: all of a role is known, or its source is there and somebody speaks of it;
- an advisory that got another name keeps its first sighting; a role that is no more was not mended.

    changed(store.sightings.current(), {"vm": exposure}, {"vm": None}, now)
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gitops.model import Exposure, Finding, Sighting, Standing

Name = tuple[str, str]
"""An advisory, and a source."""
Key = tuple[str, str, str]
Certain = Mapping[str, frozenset[str] | None]
"""Role -> the sources of which it is certain what they hold; None: all that there are."""


def named(findings: Iterable[Finding]) -> dict[Name, Finding]:
    """One finding for each vulnerability of a source: of its components, what asks for most comes first."""
    found: dict[Name, Finding] = {}
    for each in findings:
        name = each.advisory.id, each.component.source
        if name not in found or _asks(each) > _asks(found[name]):
            found[name] = each
    return found


def changed(
    before: Iterable[Sighting], exposures: Mapping[str, Exposure], certain: Certain, now: int
) -> list[Sighting]:
    """What has to be saved."""
    old = {each.key: each for each in before}
    found = {
        (role, *name): each for role, exposure in exposures.items() for name, each in named(exposure.findings).items()
    }
    rows, renamed = list[Sighting](), set[Key]()
    for key, finding in found.items():
        earlier = {(key[0], name, key[2]) for name in finding.advisory.aliases} & (old.keys() - found.keys())
        renamed |= earlier
        rows.append(_row(key, finding, [old[each] for each in (key, *sorted(earlier)) if each in old], now))
    ended = [_ended(each, renamed, exposures, now) for key, each in old.items() if key not in found]
    gone = [each for each in ended if each.key in renamed or _is_certain(each, certain)]
    return [row for row in rows if row != old.get(row.key)] + gone


def _ended(each: Sighting, renamed: set[Key], exposures: Mapping[str, Exposure], now: int) -> Sighting:
    """Gone; and not counted as mended where it only has another name, or where its role is no more."""
    counted = each.key not in renamed and each.role in exposures
    return replace(each, gone=now, fixable=each.fixable if counted else 0)


def _is_certain(each: Sighting, certain: Certain) -> bool:
    if each.role not in certain:
        return False
    sources = certain[each.role]
    return sources is None or each.source in sources


def _asks(finding: Finding) -> int:
    return 2 if finding.standing is Standing.open else int(finding.standing.counted)


def _row(key: Key, finding: Finding, old: list[Sighting], now: int) -> Sighting:
    seen = min((each.seen for each in old), default=now)
    fixable = min((each.fixable for each in old if each.fixable), default=now if finding.fixed else 0)
    return Sighting(*key, finding.advisory.severity, seen, fixable)
