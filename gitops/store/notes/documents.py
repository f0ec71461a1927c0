"""Every small document that outlives the process: a frozen dataclass each, its name in `NAMES`, and its JSON.

In: a document, or the JSON that is in the database. Out: the other one. Rules: a member that is missing has its default
and an unknown one is dropped, so that another version can read on; the JSON of a document whose only member is `rows`
is that mapping itself; what cannot be read is an error that names the document.

    name_of(Planned)                                # "planned"
    decode(Planned, "", encode(Planned("5c1e...")))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from gitops.errors import StoreError
from gitops.model import BlobRef, Json, Revision, Step, canonical
from gitops.model.digest import Digest
from gitops.model.updates.patching import HeldSet, Proposal, WindowRun
from gitops.store.notes.box_keys import BOX_KEYS
from gitops.store.notes.restored import RightClock, VersionFloor

HINT = "restore the database from a backup: docs/controller.md, Store"
ROWS = "rows"
T = TypeVar("T")


def _members(row: object) -> object:
    if not isinstance(row, list):
        raise ValueError("not a digest and a size")
    return dict(zip(("sha256", "size"), row, strict=True))


Blob = Annotated[BlobRef, BeforeValidator(_members), PlainSerializer(lambda ref: [ref.sha256, ref.size])]
"""A blob, written as `[digest, size]`."""


@dataclass(frozen=True)
class Alarm:
    """A release tag that would come next and may not: the name of the refusal, and what happened."""

    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


def _alarm(row: object) -> object:
    """0.1.0 kept an alarm as one text."""
    return dict(zip(("reason", "message"), row.split(": ", 1), strict=True)) if isinstance(row, str) else row


@dataclass(frozen=True)
class Status:
    """The controller's last passes. `polled` and `since` are Unix seconds, 0: never; `hint`, `reason` and `since` (the
    failure's first time) belong to `error`, which is empty after a pass that succeeded; `warnings`: for people."""

    revision: str = ""
    signers: tuple[str, ...] = ()
    alarms: tuple[Annotated[Alarm, BeforeValidator(_alarm)], ...] = ()
    polled: int = 0
    error: str = ""
    hint: str = ""
    reason: str = ""
    since: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassResult:
    """What the last pass on a commit did. `held`: box -> why it waits; `layers`: how many were made; `seconds`: how
    long each stage took."""

    revision: str
    builds: tuple[Step, ...] = ()
    boxes: tuple[Step, ...] = ()
    layers: int = 0
    published: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """The last revision that was carried out: its commit, its boxes, and its packages with their keys."""

    commit: str = ""
    boxes: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LastDeployed:
    """What was deployed last, and what judges the next one. Lost: then the remote is trusted anew, within what the
    settings' first keys have signed. `policy` is fleet.yaml's `source:`; `states` name every state of policy and keys
    that was deployed, `tags` the release tags and their objects' ids: of both, the last one is last."""

    revision: Revision
    epoch: int
    policy: Json
    states: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReceiptKey:
    """The Ed25519 key (hex) by which servers sign that a report arrived."""

    private: str = field(default="", repr=False)


@dataclass(frozen=True)
class Suspension:
    """Who holds a box, why, and since when (Unix seconds)."""

    who: str
    why: str
    since: int


@dataclass(frozen=True)
class Retries:
    """Box -> who wants what failed there to be tried once more, and why."""

    rows: Mapping[str, Suspension] = field(default_factory=dict)


@dataclass(frozen=True)
class Suspended:
    """Box, or `*` for all -> who holds it, as operators said."""

    rows: Mapping[str, Suspension] = field(default_factory=dict)


@dataclass(frozen=True)
class ReviewedPull:
    """A pull request as it was last written about: its head, the digest of the text there, whether it was built, the
    forge's word for its newest comment, and the round in which it had its turn."""

    head: str = ""
    text: str = ""
    built: bool = False
    updated: str = ""
    turn: int = 0


@dataclass(frozen=True)
class ShownDeployment:
    """A commit status as it was last set for the rollout (`gitops.forges.forge.Status`)."""

    commit: str
    context: str
    state: str
    description: str
    link: str = ""


@dataclass(frozen=True)
class ForgeMemory:
    """What was written on the forge, by the number of the pull request; `error`: why the last round failed."""

    pulls: Mapping[int, ReviewedPull] = field(default_factory=dict)
    deploy: ShownDeployment | None = None
    error: str = ""


@dataclass(frozen=True)
class AppImages:
    """What boxes need of images that no package makes: reference -> digests of blobs."""

    rows: Mapping[str, tuple[Digest, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class AppImageBlobs:
    """An image that no package makes: manifest, config, layers. Its key is the digest that names it."""

    blobs: tuple[Blob, ...] = ()


@dataclass(frozen=True)
class ImageOrigins:
    """The repositories from which an image was had, as names say them; `*`: out of a folder. Its key: as there."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedSignature:
    """Whose key signed an image. Its key is the digest of what was asked: registry, image, trusted keys."""

    signer: str


@dataclass(frozen=True)
class AssembledFiles:
    """Files that were made of images, by name. Its key is the digest of what they were made of."""

    rows: Mapping[str, Blob] = field(default_factory=dict)


@dataclass(frozen=True)
class SignedBootFile:
    """The blob that sbsign made. Its key: the digest of the unsigned file, `:`, the beginning of the certificate's."""

    sha256: Digest


@dataclass(frozen=True)
class LayerInventories:
    """What was found in layers: diff id -> the inventory (`gitops.model.security.inventory`). Its key is that of the
    package whose layers they are, or the digest that names an image that no package makes."""

    rows: Mapping[str, Blob] = field(default_factory=dict)


@dataclass(frozen=True)
class BoxInventories:
    """What is inside of a box's latest releases: each one's content digest, and the inventory; the last one is last.
    Its key is the box."""

    releases: tuple[tuple[Digest, Digest], ...] = ()


@dataclass(frozen=True)
class InventoryDocuments:
    """An inventory as others read it, `cdx` and `spdx`. Its key is the inventory's digest."""

    rows: Mapping[str, Blob] = field(default_factory=dict)


@dataclass(frozen=True)
class PartIndex:
    """The blob that says what is in a locked file, and its format (`gitops.security.sbom.index`). Its key is the file's
    digest."""

    sha256: Digest
    format: int


@dataclass(frozen=True)
class BuiltAt:
    """At which commit a package was built, by which builder of which version of TowerOS. Its key is the package's."""

    commit: str
    builder: str
    version: str


@dataclass(frozen=True)
class PatchRuns:
    """When updates were looked for last: `packages`, `kernel` -> the last run."""

    rows: Mapping[str, WindowRun] = field(default_factory=dict)


@dataclass(frozen=True)
class Patches:
    """Security updates that are on their way, by the name of their group; sets that are not offered again, by the set;
    since when each update is known (`SOURCE VERSION` -> Unix seconds); what the last run of each schedule looked at."""

    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    held: Mapping[str, HeldSet] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    looked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FeedState:
    """What a feed of advisories said. Its key is the feed's name. Times are Unix seconds, 0: never. `looked`: the last
    try; `confirmed`: the last that succeeded; `written`: when the feed's data were written, as far as it says;
    `counts`: scope -> how many advisories; `error`, `hint` and `failing` (its first time): of a try that failed."""

    place: str = ""
    etag: str = ""
    changed: str = ""
    written: int = 0
    looked: int = 0
    confirmed: int = 0
    index: Blob | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    failing: int = 0

    @property
    def age_from(self) -> int:
        """The moment of which it tells."""
        return min(self.confirmed, self.written) if self.written else self.confirmed


@dataclass(frozen=True)
class Unknown:
    """Something that is not known (`gitops.model.Gap`). `since`: Unix seconds, 0: it never was."""

    about: str
    why: str
    since: int = 0


@dataclass(frozen=True)
class RoleExposure:
    """What is wrong with what the boxes of a role run. `open`: severity -> vulnerabilities of a source; `fixable`: how
    many of them a newer version mends; `oldest`: when the first of them was seen; `unknown`: then these are too few."""

    boxes: int = 0
    open: Mapping[str, int] = field(default_factory=dict)
    fixable: int = 0
    oldest: int = 0
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True)
class Exposures:
    """What is wrong with the fleet, as it was last looked at (`made`). `fixed`: severity -> how many vulnerabilities
    are gone, and the seconds that all of them together took from the first sighting with a fix."""

    made: int = 0
    roles: Mapping[str, RoleExposure] = field(default_factory=dict)
    fixed: Mapping[str, tuple[int, int]] = field(default_factory=dict)


NAMES: Mapping[type[Any], str] = {
    Status: "controller",
    PassResult: "pass/",
    Planned: "planned",
    LastDeployed: "deployed",
    Suspended: "suspended",
    ReceiptKey: "receipts",
    **BOX_KEYS,
    Retries: "retries",
    ForgeMemory: "forge",
    AppImages: "app-images",
    AppImageBlobs: "app-image/",
    ImageOrigins: "image-of/",
    CheckedSignature: "signed/",
    AssembledFiles: "assemble/",
    SignedBootFile: "signed:",
    LayerInventories: "inventory/",
    BoxInventories: "inside/",
    InventoryDocuments: "sbom/",
    PartIndex: "part/",
    BuiltAt: "built/",
    PatchRuns: "security-runs",
    Patches: "security",
    FeedState: "feed/",
    Exposures: "exposures",
    VersionFloor: "version-floor",
    RightClock: "right-clock",
}
"""Every document. There is one of each; of those whose name ends in `/` or `:`, one for each key, which follows."""


def name_of(kind: type[Any], key: str = "") -> str:
    """The name under which a document is kept."""
    name = NAMES[kind]
    if bool(key) != name.endswith(("/", ":")):
        raise ValueError(f"{name} and the key {key!r} do not go together")
    return name + key


def as_json(document: Any) -> Json:
    """A document as it is written."""
    kind: Any = type(document)
    written: Json = _adapter(kind).dump_python(document.rows if _is_mapping(kind) else document, mode="json")
    return written


def encode(document: Any) -> str:
    """A document as the text that is kept."""
    return canonical(as_json(document)).decode()


def decode(kind: type[T], key: str, text: str) -> T:
    """The document that a kept text is. Raises StoreError when it is none of this kind."""
    made: Any = kind
    try:
        value = _adapter(made).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        message = f"the document {name_of(kind, key)} is damaged: {place}: {first['msg']}"
        raise StoreError(message, hint=HINT) from error
    document: T = made(value) if _is_mapping(kind) else value
    return document


def _is_mapping(kind: type[Any]) -> bool:
    return [member.name for member in fields(kind)] == [ROWS]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made once, and only when it is needed: it takes a millisecond or two."""
    return TypeAdapter(get_type_hints(kind, include_extras=True)[ROWS] if _is_mapping(kind) else kind)
