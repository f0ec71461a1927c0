"""Where something came from: whom boxes believe as builders, and what a builder claims of a layer or a release.

A claim is SLSA provenance v1 in an in-toto statement v1 (docs/formats.md, "Provenance"); signed, in a DSSE envelope, it
is an attestation.

    Claim(LAYER, fleet, commit, {root: root}, {"package": "pkg/hello"}, materials=(...)).encode()
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from gitops.errors import DocumentError
from gitops.model.digest import Digest, Json, canonical
from gitops.model.reading import read

BUILDER_FORMAT = 1
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
LAYER, RELEASE = "urn:toweros:build:layer:1", "urn:toweros:build:release:1"
"""What kinds of claims there are: SLSA's `buildType`."""
VERITY, SHA256, COMMIT = "dm-verity-sha256", "sha256", "gitCommit"
"""Names of digests; the first is ours: the root hash by which a layer is named."""
MAX_ATTESTATION = 1 << 20
"""Bytes of one attestation: a box takes no more."""


@dataclass(frozen=True)
class Builders:
    """Whom a box believes as builders: the fleet's name, and Ed25519 public keys in hex (contracts/builder)."""

    fleet: Annotated[str, Field(min_length=1, max_length=100)]
    keys: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=16)]

    @classmethod
    def parse(cls, data: bytes | str) -> "Builders":
        """Raises `DocumentError` when it is damaged or of another format."""
        return read(_BUILDERS, "builder.json", data, BUILDER_FORMAT)

    def encode(self) -> bytes:
        return canonical({"format": BUILDER_FORMAT, "fleet": self.fleet, "keys": list(self.keys)})


_BUILDERS = TypeAdapter(Builders)


@dataclass(frozen=True)
class Material:
    """Something that went into it, by digest. `algorithm` names the digest's kind; `uri` is where such things are."""

    name: str
    digest: str
    algorithm: str = SHA256
    uri: str = ""

    def as_json(self) -> Json:
        return {"name": self.name, "digest": {self.algorithm: self.digest}} | ({"uri": self.uri} if self.uri else {})


@dataclass(frozen=True)
class Claim:
    """What a builder says. `subjects`: name -> digest (a layer's is its root); `asked` is what anybody may ask of a
    build beside the commit, `inner` what follows from it; `byproducts`: name -> SHA-256."""

    kind: str
    fleet: str
    commit: str
    subjects: Mapping[str, str]
    asked: Json = field(default_factory=dict)
    inner: Json = field(default_factory=dict)
    materials: tuple[Material, ...] = ()
    builder: str = ""
    version: str = ""
    byproducts: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The in-toto statement, canonical."""
        algorithm = VERITY if self.kind == LAYER else SHA256
        source = Material("fleet", self.commit, COMMIT, f"urn:toweros:fleet:{self.fleet}")
        definition = {
            "buildType": self.kind,
            "externalParameters": {"fleet": self.fleet, "commit": self.commit, **self.asked},
            "internalParameters": self.inner,
            "resolvedDependencies": [each.as_json() for each in (source, *self.materials)],
        }
        details: Json = {"builder": {"id": self.builder, "version": {"toweros": self.version}}}
        if self.byproducts:
            details["byproducts"] = [{"name": name, "digest": {SHA256: it}} for name, it in self.byproducts.items()]
        return canonical(
            {
                "_type": STATEMENT,
                "subject": [{"name": name, "digest": {algorithm: it}} for name, it in self.subjects.items()],
                "predicateType": PREDICATE,
                "predicate": {"buildDefinition": definition, "runDetails": details},
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Claim":
        """Raises `DocumentError` when it is no claim of ours."""
        try:
            document = json.loads(data)
            if (document["_type"], document["predicateType"]) != (STATEMENT, PREDICATE):
                raise DocumentError(f"it states {document['predicateType']!r}, not {PREDICATE}")
            return _claim(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"it is no provenance: {type(error).__name__}: {error}") from error

    def locked(self) -> int:
        """How many files of a lock went in."""
        return sum(each.uri.startswith("pkg:") for each in self.materials)


def _claim(document: Any) -> Claim:
    definition, run = document["predicate"]["buildDefinition"], document["predicate"]["runDetails"]
    algorithm = VERITY if definition["buildType"] == LAYER else SHA256
    asked = dict(definition["externalParameters"])
    return Claim(
        kind=str(definition["buildType"]),
        fleet=str(asked.pop("fleet")),
        commit=str(asked.pop("commit")),
        subjects={str(each["name"]): str(each["digest"][algorithm]) for each in document["subject"]},
        asked=asked,
        inner=dict(definition.get("internalParameters", {})),
        materials=tuple(_material(each) for each in definition["resolvedDependencies"][1:]),
        builder=str(run["builder"]["id"]),
        version=str(run["builder"]["version"]["toweros"]),
        byproducts={str(each["name"]): str(each["digest"][SHA256]) for each in run.get("byproducts", ())},
    )


def _material(each: Any) -> Material:
    ((algorithm, digest),) = each["digest"].items()
    return Material(str(each["name"]), str(digest), str(algorithm), str(each.get("uri", "")))
