"""What a registry has about an image: sigstore's bundles, found by the image's digest.

In: a registry, a repository, a digest. Out: bundles, as bytes, the likeliest first. Rules: the referrers API is asked
(distribution-spec 1.1, "Listing Referrers"), and a registry that has none by the tag that stands for it ("Referrers Tag
Schema"); lists say no more than where to look: a manifest tells itself what it is (sigstore/cosign,
specs/BUNDLE_SPEC.md), and the bundle whom it speaks of. So many bundles, pages and bytes are read, and no more.

    for found in bundles(registry, "web/nginx", digest):
        found.read()            # bytes; ValueError: it is no bundle
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gitops.errors import RegistryError
from gitops.model import Json
from gitops.oci.registry import INDEXES, Registry, hex_of, parse

BUNDLE = "application/vnd.dev.sigstore.bundle"
"""How the types of all versions begin."""
SIGN = "https://sigstore.dev/cosign/sign/v1"
"""What `cosign sign` says that a statement is (sigstore/cosign, pkg/types: CosignSignPredicateType)."""
PREDICATE = "dev.sigstore.bundle.predicateType"
SILENT = ("", "application/vnd.oci.empty.v1+json")
"""What lists of older writers say of a bundle: nothing, or the type of its empty config."""
UNKNOWN = (400, 401, 403, 404, 405, 406, 501)
"""What registries answer that do not have the API; the specification says 404."""
MAX_BUNDLES, MAX_PAGES, MAX_SIZE = 32, 8, 1 << 20
"""Bundles of one image that are read; parts of a list; bytes of a bundle."""


@dataclass(frozen=True)
class Attached:
    """A manifest that says that it is about an image."""

    registry: Registry
    repository: str
    digest: str

    def read(self) -> bytes:
        """The bundle in it.

        Raises:
            ValueError: it holds none. RegistryError: it is not there, or not what its digest says.
        """
        data, _ = self.registry.document(self.repository, f"manifests/sha256:{self.digest}", self.digest)
        manifest = parse(data, self.repository)
        layers = manifest.get("layers")
        if not isinstance(layers, list) or len(layers) != 1 or not isinstance(layers[0], dict):
            raise ValueError(f"{self.digest[:12]} has not one bundle in it")
        kind, size = str(layers[0].get("mediaType")), layers[0].get("size")
        if not kind.startswith(BUNDLE):
            raise ValueError(f"{self.digest[:12]} holds no bundle, but {kind[:80]!r}")
        if not isinstance(size, int) or size > MAX_SIZE:
            raise ValueError(f"{self.digest[:12]} is a bundle of more than {MAX_SIZE} bytes")
        digest = hex_of(str(layers[0].get("digest")))
        return self.registry.document(self.repository, f"blobs/sha256:{digest}", digest)[0]


def bundles(registry: Registry, repository: str, digest: str, reasons: list[str]) -> Iterator[Attached]:
    """What may be a signature of an image. `reasons` is told what is wrong with the lists.

    Raises:
        RegistryError: the registry is away.
    """
    found: dict[str, None] = {}
    for listed in (_by_api, _by_tag):
        try:
            entries = listed(registry, repository, digest)
        except RegistryError as error:
            if error.transient:
                raise
            reasons.append(error.message)
            continue
        if entries is not None:
            found = dict.fromkeys(_likely(entries))
            break
    if len(found) > MAX_BUNDLES:
        reasons.append(f"it has {len(found)} bundles, of which {MAX_BUNDLES} are looked at")
    for each in list(found)[:MAX_BUNDLES]:
        yield Attached(registry, repository, each)


def _likely(entries: list[Json]) -> list[str]:
    """The digests of what may be a bundle; what says that it is a signature first. Annotations are a hint: nobody signs
    them."""
    found: list[tuple[bool, str]] = []
    for entry in entries:
        kind, digest = str(entry.get("artifactType") or ""), str(entry.get("digest"))
        notes = entry.get("annotations")
        said = notes.get(PREDICATE) if isinstance(notes, dict) else ""
        if (kind.startswith(BUNDLE) or kind in SILENT) and re.fullmatch("sha256:[0-9a-f]{64}", digest):
            found.append((said != SIGN, digest.removeprefix("sha256:")))
    return [digest for _, digest in sorted(found, key=lambda each: each[0])]


def _by_api(registry: Registry, repository: str, digest: str) -> list[Json] | None:
    """None: this registry has no such API."""
    path, entries = f"{repository}/referrers/sha256:{digest}", list[Json]()
    for number in range(MAX_PAGES):
        data, kind, path = registry.page(path, UNKNOWN if number == 0 else ())
        if not data:
            return None
        # What answers everything with a page of its own has no API either.
        if kind not in INDEXES:
            raise RegistryError(f"{registry.host} answers with {kind[:80]!r} where a list of referrers should be")
        entries += _entries(data, repository)
        if not path:
            return entries
    return entries


def _by_tag(registry: Registry, repository: str, digest: str) -> list[Json] | None:
    path = f"manifests/sha256-{digest}"
    there = registry.has(repository, path, INDEXES)
    return _entries(registry.document(repository, path)[0], repository) if there else None


def _entries(data: bytes, repository: str) -> list[Json]:
    entries = parse(data, repository).get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RegistryError(f"{repository}: a list of referrers is no index")
    return entries
