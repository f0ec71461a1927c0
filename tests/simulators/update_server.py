"""A real TUF repository behind a real HTTP server on the loopback (docs/formats.md), with faults on demand.

with UpdateServer("demo-1") as server:
    server.publish(release, uki, addon)
    server.faults["/layers/ROOT.zst"] = truncated
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from gitops.errors import DocumentError
from gitops.model import Release, Statement
from gitops.server.boxes.reports import MAX_BODY
from gitops.sign.receipts import Receipts

Fault = Callable[[bytes], Iterator[bytes]]
"""What is sent instead of the content; the announced length stays that of the content."""

BITS = 2


def truncated(data: bytes) -> Iterator[bytes]:
    yield data[: len(data) // 2]


def flipped(data: bytes) -> Iterator[bytes]:
    middle = len(data) // 2
    yield data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def endless(data: bytes) -> Iterator[bytes]:
    while True:
        yield bytes(1 << 16)


def garbage(data: bytes) -> Iterator[bytes]:
    yield b"[" * len(data)


@dataclass
class Keys:
    """One key per role: as much of a ceremony as a box can see."""

    root: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    targets: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    snapshot: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    timestamp: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)


class UpdateServer:
    """Serves `files` by path; `requests` are (method, path, status, bytes sent)."""

    def __init__(self, box: str, address: str = "127.0.0.1") -> None:
        self.box = box
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[tuple[str, str, int, int]] = []
        self.reports: list[dict[str, object]] = []
        self.post_status = 204
        self.busy = ""
        """`Retry-After` of all answers; empty: it is not busy."""
        self.keeps, self.connections = False, 0
        """Whether a connection stays for the next question; how many there were."""
        self.date: Callable[[], float] = time.time
        self.receipts: Receipts | None = Receipts(Ed25519PrivateKey.generate())
        """None: as a server of before, which signs none."""
        self.version = 0
        self.keys = Keys()
        self.root = self.make_root(self.keys)
        self._http = ThreadingHTTPServer((address, 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://{address}:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "UpdateServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def leave(self) -> None:
        """Nobody answers at its address until it comes back."""
        self.__exit__()

    def come_back(self) -> None:
        port = self._http.server_port
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def paths(self, method: str = "GET") -> list[str]:
        return [path for verb, path, _, _ in self.requests if verb == method]

    def make_root(self, keys: Keys) -> bytes:
        root = Metadata(Root(expires=_in(365), consistent_snapshot=True))
        for role in ("root", "targets", "snapshot", "timestamp"):
            root.signed.add_key(getattr(keys, role).public_key, role)
        root.sign(keys.root)
        return root.to_bytes()

    def add_layer(self, data: bytes, root: str) -> None:
        self.files[f"/layers/{root}"] = data
        self.files[f"/layers/{root}.zst"] = subprocess.run(
            ["zstd", "-qc"], input=data, capture_output=True, check=True
        ).stdout

    def add_delta(self, tmp: Path, old: bytes, new: bytes, from_: str, to: str) -> None:
        (tmp / "old").write_bytes(old)
        (tmp / "new").write_bytes(new)
        command = ["zstd", "-qc", f"--patch-from={tmp / 'old'}", str(tmp / "new")]
        self.files[f"/deltas/{from_}/{to}.zst"] = subprocess.run(command, capture_output=True, check=True).stdout

    def publish(
        self, release: bytes, uki: bytes, addon: bytes, *, custom: dict[str, object] | None = None, days: float = 1,
        loader: bytes = b"",
    ) -> None:  # fmt: skip
        """Add the box's three targets, and systemd-boot's where there is one; sign everything anew, timestamp last."""
        try:
            read = Release.parse(release)
            sequence, content = read.sequence, read.content.digest
        except DocumentError:
            sequence, content = 0, "0" * 64
        encoded = Statement(sequence, content, "main@sha1:" + "0" * 40, 1760000000, (), ()).encode()
        custom = custom or {}
        assert custom.keys() <= {*encoded, "held", "retry", "netboot", "apply", "next"}
        if self.receipts:
            custom = {"receipts": self.receipts.public} | custom
        targets = {}
        files = {"release.json": release, "uki.efi": uki, "addon.efi": addon, "loader.efi": loader}
        for name, data in files.items() if loader else [*files.items()][:3]:
            path = f"{self.box}/{name}"
            targets[path] = TargetFile.from_data(path, data, ["sha256"])
            self.files[f"/targets/{self.box}/{sha256(data).hexdigest()}.{name}"] = data
        targets[f"{self.box}/release.json"].unrecognized_fields["custom"] = encoded | custom
        self.sign(targets, days)

    def coming(self, release: bytes, uki: bytes, addon: bytes, spread: int = 0) -> dict[str, object]:
        """`next` of what is offered: another release, whose files can be fetched."""
        files = {"release": ("release.json", release), "uki": ("uki.efi", uki), "addon": ("addon.efi", addon)}
        for name, data in files.values():
            self.files[f"/targets/{self.box}/{sha256(data).hexdigest()}.{name}"] = data
        refs = {member: {"sha256": sha256(data).hexdigest(), "size": len(data)} for member, (_, data) in files.items()}
        read = Release.parse(release)
        return {"sequence": read.sequence, "content": read.content.digest, "spread": spread, **refs}

    def sign(self, targets: dict[str, TargetFile], days: float) -> None:
        self.version += 1
        keys, version = self.keys, self.version
        roles = SuccinctRoles([keys.targets.public_key.keyid], 1, BITS, "bin")
        delegations = Delegations({keys.targets.public_key.keyid: keys.targets.public_key}, succinct_roles=roles)
        signed: dict[str, Metadata] = {
            "targets": Metadata(Targets(version, expires=_in(days), delegations=delegations))
        }
        for name in roles.get_roles():
            signed[name] = Metadata(Targets(version, expires=_in(days)))
        for path, target in targets.items():
            signed[roles.get_role_for_target(path)].signed.targets[path] = target
        for metadata in signed.values():
            metadata.sign(keys.targets)
        meta = {f"{name}.json": MetaFile(version) for name in signed}
        signed["snapshot"] = Metadata(Snapshot(version, expires=_in(days), meta=meta))
        signed["snapshot"].sign(keys.snapshot)
        for name, metadata in signed.items():
            self.files[f"/metadata/{version}.{name}.json"] = metadata.to_bytes()
        timestamp = Metadata(Timestamp(version, expires=_in(days), snapshot_meta=MetaFile(version)))
        timestamp.sign(keys.timestamp)
        self.files["/metadata/timestamp.json"] = timestamp.to_bytes()


def _in(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _handler(server: UpdateServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def log_message(self, *_: object) -> None:
            pass

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(server.date())

        def do_HEAD(self) -> None:
            self.answer(head=True)

        def do_GET(self) -> None:
            self.answer(head=False)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.path.endswith("/report"):
                return self.start(404, 0, {})
            if len(body) > MAX_BODY:  # unread, so there is no receipt
                return self.start(413, 0, {})
            envelope = json.loads(body)
            if server.post_status == 204:
                server.reports.append(envelope)
            text, taken = envelope["report"].encode(), server.post_status in (204, 409)
            receipts = server.receipts
            headers = receipts.header(server.box, text, taken=taken, now=int(server.date())) if receipts else {}
            self.start(server.post_status, 0, headers)

        def answer(self, head: bool) -> None:
            if server.busy:
                return self.start(503, 0, {"Retry-After": server.busy})
            data = server.files.get(self.path)
            if data is None:
                return self.start(404, 0, {})
            etag = f'"{sha256(data).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == etag:
                return self.start(304, 0, {"ETag": etag})
            headers, status, wanted = {"ETag": etag}, 200, self.headers.get("Range")
            if wanted:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                data, status = data[start:], 206
            fault = server.faults.get(self.path)
            if fault is endless and not head:
                self.start(status, None, headers)
            else:
                self.start(status, len(data), headers)
            if not head:
                self.send(fault, data)

        def send(self, fault: Fault | None, data: bytes) -> None:
            try:
                for chunk in fault(data) if fault else [data]:
                    self.wfile.write(chunk)
            except OSError:
                pass
            if fault:
                self.close_connection = True

        def start(self, status: int, length: int | None, headers: dict[str, str]) -> None:
            server.requests.append((self.command, self.path, status, length or 0))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if length is not None and status != 304:
                self.send_header("Content-Length", str(length))
            if not server.keeps:
                self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = not server.keeps

    return Handler
