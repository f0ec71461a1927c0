"""The small form of a report (contracts/small): the whole one is put together, and then judged as any other.

In: a body. Out: a whole body (contracts/envelope). Rules: what is put together is not believed: the signature is over
the whole report, and asked afterwards; one that builds on what is not here is refused with 412, and the box sends it
whole. A report that came whole, and has facts, is kept for the next ones: its sender knows the small form.

    body = whole(store, "site-7", body)
    remember(store, "site-7", body)         # header `toweros-small`
"""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from gitops.errors import StoreError
from gitops.model import Json, canonical, sha256
from gitops.store import LeaseError, Store
from gitops.store.notes.reported import WholeReport

HEADER = "toweros-small"
DIGITS = 32
MAX_SMALL = 4 << 10
"""Bytes of a body in this form."""
MAX_WHOLE = 256 << 10
"""Bytes of what is put together."""
MAX_DEPTH = 8


class SmallIn(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    base: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{DIGITS}}}$")]
    patch: dict[str, Any]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


def is_small(body: bytes) -> bool:
    """Canonical JSON begins with the first of its members."""
    return body.startswith(b'{"base":')


def whole(store: Store, name: str, body: bytes) -> bytes:
    """A body in the whole form, whichever came.

    Raises:
        HTTPException: 400, it is none; 412, it builds on what is not here; 413, it is too large.
    """
    if not is_small(body):
        return body
    if len(body) > MAX_SMALL:
        raise HTTPException(413, f"a small report has at most {MAX_SMALL} bytes")
    try:
        small = SmallIn.model_validate_json(body)
        base = _kept(store, name)
        if base is None or base.name != small.base:
            raise HTTPException(412, "a small report builds on one that is not here: send it whole")
        text = canonical(merged(json.loads(base.text), small.patch)).decode()
    except (ValidationError, ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not a small report") from error
    if len(text) > MAX_WHOLE:
        raise HTTPException(413, f"a report has at most {MAX_WHOLE} bytes")
    return canonical({"report": text, "signature": small.signature})


def remember(store: Store, name: str, body: bytes) -> dict[str, str]:
    """Keep a report that was believed, if it came whole. The header that says that the next may be small."""
    if is_small(body):
        return {HEADER: "1"}
    text = json.loads(body)["report"]
    if '"facts":{' not in text:
        return {}
    try:
        store.notes.put(WholeReport.of(sha256(text.encode())[:DIGITS], text), name)
    except StoreError:  # the report itself is kept, and the next one comes whole
        return {}
    return {HEADER: "1"}


def merged(target: Any, patch: Any, depth: int = 0) -> Any:
    """RFC 7396, section 2. Raises ValueError when it is deeper than any report."""
    if not isinstance(patch, dict):
        return patch
    if depth > MAX_DEPTH:
        raise ValueError("it is too deep")
    result: Json = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value, depth + 1)
    return result


def _kept(store: Store, name: str) -> WholeReport | None:
    try:
        return store.notes.get(WholeReport, name)
    except LeaseError:
        raise
    except StoreError:  # the next report is whole, and takes its place
        return None
