"""The refs of an https server, by one request: a poll that finds nothing new costs no more.

In: a URL without user and password, the header that says who we are. Out: heads, as a folder's; None where the answer
is not what Git's own servers give, so that libgit2 asks in its way, and says what is wrong. Rules: the header goes to
this URL alone, as no redirect is followed; the certificate must be one that this machine trusts; bytes and seconds are
bounded. gitprotocol-v2(5): `ls-refs` may be asked for at once, and names the kinds of refs; a server that does not know
it (or a proxy that keeps `Git-Protocol` to itself) gets the question of version 0, for an hour.

    heads = asking.heads("https://git.example/fleet.git", {"Authorization": "Basic ..."})
"""

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

from gitops.errors import STAYS, Reason, SourceError
from gitops.source.remotes.local import KINDS, Head
from gitops.web.ask import Bounds, WebError, ask

BOUNDS = Bounds(connect=10, silence=30, longest=120, largest=32 << 20)
"""A quarter of a million refs."""
HOUR = 3600.0
DENIED = 401
_KINDS = b"".join(b"%04xref-prefix %s\n" % (len(kind) + 16, kind.encode()) for kind in ("HEAD", *KINDS))
_LS_REFS = b"0014command=ls-refs\n0001" + b"0009peel\n" + b"000csymrefs\n" + _KINDS + b"0000"
_V2 = {
    "Git-Protocol": "version=2",
    "Content-Type": "application/x-git-upload-pack-request",
    "Accept": "application/x-git-upload-pack-result",
}
_PLAIN = {"Accept-Encoding": "identity"}
"""What is unpacked has no bound."""
_ID = re.compile(r"[0-9a-f]{40}")
_old: dict[str, float] = {}
"""Servers that do not know version 2, and until when (monotonic seconds) that is believed."""

Heads = tuple[list[Head], str]


class DeniedError(Exception):
    """The server knows us, and does not let us in."""


def heads(url: str, headers: Mapping[str, str]) -> Heads | None:
    """Branches and tags, and the ref that HEAD names (empty: none, or it does not say).

    Raises:
        WebError: the server is silent. DeniedError: what proves who we are is refused. SourceError: too many refs.
    """
    if time.monotonic() >= _old.get(url, 0.0):
        _old.pop(url, None)
        with suppress(ValueError):
            return _of_v2(_ask(f"{url}/git-upload-pack", {**headers, **_V2}, "result", _LS_REFS))
    with suppress(ValueError):
        said = _of_v0(_ask(f"{url}/info/refs?service=git-upload-pack", headers, "advertisement"))
        _old.setdefault(url, time.monotonic() + HOUR)
        return said
    return None


def _ask(url: str, headers: Mapping[str, str], kind: str, body: bytes | None = None) -> bytes:
    """The answer; empty if it is none of Git's."""
    places = ssl.get_default_verify_paths()  # those of libgit2; `requests` would bring its own
    try:
        with ask(
            url, BOUNDS, {**headers, **_PLAIN}, body=body, trusted=places.cafile or places.capath, redirects=False
        ) as answer:
            if answer.status == DENIED and "Authorization" in headers:
                raise DeniedError
            if answer.status != 200 or answer.headers.get("Content-Type") != f"application/x-git-upload-pack-{kind}":
                return b""
            data = answer.read()
    except WebError as error:
        if not error.again:
            raise
        return b""
    if len(data) > BOUNDS.largest:
        raise too_many()
    return data


def too_many() -> SourceError:
    """It has more refs than anybody would read; the same bound for every transport."""
    hint = f"remove branches and tags that nobody needs; {STAYS}"
    return SourceError(
        f"the remote has more than {BOUNDS.largest >> 20} MiB of refs", hint=hint, reason=Reason.too_many
    )


def _of_v2(data: bytes) -> Heads:
    """`ID REF[ symref-target:REF][ peeled:ID]` (gitprotocol-v2(5), ls-refs). Raises ValueError."""
    lines = [*_lines(data)]
    if not lines or lines.pop() is not None or None in lines:
        raise ValueError("no list")
    found, target = [], ""
    for line in filter(None, lines):
        identity, name, *words = line.split(" ")
        more = dict(word.split(":", 1) for word in words)
        target = more.get("symref-target", "") if name == "HEAD" else target
        found.append(Head(name, _checked(identity), _checked(more["peeled"]) if "peeled" in more else ""))
    return found, target


def _of_v0(data: bytes) -> Heads:
    """`ID REF`, after the first one what the server can; `ID REF^{}` is what the tag before leads to
    (gitprotocol-pack(5), Reference Discovery). Raises ValueError, for the line `shallow ID` too."""
    lines = [*_lines(data)]
    if lines[:2] != ["# service=git-upload-pack", None] or len(lines) < 4 or lines.pop() is not None:
        raise ValueError("no list")
    abilities = (lines[2] or "").partition("\0")[2].split(" ")
    if any(each.startswith("object-format=") and each != "object-format=sha1" for each in abilities):
        raise ValueError("not SHA-1")
    target = next((each.removeprefix("symref=HEAD:") for each in abilities if each.startswith("symref=HEAD:")), "")
    found = dict[str, Head]()
    for line in lines[2:]:
        identity, name = (line or "").partition("\0")[0].split(" ")
        tag = found.get(name.removesuffix("^{}"))
        if name.endswith("^{}") and tag:
            found[tag.name] = Head(tag.name, tag.id, _checked(identity))
        elif name != "capabilities^{}":
            found[name] = Head(name, _checked(identity))
    return [*found.values()], target


def _lines(data: bytes) -> Iterator[str | None]:
    """Packet lines (gitprotocol-common(5)); None is a flush. Raises ValueError."""
    at = 0
    while at < len(data):
        size = int(data[at : at + 4], 16)
        if size in (1, 2, 3) or at + size > len(data):
            raise ValueError("no packet line")
        yield data[at + 4 : at + size].decode().removesuffix("\n") if size else None
        at += size or 4


def _checked(identity: str) -> str:
    if not _ID.fullmatch(identity):
        raise ValueError("no SHA-1")
    return identity
