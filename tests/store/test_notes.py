"""Every small document comes back as it went in, whoever wrote it; a damaged one says its name."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import StoreError
from gitops.model import Action, BlobRef, Revision, Step
from gitops.model.access.person import Grant, Role
from gitops.model.machines.netboot import HandedOut
from gitops.model.notifying.rules import Gathered, NotifyRule
from gitops.model.rollout.course import Course, Sample
from gitops.model.rollout.reverts import Revert
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.model.rollout.waves import WaveState
from gitops.model.updates.patching import Failed, HeldSet, Move, Proposal, Window, WindowRun
from gitops.store import Store
from gitops.store.database import upsert
from gitops.store.notes import documents
from gitops.store.notes.adopting import Adoption, Adoptions
from gitops.store.notes.audited import AuditHead
from gitops.store.notes.box_keys import Asking, BootChecked, BoxDisk, BoxKeys, Enrolled, HostCertificate, TakenDbx
from gitops.store.notes.copied import CopiedTo
from gitops.store.notes.deltas import DeltaTry, DeltaWork, Spared
from gitops.store.notes.directory import Place, Roster, Traffic
from gitops.store.notes.documents import NAMES, name_of
from gitops.store.notes.netboot import BootSet, BootSets, Machines, Starts
from gitops.store.notes.newcomers import Life, Lives, Newcomer, Newcomers
from gitops.store.notes.nocs import NocContact
from gitops.store.notes.notices import Notice, Notices, NotifyRules
from gitops.store.notes.people import Account, ApiToken, Session
from gitops.store.notes.record import RecordEntry, RecordTip
from gitops.store.notes.remote import Asked, RemoteSessions
from gitops.store.notes.reported import BoxFacts, WholeReport
from gitops.store.notes.restored import RightClock, VersionFloor
from gitops.store.notes.turns import Permissions
from gitops.store.notes.waves import Aside, RetriedContents, Reverts, Steered, Waves
from gitops.store.notes.wiped import Wiped
from gitops.store.notes.working import Woken, Work
from gitops.store.tables import notes

A, B = "a" * 64, "b" * 64
MOVE = Move("openssl", "1", "2")
RULE = {"name": "ops", "to": ["hook"], "boxes": [], "roles": [], "sites": [], "quiet": [], "timezone": "UTC"}
RULE |= {"severity": [], "labels": []}
SENT = Notice("5f", "hook", "ops", Gathered(3, (), {"Late": 1}), 4, 5, 1)
NOTICE = {
    "id": "5f", "receiver": "hook", "rule": "ops", "gathered": {"since": 3, "first": [], "counts": {"Late": 1}},
    "made": 4, "due": 5, "tried": 1, "begun": False,
}  # fmt: skip
GRANTS = (Grant(Role.operator, "north"),)
SAID = [{"role": "operator", "site": "north"}]
DOCUMENTS: dict[Any, tuple[str, Any, Any]] = {
    Account: (
        "ada",
        Account("$argon2id$", GRANTS, 1, 2),
        {"password": "$argon2id$", "grants": SAID, "made": 1, "changed": 2},
    ),
    Session: (
        A,
        Session("ada", "oidc", 1, 2, "192.0.2.7", GRANTS),
        {"who": "ada", "how": "oidc", "begun": 1, "seen": 2, "address": "192.0.2.7", "grants": SAID},
    ),
    ApiToken: (
        A[:16],
        ApiToken("prometheus", A, GRANTS, 1, 2, 3),
        {"name": "prometheus", "digest": A, "grants": SAID, "made": 1, "until": 2, "used": 3},
    ),
    Adoptions: (
        "",
        Adoptions({"ab" * 32: Adoption("ab" * 32, "site-9", "vm", "ada", "a mast", 5)}),
        {"ab" * 32: {"key": "ab" * 32, "name": "site-9", "role": "vm", "who": "ada", "why": "a mast", "since": 5,
                     "commit": "", "pushed": False, "pull": 0, "note": "", "ended": False}},
    ),
    AuditHead: ("", AuditHead(18, "ab" * 32), {"number": 18, "digest": "ab" * 32}),
    CopiedTo: (
        "cdn",
        CopiedTo(1_790_000_000, "cdn: it refuses us (403)", 1_790_000_100, {"layers/x": 1_790_000_050}),
        {"done": 1_790_000_000, "error": "cdn: it refuses us (403)", "since": 1_790_000_100,
         "gone": {"layers/x": 1_790_000_050}},
    ),
    BoxFacts: (
        "site-7",
        BoxFacts(60, 600, "0.1.0", "6.12.57", ("192.0.2.7",)),
        {"poll": 60, "every": 600, "agent": "0.1.0", "kernel": "6.12.57", "addresses": ["192.0.2.7"], "proves": False},
    ),
    DeltaWork: (
        "",
        DeltaWork(1, 20, 3, 4, 5, 6, 7, 8, {f"{A}/{B}": DeltaTry(20, 7)}),
        {
            "count": 1, "size": 20, "waiting": 3, "made": 4, "failed": 5, "dropped": 6, "seconds": 7, "at": 8,
            "tried": {f"{A}/{B}": {"size": 20, "at": 7}},
        },
    ),
    Spared: ("", Spared({"2026-11-29": 5}), {"2026-11-29": 5}),
    NotifyRules: (
        "",
        NotifyRules((NotifyRule("ops", ("hook",), on=("Missing",), gather=5),)),
        {"rules": [RULE | {"on": ["Missing"], "gather": 5}]},
    ),
    Notices: (
        "",
        Notices(7, (6, 7), {"site-7": "Late"}, {}, (SENT,)),
        {"cursor": 7, "seen": [6, 7], "silent": {"site-7": "Late"}, "gathering": {}, "outbox": [NOTICE]},
    ),
    WholeReport: ("site-7", WholeReport(A[:32], "eJw="), {"name": A[:32], "packed": "eJw="}),
    Woken: ("", Woken(3, 5), {"times": 3, "at": 5}),
    RemoteSessions: (
        "site-7",
        RemoteSessions((Asked(7, "logs", "ada", "why", "AAAA", A, 5, 305),)),
        {
            "sessions": [
                {
                    "serial": 7, "kind": "logs", "who": "ada", "reason": "why", "certificate": "AAAA", "proof": A,
                    "asked": 5, "until": 305, "over": False,
                }
            ]
        },
    ),
    Work: (
        "",
        Work("build", "pkg/sshd", 3, 22, 5, 6, 7, 1),
        {"do": "build", "subject": "pkg/sshd", "number": 3, "of": 22, "since": 5, "at": 6, "size": 7, "failed": 1},
    ),
    Waves: (
        "",
        Waves((WaveState("lab", A, {"Healthy": 2}, 5, "lab soaks"),)),
        {
            "states": [
                {
                    "name": "lab", "content": A, "counts": {"Healthy": 2}, "done": 5, "says": "lab soaks", "left": 0,
                    "overtaken": 0,
                }
            ]
        },
    ),
    Steered: (
        "",
        Steered("ada", "the mast is open", 5, "c1", (A,), {"lab": "ada: go"}),
        {
            "who": "ada", "why": "the mast is open", "since": 5, "revision": "c1", "promoted": [A],
            "texts": {"lab": "ada: go"},
        },
    ),
    Aside: (
        "",
        Aside({"v1": B}, {A: B}, {"site-7": {B: A}}, {"site-7": "stays on v1"}),
        {"tags": {"v1": B}, "made": {A: B}, "passed": {"site-7": {B: A}}, "says": {"site-7": "stays on v1"}},
    ),
    RetriedContents: ("", RetriedContents({"site-7": A}), {"site-7": A}),
    Reverts: (
        "",
        Reverts({A: Revert("toweros/revert-a", B, 5, True, 7, "obsolete", True)}, (A,)),
        {
            "proposed": {
                A: {
                    "branch": "toweros/revert-a", "commit": B, "since": 5, "pushed": True, "pull": 7,
                    "note": "obsolete", "ended": True,
                }
            },
            "deployed": [A],
        },
    ),
    Wiped: ("", Wiped({"site-9": A}), {"site-9": A}),
    Roster: (
        "",
        Roster({"site-9": Place("vm", "mast 9", {"ring": "1"}, 60)}),
        {"site-9": {"role": "vm", "site": "mast 9", "labels": {"ring": "1"}, "poll": 60}},
    ),
    Course: (
        "5c1e",
        Course("main@sha1:5c1e", 2, 5, 9, (Sample(5, 1, 0, 0, 1),)),
        {
            "revision": "main@sha1:5c1e", "boxes": 2, "began": 5, "ended": 9,
            "samples": [{"time": 5, "offered": 1, "running": 0, "well": 0, "trouble": 1}],
        },
    ),
    Traffic: ("", Traffic({"2026-11-29": 7}), {"2026-11-29": 7}),
    Newcomers: (
        "",
        Newcomers({A: Newcomer("vm", 3, 5, "192.0.2.7", "7XK2Q13", ("52:54:00:12:34:56",), B, "site-9", "it is two")}),
        {
            A: {
                "role": "vm", "first": 3, "last": 5, "address": "192.0.2.7", "serial": "7XK2Q13",
                "macs": ["52:54:00:12:34:56"], "ek": B, "box": "site-9", "refused": "it is two",
            }
        },
    ),
    NocContact: (
        "site-7",
        NocContact(5, 6, "192.0.2.7", 3, 1, 2, "up to date"),
        {"time": 5, "seen": 6, "address": "192.0.2.7", "boxes": 3, "lacking": 1, "waiting": 2, "says": "up to date"},
    ),
    Lives: (
        "site-9",
        Lives((Life("one", "192.0.2.7"), Life("two", "192.0.2.8")), "two", "one", 2, 7),
        {
            "boots": [{"boot": "one", "address": "192.0.2.7"}, {"boot": "two", "address": "192.0.2.8"}],
            "last": "two", "other": "one", "returns": 2, "returned": 7,
        },
    ),
    documents.Status: (
        "",
        documents.Status(
            "main@sha1:c", ("ada",), (documents.Alarm("Unsigned", "v2"),), 5, "no", "sign it", "Unsigned", 3,
            ("a runs more",),
        ),
        {
            "revision": "main@sha1:c", "signers": ["ada"], "polled": 5,
            "alarms": [{"reason": "Unsigned", "message": "v2"}],
            "error": "no", "hint": "sign it", "reason": "Unsigned", "since": 3, "warnings": ["a runs more"],
        },
    ),
    documents.PassResult: (
        "c" * 40,
        documents.PassResult(
            "main@sha1:c", (Step("pkg/a", Action.BUILD, "new"),), (), 2, ("one",), {"two": "held: ada"}, {"build": 1.25}
        ),
        {
            "revision": "main@sha1:c", "builds": [{"subject": "pkg/a", "action": "build", "reason": "new"}],
            "boxes": [], "layers": 2, "published": ["one"], "held": {"two": "held: ada"}, "seconds": {"build": 1.25},
        },
    ),
    documents.FeedState: (
        "debian",
        documents.FeedState(
            "/srv/feed", '"1"', "today", 3, 5, 4, BlobRef(A, 1), {"debian/debian:13": 2}, ("x: odd",), "away", "wait", 6
        ),
        {
            "place": "/srv/feed", "etag": '"1"', "changed": "today", "written": 3, "looked": 5, "confirmed": 4,
            "index": [A, 1], "counts": {"debian/debian:13": 2}, "unread": ["x: odd"], "error": "away", "hint": "wait",
            "failing": 6,
        },
    ),
    VersionFloor: ("", VersionFloor(1_790_000_000, True), {"version": 1_790_000_000, "at_once": True}),
    RightClock: ("", RightClock(1_790_000_000), {"said": 1_790_000_000}),
    documents.Exposures: (
        "",
        documents.Exposures(
            9,
            {"vm": documents.RoleExposure(2, {"high": 1}, 1, 5, (documents.Unknown("feed debian", "late", 3),))},
            {"high": (1, 250)},
        ),
        {
            "made": 9,
            "roles": {
                "vm": {
                    "boxes": 2, "open": {"high": 1}, "fixable": 1, "oldest": 5,
                    "unknown": [{"about": "feed debian", "why": "late", "since": 3}],
                },
            },
            "fixed": {"high": [1, 250]},
        },
    ),
    documents.PatchRuns: (
        "",
        documents.PatchRuns({Window.kernel: WindowRun(1, 5, 2, 3, 4, "nothing new", "")}),
        {
            "kernel": {
                "last": 1, "started": 2, "finished": 3, "outcome": "nothing new", "error": "", "retry": 4, "asked": 5,
                "unended": 0,
            },
        },
    ),
    documents.Patches: (
        "",
        documents.Patches(
            {"openssl": Proposal("refs/heads/main", Window.packages, (MOVE,), "c" * 40, {"pkg/a/packages.lock": A})},
            {B: HeldSet((MOVE,), Failed.build, "no", 7)}, {"openssl 2": 5}, {"packages": A},
        ),
        {
            "proposals": {
                "openssl": {
                    "ref": "refs/heads/main", "window": "packages", "base": "c" * 40, "note": "", "pull": 0, "since": 0,
                    "moves": [{"source": "openssl", "old": "1", "new": "2"}], "locks": {"pkg/a/packages.lock": A},
                    "pushed": "", "pushing": "", "deployed": "",
                },
            },
            "held": {B: {"moves": [{"source": "openssl", "old": "1", "new": "2"}], "failed": "build", "why": "no",
                         "since": 7}},
            "seen": {"openssl 2": 5}, "looked": {"packages": A},
        },
    ),
    documents.BuiltAt: (
        "key",
        documents.BuiltAt("c" * 40, "urn:toweros:builder:buildah", "0.1.0"),
        {"commit": "c" * 40, "builder": "urn:toweros:builder:buildah", "version": "0.1.0"},
    ),
    documents.Planned: (
        "",
        documents.Planned("c" * 40, ("one",), {"pkg/a": A}),
        {"commit": "c" * 40, "boxes": ["one"], "packages": {"pkg/a": A}},
    ),
    documents.LastDeployed: (
        "",
        documents.LastDeployed(
            Revision("v1", "c" * 40, 7, 5, "say", ("ada",), (BlobRef(A, 1),), True),
            2, {"sign": "tag"}, (A, B), (("v1", B),),
        ),
        {
            "revision": {
                "ref": "v1", "commit": "c" * 40, "sequence": 7, "time": 5, "subject": "say", "signers": ["ada"],
                "evidence": [{"sha256": A, "size": 1}], "tagged": True,
            },
            "epoch": 2, "policy": {"sign": "tag"}, "states": [A, B], "tags": [["v1", B]],
        },
    ),
    documents.Suspended: (
        "",
        documents.Suspended({"*": documents.Suspension("ada", "disk", 5)}),
        {"*": {"who": "ada", "why": "disk", "since": 5}},
    ),
    documents.ForgeMemory: (
        "",
        documents.ForgeMemory(
            {7: documents.ReviewedPull("c" * 40, A, True, "today", 4)},
            documents.ShownDeployment("c" * 40, "toweros/deploy", "pending", "1/2 boxes healthy", "https://status"),
            "503",
        ),
        {
            "pulls": {"7": {"head": "c" * 40, "text": A, "built": True, "updated": "today", "turn": 4}},
            "deploy": {
                "commit": "c" * 40, "context": "toweros/deploy", "state": "pending",
                "description": "1/2 boxes healthy", "link": "https://status",
            },
            "error": "503",
        },
    ),
    documents.AppImages: ("", documents.AppImages({"app@sha256:" + A: (A, B)}), {"app@sha256:" + A: [A, B]}),
    documents.AppImageBlobs: (
        A,
        documents.AppImageBlobs((BlobRef(A, 1), BlobRef(B, 2))),
        {"blobs": [[A, 1], [B, 2]]},
    ),
    documents.ImageOrigins: (A, documents.ImageOrigins(("web/nginx", "*")), {"names": ["web/nginx", "*"]}),
    documents.CheckedSignature: (A, documents.CheckedSignature("ada.pub"), {"signer": "ada.pub"}),
    documents.Retries: (
        "",
        documents.Retries({"one": documents.Suspension("ada", "mast", 5)}),
        {"one": {"who": "ada", "why": "mast", "since": 5}},
    ),
    documents.ReceiptKey: ("", documents.ReceiptKey(A), {"private": A}),
    BoxKeys: (
        "demo-1",
        BoxKeys(A, (Asking(B, 5, 6),), 7, (A,)),
        {"coming": A, "asking": [{"key": B, "first": 5, "last": 6}], "since": 7, "revoked": [A]},
    ),
    Enrolled: ("", Enrolled({"db": A}), {"db": A}),
    HostCertificate: (
        "demo-1", HostCertificate("k", "c", "k", A, 3),
        {"key": "k", "certificate": "c", "certified": "k", "by": A, "until": 3},
    ),
    TakenDbx: ("demo-1", TakenDbx(A), {"digest": A}),
    BootChecked: (
        "demo-1", BootChecked(False, "medium", ("noc",), True),
        {"checked": False, "place": "medium", "came": ["noc"], "own": True},
    ),
    Permissions: (
        "",
        Permissions({"demo-1": Lease(4, 5, "frozen")}),
        {"demo-1": {"number": 4, "until": 5, "stopped": "frozen"}},
    ),
    BoxTurn: (
        "demo-1",
        BoxTurn(4, True, "held", 9, "a call", 5, 300),
        {"spent": 4, "idle": True, "state": "held", "sequence": 9, "why": "a call", "until": 5, "vetoed": 300},
    ),
    BoxDisk: ("demo-1", BoxDisk(9, 5, True, A), {"toweros": 9, "esp": 5, "made": True, "back": A}),
    RecordEntry: ("00000001", RecordEntry("tree\n"), {"commit": "tree\n"}),
    RecordTip: ("", RecordTip(1, "c", "no"), {"entries": 1, "sent": "c", "told": "no"}),
    Machines: ("", Machines({"52:54:00:12:34:56": "demo-1"}), {"52:54:00:12:34:56": "demo-1"}),
    BootSets: (
        "demo-1",
        BootSets(
            (BootSet(A, 7, B, BlobRef(A, 1), BlobRef(B, 2), BlobRef(A, 3), "quiet", "no", True, BlobRef(B, 4)),), 9,
            BlobRef(A, 5),
        ),
        {
            "sets": [
                {
                    "release": A, "sequence": 7, "made_of": B, "image": {"sha256": A, "size": 1},
                    "kernel": {"sha256": B, "size": 2}, "initrd": {"sha256": A, "size": 3}, "line": "quiet",
                    "trouble": "no", "proven": True, "files": {"sha256": B, "size": 4},
                },
            ],
            "since": 9,
            "said": {"sha256": A, "size": 5},
        },
    ),
    Starts: (
        "demo-1",
        Starts(A, (HandedOut(5, "b"),), True),
        {"release": A, "starts": [{"time": 5, "boot_id": "b"}], "told": True},
    ),
    documents.AssembledFiles: (A, documents.AssembledFiles({"kernel": BlobRef(B, 2)}), {"kernel": [B, 2]}),
    documents.SignedBootFile: (f"{A}:{B[:16]}", documents.SignedBootFile(B), {"sha256": B}),
    documents.LayerInventories: (A, documents.LayerInventories({B: BlobRef(A, 2)}), {B: [A, 2]}),
    documents.BoxInventories: ("one", documents.BoxInventories(((A, B),)), {"releases": [[A, B]]}),
    documents.InventoryDocuments: (A, documents.InventoryDocuments({"cdx": BlobRef(B, 2)}), {"cdx": [B, 2]}),
    documents.PartIndex: (A, documents.PartIndex(B, 1), {"sha256": B, "format": 1}),
}  # fmt: skip
"""Kind -> a key, a document, and the JSON that stores have of it."""
ALL_DATA = (
    documents.AppImages,
    documents.AssembledFiles,
    documents.LayerInventories,
    documents.InventoryDocuments,
    Enrolled,
    Machines,
    Wiped,
    RetriedContents,
    Traffic,
    Spared,
)
"""They have no member that could be unknown: every name in them is a reference or a file."""
every = pytest.mark.parametrize("kind", NAMES, ids=NAMES.values())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


def write(store: Store, kind: Any, key: str, text: str) -> None:
    with store._database.write() as connection:
        upsert(connection, notes, {"name": name_of(kind, key)}, {"document": text})


def written(store: Store) -> dict[str, Any]:
    with store._database.read() as connection:
        return {row.name: json.loads(row.document) for row in connection.execute(notes.select())}


@every
def test_a_document_comes_back_as_it_went_in(store: Store, kind: Any) -> None:
    key, document, members = DOCUMENTS[kind]
    assert store.notes.get(kind, key) is None
    store.notes.put(document, key)
    assert store.notes.get(kind, key) == document
    assert written(store) == {NAMES[kind] + key: members}, "what stores have already is read and written as it was"


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in ALL_DATA])
def test_a_member_that_nobody_knows_is_dropped(store: Store, kind: Any) -> None:
    key, document, members = DOCUMENTS[kind]
    nested = kind in (
        documents.Suspended,
        documents.Retries,
        documents.PatchRuns,
        Newcomers,
        Roster,
        Adoptions,
        Permissions,
    )
    more = {name: row | {"new": 1} for name, row in members.items()} if nested else members | {"new": 1}
    write(store, kind, key, json.dumps(more))
    assert store.notes.get(kind, key) == document


@every
def test_a_damaged_document_says_its_name(store: Store, kind: Any) -> None:
    key, _, members = DOCUMENTS[kind]
    for text in ("", "{", "[]", "null", json.dumps(dict.fromkeys(members, 1.5))):
        write(store, kind, key, text)
        with pytest.raises(StoreError, match=f"the document {NAMES[kind]}.* is damaged") as caught:
            store.notes.get(kind, key)
        assert caught.value.hint, text


@pytest.mark.parametrize(
    ("kind", "members", "document"),
    [
        (documents.Status, {"error": "no", "polled": 5}, documents.Status(error="no", polled=5)),
        (
            documents.ForgeMemory,
            {"pulls": {"7": {"turn": 2}}},
            documents.ForgeMemory({7: documents.ReviewedPull(turn=2)}),
        ),
    ],
)
def test_what_an_older_controller_left_out_has_its_default(
    store: Store, kind: Any, members: Any, document: Any
) -> None:
    """A first pass that failed, and a pull request that was not planned yet."""
    write(store, kind, "", json.dumps(members))
    assert store.notes.get(kind) == document


def test_a_blob_is_a_digest_and_a_size(store: Store) -> None:
    for blob in ([A], [A, 1, 2], [A, -1], ["../a", 1], {"sha256": A, "size": 1}):
        write(store, documents.AssembledFiles, A, json.dumps({"kernel": blob}))
        with pytest.raises(StoreError, match=f"assemble/{A} is damaged: kernel"):
            store.notes.get(documents.AssembledFiles, A)


def test_a_key_belongs_to_those_that_there_are_many_of(store: Store) -> None:
    for kind, key in ((documents.Planned, A), (documents.PassResult, "")):
        with pytest.raises(ValueError, match="do not go together"):
            store.notes.get(kind, key)


def test_an_alarm_that_version_0_1_0_kept_as_text_is_read() -> None:
    status = documents.decode(documents.Status, "", '{"alarms":["Unsigned: v2: no signature"]}')
    assert status.alarms == (documents.Alarm("Unsigned", "v2: no signature"),)
    with pytest.raises(StoreError, match="alarms"):
        documents.decode(documents.Status, "", '{"alarms":["no reason"]}')


def test_what_is_at_hand_is_read_once_and_what_is_written_meanwhile_is_seen(store: Store) -> None:
    store.notes.put(BoxDisk(1, 2), "demo-1")
    store.notes.put(BoxDisk(7, 7), "demo-3")
    with store.notes.together((BoxDisk, "demo-1"), (BoxDisk, "demo-2"), (BoxDisk, "demo-3")):
        write(store, BoxDisk, "demo-1", '{"toweros":5,"esp":5}')
        assert store.notes.get(BoxDisk, "demo-1") == BoxDisk(1, 2) and store.notes.get(BoxDisk, "demo-2") is None
        store.notes.put(BoxDisk(3, 4), "demo-2")
        store.notes.forget(BoxDisk, ["demo-3"])
        assert store.notes.get(BoxDisk, "demo-2") == BoxDisk(3, 4) and store.notes.get(BoxDisk, "demo-3") is None
        with ThreadPoolExecutor(1) as other:
            assert other.submit(store.notes.get, BoxDisk, "demo-1").result() == BoxDisk(5, 5), "another thread asks"
    assert store.notes.get(BoxDisk, "demo-1") == BoxDisk(5, 5)


def test_what_is_read_together_is_as_it_was_at_the_beginning_or_as_it_was_written_since(store: Store) -> None:
    """A report asks for a dozen documents: they come by one query, to the thread that takes that report alone."""
    store.notes.put(Woken(1, 1))
    with closing(Store.open(store.paths.root)) as other, store.notes.together((Woken, ""), (Work, ""), (Wiped, "")):
        other.notes.put(Woken(2, 2))
        assert store.notes.get(Woken) == Woken(1, 1) and store.notes.get(Work) is None
        with ThreadPoolExecutor() as pool:
            assert pool.submit(store.notes.get, Woken).result() == Woken(2, 2)
        store.notes.put(Work("build"))
        assert store.notes.get(Work) == Work("build")
        assert store.notes.change(Woken, lambda old: Woken(old.times + 1, 9)) == Woken(3, 9) == store.notes.get(Woken)
        other.notes.put(Work())
        store.notes.forget(Work, [""])
        assert store.notes.get(Work) is None
    assert store.notes.get(Woken) == Woken(3, 9)
