"""Images for tests, byte by byte as other people's tools make them: compressed in every way, in indexes, in files.

one = made([tar({"etc/x": b"1"})], pack=gzip.compress)
one.push(host, "web/ntp", "1")
layout(folder, {"web/ntp:1": one})
"""

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitops.model import Json, canonical, sha256
from gitops.oci.registry import MANIFEST
from tests.kit.registry import INDEX, Pushed

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def skippable(data: bytes) -> bytes:
    """A frame that readers skip, as zstd:chunked puts its table of contents (RFC 8878, 3.1.2)."""
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


@dataclass(frozen=True)
class Made:
    """An image or an index. `blobs` are all that it needs, and `manifests` those of an index."""

    manifest: bytes
    platform: tuple[str, ...] = ("linux", "amd64")
    blobs: tuple[bytes, ...] = ()
    manifests: tuple["Made", ...] = field(default=())

    @property
    def digest(self) -> str:
        return f"sha256:{sha256(self.manifest)}"

    @property
    def kind(self) -> str:
        return str(json.loads(self.manifest)["mediaType"])

    def push(self, host: str, name: str, tag: str = "") -> str:
        """To a registry. Its digest."""
        for one in self.manifests:
            one.push(host, name)
        return Pushed(host).put(name, tag or self.digest, self.manifest, *self.blobs)

    def all_blobs(self) -> tuple[bytes, ...]:
        return (self.manifest, *self.blobs, *(data for one in self.manifests for data in one.all_blobs()))


def made(
    layers: Iterable[bytes],
    platform: tuple[str, ...] = ("linux", "amd64"),
    pack: Callable[[bytes], bytes] = bytes,
    kind: str = LAYER,
    config: Json | None = None,
) -> Made:
    """An image of layer tars."""
    tars = tuple(layers)
    blobs = tuple(map(pack, tars))
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(tar)}" for tar in tars]}
    about = {"os": platform[0], "architecture": platform[1], "config": config or {}, "rootfs": rootfs}
    data = canonical(about)
    rows = [named(kind, blob) for blob in blobs]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named(CONFIG, data), "layers": rows}
    return Made(canonical(manifest), platform, (data, *blobs))


def index(*members: Made, says: Mapping[str, Json] | None = None) -> Made:
    """An index of these, in this order. `says`: digest -> what its entry says otherwise."""
    rows = []
    for one in members:
        platform = dict(zip(("os", "architecture", "variant"), one.platform, strict=False))
        row = named(one.kind, one.manifest) | ({"platform": platform} if platform else {})
        rows.append(row | (says or {}).get(one.digest, {}))
    return Made(canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}), (), (), members)


def attestation(of: Made) -> Made:
    """What BuildKit puts beside an image."""
    statement = canonical({"_type": "https://in-toto.io/Statement/v0.1", "subject": [of.digest]})
    made_of = made([statement], ("unknown", "unknown"), kind="application/vnd.in-toto+json")
    return made_of


def named(kind: str, data: bytes) -> Json:
    return {"mediaType": kind, "digest": f"sha256:{sha256(data)}", "size": len(data)}


def layout(folder: Path, images: Mapping[str, Made], annotation: str = REF_NAME) -> Path:
    """An OCI layout with these images, by name."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for one in images.values():
        for data in one.all_blobs():
            (blobs / sha256(data)).write_bytes(data)
    rows = [named(one.kind, one.manifest) | {"annotations": {annotation: name}} for name, one in images.items()]
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": rows}))
    return folder
