"""Images in a registry for tests: pushed under tags, of any platform, and signed as cosign does.

there = Pushed(host, store)
digest = there.push("web/nginx", "1.27", b"layer")
sign(host, "web/nginx", digest, key)
"""

import base64
import json
from dataclasses import dataclass

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gitops.model import BlobRef, canonical, sha256
from gitops.oci.cosign import KIND, SIGNATURE, SIMPLE_SIGNING
from gitops.oci.registry import MANIFEST, Registry

INDEX = "application/vnd.oci.image.index.v1+json"


Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(
    host: str,
    name: str,
    digest: str,
    key: Key,
    *,
    says: str = "",
    kind: str = KIND,
    media_type: str = SIMPLE_SIGNING,
    spoil: bool = False,
) -> None:
    """What `cosign sign` writes: a payload as the one layer of an image under the tag sha256-DIGEST.sig."""
    critical = {
        "identity": {"docker-reference": f"{host}/{name}"},
        "image": {"docker-manifest-digest": f"sha256:{says or digest}"},
        "type": kind,
    }
    payload = json.dumps({"critical": critical, "optional": None}).encode()
    made = (
        key.sign(payload, ec.ECDSA(hashes.SHA256()))
        if isinstance(key, ec.EllipticCurvePrivateKey)
        else key.sign(payload)
    )
    made = made[:-1] + bytes([made[-1] ^ 1]) if spoil else made
    registry, config = Registry(host), b"{}"
    for data in (payload, config):
        registry.put_blob(name, sha256(data), data)
    layer = {"mediaType": media_type, "digest": f"sha256:{sha256(payload)}", "size": len(payload)}
    layer["annotations"] = {SIGNATURE: base64.b64encode(made).decode()}
    about = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{sha256(config)}", "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": [layer]}
    registry.put_manifest(name, f"sha256-{digest}.sig", canonical(manifest))


def image(layer: bytes, architecture: str = "amd64") -> tuple[bytes, bytes]:
    """Manifest and config of an image with one layer."""
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]}
    config = canonical({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _named("application/vnd.oci.image.config.v1+json", config),
        "layers": [_named("application/vnd.oci.image.layer.v1.tar", layer)],
    }
    return canonical(manifest), config


@dataclass(frozen=True)
class Pushed:
    """A registry that takes everything."""

    host: str

    def push(self, name: str, tag: str, layer: bytes = b"layer", architecture: str = "amd64") -> str:
        """Its digest, `sha256:HEX`."""
        registry, (manifest, config) = Registry(self.host), image(layer, architecture)
        for data in (layer, config):
            registry.put_blob(name, sha256(data), data)
        registry.put_manifest(name, tag, manifest)
        return f"sha256:{sha256(manifest)}"

    def index(self, name: str, tag: str, **members: str) -> str:
        """An index of images that are there, by architecture."""
        entries = [
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": self.size(name, digest),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in members.items()
        ]
        return self.put(name, tag, canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))

    def put(self, name: str, tag: str, manifest: bytes, *blobs: bytes) -> str:
        """An image or index that was put together elsewhere. Its digest, `sha256:HEX`."""
        for data in blobs:
            Registry(self.host).put_blob(name, sha256(data), data)
        url = f"http://{self.host}/v2/{name}/manifests/{tag}"
        headers = {"Content-Type": json.loads(manifest)["mediaType"]}
        assert requests.put(url, data=manifest, headers=headers, timeout=10).status_code == requests.codes.created
        return f"sha256:{sha256(manifest)}"

    def move(self, name: str, tag: str, digest: str) -> None:
        """Have a tag name something that is there."""
        registry = Registry(self.host)
        registry.put_manifest(name, tag, registry.document(name, f"manifests/{digest}")[0])

    def size(self, name: str, digest: str) -> int:
        return len(Registry(self.host).document(name, f"manifests/{digest}")[0])


def _named(kind: str, data: bytes) -> dict[str, object]:
    ref = BlobRef(sha256(data), len(data))
    return {"mediaType": kind, "digest": f"sha256:{ref.sha256}", "size": ref.size}
