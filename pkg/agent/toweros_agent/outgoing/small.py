"""The small form of a report: what changed since the last one that the server has whole (contracts/small). Pure.

In: the document of a report, and of the last one whose receipt came. Out: a merge patch (RFC 7396), or that there is
none that says it, or none worth it. Rules: the signature is over the whole report, however it travels: a server that
puts together anything else sees that; patches do not build on patches, so none is missed.

    small = Small()
    small.keep(text, document)
    small.body(later, signature)        # b'{"base":"5f0c...","patch":{"counter":93021},"signature":"..."}'
"""

from typing import Any

from toweros_agent.nouns import Json, canonical, sha256

DIGITS = 32
"""Of the base's SHA-256: it is looked up by them; what proves it is the signature."""
WORTH = 220
"""Bytes of a patch: with it, a request has 600. Beyond, what changed is likely to stay, and the whole is sent once."""


class Small:
    """`has`: whether there is a report that the server has whole."""

    def __init__(self) -> None:
        self._name, self._base = "", Json()

    @property
    def has(self) -> bool:
        return bool(self._name)

    def keep(self, text: bytes, document: Json) -> None:
        """The server has this one."""
        self._name, self._base = sha256(text)[:DIGITS], document

    def forget(self) -> None:
        self._name = ""

    def body(self, document: Json, signature: str) -> bytes | None:
        """The request; None: the whole one is to be sent."""
        patch = difference(self._base, document)
        if not self._name or len(canonical(patch)) > WORTH or merged(self._base, patch) != document:
            return None
        return canonical({"base": self._name, "patch": patch, "signature": signature})


def difference(before: Json, after: Json) -> Json:
    """The patch that makes `after`; where a member became null there is none, and `merged` shows it."""
    patch: Json = dict.fromkeys(before.keys() - after.keys())
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := difference(old, value):
                patch[name] = inner
        elif name not in before or old != value:
            patch[name] = value
    return patch


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
