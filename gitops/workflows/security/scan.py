"""What is wrong with a box, a role, a package or the whole fleet, as rows for people.

In: a store, the settings' feeds, a name, a working folder or what is deployed. Out: a `Scan`. Rules: feeds are asked
when that is due; what is not built is looked up by its locks; one row for each vulnerability of a source's version.

    scanned(store, settings, "pkg/sshd", Path("fleet"), now).rows
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gitops.errors import BuildError
from gitops.model import Component, Exposure, Finding, Fleet, Gap, Inventory, Json, Severity
from gitops.plan import needed
from gitops.security.components import of_lock
from gitops.security.distribution import distribution_of
from gitops.security.matching import expose, keys
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.question import fleet_of
from gitops.workflows.security.advisories import Advisories
from gitops.workflows.security.inventories import Inventories, boxes_of, images_of, path_of


@dataclass(frozen=True)
class Row:
    """A vulnerability of one version of a source. `seen`: its first sighting here (Unix seconds, 0: not yet)."""

    advisory: str
    severity: Severity
    source: str
    version: str
    fixed: str
    standing: str
    decision: str
    seen: int
    packages: tuple[str, ...]
    reason: str
    title: str
    link: str

    @property
    def counted(self) -> bool:
        return self.standing != "not affected"


@dataclass(frozen=True)
class Scan:
    """What was found, and what is not known. `locks`: it is of the locks, as not all is built."""

    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...]
    locks: bool = False
    left_out: int = 0

    def of(self, severity: Severity, *, fixable: bool) -> "Scan":
        """Only what is at least so severe; what nobody has judged yet may be."""
        wanted = (*list(Severity)[: severity.rank + 1], Severity.unknown)
        rows = tuple(row for row in self.rows if row.severity in wanted and (row.fixed or not fixable))
        return replace(self, rows=rows, left_out=len(self.rows) - len(rows))

    def as_json(self) -> Json:
        rows = [{**asdict(row), "packages": list(row.packages)} for row in self.rows]
        known = not self.gaps
        return {
            "known": known,
            "gaps": [asdict(gap) for gap in self.gaps],
            "of_locks": self.locks,
            "left_out": self.left_out,
            "advisories": rows,
        }


def scanned(store: Store, settings: Settings, name: str, folder: Path | None, now: int) -> Scan:
    """Look it up.

    Raises:
        TowerosError: there is no such thing; the store cannot be used.
    """
    fleet = fleet_of(store, folder, settings.platform)
    inventory, locks = inside(store, fleet, name)
    advisories = Advisories(store, settings.feeds)
    advisories.refresh(now)
    knowledge = advisories.knowledge(keys(inventory), now)
    exposure = expose(inventory, knowledge, fleet.statements, time.strftime("%Y-%m-%d", time.gmtime(now)))
    return Scan(tuple(_rows(store, exposure)), exposure.gaps, locks)


def inside(store: Store, fleet: Fleet, name: str) -> tuple[Inventory, bool]:
    """What is inside; and whether that is what the locks say, as something is not built."""
    known = Inventories(store, fleet.packages, remember=False)
    try:
        return known.of_name(name, fleet), False
    except BuildError:
        name = name.rstrip("/")
        boxes = [] if name in fleet.packages else boxes_of(name, fleet)
        foreign = {image for box in boxes for image in images_of(box) if path_of(image) not in fleet.packages}
        return Inventory.union([of_locks(fleet, _packages(fleet, name)), *map(known.of_foreign, sorted(foreign))]), True


def of_locks(fleet: Fleet, paths: Iterable[str]) -> Inventory:
    """What the locks of some packages, and of those that they stand on, say."""
    todo, found = list(paths), dict[str, None]()
    while todo:
        path = todo.pop()
        if path not in found:
            found[path] = None
            todo += fleet.packages[path].depends
    components: set[Component] = {of_lock(file) for path in found for file in fleet.packages[path].lock}
    distribution = distribution_of(file for package in fleet.packages.values() for file in package.lock)
    return Inventory(tuple(sorted(components)), (), distribution)


def _packages(fleet: Fleet, name: str) -> list[str]:
    if name in fleet.packages:
        return [name]
    return sorted({path for box in boxes_of(name, fleet) for path in needed(fleet, box)})


def _rows(store: Store, exposure: Exposure) -> Iterator[Row]:
    first: dict[tuple[str, str], int] = {}
    for each in store.sightings.current():
        key = each.advisory, each.source
        first[key] = min(each.seen, first.get(key, each.seen))
    alike: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in exposure.findings:
        component = finding.component
        alike[finding.advisory.id, component.source, component.source_version].append(finding)
    for (advisory, source, version), findings in alike.items():
        one = findings[0]
        yield Row(
            advisory=advisory,
            severity=one.advisory.severity,
            source=source,
            version=version,
            fixed=one.fixed,
            standing=one.standing.value,
            decision=one.advisory.decision.value,
            seen=first.get((advisory, source), 0),
            packages=tuple(sorted({each.component.name for each in findings})),
            reason=one.reason,
            title=one.advisory.title,
            link=one.advisory.link,
        )
