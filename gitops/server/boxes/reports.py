"""What boxes say: one signed document per report (contracts/report).

Rules: the body is bounded; nothing is believed before the signature of the named box holds; a foreign, unknown or
revoked box gets one and the same answer, and may ask to be let in; what was seen is not taken twice; every text is cut
to a length; every report is answered with a signed receipt, whether it is taken or not.
"""

import contextlib
import re
import time
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from gitops.errors import DocumentError, StoreError
from gitops.model import REPORT_FORMAT, EventType, Happened, Health, Json, Report
from gitops.model.machines.newcomer import role_of
from gitops.model.reading import read
from gitops.server.body import bounded
from gitops.server.boxes import facts, sessions, small, turns
from gitops.server.boxes.asked import together
from gitops.server.boxes.traffic import Fetched
from gitops.server.boxes.wire import HardwareIn, ReportIn, Wire
from gitops.server.busy import Queue
from gitops.server.seldom import Seldom
from gitops.sign.enrolled import judged
from gitops.sign.firmware import dbx
from gitops.sign.receipts import Receipts
from gitops.store import LeaseError, Store
from gitops.store.notes.box_keys import BootChecked, BoxDisk, Enrolled, HostCertificate, TakenDbx
from gitops.store.notes.newcomers import Lives
from gitops.store.notes.reported import BoxFacts
from gitops.workflows.enrolment import desk, lasting, newcomers, twins, wiping
from gitops.workflows.enrolment.endorse import endorse
from gitops.workflows.safekeeping import ahead

T = TypeVar("T")
log = structlog.get_logger(__name__)

MAX_BODY = 256 << 10
"""Bytes of one report."""
BROUGHT = ("bundle", "noc")
TOLD_IN = 20
"""The events of a box among which nothing is told twice."""
AT_A_TIME = 8
"""Reports that are judged and kept at a time: those that wait for the database keep nobody from fetching."""

BOX = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
HOST_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}")
SSH = "toweros-ssh"
"""The header with the certificate of a box's SSH host key."""


def is_name(text: str) -> bool:
    """Whether a box can be called so: nothing else is looked up."""
    return BOX.fullmatch(text) is not None


class Envelope(Wire):
    """The request's body."""

    report: Annotated[str, Field(max_length=MAX_BODY)]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
    key: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


_REPORT = TypeAdapter(ReportIn)


def router(store: Store) -> APIRouter:
    """POST /api/v1/boxes/BOX/report."""
    routes = APIRouter()
    queue = Queue(AT_A_TIME)
    refused = Seldom("report.refused")

    @routes.post("/api/v1/boxes/{name}/report", status_code=204)
    async def report(name: str, request: Request) -> Response:
        body = await bounded(request, "report", MAX_BODY)
        address = request.client.host if request.client else ""
        sent = Sent(name, address, body)
        headers = await queue.run(answer, store, sent, refused)
        return Response(status_code=204, headers=headers)

    return routes


@dataclass(frozen=True)
class Sent:
    """The body of a report, under which name it came, and from where."""

    name: str
    address: str
    body: bytes


def answer(store: Store, sent: Sent, refused: Seldom) -> dict[str, str]:
    """Take a report. The receipt's header, of a refusal too: that proves that the server was reached.

    Raises as `take` does.
    """
    with together(store, sent.name) if is_name(sent.name) else contextlib.nullcontext():
        return _answer(store, sent, refused)


def _answer(store: Store, sent: Sent, refused: Seldom) -> dict[str, str]:
    name = sent.name
    body = small.whole(store, name, sent.body) if is_name(name) else sent.body
    try:
        take(store, name, body, sent.address)
    except HTTPException as error:
        if error.status_code == 403:
            refused.warn(name[:63], error.detail)
        # What was seen already was taken: the answer got lost on the way.
        error.headers = {**(error.headers or {}), **_receipt(store, name, body, error.status_code == 409)}
        raise
    headers = _receipt(store, name, body, True) | _certificate(store, name) | small.remember(store, name, sent.body)
    return headers | sessions.header(store, name)


def _certificate(store: Store, name: str) -> dict[str, str]:
    """The SSH certificate of the host key that this box has now."""
    note = kept(store, HostCertificate, name)
    return {SSH: note.certificate} if note and note.certificate and note.certified == note.key else {}


def _receipt(store: Store, name: str, body: bytes, taken: bool) -> dict[str, str]:
    receipts = Receipts.of(store)
    try:
        text = Envelope.model_validate_json(body).report.encode()
    except ValidationError:
        return {}
    known = is_name(name) or role_of(name)
    return receipts.header(name, text, taken=taken, now=int(time.time())) if receipts and known else {}


def take(store: Store, name: str, body: bytes, address: str = "") -> None:
    """Check a report and keep it.

    Raises:
        HTTPException: 400 not a report, 403 not this box's, 409 seen already, 422 a document that is not understood.
    """
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400, "the body is not a signed report") from error
    text, signature = envelope.report.encode(), envelope.signature
    if role_of(name):
        raise _waits(store, name, envelope, address)
    if not is_name(name) or not desk.believed(store, name, text, signature):
        if is_name(name):
            _of_a_stranger(store, name, envelope)
        raise HTTPException(403, "the signature is not that of an enrolled box of this name")
    try:
        report = read(_REPORT, "the report", envelope.report, REPORT_FORMAT).noun()
    except DocumentError as error:
        _not_understood(store, name, error.message)
        raise HTTPException(422, error.message) from error
    if report.box != name:
        raise HTTPException(403, "the report is another box's")
    _keep(store, report, address, int(time.time()))
    _note(store, name, report)


def _note(store: Store, name: str, report: Report) -> None:
    """What others ask of many boxes at once, where that is another than before."""
    if report.room and kept(store, BoxDisk, name) != (disk := BoxDisk(**report.room)):
        store.notes.put(disk, name)
    if report.facts and kept(store, BoxFacts, name) != (said := facts.kept_of(report.facts)):
        store.notes.put(said, name)
    own = bool(report.trusted and report.trusted.get("own"))
    checked = BootChecked(report.firmware is not None, report.place, came(report.fetched), own)
    if (kept(store, BootChecked, name) or BootChecked(True)) != checked:
        store.notes.put(checked, name)
    turns.note(store, report)
    if HOST_KEY.fullmatch(report.ssh):
        _note_host_key(store, name, report.ssh)


def came(fetched: Json) -> tuple[str, ...]:
    """Who brought a box's last update, if that was not the server alone; a box may say anything."""
    said = fetched.get("from")
    return tuple(each for each in BROUGHT if isinstance(said, list) and each in said[:3])


def _of_a_stranger(store: Store, name: str, envelope: Envelope) -> None:
    """Whose key does not count: it asks to be let in, or was the box's until that was wiped."""
    text, signature = envelope.report.encode(), envelope.signature
    if wiping.lives_on(store, name, text, signature):
        _heard_again(store, name, envelope.report)
    elif envelope.key:
        desk.ask(store, name, text, signature, envelope.key, int(time.time()))


def _heard_again(store: Store, name: str, text: str) -> None:
    """A box that was to be wiped says something still: that is shown, and does it no good."""
    with contextlib.suppress(DocumentError):
        report = read(_REPORT, "the report", text, REPORT_FORMAT).noun()
        if report.box == name:
            store.boxes.save_report(report, news=changes)


def _keep(store: Store, report: Report, address: str, now: int) -> None:
    """The report, with what is wrong with the box beside what it says.

    Raises:
        HTTPException: 409, it was seen already.
    """
    name, taken = report.box, kept(store, TakenDbx, report.box)
    before = kept(store, Lives, name) or Lives()
    lives = twins.follow(before, report, address, now)
    whole = lasting.judged(judged(twins.judged(report, lives, now), store.notes.get(Enrolled), taken))
    fetched = Fetched()
    if not store.boxes.save_report(whole, news=fetched.news(changes)):
        if last := store.boxes.report(name):
            twins.remember(store, name, before, twins.passed(before, last, report, now), now)
        raise HTTPException(409, "this report was seen already")
    fetched.keep(store, now)
    twins.remember(store, name, before, lives, now)
    dbx.follow(store, report, taken)
    ahead.notice(store, report, now)


def _waits(store: Store, name: str, envelope: Envelope, address: str) -> HTTPException:
    """A machine that has no name yet: it is kept that it asks."""
    try:
        report = read(_REPORT, "the report", envelope.report, REPORT_FORMAT)
    except DocumentError as error:
        return HTTPException(422, error.message)
    if report.box != name or not envelope.key:
        return HTTPException(400, "a machine without a name says so, and which key is its own")
    if store.boxes.heard(envelope.key, report.boot_id, report.counter):
        return HTTPException(409, "this machine has a name, and has said more under it since")
    known = report.hardware or HardwareIn()
    text, signature, key = envelope.report.encode(), envelope.signature, envelope.key
    headers, ek = endorse(store, key, known.ek, known.bound, known.proof)
    said = newcomers.Said(name, text, signature, key, known.serial.strip(), tuple(known.macs), ek)
    newcomers.ask(store, said, address, int(time.time()))
    return HTTPException(403, "a machine that has no name yet: `toweros box adopt --list`", headers)


def _note_host_key(store: Store, name: str, key: str) -> None:
    """What the controller's next pass makes a certificate for."""
    note = kept(store, HostCertificate, name)
    if note is None or note.key != key:
        store.notes.put(replace(note, key=key) if note else HostCertificate(key), name)


def kept(store: Store, kind: type[T], name: str) -> T | None:
    """What is kept of a box; what is damaged of it is forgotten, for the next report says it again."""
    try:
        return store.notes.get(kind, name)
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("note.damaged", box=name, error=error.message)
        store.notes.forget(kind, [name])
        return None


def changes(before: Report | None, after: Report) -> list[tuple[EventType, str, str]]:
    """What a new report says that the last one did not: (type, reason, message) of events."""
    known = {(f.release, f.time) for f in before.failures} if before else set()
    found: list[tuple[EventType, str, str]] = [
        (EventType.WARNING, Happened.FELL_BACK, f"release {failure.sequence}: {failure.verdict}: {failure.reason}")
        for failure in after.failures
        if (failure.release, failure.time) not in known
    ]
    for reset in (each for each in after.resets if before is None or each not in before.resets):
        words = f"the watchdog reset release {reset.sequence or '?'}; it was doing: {reset.doing}"
        found.append((EventType.WARNING, Happened.RESET, words))
    if before is None or before.release != after.release:
        found.append((EventType.NORMAL, Happened.RUNS, f"release {after.sequence}"))
    if before is None or before.health != after.health:
        type_ = EventType.WARNING if after.health == Health.DEGRADED else EventType.NORMAL
        found.append((type_, str(after.health), "; ".join(after.degraded) or f"release {after.sequence}"))
    found += [*turns.changes(before, after), *sessions.changes(before, after)]
    if after.error and (before is None or before.error != after.error):
        found.append((EventType.WARNING, Happened.REFUSED, after.error))
    return found


def _not_understood(store: Store, box: str, why: str) -> None:
    """A box that is believed, and speaks otherwise than we do: it will be Missing, and this is why. Told once."""
    message = f"its report is not understood: {why}"
    if message not in {event.message for event in store.events.latest(box, TOLD_IN)}:
        store.events.add(box, EventType.WARNING, Happened.REFUSED, message)
