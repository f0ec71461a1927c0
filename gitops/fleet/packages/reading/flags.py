"""Flags of RUN, COPY and ADD: which both builders know, which mean nothing here, and which cannot be. Pure.

In: an instruction's flags. Out: a mistake, or the flag as builders get it. Rules: `--link` is about caches and changes
no file, `--network=none` is so anyway; a cache mount is empty at each build (a tmpfs), for what an earlier build left
there is not in Git; what buildah does not know is a mistake, never left out where it would change a file.

    judge("COPY", "--link")                                   # Verdict(new="")
    judge("RUN", "--mount=type=cache,target=/root/.cache")    # Verdict(new="--mount=type=tmpfs,target=/root/.cache")
"""

import re
from typing import NamedTuple

URLS = ("http://", "https://", "ftp://", "git@", "git://", "ssh://")
_KNOWN = {"COPY": ("--from", "--chown", "--chmod"), "ADD": ("--chown", "--chmod"), "RUN": ("--mount",)}
_TARGETS = ("target", "dst", "destination")
_OF_CACHE = {*_TARGETS, "type", "id", "sharing", "ro", "readonly", "rw", "readwrite", "mode", "uid", "gid"}
_YES = ("", "true", "1")
NO_NETWORK = "builds have no network"


class Verdict(NamedTuple):
    """A mistake and its fix, or `new`: the flag as builders get it; empty: it is left out. None: as it is. `moved`:
    what a step makes may be something else than before it was written so."""

    message: str = ""
    hint: str = ""
    new: str | None = None
    moved: bool = False


def judge(keyword: str, flag: str) -> Verdict:
    """One flag, such as `--chmod=0644`."""
    name, _, value = flag.partition("=")
    if name == "--link" and keyword in ("COPY", "ADD"):
        return Verdict(new="")
    if keyword == "RUN" and name == "--network":
        return _network(value)
    if keyword == "RUN" and name == "--security" and value == "sandbox":
        return Verdict(new="")
    if name not in _KNOWN[keyword]:
        hint = "leave it out, or write it as steps that buildah knows"
        return Verdict(f"`{flag}` of {keyword} is not known to buildah", hint)
    if name == "--chmod" and not re.fullmatch("[0-7]{3,5}", value) and "$" not in value:
        return Verdict(f"`{flag}` is no octal mode", "write it as --chmod=0644")
    return _mount(flag, value) if name == "--mount" else Verdict()


def _network(value: str) -> Verdict:
    if value in ("none", "default"):
        return Verdict(new="")
    return Verdict(f"`--network={value}`: {NO_NETWORK}", "lock what the step needs: packages.in")


def _mount(flag: str, value: str) -> Verdict:
    pairs = {key: (equals, text) for key, equals, text in (each.partition("=") for each in value.split(","))}
    if any(key != key.lower() for key in pairs):
        return Verdict(f"`{flag}`: its keys are in small letters", "write type=..., from=..., target=...")
    kind = pairs.get("type", ("=", "bind"))[1]
    if kind == "cache":
        return _cache(flag, {key: text for key, (_, text) in pairs.items()})
    if kind in ("secret", "ssh") and pairs.get("required", ("", "false"))[1] in _YES:
        return Verdict(f"`{flag}`: builds know no secrets", "lock what the step needs: packages.in")
    if kind not in ("bind", "tmpfs", "secret", "ssh"):
        return Verdict(f"`{flag}`: there is no mount of type {kind}", "write type=bind, cache or tmpfs")
    return Verdict()


def _cache(flag: str, pairs: dict[str, str]) -> Verdict:
    target = next((pairs[name] for name in _TARGETS if pairs.get(name)), "")
    if not target or pairs.keys() - _OF_CACHE:
        return Verdict(f"`{flag}`: a cache is empty at each build", "write `type=cache,target=/PATH` without from")
    return Verdict(new=f"--mount=type=tmpfs,target={target}", moved=True)
