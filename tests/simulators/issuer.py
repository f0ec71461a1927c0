"""An OpenID Connect provider that lies as it is told: about itself, its keys, and whom it lets in.

with Issuer() as issuer:
    issuer.lies = {"aud": "another"}        # in the next ID token; None: the claim is missing
    code = issuer.lets_in(way)              # what a browser brings back, as query
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey


def _plain(data: bytes) -> str:
    """Base64url, as JOSE has it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


CLIENT, SECRET = "toweros", "a secret of both"


class Issuer:
    """Answers until its context ends. `said`: what it says of itself, beside the truth; `wire`: in place of any answer
    at all; `asked`: how often each path was; `signs_by`: another key than it says, under its name."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.lies: dict[str, Any] = {}
        self.said: dict[str, Any] = {}
        self.sub: dict[str, Any] = {"sub": "1", "preferred_username": "ada", "groups": ["noc-north", "others"]}
        self.wire: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.header: dict[str, Any] = {}
        self.asked: dict[str, int] = {}
        self.signs_by: RSAKey | None = None
        self._codes: dict[str, dict[str, str]] = {}
        self.rotate()

    def __enter__(self) -> "Issuer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> None:
        """Another key from now on."""
        self.key = RSAKey.generate_key(2048, {"kid": f"key-{time.monotonic_ns()}", "use": "sig"})

    def lets_in(self, way: str) -> dict[str, str]:
        """Somebody logged in where this way leads to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(way).query).items()}
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": asked["client_id"], "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        claims = {name: value for name, value in (claims | self.sub | self.lies).items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid} | self.header
        if header["alg"] == "RS256":
            return jwt.encode(header, claims, self.signs_by or self.key)
        text = ".".join(_plain(json.dumps(each).encode()) for each in (header, claims))
        if header["alg"] == "none":
            return f"{text}."
        return f"{text}.{_plain(hmac.digest(self.key.as_pem(private=False), text.encode(), 'sha256'))}"

    def answer(self, path: str, fields: dict[str, str], proof: str) -> tuple[int, dict[str, Any]]:
        self.asked[path] = self.asked.get(path, 0) + 1
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "/way", "token_endpoint": "/token", "jwks_uri": "/keys"}
            return 200, {"issuer": self.url, **{name: self.url + at for name, at in places.items()}} | self.said
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        asked = self._codes.pop(fields.get("code", ""), None)
        challenge = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        proven = asked and base64.urlsafe_b64encode(challenge).decode().rstrip("=") == asked["code_challenge"]
        pair = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        if not asked or not proven or proof not in ("", f"Basic {pair}"):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.token(asked)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._said({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._said({name: values[0] for name, values in parse_qs(body).items()})

            def _said(self, fields: dict[str, str]) -> None:
                if issuer.wire:
                    issuer.wire(self)
                    return
                status, said = issuer.answer(urlsplit(self.path).path, fields, self.headers.get("authorization", ""))
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        return Handler
