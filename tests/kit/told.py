"""A store of boxes as reports and passes leave it, a row at a time; and words that a terminal must not act on.

tell(store, Told("site-7", health=Health.DEGRADED, error="no space"), now)
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import insert

from gitops.model import Health, Phase, Report
from gitops.store import Store, tables
from gitops.store.boxes import _columns
from gitops.store.notes.directory import Place, Roster
from gitops.store.notes.reported import BoxFacts

OLD, NEW = "a" * 64, "b" * 64
COMMIT = "5c1e" * 10
REVISION = f"main@sha1:{COMMIT}"
HOSTILE = {
    "markup": "[/x] [red] [bold]no[/bold] [link=file:///etc]",
    "escape": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "control": "a\rb\x08c\x00d\x7fe",
    "turned round": "\u202egnorw\u2066 \u200f",
    "half": "\udc9b\ud800",
    "long": "x" * 5000,
    "wide": "机" * 70,
}
ACTED_ON = ("\x1b", "\r", "\x08", "\x07", "\x00", "\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\udc9b")


@dataclass(frozen=True)
class Told:
    """One box. `runs`: what it is asked to; `silent`: it was not heard for a day; `hold`: a reason, and words."""

    box: str
    place: Place = field(default_factory=Place)
    health: Health = Health.HEALTHY
    runs: bool = True
    error: str = ""
    silent: bool = False
    hold: tuple[str, str] = ("", "")
    agent: str = "1"


def tell(store: Store, boxes: Iterable[Told], now: int) -> None:
    """Let the store know of them, and of no others."""
    boxes = list(boxes)
    offer = {"box_key": OLD, "release": NEW, "content": NEW, "revision": REVISION, "sequence": 2}
    files = {"blobs": "", "layers": "", "document": "{}"}
    with store._database.write() as connection:
        for each in boxes:
            key = {"name": each.box, "public_key": OLD, "enrolled": 1, "revoked": 0}
            connection.execute(insert(tables.boxes).values(key))
            connection.execute(insert(tables.publications).values(offer | files | {"box": each.box}))
            connection.execute(insert(tables.reports).values(_row(each, now)))
            if each.hold[0]:
                held = {"box": each.box, "reason": each.hold[0], "detail": each.hold[1]}
                connection.execute(insert(tables.holds).values(held))
    store.notes.put(Roster({each.box: each.place for each in boxes}))
    for each in boxes:
        store.notes.put(BoxFacts(30, 600, each.agent), each.box)


def _row(each: Told, now: int) -> dict[str, object]:
    what = NEW if each.runs else OLD
    number = 2 if each.runs else 1
    report = Report(
        each.box, "boot", 1, now, each.agent, number, what, what, Phase.IDLE, each.health, _storable(each.error)
    )
    received = now - 86_400 if each.silent else now
    return {"box": each.box, "received": received, "since": received - 60, "failed": ""} | _columns(report)


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode()
