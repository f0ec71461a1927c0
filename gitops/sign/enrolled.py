"""Whom a box's firmware should trust, and what it says of itself.

In: the keys folder, once a pass; a report's `firmware`. Out: what is wrong with it, in words. Rules: a key database is
told by one digest that neither owners nor order change (docs/formats.md, "Report"); dbx only ever forbids, and nobody
enrolled one, so it is told and not compared; a report that says nothing is an older agent's, or of a machine without
UEFI variables.

    remember(store, settings.keys)
    judged(report, store.notes.get(Enrolled))       # Degraded, when Secure Boot is off
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gitops.model import Health, Json, Report, sha256
from gitops.sign.certificates import NAMES
from gitops.store import Store
from gitops.store.notes.box_keys import Enrolled


def remember(store: Store, keys: Path) -> None:
    """Keep what boxes are enrolled with. A keys folder without certificates says nothing new."""
    paths = {name: keys / f"{name}.crt" for name in NAMES}
    if not all(path.is_file() for path in paths.values()):
        return
    found = Enrolled({name: digest([der(path.read_bytes())]) for name, path in paths.items()})
    if store.notes.get(Enrolled) != found:
        store.notes.put(found)


def der(certificate: bytes) -> bytes:
    """A certificate (PEM) as the firmware keeps it."""
    return x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)


def digest(signatures: Iterable[bytes]) -> str:
    """Of what a key database lists; "" when that is nothing."""
    lines = sorted(sha256(each) for each in signatures)
    return sha256("".join(f"{line}\n" for line in lines).encode()) if lines else ""


def problems(enrolled: Mapping[str, str], firmware: Json) -> list[str]:
    """What is not as it was enrolled."""
    told = [] if firmware["secure_boot"] else ["Secure Boot is off"]
    told += ["the firmware is in setup mode: whoever reaches it enrols keys"] if firmware["setup_mode"] else []
    other = [name for name in NAMES if firmware["keys"].get(name, "") != enrolled[name]]
    return told + ([f"the firmware's {', '.join(other)} is not what was enrolled"] if other else [])


def judged(report: Report, enrolled: Enrolled | None) -> Report:
    """The report, with what its firmware should not say among what is wrong with the box."""
    told = problems(enrolled.rows, report.firmware) if enrolled and report.firmware else []
    if not told:
        return report
    health = Health.DEGRADED if report.health == Health.HEALTHY else report.health
    return replace(report, health=health, degraded=(*report.degraded, *told))
