"""Did a builder of this fleet make what is offered? Asked before anything of it is fetched.

`/etc/toweros/builder.json` (contracts/builder) says whom to believe; it comes with the release that runs, so the server
cannot take it away. Where there is none, nothing is asked. Rules: the release, and each layer that is not on the disk,
has an attestation at the server: an in-toto statement in a DSSE envelope, signed by one of these builders, about this
very digest, for this fleet. Key ids are hints and are not looked at.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toweros_agent.nouns import Json, Layer, Offer, Refused, digest, readable, text
from toweros_agent.offer.net import CARRIED, Http, NetError

PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
LAYER, RELEASE = "urn:toweros:build:layer:1", "urn:toweros:build:release:1"
VERITY, SHA256 = "dm-verity-sha256", "sha256"
MAX_ATTESTATION = 1 << 20
MAX_SIGNATURES = 16
WRONG = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Builders:
    """The fleet's name, and the Ed25519 keys (32 bytes) of those whose builds it takes."""

    fleet: str
    keys: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Builders":
        """Raises `Refused` when it is not of a format that this agent reads."""
        try:
            document = json.loads(data)
            readable("builder.json", document)
            if not isinstance(document["keys"], list) or not document["keys"]:
                raise ValueError("no keys")
            return cls(text(document["fleet"]), tuple(bytes.fromhex(digest(key)) for key in document["keys"]))
        except WRONG as error:
            raise Refused(f"builder.json names no builders: {type(error).__name__}: {error}") from error

    def statement(self, data: bytes) -> Json:
        """What an envelope states, if one of us signed it. Raises `Refused`, or one of `WRONG`."""
        envelope = json.loads(data)
        kind, payload = text(envelope["payloadType"]), base64.b64decode(text(envelope["payload"]), validate=True)
        if kind != PAYLOAD:
            raise Refused(f"holds {kind[:60]!r}, not a statement")
        signatures = envelope["signatures"]
        if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
            raise ValueError("signatures")
        signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
        if not any(self._proves(base64.b64decode(text(each["sig"]), validate=True), signed) for each in signatures):
            raise Refused("is not signed by a builder of this fleet")
        statement: Json = json.loads(payload)
        return statement

    def _proves(self, signature: bytes, signed: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for key in self.keys:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
                return True
            except InvalidSignature:
                continue
        return False


class Provenance:
    """What `server` has of attestations; `believed` is the file that says whose count."""

    def __init__(self, http: Http, server: str, believed: Path) -> None:
        self.http, self.url, self.believed = http, f"{server}/attestations", believed
        self._vouched: dict[str, str] = {}

    def release(self, offer: Offer) -> None:
        """The release that is offered, with its boot files. Raises `Refused`, or `NetError` when nobody is there."""
        targets = {"release.json": offer.release, "uki.efi": offer.uki, "addon.efi": offer.addon}
        subjects = {name: target.sha256 for name, target in targets.items()}
        builders = self._builders()
        if builders and subjects != self._vouched:
            self._check(builders, f"release {offer.sequence}", RELEASE, subjects)
            self._vouched = subjects

    def layers(self, layers: Iterable[Layer]) -> None:
        """Each of these layers. Raises as `release` does."""
        if builders := self._builders():
            for layer in layers:
                self._check(builders, f"layer {layer.root[:12]}", LAYER, {layer.root: layer.root})

    def _builders(self) -> Builders | None:
        try:
            return Builders.parse(self.believed.read_bytes())
        except FileNotFoundError:
            return None

    def _check(self, builders: Builders, what: str, kind: str, subjects: dict[str, str]) -> None:
        """Is there a statement of this kind about these digests, the first of which it is found by?"""
        try:
            about(builders.statement(self._get(next(iter(subjects.values())))), builders.fleet, kind, subjects)
        except Refused as error:
            raise Refused(f"{what}: its provenance {error}") from error
        except WRONG as error:
            raise Refused(
                f"{what}: its provenance is unreadable: {type(error).__name__}: {str(error)[:200]}"
            ) from error

    def _get(self, subject: str) -> bytes:
        try:
            return self._asked(f"{subject}.json")
        except NetError as error:
            if error.status == 404:
                raise Refused("is missing, and this box asks for it") from error
            if error.status == 413:
                raise Refused(f"has more than {MAX_ATTESTATION} bytes") from error
            raise

    def _asked(self, name: str) -> bytes:
        """Of the server; of the bundle when nobody is there."""
        try:
            return self.http.get(f"{self.url}/{name}", MAX_ATTESTATION)[2]
        except NetError as error:
            if error.status or not (self.http.carried and self.http.carried.media()):
                raise
            return self.http.get(f"{CARRIED}/attestations/{name}", MAX_ATTESTATION)[2]


def about(statement: Json, fleet: str, kind: str, subjects: dict[str, str]) -> None:
    """Raises `Refused` when a signed statement is about something else."""
    if (statement["_type"], statement["predicateType"]) != (STATEMENT, PREDICATE):
        raise Refused(f"is a statement of another kind: {str(statement['predicateType'])[:60]}")
    definition = statement["predicate"]["buildDefinition"]
    if definition["buildType"] != kind:
        raise Refused(f"speaks of another kind of thing: {str(definition['buildType'])[:60]}")
    if definition["externalParameters"]["fleet"] != fleet:
        raise Refused(f"is another fleet's: {str(definition['externalParameters']['fleet'])[:60]}")
    algorithm = VERITY if kind == LAYER else SHA256
    stated = {each["name"]: each["digest"].get(algorithm) for each in statement["subject"]}
    for name, wanted in subjects.items():
        if stated.get(name) != wanted:
            raise Refused(f"is about another {'layer' if kind == LAYER else name}")
