"""An OCI registry: each file is an artifact of one layer, under a tag that its path makes (distribution-spec 1.1).

In: host, repository, credentials. Out: blobs by digest, and for each path a small manifest that names one, with the
path as its title, as `oras` has it. Rules: a tag moves when the file changes, as `timestamp.json` does; what is there
is known by asking for each manifest and blob, as tags alone say nothing; a registry that lets nobody delete keeps all.

    place = Registered("images", "registry.example", "toweros/fleet", Path("/etc/toweros/registry.json"))
"""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gitops.errors import PublishError, RegistryError
from gitops.model import sha256
from gitops.oci.registry import MANIFEST, MAX_DOCUMENT, Registry, credentials, hex_of, parse
from gitops.publish.elsewhere.kinds import Kind, kind_of
from gitops.store.files.blobs import digest_file

ARTIFACT = "application/vnd.toweros.file.v1"
EMPTY, EMPTY_TYPE = b"{}", "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
LONGEST = 128
"""Characters of a tag."""
AT_ONCE = 8
MOST_TAGS = 1 << 20


def tag_of(path: str) -> str:
    """No path has a `_`; one that is too long for a tag goes by its digest (`deltas/OLD/NEW.zst`)."""
    tag = path.replace("/", "_")
    return tag if len(tag) <= LONGEST else f"sha256-{sha256(path.encode())}"


class Registered:
    """Implements `Place`."""

    def __init__(self, name: str, host: str, repository: str, auth: Path | None = None) -> None:
        self.name, self._repository = name, repository
        self._host, self._auth = host, auth
        self._locks = [threading.Lock() for _ in range(16)]
        self._said: tuple[tuple[str, str] | None, Registry] | None = None

    @property
    def _registry(self) -> Registry:
        """With the credentials that the file has now."""
        said = credentials(self._auth, self._host)
        if not self._said or self._said[0] != said:
            self._said = said, Registry(self._host, said)
        return self._said[1]

    def listed(self) -> dict[str, int]:
        with self._words(), ThreadPoolExecutor(AT_ONCE) as workers:
            return dict(found for found in workers.map(self._there, self._tags()) if found)

    def _tags(self) -> list[str]:
        tags, following = list[str](), f"{self._repository}/tags/list"
        while following and len(tags) < MOST_TAGS:
            data, _, following = self._registry.page(following, missing=(404,))
            tags += [str(tag) for tag in parse(data, self.name).get("tags") or ()] if data else []
        return tags

    def _there(self, tag: str) -> tuple[str, int] | None:
        """Path and size of what a tag leads to, if all of it is there and ours."""
        found = self._named(tag)
        ours = found and tag_of(found[0]) == tag and kind_of(found[0])
        return found[:2] if found and ours and self._registry.has(self._repository, f"blobs/{found[2]}") else None

    def _named(self, tag: str) -> tuple[str, int, str] | None:
        """Path, size and digest that a tag's manifest says."""
        if not self._registry.digest(self._repository, tag):
            return None
        manifest = parse(self._registry.document(self._repository, f"manifests/{tag}")[0], self.name)
        try:
            [layer] = manifest["layers"]
            hex_of(layer["digest"])
            return str(layer["annotations"][TITLE]), int(layer["size"]), str(layer["digest"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def put(self, path: str, data: Path | bytes, kind: Kind) -> None:
        digest, size = (sha256(data), len(data)) if isinstance(data, bytes) else _of_file(data)
        layer = {
            "mediaType": kind.type, "digest": f"sha256:{digest}", "size": size, "annotations": {TITLE: path},
        }  # fmt: skip
        config = {"mediaType": EMPTY_TYPE, "digest": f"sha256:{sha256(EMPTY)}", "size": len(EMPTY)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": ARTIFACT, "config": config,
                    "layers": [layer]}  # fmt: skip
        with self._words():
            self._put_blob(sha256(EMPTY), EMPTY)
            self._put_blob(digest, data)
            self._registry.put_manifest(self._repository, tag_of(path), json.dumps(manifest, sort_keys=True).encode())

    def _put_blob(self, digest: str, data: Path | bytes) -> None:
        """One after the other where they may be the same: docker-registry answers 500 while it gets that blob."""
        with self._locks[int(digest[0], 16)]:
            self._registry.put_blob(self._repository, digest, data)

    def read(self, path: str, most: int) -> bytes | None:
        with self._words():
            found = self._named(tag_of(path))
            if not found or found[1] > min(most, MAX_DOCUMENT) or found[0] != path:
                return None
            if not self._registry.has(self._repository, f"blobs/{found[2]}"):
                return None
            return self._registry.document(self._repository, f"blobs/{found[2]}", hex_of(found[2]))[0]

    def remove(self, path: str) -> None:
        with self._words():
            self._registry.remove(self._repository, self._registry.digest(self._repository, tag_of(path)))

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except RegistryError as error:
            raise PublishError(f"{self.name}: {error.message}", hint=error.hint) from error


def _of_file(file: Path) -> tuple[str, int]:
    ref = digest_file(file)
    return ref.sha256, ref.size
