"""Files of the update server that lie in an OCI registry (docs/publishing.md): a tag for each path leads to a blob.

In: `oci+https://HOST/REPOSITORY/PATH`. Out: the answer for the blob, which takes ranges as any; its ETag is that of the
manifest, which changes when the file does. Rules: nothing of it is believed, as of any server; who reads must be let in
without a password; a redirect (registries send to where their blobs are) is followed once.

    with of_registry(ask, "GET", "oci+https://registry.example/fleet/metadata/timestamp.json", {}) as response:
        ...
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.client import HTTPResponse
from urllib.parse import urljoin

SCHEME = "oci+"
PLACE = re.compile(r"oci\+(https?://[^/]+)/(.+?)/((?:attestations|deltas|layers|metadata|targets)/.+)")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MAX_MANIFEST = 64 << 10
LONGEST = 128
CONDITION, ETAG = "If-None-Match", "ETag"
Ask = Callable[[str, str, Mapping[str, str]], AbstractContextManager[HTTPResponse]]


def tag_of(path: str) -> str:
    """As the controller makes it."""
    tag = path.replace("/", "_")
    return tag if len(tag) <= LONGEST else f"sha256-{hashlib.sha256(path.encode()).hexdigest()}"


@contextmanager
def of_registry(ask: Ask, method: str, url: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
    """Raises `ValueError` for what is no such address or manifest, and whatever `ask` raises."""
    if not (found := PLACE.fullmatch(url)) or method not in ("GET", "HEAD"):
        raise ValueError("no file of a registry")
    base = f"{found[1]}/v2/{found[2]}"
    said = {name: value for name, value in headers.items() if name != CONDITION}
    condition = {CONDITION: headers[CONDITION]} if CONDITION in headers else {}
    with ExitStack() as stack:
        first = stack.enter_context(
            ask("GET", f"{base}/manifests/{tag_of(found[3])}", {"Accept": MANIFEST, **condition})
        )
        if first.status == 304:
            yield first
            return
        digest, etag = _blob(first.read(MAX_MANIFEST + 1))
        response = stack.enter_context(ask(method, f"{base}/blobs/{digest}", said))
        if 300 <= response.status < 400:
            there = urljoin(f"{base}/blobs/{digest}", response.headers.get("Location", ""))
            response = stack.enter_context(ask(method, there, said))
        if not 200 <= response.status < 300:
            raise ValueError(f"status {response.status}")
        del response.headers[ETAG]
        response.headers[ETAG] = first.headers.get(ETAG, "") or etag
        yield response


def _blob(data: bytes) -> tuple[str, str]:
    """The digest of the only layer; an ETag for this manifest."""
    if len(data) > MAX_MANIFEST:
        raise ValueError("a manifest that is too large")
    try:
        [layer] = json.loads(data)["layers"]
        digest = str(layer["digest"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("no manifest of ours") from error
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise ValueError("no digest")
    return digest, f'"{hashlib.sha256(data).hexdigest()}"'
