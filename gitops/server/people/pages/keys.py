"""Keys and when they end: /keys. Only what is public is read; tokens of programs are for admins alone."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from gitops.model import Json
from gitops.model.paths.repositories import BOXES
from gitops.publish.older import ALONE
from gitops.server.people.documents import Asked
from gitops.server.people.pages.lists import Part
from gitops.server.people.pages.query import LIVE, PAGING, Parameter, Query
from gitops.sign.tuf import LIFETIMES
from gitops.store import Store
from gitops.store.notes.box_keys import BoxKeys, HostCertificate
from gitops.store.notes.people import ApiToken
from gitops.workflows.access.kept import every

KEYS = Query("/keys", {"q": Parameter(), **PAGING, **LIVE})
LARGEST = 1 << 22
"""Bytes of the metadata that is read."""
ROLES = ("root", "targets", "snapshot", "timestamp")
DAY = 86_400
CERTIFICATE = 7 * DAY
"""Seconds before its end from which on somebody should look at a certificate."""


def keys(store: Store, asked: Asked, now: int) -> dict[str, Any]:
    """For the template.

    Raises:
        QueryError: the parameters are wrong.
    """
    view = KEYS.read(asked.query)
    low = view["q"].casefold()
    boxes = [row for row in _boxes(store, now) if low in row["box"].casefold()]
    return {
        "view": view, "roles": list(_roles(store.paths.metadata, now)), "part": Part.of(boxes, view), "now": now,
        "tokens": _tokens(store, now) if asked.who.may("admin") else [],
    }  # fmt: skip


def keys_json(store: Store, asked: Asked, now: int) -> Json:
    shown = keys(store, asked, now)
    rows, numbers = list(shown["part"].rows), shown["part"].numbers
    return {"metadata": shown["roles"], "tokens": shown["tokens"], "boxes": rows, **numbers}


def _roles(folder: Path, now: int) -> Iterator[Json]:
    """The metadata that are signed, with the keys that sign them."""
    below = _newest(folder) if (folder / ALONE).exists() else folder
    signed = {role: _signed(folder if role == "root" else below, role) for role in ROLES}
    known = signed["root"].get("roles")
    for role in ROLES:
        by = known.get(role, {}) if isinstance(known, dict) else {}
        ends = _time(signed[role].get("expires"))
        yield {
            "role": role, "version": signed[role].get("version", 0), "ends": ends,
            "keys": [str(key)[:12] for key in by.get("keyids", ())], "threshold": by.get("threshold", 0),
            "state": _state(ends, now, _soon(role)),
        }  # fmt: skip


def _newest(folder: Path) -> Path:
    """The box's repository that was signed last: what all boxes share is not written any more."""
    stamps = (folder / BOXES).glob("*/timestamp.json")
    return max(stamps, key=lambda path: path.stat().st_mtime, default=folder / "timestamp.json").parent


def _signed(folder: Path, role: str) -> Json:
    """The newest of a role; empty: there is none that can be read."""
    named = [folder / "timestamp.json"] if role == "timestamp" else list(folder.glob(f"*.{role}.json"))
    numbered = [path for path in named if role == "timestamp" or path.name.split(".")[0].isdecimal()]
    newest = max(numbered, key=lambda path: int(path.name.split(".")[0]) if role != "timestamp" else 0, default=None)
    try:
        if newest is None or newest.stat().st_size > LARGEST:
            return {}
        signed = json.loads(newest.read_bytes())["signed"]
        return signed if isinstance(signed, dict) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _boxes(store: Store, now: int) -> list[Json]:
    """Certificates of host keys, and keys that come or ask: what asks first, then what ends first."""
    found: dict[str, Json] = {}
    for box, each in store.notes.each(HostCertificate).items():
        state = _state(each.until, now, CERTIFICATE) if each.certificate else "no certificate"
        found[box] = {"box": box, "ends": each.until, "state": state, "asks": 0, "comes": False, "revoked": 0}
    for box, key in store.notes.each(BoxKeys).items():
        row = found.setdefault(box, {"box": box, "ends": 0, "state": ""})
        row |= {"asks": len(key.asking), "comes": bool(key.coming), "revoked": len(key.revoked)}
    return sorted(found.values(), key=lambda row: (-row["asks"], row["ends"] or 1 << 62, row["box"]))


def _tokens(store: Store, now: int) -> list[Json]:
    """Of programs; what ends first comes first."""
    found = sorted(every(store.notes, ApiToken).values(), key=lambda each: (each.until, each.name))
    return [
        {"name": each.name, "grants": [{"role": str(grant.role), "site": grant.site} for grant in each.grants],
         "made": each.made, "ends": each.until, "used": each.used, "state": _state(each.until, now, CERTIFICATE)}
        for each in found
    ]  # fmt: skip


def _state(ends: int, now: int, soon: int) -> str:
    if not ends:
        return "not known"
    return "ended" if ends <= now else "ends soon" if ends - now < soon else "good"


def _soon(role: str) -> int:
    """Root is renewed by people; the others by the controller, which is late when half of its margin is over."""
    return LIFETIMES[role].margin * DAY // (1 if role == "root" else 2)


def _time(text: object) -> int:
    try:
        return int(datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp())
    except ValueError:
        return 0
