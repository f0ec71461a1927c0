"""The HTTP of an OCI registry: manifests and blobs by digest, in and out (distribution-spec 1.1).

In: a host, a repository, a digest. Out: bytes that are what their digest says. Rules: plain HTTP is spoken on the
loopback alone, and no redirect leads from https to it; nothing larger than the manifest says is read, nor at a pace
that never ends; no message holds a password or token.

    registry = Registry("registry.example", credentials(file, "registry.example"))
    data, media_type = registry.document("osmocom/osmo-hlr", f"manifests/sha256:{digest}", digest)
"""

import base64
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from gitops.errors import RegistryError
from gitops.files.named import named
from gitops.model import BlobRef, Json, sha256
from gitops.oci.away import AwayError, SilentError
from gitops.store import Store
from gitops.store.files.blobs import arriving, digest_file
from gitops.web.ask import DowngradeError, Session

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
ACCEPT = {"Accept": ", ".join((MANIFEST, DOCKER_MANIFEST, *INDEXES))}
"""Without it a registry may answer in the oldest format that it knows (schema 1)."""
MAX_DOCUMENT = 4 << 20
"""Bytes of a manifest, config or payload."""
MAX_TOKEN = 1 << 20
"""Bytes of a token server's answer; real ones take a few thousand."""
TIMEOUT = (10, 60)
"""Seconds: until a connection stands, and without a byte."""
CHUNK = 1 << 20
LONGEST, PACE = 60, 16 << 10
"""Seconds that a document may take; bytes per second of the slowest registry that counts."""
DIGEST = "Docker-Content-Digest"
NO_CONNECTION = (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError)
ABSENT = (requests.codes.not_found,)
HINT = "see `registry_auth` in docs/settings.md"


class DeniedError(RegistryError):
    """A registry lets us not in, here: of its other repositories that says nothing."""


class Registry:
    """One registry. `credentials` are user and password."""

    def __init__(self, host: str, credentials: tuple[str, str] | None = None) -> None:
        self.host, self._credentials = host, credentials
        name = host.partition(":")[0]
        scheme = "http" if name in ("localhost", "127.0.0.1") else "https"
        self._base = f"{scheme}://{host}/v2/"
        self._session = Session(clear=False)
        self._session.headers.update({"User-Agent": "toweros", "Accept-Encoding": "identity"})
        self._token = ""

    def document(self, repository: str, path: str, digest: str = "") -> tuple[bytes, str]:
        """A manifest or small blob, and its media type; compared with `digest` if there is one.

        Raises:
            RegistryError: it is not there, too large, or not what its digest says; or the registry is away.
        """
        with self._ask("GET", f"{repository}/{path}", headers=ACCEPT) as response:
            data = b"".join(_bounded(response, MAX_DOCUMENT))
        if digest and sha256(data) != digest:
            raise RegistryError(f"{self.host}/{repository}: {path} is not what its digest says")
        return data, response.headers.get("Content-Type", "").partition(";")[0]

    def digest(self, repository: str, tag: str) -> str:
        """The hex of the digest that a tag has now, as the registry says; empty: there is no such tag. Whoever takes
        what it names finds out whether that is true."""
        path = f"{repository}/manifests/{tag}"
        with self._ask("HEAD", path, headers=ACCEPT, missing=ABSENT) as response:
            if response.status_code == requests.codes.not_found:
                return ""
            said = response.headers.get(DIGEST, "")
        if not said:  # it SHOULD be there (distribution-spec 1.1, "Pulling manifests")
            return sha256(self.document(repository, f"manifests/{tag}")[0])
        try:
            return hex_of(said)
        except ValueError as error:
            raise RegistryError(f"{self.host}/{repository}:{tag}: {error}") from error

    def fetch(self, store: Store, repository: str, ref: BlobRef) -> None:
        """Bring a blob into the store, if it is not there."""
        if store.blobs.has(ref.sha256):
            return
        with (
            self._ask("GET", f"{repository}/blobs/sha256:{ref.sha256}") as response,
            arriving(store.blobs.path(ref.sha256)) as new,
        ):
            with new.open("wb") as output:
                for chunk in _bounded(response, ref.size):
                    output.write(chunk)
            self._check(new, repository, ref)

    def page(self, path: str, missing: Collection[int]) -> tuple[bytes, str, str]:
        """A part of a list, its media type, and where the next part is; nothing where the answer is one of `missing`.

        Raises:
            RegistryError: it is too large, or the list goes on at another place; or the registry is away.
        """
        with self._ask("GET", path, headers={"Accept": INDEXES[0]}, missing=missing) as response:
            if response.status_code in missing:
                return b"", "", ""
            data, kind = b"".join(_bounded(response, MAX_DOCUMENT)), response.headers.get("Content-Type", "")
            following = response.links.get("next", {}).get("url", "")
            url = self._elsewhere(response, following) if following else ""
        if url and not url.startswith(self._base):
            raise RegistryError(f"{self.host}: a list goes on at another place")
        return data, kind.partition(";")[0].strip(), url

    def has(self, repository: str, path: str, kinds: Collection[str] = (MANIFEST, DOCKER_MANIFEST)) -> bool:
        """Whether a blob or manifest is there."""
        headers = {"Accept": ", ".join(kinds)}
        with self._ask("HEAD", f"{repository}/{path}", headers=headers, missing=ABSENT) as response:
            return response.status_code == 200

    def put_blob(self, repository: str, digest: str, data: bytes | Path) -> None:
        """Upload a blob in one piece, if it is not there (distribution-spec, "Pushing a blob monolithically")."""
        if self.has(repository, f"blobs/sha256:{digest}"):
            return
        with self._ask("POST", f"{repository}/blobs/uploads/") as response:
            # It may be relative, and may carry a query that must stay (distribution-spec, Pushing Blobs).
            place = self._elsewhere(response, response.headers.get("Location", ""))
        place += ("&" if "?" in place else "?") + f"digest=sha256:{digest}"
        headers = {"Content-Type": "application/octet-stream"}
        if isinstance(data, bytes):
            self._ask("PUT", place, data=data, headers=headers).close()
        else:
            with data.open("rb") as stream:
                self._ask("PUT", place, data=stream, headers=headers).close()

    def put_manifest(self, repository: str, tag: str, manifest: bytes) -> None:
        headers = {"Content-Type": MANIFEST}
        self._ask("PUT", f"{repository}/manifests/{tag}", data=manifest, headers=headers).close()

    def remove(self, repository: str, digest: str) -> None:
        """Forget a manifest by its hex, and all tags that lead to it. Many registries let nobody do that."""
        if digest:
            path = f"{repository}/manifests/sha256:{digest}"
            self._ask("DELETE", path, missing=(*ABSENT, requests.codes.not_allowed)).close()

    def _check(self, file: Path, repository: str, ref: BlobRef) -> None:
        found = digest_file(file)
        if found.sha256 == ref.sha256 and found.size != ref.size:
            said = f"has {found.size} bytes, and the manifest says {ref.size}"
            raise RegistryError(f"{self.host}/{repository}: blob sha256:{ref.sha256} {said}")
        if found != ref:
            raise RegistryError(f"{self.host}/{repository}: blob sha256:{ref.sha256} is not what its digest says")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | IO[bytes] | None = None,
        missing: Collection[int] = (),
    ) -> requests.Response:
        """One request; once more with a token when the registry asks for one. No body is read here."""
        url = path if path.startswith(("http://", "https://")) else self._base + path
        # A registry may say that an upload goes elsewhere; what proves who we are stays here.
        ours = url.startswith(self._base.removesuffix("v2/"))
        for attempt in (1, 2):
            asked = {**(headers or {}), **({"Authorization": f"Bearer {self._token}"} if self._token and ours else {})}
            # Once there is a token, the password goes to the token server alone.
            auth = self._credentials if ours and not self._token else None
            try:
                response = self._session.request(
                    method,
                    url,
                    headers=asked,
                    data=data,
                    auth=auth,
                    stream=True,
                    timeout=TIMEOUT,
                )
            # ValueError: it may send everybody to an address that is none.
            except (requests.RequestException, HTTPError, ValueError) as error:
                raise self._unreachable(error) from error
            if response.status_code != 401 or attempt == 2 or not ours:
                break
            response.close()
            # A token lives for minutes: the second try brings a new one.
            self._token = self._new_token(response.headers.get("WWW-Authenticate", ""))
            if data is not None and not isinstance(data, bytes):
                # The first try has read it.
                data.seek(0)
        if response.status_code >= 300 and response.status_code not in missing:  # a redirect to nowhere is no answer
            response.close()
            message = f"{self.host}: {method} {path.partition('?')[0]}: {response.status_code}"
            if response.status_code in (401, 403):
                raise DeniedError(message, hint=HINT, transient=True)
            raise RegistryError(message, transient=response.status_code != requests.codes.not_found)
        return response

    def _unreachable(self, error: Exception) -> RegistryError:
        if isinstance(error, DowngradeError):
            return RegistryError(f"{self.host} sends us from https to http", hint="name the registry where it is now")
        hint = "is the registry up, and its name right?"
        kind = _kind(error, self._base)
        return kind(f"{self.host} is unreachable: {type(error).__name__}", hint=hint, transient=True)

    def _elsewhere(self, response: requests.Response, place: str) -> str:
        """The address that an answer names.

        Raises:
            RegistryError: it is none, or in clear.
        """
        try:
            url = urljoin(response.url, place)
        except ValueError as error:
            raise RegistryError(f"{self.host} names an address that is none") from error
        if response.url.startswith("https://") and not url.startswith("https://"):
            raise self._unreachable(DowngradeError())
        return url

    def _new_token(self, challenge: str) -> str:
        """distribution's token authentication: ask the realm that the challenge names."""
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        # The registry says where the password goes: never in clear to another host.
        safe = fields.get("realm", "").startswith(("https://", self._base))
        if not challenge.lower().startswith("bearer") or not safe:
            raise DeniedError(f"{self.host} lets nobody in like this", hint=HINT, transient=True)
        query = {key: fields[key] for key in ("service", "scope") if key in fields}
        try:
            with self._session.get(
                fields["realm"], params=query, auth=self._credentials, stream=True, timeout=TIMEOUT
            ) as answer:
                if answer.status_code in (401, 403):
                    raise DeniedError(f"{self.host} gives no token for this", hint=HINT, transient=True)
                body = json.loads(b"".join(_bounded(answer, MAX_TOKEN)))
            return str(body.get("token") or body["access_token"])
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            message = f"{self.host} gives no token"
            raise RegistryError(message, hint=HINT, transient=True) from error


def _kind(error: Exception, base: str) -> type[RegistryError]:
    """Whether it says something of the registry, and not only of what was asked: a redirect may lead to nowhere."""
    asked = getattr(getattr(error, "request", None), "url", None) or ""
    if not asked.startswith(base.removesuffix("v2/")):
        return RegistryError
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, NO_CONNECTION) or isinstance(reason, NewConnectionError):
        return AwayError
    return SilentError if isinstance(error, requests.ReadTimeout) else RegistryError


def credentials(file: Path | None, host: str) -> tuple[str, str] | None:
    """User and password for a host, out of a file in the format of Docker's config.json (`auths`).

    Raises:
        RegistryError: the file cannot be read.
    """
    if file is None:
        return None
    try:
        encoded = json.loads(named(file, MAX_DOCUMENT)).get("auths", {}).get(host, {}).get("auth", "")
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (OSError, ValueError, AttributeError) as error:
        raise RegistryError(f"{file}: not a file with `auths`", hint="`docker login` writes one") from error
    return (user, password) if user else None


def parse(data: bytes, name: str) -> Json:
    """A manifest or index. `name` is for the message.

    Raises:
        RegistryError: it is none.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"{name}: what came is no JSON") from error
    if not isinstance(value, dict):
        raise RegistryError(f"{name}: what came is no manifest")
    return value


def hex_of(digest: str) -> str:
    """The hex of `sha256:HEX`; ValueError for anything else."""
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{digest!r} is no SHA-256 digest")
    return digest.removeprefix("sha256:")


def _bounded(response: requests.Response, limit: int) -> Iterator[bytes]:
    total, until, name = 0, time.monotonic() + LONGEST + limit / PACE, response.url.partition("?")[0]
    try:
        while chunk := response.raw.read1(CHUNK):
            total += len(chunk)
            if total > limit:
                raise RegistryError(f"{name}: more than {limit} bytes")
            if time.monotonic() > until:
                raise RegistryError(f"{name} is too slow", transient=True)
            yield chunk
    except (requests.RequestException, HTTPError, OSError) as error:
        raise RegistryError(f"{name}: the connection broke", transient=True) from error
