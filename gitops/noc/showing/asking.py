"""What a NOC that runs on this machine says of itself, asked without a browser.

In: its folder, in which it wrote where it listens. Out: the JSON of its page (docs/formats.md, "NOC"), and that in rows
for people. Rules: what answers is not believed to be the NOC before it speaks like one.

    note(state, "http://0.0.0.0:8080")
    asked(state)["says"]        # "up to date"
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitops.errors import StoreError
from gitops.review.words import moment
from gitops.store.files.blobs import arriving
from gitops.web.ask import Bounds, WebError, ask

ADDRESS = "address"
"""The file of the folder in which a NOC that runs says where it listens."""
BOUNDS = Bounds(connect=5.0, silence=10.0, longest=20.0, largest=16 << 20)


def note(state: Path, url: str) -> None:
    """The NOC of this folder listens here. Raises StoreError."""
    with arriving(state / ADDRESS) as new:
        new.write_text(f"{url}\n")


def asked(state: Path) -> Mapping[str, Any]:
    """What it says. Raises StoreError: no NOC runs there, or it does not answer."""
    file = state / ADDRESS
    try:
        url = file.read_text(errors="replace")[:200].strip()
    except OSError as error:
        hint = "name the folder of `toweros noc` by --state; an older one wrote no address: see /api/v1/noc"
        raise StoreError(f"no NOC has run in {state}: {file}: {error.strerror}", hint=hint) from error
    # Who listens on all addresses is there on this machine's own.
    url = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    try:
        with ask(f"{url}/api/v1/noc", BOUNDS, redirects=False) as answer:
            found = json.loads(answer.read()) if answer.status == 200 else None
    except (WebError, ValueError) as error:
        hint = f"does it run? its last log says why not; what it kept is in {state}"
        raise StoreError(f"the NOC of {state} does not answer at {url}: {error}", hint=hint) from error
    if not isinstance(found, dict) or "says" not in found:
        raise StoreError(f"at {url} is something else than a NOC", hint=f"does the NOC of {state} still run?")
    return found


def rows(found: Mapping[str, Any], now: float) -> list[tuple[str, str]]:
    """The same for people."""
    contact, expires, waiting = found.get("contact") or 0, found.get("expires") or 0, found.get("waiting") or {}
    facts = [
        ("says", str(found["says"])),
        ("origin", f"{found.get('origin')}, last reached {moment(contact) if contact else 'never'}"),
        ("signed until", _until(expires, now)),
        ("disk", f"{found.get('used', 0):,} of {found.get('most', 0):,} bytes"),
        ("last bundle", str(found.get("bundle") or "none")),
        ("reports that wait", str(sum(waiting.values()))),
    ]
    fallen, boxes = found.get("fallen") or {}, found.get("boxes") or {}
    return facts + [
        (f"box {box}", "; ".join(filter(None, (why or "all here", fallen.get(box)))))
        for box, why in sorted(boxes.items())
    ]


def _until(expires: float, now: float) -> str:
    if not expires:
        return "nothing is signed here yet"
    return f"{moment(int(expires))}, {'over' if expires < now else f'{(expires - now) / 86400:.1f} days from now'}"
