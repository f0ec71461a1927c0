"""Bundles as `cosign sign --key` of version 3 writes them, beside images in a registry; and registries with the API
that lists them, or with something else in its place.

The members are those of sigstore/cosign (cmd/cosign/cli/sign: signDigestBundle; pkg/oci/remote: WriteReferrer).

attach(host, "web/nginx", digest, bundle(digest, key))      # and in the list under the tag, for registries without API
with Lists(host, there) as other: ...                       # the same registry, with the API
"""

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Sequence
from typing import Any, Self

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gitops.model import canonical, sha256
from gitops.oci.registry import MANIFEST, Registry
from tests.kit.registry import INDEX

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
KIND = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGN = "https://sigstore.dev/cosign/sign/v1"
SHA256 = hashes.SHA256()
IN_TOTO = "application/vnd.in-toto+json"


def signed(key: Key, data: bytes, algorithm: hashes.HashAlgorithm = SHA256) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), algorithm)
    return key.sign(data)


def statement(digest: str, predicate: str = SIGN, kind: str = "https://in-toto.io/Statement/v1") -> bytes:
    subject = {"digest": {"sha256": digest}, "annotations": {}}
    return json.dumps({"_type": kind, "subject": [subject], "predicateType": predicate, "predicate": {}}).encode()


def envelope(payload: bytes, *keys: Key, kind: str = IN_TOTO, **how: Any) -> dict[str, Any]:
    to_sign = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signatures = [{"sig": base64.b64encode(signed(key, to_sign, **how)).decode()} for key in keys]
    return {"payload": base64.b64encode(payload).decode(), "payloadType": kind, "signatures": signatures}


def material(key: Key) -> dict[str, Any]:
    """The hint is the digest of the public key (sigstore/sigstore-go, pkg/sign: Keypair)."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"publicKey": {"hint": base64.b64encode(hashlib.sha256(der).digest()).decode()}}


def bundle(digest: str, key: Key, **members: Any) -> bytes:
    """A good one, but for the `members` that replace its own; None takes one out."""
    made = {
        "mediaType": KIND,
        "verificationMaterial": material(key),
        "dsseEnvelope": envelope(statement(digest), key),
    } | members
    return json.dumps({name: value for name, value in made.items() if value is not None}).encode()


def of_bytes(digest: str, manifest: bytes, key: Key, algorithm: str = "SHA2_256") -> bytes:
    """A signature of the manifest itself."""
    said = {"algorithm": algorithm, "digest": base64.b64encode(bytes.fromhex(digest)).decode()}
    signature = base64.b64encode(signed(key, manifest)).decode()
    return bundle(digest, key, dsseEnvelope=None, messageSignature={"messageDigest": said, "signature": signature})


def attach(host: str, name: str, digest: str, data: bytes, *, listed: bool = True, layer: str = KIND) -> str:
    """Put a bundle beside an image. Returns the digest of its manifest."""
    registry = Registry(host)
    for blob in (data, b"{}"):
        registry.put_blob(name, sha256(blob), blob)
    notes = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": SIGN}
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": KIND,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": _named(b"{}"), "size": 2},
            "layers": [{"mediaType": layer, "digest": _named(data), "size": len(data)}],
            "subject": {"mediaType": MANIFEST, "digest": f"sha256:{digest}", "size": 1},
            "annotations": notes,
        }
    )
    registry.put_manifest(name, f"sha256:{sha256(manifest)}", manifest)
    if listed:
        entry = {"mediaType": MANIFEST, "digest": _named(manifest), "size": len(manifest)}
        list_by_tag(host, name, digest, [*listed_by_tag(host, name, digest), entry | {"artifactType": KIND}])
    return sha256(manifest)


def listed_by_tag(host: str, name: str, digest: str) -> list[dict[str, Any]]:
    answer = requests.get(_tag(host, name, digest), headers={"Accept": INDEX}, timeout=10)
    found: list[dict[str, Any]] = answer.json()["manifests"] if answer.ok else []
    return found


def list_by_tag(host: str, name: str, digest: str, entries: Sequence[dict[str, Any]]) -> None:
    """The list as registries without the API have it (distribution-spec 1.1, "Referrers Tag Schema")."""
    index = canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})
    answer = requests.put(_tag(host, name, digest), data=index, headers={"Content-Type": INDEX}, timeout=10)
    assert answer.status_code == requests.codes.created, answer.text


def _tag(host: str, name: str, digest: str) -> str:
    return f"http://{host}/v2/{name}/manifests/sha256-{digest}"


def _named(data: bytes) -> str:
    return f"sha256:{sha256(data)}"


class _Handler(http.server.BaseHTTPRequestHandler):
    lists: "Lists"

    def do_GET(self) -> None:
        if "/referrers/" in self.path:
            self.lists.asked.append(self.path)
            return self._say(*self.lists.answer(self.path))
        return self._pass_on("GET")

    def do_HEAD(self) -> None:
        self._pass_on("HEAD")

    def _pass_on(self, method: str) -> None:
        self.lists.passed.append(self.path)
        url, headers = f"http://{self.lists.behind}{self.path}", {"Accept": self.headers.get("Accept", "*/*")}
        there = requests.request(method, url, headers=headers, timeout=10)
        self._say(there.status_code, there.headers.get("Content-Type", ""), there.content)

    def _say(self, code: int, kind: str, body: bytes, link: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if link:
            self.send_header("Link", f'<{link}>; rel="next"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Lists:
    """A registry, `behind` which is a real one, whose API lists `entries`: so many in a part, or says something else.

    `other`: status, type and body in place of a list; `link`: where the list goes on, in place of the next part.
    """

    def __init__(
        self,
        behind: str,
        entries: Sequence[str] = (),
        *,
        part: int = 100,
        other: tuple[int, str, bytes] | None = None,
        link: str = "",
    ) -> None:
        self.behind, self._part, self._other, self._link = behind, part, other, link
        self.asked, self.passed = list[str](), list[str]()
        self._entries = [
            {"mediaType": MANIFEST, "digest": f"sha256:{digest}", "size": 1, "artifactType": KIND} for digest in entries
        ]
        handler = type("Handler", (_Handler,), {"lists": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def answer(self, path: str) -> tuple[int, str, bytes, str]:
        if self._other:
            return (*self._other, "")
        begin = int(path.partition("?last=")[2] or 0)
        shown = self._entries[begin : begin + self._part]
        more = begin + self._part < len(self._entries)
        link = self._link or (f"{path.partition('?')[0]}?last={begin + self._part}" if more else "")
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": shown}
        return 200, INDEX, canonical(index), link

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
