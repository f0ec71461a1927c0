"""Two machines with one key: a disk was copied, and both copies live.

In: the reports of a box, with their boot ids, counters and addresses. Out: what is wrong with the box while it lasts,
and an event. Rules: a boot that ended never reports again, so an older boot that comes back after a newer one lives
beside it; once may be a report that was long on its way, so it takes `RETURNS`. A machine that was copied while it ran
has the same boot id: then a counter that was passed already comes with a later time. What was recorded and is sent
again proves nothing: only what is new counts. It is over when nothing of it was heard for `SILENT`.

    lives = follow(store.notes.get(Lives, box) or Lives(), report, "192.0.2.7", now)
    judged(report, lives, now)
"""

from dataclasses import replace

from gitops.model import SILENT, EventType, Happened, Health, Report
from gitops.store import Store
from gitops.store.notes.newcomers import Life, Lives

RETURNS = 2
MOST = 16
"""Boots of a box that are told apart."""
SHOWN = 8
"""Characters of a boot id that people read."""


def follow(lives: Lives, report: Report, address: str, now: int) -> Lives:
    """The boots of a box, after one more report that was not seen before. Pure."""
    lives, life = _calm(lives, now), Life(report.boot_id, address)
    known = [each.boot for each in lives.boots]
    if report.boot_id not in known:
        return replace(lives, boots=(*lives.boots, life)[-MOST:], last=life.boot, other=lives.last)
    boots = tuple(life if each.boot == life.boot else each for each in lives.boots)
    if report.boot_id == lives.last:
        return replace(lives, boots=boots)
    came_back = report.boot_id != known[-1]
    returns = (lives.returns + 1, now) if came_back else (lives.returns, lives.returned)
    return Lives(boots, life.boot, lives.last, *returns)


def passed(lives: Lives, last: Report, report: Report, now: int) -> Lives:
    """The same after a report whose counter was passed already, by `last` or before. Pure."""
    if last.boot_id != report.boot_id or report.time <= last.time:
        return lives  # an old one, once more
    lives = _calm(lives, now)
    return replace(lives, other=lives.last, returns=lives.returns + 1, returned=now)


def cloned(lives: Lives, now: int) -> bool:
    """Whether two machines live with this key."""
    return lives.returns >= RETURNS and abs(now - lives.returned) < SILENT


def judged(report: Report, lives: Lives, now: int) -> Report:
    """The report, with the twin among what is wrong with the box."""
    if not cloned(lives, now):
        return report
    health = Health.DEGRADED if report.health == Health.HEALTHY else report.health
    return replace(report, health=health, degraded=(*report.degraded, words(lives)))


def remember(store: Store, box: str, before: Lives, after: Lives, now: int) -> None:
    """Keep what is new, and tell that there are two, once."""
    if before == after:
        return
    store.notes.put(after, box)
    if cloned(after, now) and not cloned(before, now):
        store.events.add(box, EventType.WARNING, Happened.CLONED, words(after))


def words(lives: Lives) -> str:
    """Who the two are."""
    rows = {each.boot: each for each in lives.boots}
    pair = [rows[boot] for boot in dict.fromkeys((lives.last, lives.other)) if boot in rows]
    told = " and ".join(f"boot {each.boot[:SHOWN]} at {each.address}" for each in pair)
    return f"two machines report with its key, as if a disk had been copied: {told}"


def _calm(lives: Lives, now: int) -> Lives:
    """What is long over does not count any more."""
    return lives if abs(now - lives.returned) < SILENT else replace(lives, returns=0, returned=0)
