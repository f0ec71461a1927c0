"""A store with as many boxes as wanted, at sites, some of them in trouble: rows as reports and passes would leave them.

fill(store, 1000, now)
"""

from dataclasses import dataclass

from sqlalchemy import insert

from gitops.model import Failure, Health, Phase, Report, Verdict
from gitops.store import Store, tables
from gitops.store.boxes import _columns
from gitops.store.notes.directory import Place, Roster

A, B = "a" * 64, "b" * 64
COMMIT = "5c1e" * 10
FACTS = '{"poll": 30, "every": 600, "agent": "0.1.0"}'
REVISION = f"main@sha1:{COMMIT}"


@dataclass(frozen=True)
class Crowd:
    """`sites`: how many; every `bad`-th box is Degraded, every `silent`-th was not heard for a day, every `behind`-th
    went back from what it is offered; 0: none. `said`: what those say."""

    boxes: int
    sites: int = 20
    bad: int = 97
    silent: int = 131
    behind: int = 113
    said: str = "web: connection refused"

    def name(self, number: int) -> str:
        return f"box-{number:05d}"

    def place(self, number: int) -> Place:
        return Place(f"role-{number % 3}", f"site-{number % self.sites:03d}", {"ring": str(number % 4)})

    def report(self, number: int, now: int) -> Report:
        behind = _every(self.behind, number)
        health = Health.DEGRADED if _every(self.bad, number) else Health.HEALTHY
        failures = (Failure(2, B, Verdict.FAILED, self.said, now - 60, f"{self.said}\n" * 20),) if behind else ()
        return Report(
            self.name(number), "boot", 1, now, "1", 1 if behind else 2, A if behind else B, A if behind else B,
            Phase.IDLE, health, failures=failures, degraded=(self.said,) if health == Health.DEGRADED else (),
        )  # fmt: skip


def fill(store: Store, crowd: Crowd, now: int) -> None:
    """All boxes, what they are offered and what they said last (Unix seconds)."""
    numbers = range(crowd.boxes)
    offer = {"box_key": A, "release": B, "content": B, "revision": REVISION, "sequence": 2, "blobs": "", "layers": ""}
    names = [crowd.name(number) for number in numbers]
    with store._database.write() as connection:
        for table, rows in (
            (tables.boxes, ({"name": name, "public_key": A, "enrolled": 1, "revoked": 0} for name in names)),
            (tables.publications, (offer | {"box": name, "document": "{}"} for name in names)),
            (tables.reports, (_row(crowd, number, now) for number in numbers)),
            (tables.notes, ({"name": f"facts/{name}", "document": FACTS} for name in names)),
        ):
            if many := list(rows):
                connection.execute(insert(table), many)
        row = {"release": A, "content": A, "revision": f"main@sha1:{'0' * 40}", "published": now - 9000}
        connection.execute(insert(tables.releases), [row])
    store.notes.put(Roster({crowd.name(number): crowd.place(number) for number in numbers}))


def _row(crowd: Crowd, number: int, now: int) -> dict[str, object]:
    report = crowd.report(number, now)
    received = now - 86_400 if _every(crowd.silent, number) else now - number % 30
    return {"box": report.box, "received": received, "since": received - 3600, "failed": ""} | _columns(report)


def _every(step: int, number: int) -> bool:
    return bool(step) and number % step == step - 1
