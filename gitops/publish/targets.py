"""What the metadata say of a box: its three targets, who holds it, and what may not replace what is offered. Pure.

targets = targets_of(publication)           # demo-1/release.json, demo-1/uki.efi, demo-1/addon.efi, ...
held(targets, {"demo-1": "ada: disk"})      # docs/formats.md, "TUF repository"
"""

from collections.abc import Mapping
from dataclasses import asdict, replace

from gitops.model import RELEASE_FORMAT, BlobRef, Box, Json, Publication, Report, Target, canonical, sha256
from gitops.model.machines.newcomer import CLAIMS, Naming, claim_path
from gitops.model.paths.repositories import site_path

RELEASE, LOADER = "release.json", "loader.efi"
HELD = "held"
"""The member of a release's `custom` that says who or what keeps the box from taking it."""
RECEIPTS = "receipts"
"""The member that names the key by which the server signs that it got a report."""
RETRY = "retry"
"""The member with the reasons for which a box shall try again what failed."""
WIPE = "wipe"
"""The member that names the key of the machine that is to be wiped."""
SITE = "site"
"""The member with the site of the box, by which a site's own server knows whose content it keeps."""
LABELS = "labels"
"""The member with the labels of a box that names a site's own server, which may go by them: `KEY=VALUE` each."""
LABELS_LENGTH = 2000
"""Characters of them that travel; those beyond, in the order of their keys, do not."""
NETBOOT = "netboot"
"""The member with the digest of what a site's own server starts the box with (docs/formats.md, "Starts at a site")."""
APPLY = "apply"
"""The member with the permission to restart (`gitops.rollout.leases`), where the box knows of such."""
NEXT = "next"
"""The member with what waits for its turn, which the box fetches before."""
HOLD_LENGTH = 200
"""Characters of a reason that travel to a box: every box of a hash bin fetches it."""
Said = str | list[str] | Json
Members = Mapping[str, Mapping[str, Said]]
"""Member -> box -> what is said of it; nothing: the box has no such member."""

FILES = (("release", "document"), ("uki", "uki"), ("addon", "addon"))


def box_of(path: str) -> str:
    """Whose target it is."""
    return path.partition("/")[0]


def targets_of(publication: Publication) -> dict[str, Target]:
    """The targets of one box."""
    revision, box = publication.revision, publication.release.box
    custom: Json = {
        "format": RELEASE_FORMAT,
        "sequence": publication.release.sequence,
        "content": publication.release.content.digest,
        "revision": str(revision),
        "time": revision.time,
        "signers": list(revision.signers),
        "evidence": [asdict(ref) for ref in revision.evidence],
    }
    return {f"{box}/{name}": Target(ref, custom if name == RELEASE else {}) for name, ref in publication.files.items()}


def renamed(targets: Mapping[str, Target], names: Mapping[str, str]) -> dict[str, Target]:
    """The targets, with these names (key -> box) in place of all that were given to machines before.

    Nobody fetches such a target: all that it says is in what is signed.
    """
    said = {claim_path(key): Naming(box, key).encode() for key, box in names.items()}
    claims = {path: Target(BlobRef(sha256(canonical(each)), len(canonical(each))), each) for path, each in said.items()}
    return {path: target for path, target in targets.items() if box_of(path) != CLAIMS} | claims


def held(targets: Mapping[str, Target], holds: Mapping[str, str]) -> dict[str, Target]:
    """The targets, with the holds of all boxes as they are now."""
    return {
        path: _held(target, holds.get(box_of(path), "")) if path.endswith(f"/{RELEASE}") else target
        for path, target in targets.items()
    }


def holds_of(targets: Mapping[str, Target]) -> dict[str, str]:
    """Box -> what holds it."""
    return {box_of(path): str(target.custom[HELD]) for path, target in targets.items() if HELD in target.custom}


def tried_again(targets: Mapping[str, Target], retries: Mapping[str, tuple[str, ...]]) -> dict[str, Target]:
    """The targets, with the reasons for which boxes shall try again what failed, as they are now."""
    return {
        path: _with(target, RETRY, list(retries.get(box_of(path), ()))) if path.endswith(f"/{RELEASE}") else target
        for path, target in targets.items()
    }


def labels_of(box: Box) -> list[str]:
    """What is said of its labels; nothing, where it names no site's own server."""
    found, room = list[str](), LABELS_LENGTH
    for key, value in box.labels if box.noc else ():
        room -= len(key) + len(value) + 1
        found += [f"{key}={value}"] if room >= 0 else []
    return found


def said_of(targets: Mapping[str, Target], member: str) -> dict[str, Json]:
    """Box -> what `member`, an object, says: `APPLY`, `NEXT`."""
    return {
        box_of(path): dict(target.custom[member])
        for path, target in targets.items()
        if path.endswith(f"/{RELEASE}") and member in target.custom
    }


def next_of(publication: Publication, spread: int) -> Json:
    """What `NEXT` says of a publication. `spread`: seconds within which boxes begin to fetch, one after the other."""
    release = publication.release
    files = {member: asdict(getattr(publication, name)) for member, name in FILES}
    return {"sequence": release.sequence, "content": release.content.digest, "spread": spread, **files}


def each_named(targets: Mapping[str, Target], member: str, values: Mapping[str, Said]) -> dict[str, Target]:
    """The targets, with `member` of each box's release (box -> value) as it is now: `WIPE`, `SITE`, `LABELS`,
    `NETBOOT`, `APPLY`, `NEXT`."""
    return {
        path: _with(target, member, values.get(box_of(path), "")) if path.endswith(f"/{RELEASE}") else target
        for path, target in targets.items()
    }


def named(targets: Mapping[str, Target], member: str, value: str) -> dict[str, Target]:
    """The targets, with `member` of every release's `custom` as it is now; an empty value takes it out."""
    return {
        path: _with(target, member, value) if path.endswith(f"/{RELEASE}") else target
        for path, target in targets.items()
    }


def places_of(targets: Mapping[str, Target]) -> dict[str, Target]:
    """Which boxes are at each site, and which have labels: the targets by which a site's own server knows its boxes.

    As of names of machines, all that they say is in what is signed."""
    found: dict[str, Target] = {}
    for path, target in targets.items():
        if path.endswith(f"/{RELEASE}"):
            said = {name: target.custom[name] for name in (SITE, LABELS) if name in target.custom}
            each = Target(BlobRef(sha256(canonical(said)), len(canonical(said))), said)
            of = ([str(said[SITE])] if SITE in said else []) + ([""] if LABELS in said else [])
            found |= {site_path(site, box_of(path)): each for site in of}
    return found


def _held(target: Target, why: str) -> Target:
    return _with(target, HELD, why[:HOLD_LENGTH])


def _with(target: Target, member: str, value: Said) -> Target:
    if target.custom.get(member, type(value)()) == value:
        return target
    custom = {key: each for key, each in target.custom.items() if key != member}
    return replace(target, custom=custom | ({member: value} if value else {}))


def refusal(publication: Publication, targets: Mapping[str, Target], report: Report | None) -> str:
    """Why a publication must not replace what `targets` offer; empty when it may."""
    sequence = publication.release.sequence
    offered = targets.get(f"{publication.release.box}/{RELEASE}")
    last = int(offered.custom["sequence"]) if offered else 0
    if sequence < last:
        return f"sequence {sequence} is lower than {last}, which is published"
    if offered and sequence == last and offered.ref != publication.document:
        return f"sequence {sequence} is published already with another release"
    if report and report.sequence >= sequence and report.content not in ("", publication.release.content.digest):
        return f"release {sequence} is not newer than {report.sequence}, which it runs"
    if report and report.agent.isdecimal() and RELEASE_FORMAT not in (int(report.agent), int(report.agent) - 1):
        return f"its agent reads format {report.agent}, not {RELEASE_FORMAT}"
    return ""
