"""An OpenID Connect provider: where it sends people, and whom it says they are. Authorization code with PKCE.

In: the settings, the secret of one login. Out: where to go; later, for a code, the claims of an ID token whose
signature holds. Rules: what the provider says of itself is asked again every `FRESH` seconds, its keys also when a
token names one that we do not have (they were rotated); it must call itself as the settings call it, and all of its
places are encrypted, unless it is on this machine; whatever it does takes `LONGEST` seconds a question at most.

    provider = Provider(settings.oidc)
    provider.way(secret, "https://towers.example/login/oidc/back")
    provider.claims(code, secret, "https://towers.example/login/oidc/back")
"""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gitops.errors import readable
from gitops.files.named import named
from gitops.model import Json
from gitops.server.people.guard.oidc.claims import Expected, OidcError, check
from gitops.settings.people import Oidc
from gitops.web.ask import Bounds, WebError, ask

FRESH = 3600.0
BOUNDS = Bounds(connect=5, silence=5, longest=10, largest=1 << 20)
SECRET = 4096
"""Bytes of the client's secret."""
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""By public keys alone: `none`, and a key that both sides know, are no proof of who signed."""
PLACES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
FORM = "application/x-www-form-urlencoded"


def word(secret: str, what: str) -> str:
    """One of the words of a login (`state`, `nonce`, `verifier`): of each other they tell nothing."""
    made = hmac.new(secret.encode(), what.encode(), sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


class Provider:
    """One of them; used by several threads."""

    def __init__(self, oidc: Oidc) -> None:
        self.oidc = oidc
        self._said: Json = {}
        self._until, self._keys = 0.0, KeySet([])

    def way(self, secret: str, back: str) -> str:
        """Where somebody logs in. Raises OidcError."""
        place = str(self.said()["authorization_endpoint"])
        challenge = create_s256_code_challenge(word(secret, "verifier"))
        query = {
            "response_type": "code", "client_id": self.oidc.client_id, "redirect_uri": back,
            "scope": " ".join(self.oidc.scopes), "state": word(secret, "state"), "nonce": word(secret, "nonce"),
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{place}{'&' if urlsplit(place).query else '?'}{urlencode(query)}"

    def claims(self, code: str, secret: str, back: str) -> Mapping[str, Any]:
        """Of the ID token that it gives for a code. Raises OidcError."""
        fields = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": self.oidc.client_id,
            "code_verifier": word(secret, "verifier"),
        }  # fmt: skip
        place, headers = str(self.said()["token_endpoint"]), {"content-type": FORM, "accept": "application/json"}
        if self.oidc.client_secret_file:
            self._prove(_secret(self.oidc.client_secret_file), fields, headers)
        answer = self._ask(place, headers, urlencode(fields).encode())
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcError(f"the provider gives no token: {_short(answer.get('error'))}")
        claims = self._verified(token)
        check(claims, Expected(self.oidc.issuer, self.oidc.client_id, word(secret, "nonce")), time.time())
        return claims

    def said(self) -> Json:
        """What it says of itself (OpenID Connect Discovery 1.0). Raises OidcError."""
        if time.monotonic() < self._until:
            return self._said
        said = self._ask(get_well_known_url(self.oidc.issuer, external=True))
        if said.get("issuer") != self.oidc.issuer:
            raise OidcError(f"the provider calls itself {_short(said.get('issuer'))}, which is not `oidc.issuer`")
        near = self.oidc.issuer.startswith("http://")
        for name in PLACES:
            if not str(said.get(name)).startswith(("https://", "http://") if near else "https://"):
                raise OidcError(f"the provider has no {name} that is encrypted: {_short(said.get(name))}")
        self._said, self._until = said, time.monotonic() + FRESH
        return said

    def _verified(self, token: str) -> Mapping[str, Any]:
        """By the keys that are known, or else by those of now."""
        for fresh in (False, True):
            if fresh or not self._keys.keys:
                self._keys = self._current()
            try:
                return jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
                why = type(error).__name__
        raise OidcError(f"the provider's token is not taken: no key of the provider has signed it ({why})")

    def _current(self) -> KeySet:
        try:
            return KeySet.import_key_set(self._ask(str(self.said()["jwks_uri"])))  # type: ignore[arg-type]
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcError("the provider's keys cannot be read") from error

    def _prove(self, secret: str, fields: dict[str, str], headers: dict[str, str]) -> None:
        """That it is us (OAuth 2.0, 2.3.1); in the header, unless it takes that in the body alone."""
        ways = self._said.get("token_endpoint_auth_methods_supported")
        if isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways:
            fields["client_secret"] = secret
            return
        pair = f"{quote_plus(self.oidc.client_id)}:{quote_plus(secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _ask(self, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Json:
        trusted = str(self.oidc.ca) if self.oidc.ca else None
        try:
            with ask(url, BOUNDS, headers, body=body, trusted=trusted, redirects=False) as answer:
                text = answer.read()
        except (WebError, OSError) as error:
            why = readable(error).message if isinstance(error, OSError) else str(error)
            raise OidcError(f"the provider does not answer: {why}", hint="try again, or use a local account") from error
        try:
            said = json.loads(text) if len(text) <= BOUNDS.largest else None
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or answer.status >= 500:
            raise OidcError(f"the provider answers {answer.status}, and nothing that can be read")
        return said


def _secret(file: Path) -> str:
    try:
        secret = named(file, SECRET).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OidcError(f"the client's secret cannot be read: {file}") from error
    if not secret:
        raise OidcError(f"the client's secret is empty: {file}")
    return secret


def _short(said: object) -> str:
    """Of what others said: as much as fits a sentence."""
    text = "".join(letter for letter in str(said) if letter.isprintable())
    return text[:100] or "nothing"
