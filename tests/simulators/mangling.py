"""A Git server over https whose answers are changed on the way, as bad disks, caches and proxies change them.

with Mangling(folder, repositories, cut) as server:
    server.url("remote.git")
"""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

Answer = tuple[int, str, bytes]
"""Status, type, body."""
Change = Callable[[str, Answer], tuple[Answer, int]]
"""What was asked (`refs` or `pack`) and the honest answer -> another one, and how many bytes of it are sent."""
TYPE = "application/x-git-upload-pack-"


class Mangling:
    """Serves the bare repositories of a folder."""

    def __init__(self, folder: Path, repositories: Path, change: Change) -> None:
        folder.mkdir()
        self.certificate, key = folder / "cert.pem", folder / "key.pem"
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
        files = ["-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run([*make, *files], capture_output=True, check=True, timeout=60)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(repositories, change))
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def url(self, name: str) -> str:
        return f"https://127.0.0.1:{self._server.server_port}/{name}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(repositories: Path, change: Change) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            lines = b"001e# service=git-upload-pack\n0000"
            self._answer("refs", "advertisement", lines + self._git("--advertise-refs"))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer("refs" if b"command=ls-refs" in body else "pack", "result", self._git(body=body))

        def _git(self, *words: str, body: bytes = b"") -> bytes:
            name = self.path.split("/")[1]
            protocol = {"GIT_PROTOCOL": self.headers.get("Git-Protocol") or ""}
            ask = ["git", "upload-pack", "--stateless-rpc", *words, str(repositories / name)]
            return subprocess.run(ask, input=body, capture_output=True, env=protocol, timeout=60).stdout

        def _answer(self, what: str, kind: str, data: bytes) -> None:
            (status, type_, body), sent = change(what, (200, f"{TYPE}{kind}", data))
            self.send_response(status)
            self.send_header("Content-Type", type_)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:sent])
            self.wfile.flush()
            self.close_connection = True

    return Handler
