"""Images that are named by a tag: `image: NAME:TAG` in a compose file, or `track: TAG` beside a digest, in a
Dockerfile `FROM NAME:TAG`, and in the boot specs of roles. Pure.

In: a service's keys; a tree. Out: `Tracked`, mistakes in words. Rules: what a tag means is said by `images.lock`; with
`track`, the digest beside it counts until a line of the lock replaces this very digest. By digest without `track`, an
image never moves.

    tracked_of({"image": "web.example/nginx:1.27"}).written              # web.example/nginx:1.27
    tracked_of({"image": "redis@sha256:ab..", "track": "7"}).written     # redis:7@sha256:ab..
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gitops.fleet.documents.fragments import Fragments
from gitops.fleet.documents.yaml import load
from gitops.fleet.images.lockfile import DIGEST, NAME, TAG
from gitops.fleet.linuxkit.texts import Texts
from gitops.fleet.packages.dockerfile import Dockerfile
from gitops.model import Tree

COMPOSE = "docker-compose.yml"
TRACK = "track"
ROLES = "roles/"
MAX_FILES = 64
"""Files of one app that are looked through."""
IMAGES = ("onboot", "onshutdown", "services", "volumes")
"""The lists of a boot spec whose members have an image."""
_IMAGE = re.compile(rf"(?P<name>{NAME})(?::(?P<tag>{TAG}))?(?:@(?P<digest>{DIGEST}))?")


@dataclass(frozen=True, order=True)
class Tracked:
    """An image by tag. `beside`: the digest that is written beside it, `sha256:HEX`, or nothing."""

    name: str
    tag: str
    beside: str = ""

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.tag}"

    @property
    def written(self) -> str:
        """As images.lock calls it."""
        return f"{self.reference}@{self.beside}" if self.beside else self.reference

    def digest(self, pins: Mapping[str, str]) -> str:
        """What it means now, `sha256:HEX`; empty: nobody says."""
        return pins.get(self.written, self.beside)


def tracked_of(keys: Mapping[str, Any]) -> Tracked | None:
    """The image of a service, when it has a tag that counts."""
    image, track = keys.get("image"), keys.get(TRACK)
    match = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    if match is None or mistake(keys):
        return None
    tag, digest = match["tag"] or "", match["digest"] or ""
    if track is None and (digest or not tag):
        return None
    return Tracked(match["name"], track or tag, digest)


def mistake(keys: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a service's `track`, and the fix."""
    if TRACK not in keys:
        return None
    track, image = keys[TRACK], keys.get("image")
    if not isinstance(track, str) or not re.fullmatch(TAG, track):
        return "`track` is no tag of an image", 'write a tag, in quotes where it looks like a number: "1.27"'
    match = _IMAGE.fullmatch(image) if isinstance(image, str) else None
    if match is None or not match["digest"]:
        return "`track` stands beside a digest", "write `image: NAME@sha256:DIGEST`, or NAME:TAG without `track`"
    if match["tag"] not in (None, track):
        return f"the image's tag is `{match['tag']}`, and `{track}` is tracked", "write one tag"
    return None


def tracked(tree: Tree) -> tuple[Tracked, ...]:
    """Those of every compose file, Dockerfile and boot spec, sorted. Files with mistakes are passed over: reading the
    fleet names them."""
    files = {file for path in tree.entries() if path.endswith(f"/{COMPOSE}") for file in _of_app(tree, path)}
    found = {one for path in files for one in _of_file(tree.read(path))}
    found |= {one for path in _boot_specs(tree) for one in _of_spec(tree.read(path))}
    return tuple(sorted(found | {one for path in tree.entries() for one in _of_package(tree, path)}))


def _of_app(tree: Tree, path: str) -> set[str]:
    """A compose file, and those of its folder that services extend."""
    found, todo = set[str](), [path]
    while todo and len(found) < MAX_FILES:
        here = todo.pop()
        if here in tree.entries() and here not in found and here.startswith(f"{posixpath.dirname(path)}/"):
            found.add(here)
            rules = (keys.get("extends") for keys in _services(tree.read(here)))
            names = (str(rule["file"]) for rule in rules if isinstance(rule, dict) and rule.get("file"))
            todo += [posixpath.normpath(posixpath.join(posixpath.dirname(here), name)) for name in names]
    return found


def _of_file(data: bytes) -> list[Tracked]:
    return [one for keys in _services(data) if (one := tracked_of(keys))]


def _services(data: bytes) -> tuple[Mapping[str, Any], ...]:
    document = load(data, COMPOSE, [], Fragments)
    services = document.value.get("services") if document and isinstance(document.value, dict) else None
    each = services.values() if isinstance(services, dict) else ()
    return tuple(keys for keys in each if isinstance(keys, dict))


def _boot_specs(tree: Tree) -> set[str]:
    roles = (path for path in tree.entries() if path.startswith(ROLES) and path.endswith(".yaml"))
    return {path for role in roles for path in _named_by(tree.read(role)) if path in tree.entries()}


@lru_cache(maxsize=1024)
def _named_by(role: bytes) -> tuple[str, ...]:
    document = load(role, ROLES, [])
    paths = document.value.get("boot") if document and isinstance(document.value, dict) else None
    return tuple(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()


@lru_cache(maxsize=1024)
def _of_spec(data: bytes) -> tuple[Tracked, ...]:
    document = load(data, "boot", [])
    moby = document.value if document and isinstance(document.value, dict) else {}
    init = moby.get("init")
    named = [{"image": name} for name in init] if isinstance(init, list) else []
    each = [moby.get("kernel"), *(one for key in IMAGES if isinstance(moby.get(key), list) for one in moby[key])]
    images = [{"image": keys.get("image")} for keys in each if isinstance(keys, dict)]
    return tuple(one for keys in (*named, *images) if (one := tracked_of(keys)))


def _of_package(tree: Tree, path: str) -> tuple[Tracked, ...]:
    folder, _, name = path.rpartition("/")
    if name != "build.yml":
        return ()
    build = tree.read(path)
    dockerfile = posixpath.normpath(f"{folder}/{_said(build).get('dockerfile') or 'Dockerfile'}")
    return _of_dockerfile(build, tree.read(dockerfile)) if dockerfile in tree.entries() else ()


def _said(build: bytes) -> Mapping[str, Any]:
    document = load(build, "build.yml", [], Texts)
    return document.value if document and isinstance(document.value, dict) else {}


@lru_cache(maxsize=1024)
def _of_dockerfile(build: bytes, data: bytes) -> tuple[Tracked, ...]:
    rows = _said(build).get("buildArgs")
    pairs = [row.partition("=") for row in rows if isinstance(row, str)] if isinstance(rows, list) else []
    outside = Dockerfile.parse(data, {name: value for name, _, value in pairs}).outside
    return tuple(Tracked(one.name, one.tag) for one in outside if one.tag and not one.digest)
