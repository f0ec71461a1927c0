"""Whom a box's firmware should trust, and what it says of itself.

In: the keys folder, once a pass; a report's `firmware`. Out: what is wrong with it, in words. Rules: a key database is
told by one digest that neither owners nor order change (docs/formats.md, "Report"); dbx, which nobody enrolled, is
compared with what this box said before (`firmware/dbx.py`); a report that says nothing is an older agent's, or of a
machine without UEFI variables; during a rotation, each mix of our own certificates is on its way, and not wrong.

    remember(store, settings.keys)
    judged(report, store.notes.get(Enrolled), store.notes.get(TakenDbx, box))    # Degraded, when Secure Boot is off
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gitops.model import Health, Json, Report, sha256
from gitops.sign.certificates import NAMES
from gitops.sign.firmware import dbx, renewal
from gitops.store import Store
from gitops.store.notes.box_keys import Enrolled, TakenDbx

ON_THE_WAY = "on the way"
DAY = 86400
WORDS = 200
"""Characters of why a box has not followed: its own words may be many."""


def remember(store: Store, keys: Path) -> None:
    """Keep what boxes are enrolled with. A keys folder without certificates says nothing new."""
    paths = {name: keys / f"{name}.crt" for name in NAMES}
    if not all(path.is_file() for path in paths.values()):
        return
    rows = {name: digest([der(path.read_bytes())]) for name, path in paths.items()}
    for name in renewal.SIGNERS:
        rows[name] = listed(renewal.wanted(keys, name))
        others = (listed(each) for each in renewal.on_the_way(keys, name))
        rows |= {f"{name}:{each}": ON_THE_WAY for each in others if each != rows[name]}
    found = Enrolled(rows)
    if store.notes.get(Enrolled) != found:
        store.notes.put(found)


def der(certificate: bytes) -> bytes:
    """A certificate (PEM) as the firmware keeps it."""
    return x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)


def digest(signatures: Iterable[bytes]) -> str:
    """Of what a key database lists; "" when that is nothing."""
    return listed(sha256(each) for each in signatures)


def listed(fingerprints: Iterable[str]) -> str:
    """The same, of fingerprints."""
    lines = sorted(fingerprints)
    return sha256("".join(f"{line}\n" for line in lines).encode()) if lines else ""


def problems(enrolled: Mapping[str, str], firmware: Json) -> list[str]:
    """What is not as it was enrolled."""
    told = [] if firmware["secure_boot"] else ["Secure Boot is off"]
    told += ["the firmware is in setup mode: whoever reaches it enrols keys"] if firmware["setup_mode"] else []
    other = [name for name in following(enrolled, firmware) if _key(name, firmware) not in enrolled]
    return told + ([f"the firmware's {', '.join(other)} is not what was enrolled"] if other else [])


def following(enrolled: Mapping[str, str], firmware: Json) -> list[str]:
    """What this firmware does not list as it is wanted, be it on its way or strange."""
    return [name for name in NAMES if firmware["keys"].get(name, "") != enrolled[name]]


def behind(store: Store, name: str, now: float) -> dict[str, str]:
    """The enrolled boxes of which nobody can say that they list `name` as it is wanted, each with why. `now`: Unix
    seconds."""
    enrolled = store.notes.get(Enrolled)
    if not enrolled:
        return {}
    states = [state for state in store.states.all() if state.enrolled and not state.revoked]
    said = [(state, store.boxes.report(state.name)) for state in states]
    rows = {state.name: _why(enrolled.rows, name, report, now - state.received) for state, report in said}
    return {box: why for box, why in rows.items() if why}


def _why(enrolled: Mapping[str, str], name: str, report: Report | None, silent: float) -> str:
    """Why a box holds up what waits for its firmware; "": it does not."""
    if report is None:
        return "it never reported"
    if not report.firmware:
        return "it says nothing of its firmware: an older agent, or no UEFI variables"
    if name not in following(enrolled, report.firmware):
        return ""
    days = int(silent // DAY)
    why = [f"silent for {days} day{'s' if days > 1 else ''}"] if days else []
    why += [] if report.firmware["secure_boot"] else ["Secure Boot is off"]
    return "; ".join([*why, *report.degraded])[:WORDS] or "it does not list it yet"


def _key(name: str, firmware: Json) -> str:
    return f"{name}:{firmware['keys'].get(name, '')}"


def judged(report: Report, enrolled: Enrolled | None, taken: TakenDbx | None = None) -> Report:
    """The report, with what its firmware should not say among what is wrong with the box."""
    told = problems(enrolled.rows, report.firmware) if enrolled and report.firmware else []
    told += [lost] if (lost := dbx.problem(report, taken)) else []
    if not told:
        return report
    health = Health.DEGRADED if report.health == Health.HEALTHY else report.health
    return replace(report, health=health, degraded=(*report.degraded, *told))
