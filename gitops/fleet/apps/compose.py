"""Compose apps: a folder with a docker-compose.yml and what stands beside it, as a role or a box names it.

In: a tree, an app's folder, how its images reach the box. Out: an `App`: the compose file as a value, the image of each
service, the other files as LinuxKit's `files:` entries below /etc/compose/NAME; mistakes as `Problem`s. Everything but
what is checked here is compose's own affair (the Compose specification), and stays as it is. Rules:

- an image is a package (`@pkg:` and a path relative to the compose file), or NAME@sha256:DIGEST; a tag may move, so
  images.lock says what it means (`images`);
- nothing is built on a box, and nothing comes from other files (`include`, `extends`): only what is read is checked;
- what is bound from the box is below /data or /dev, or beside the file (`./x`); a few files of the system, read-only;
- seccomp and AppArmor profiles that a service names are files of the app.

    app = load_app(tree, "boot/compose/osmo-nitb", "staged", problems)
    app.images["osmo-hlr"]                # "@pkg:pkg/osmocom/osmo-hlr"
"""

import functools
import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from gitops.errors import Problem
from gitops.fleet.apps.variables import ON_EVERY_BOX, environment_of, set_in, unset
from gitops.fleet.cache import once
from gitops.fleet.documents.budget import spend
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.fragments import Fragments
from gitops.fleet.documents.yaml import Document, Path
from gitops.fleet.documents.yaml import read as read_yaml
from gitops.fleet.images.lockfile import doubtful, pins
from gitops.fleet.images.tracked import COMPOSE as FILE
from gitops.fleet.images.tracked import TRACK, mistake, tracked_of
from gitops.fleet.levels.unread import in_doubt
from gitops.fleet.linuxkit.spec import PACKAGE, contents
from gitops.fleet.overlay import Merged, Parsed, together
from gitops.fleet.schema import NAME, BoxFile, RoleFile
from gitops.model import APPS, App, Json, Tree

BY_DIGEST = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]{0,200}@sha256:[0-9a-f]{64}")
BINDABLE = ("/data", "/dev")
"""What a user container may see of the box: its data and its devices, never what the box boots from."""
READABLE = ("/etc/localtime", "/etc/timezone", "/lib/modules")
"""And what it may read: pkg/docker has these."""
APPS_OF = "compose"
"""The key of a level that names apps."""
Hidden = Callable[[str, Collection[str]], bool]
LINK = 0o120000
PLATFORM = "linux/amd64"
PLATFORMS = re.compile(r"(linux/)?(amd64|x86_64|x86-64)(/v[1-4])?", re.IGNORECASE)
"""Its names, as containerd normalises them (its platforms package)."""


def load_app(
    tree: Tree,
    folder: str,
    pull: str,
    problems: list[Problem],
    known: Collection[str] = (),
    hidden: Hidden = lambda *_: False,
) -> App | None:
    """One app; its mistakes are in `problems`, and not in it. None when there is none to be read. `known`: variables
    that the box sets; `hidden`: whether a name may be one that cannot be read."""
    path = f"{folder}/{FILE}"
    document = read_yaml(tree.read(path), path, problems, Fragments)
    if document is None:
        return None
    reader = _Reader(
        tree, document.without(document.doubtful) if document.doubtful else document, folder, known, hidden
    )
    problems.extend(reader.mistakes())
    value, name = _sound(reader.document, reader.wrong), posixpath.basename(folder)
    if not value:
        return None
    images = {service: reader.images.get(service, "") for service in value["services"]}
    beside = once(tree, ("beside", folder), lambda: tuple(_files(tree, folder, name)))
    files = tuple(file for path, file in beside if path not in reader.leaving)
    return App(name, folder, pull, _plain(value), images, files)


def load_apps(tree: Tree, level: Parsed[RoleFile] | Parsed[BoxFile], base: Merged, problems: list[Problem]) -> Merged:
    """With the apps that a role or a box names; of one name, the nearer one counts."""
    apps: dict[str, App | None] = {}
    known, hidden = environment_of(base.spec), functools.partial(_may_be_set, base)
    doubts = [] if all(f"{rule.app}/{FILE}" in tree.entries() for rule in level.content.compose) else [APPS_OF]
    for index, rule in enumerate(level.content.compose):
        name, path = posixpath.basename(rule.app), f"{rule.app}/{FILE}"
        place = ("compose", index, "app")
        if path not in tree.entries():
            problems.append(level.problem(place, f"there is no {path}", did_you_mean(rule.app, lambda: _apps(tree))))
        elif name in apps:
            problems.append(level.problem(place, f"two apps are named `{name}`", "rename one folder"))
        else:
            apps[name] = app = load_app(tree, rule.app, rule.pull, problems, known, hidden)
            doubts += [] if app else [APPS_OF]
            for number, service in enumerate(rule.unwatched if app else ()):
                if app and service not in app.images:
                    hint = did_you_mean(service, list(app.images))
                    wrong = f"{rule.app} has no service `{service}`"
                    problems.append(level.problem(("compose", index, "unwatched", number), wrong, hint))
    services = {container.name for container in base.spec.services}
    if (apps or base.apps) and not {"docker", "compose"} <= services and "boot" not in base.unknown:
        hint = "name boot/docker.yml among the role's boot specs"
        problems.append(level.problem(("compose",), "there are no services `docker` and `compose`", hint))
    if not level.content.compose:
        return base
    there = {app.name: app for app in (*base.apps, *apps.values()) if app}
    unknown = together(base.unknown, {key: in_doubt(tree, key) for key in doubts})
    return replace(base, apps=tuple(there.values()), unknown=unknown)


def _may_be_set(base: Merged, name: str, known: Collection[str]) -> bool:
    """Whether a variable may be one of the service that runs compose, where that cannot be read."""
    return any(base.may_hold(key, name, known) for key in ("boot", "services"))


def _apps(tree: Tree) -> list[str]:
    return [path.removesuffix(f"/{FILE}") for path in tree.entries() if path.endswith(f"/{FILE}")]


def _plain(compose: Json) -> Json:
    """As compose itself knows it: `track` is ours."""
    services = compose["services"].items()
    return {**compose, "services": {name: {key: keys[key] for key in keys if key != TRACK} for name, keys in services}}


def _files(tree: Tree, folder: str, name: str) -> Iterator[tuple[str, Json]]:
    """What stands beside the compose file, by path."""
    prefix = f"{folder}/"
    for path, entry in sorted(each for each in tree.entries().items() if each[0].startswith(prefix)):
        inside = path.removeprefix(prefix)
        if inside == FILE:
            continue
        spend(entry.size, path)
        if entry.mode == LINK:
            yield path, {"path": f"{APPS}/{name}/{inside}", "symlink": tree.read(path).decode()}
        else:
            mode = "0755" if entry.mode & 0o111 else "0644"
            yield path, {"path": f"{APPS}/{name}/{inside}", "mode": mode, **contents(tree.read(path))}


def _sound(document: Document, wrong: set[Path]) -> Json:
    """The file without its mistakes, and so without what it may not read; empty when no service is left."""
    left = document.without(wrong) if wrong else document
    for kind in ("configs", "secrets", "volumes"):  # of what has mistakes, the name counts
        names = {place[1] for place in wrong if place[:1] == (kind,) and len(place) > 1}
        if names:
            left.value[kind] = {**left.value[kind], **{name: {"external": True} for name in names}}
    value = left.value if isinstance(left.value, dict) else {}
    services = value.get("services")
    named = services.items() if isinstance(services, dict) else ()
    sound = {name: keys for name, keys in named if isinstance(keys, dict)}
    return {**value, "services": sound} if sound else {}


class _Reader:
    """Looks through one compose file."""

    def __init__(self, tree: Tree, document: Document, folder: str, known: Collection[str], hidden: Hidden) -> None:
        self._tree, self.document, self._folder = tree, document, folder
        self._known, self._hidden = known, hidden
        self.wrong: set[Path] = set()
        self.leaving: set[str] = set()
        """Links that lead out of the app's folder, or nowhere."""
        self.images: dict[str, str] = {}

    def mistakes(self) -> Iterator[Problem]:
        services = self.document.value.get("services") if isinstance(self.document.value, dict) else None
        if not isinstance(services, dict) or not services:
            yield self._problem(("services",), "an app without services", "see docs/spec.md, Apps")
            return
        name = posixpath.basename(self._folder)
        if not re.fullmatch(NAME, name):
            yield self._problem((), f"`{name}` is no name for an app", "use lower-case letters, digits and `-`")
        if "include" in self.document.value:
            yield self._problem(("include",), "other files are not read", "write their services here")
        yield from self._links()
        yield from self._variables()
        yield from self._named_volumes()
        for kind in ("configs", "secrets"):
            yield from self._files_of(kind)
        for service, keys in services.items():
            if isinstance(keys, dict):
                yield from self._service(service, keys)
            else:
                yield self._problem(("services", service), "keys and values are expected", "write `image:` below it")

    def _service(self, name: str, keys: Json) -> Iterator[Problem]:
        place: Path = ("services", name)
        if "build" in keys:
            hint = "make it a package in pkg/, and name that as `image:`"
            yield self._problem((*place, "build"), "nothing is built on a box", hint)
        if "extends" in keys:
            yield self._problem((*place, "extends"), "other services are not read", "write its keys here")
        if wrong := mistake(keys):
            yield self._problem((*place, TRACK), *wrong)
        elif (tracked := tracked_of(keys)) and (digest := tracked.digest(pins(self._tree))):
            self.images[name] = f"{tracked.reference}@{digest}"
        elif keys.get("image") is None and ("build" in keys or "extends" in keys):
            pass
        elif not tracked or not doubtful(self._tree, tracked.written):
            yield from self._image(name, keys.get("image"), (*place, "image"))
        if "platform" in keys and not PLATFORMS.fullmatch(str(keys["platform"])):
            yield self._problem((*place, "platform"), f"boxes are {PLATFORM}", "remove it, and name an image for that")
        yield from self._files_of_service(keys, place)

    def _files_of_service(self, keys: Json, place: Path) -> Iterator[Problem]:
        """What it takes from the app's folder, and from the box."""
        for kind in ("env_file", "label_file"):
            for file, must in _files_named(keys.get(kind)):
                yield from self._read(file, must, (*place, kind))
        for kind in ("configs", "secrets"):
            yield from self._modes(keys.get(kind), (*place, kind))
        for index, volume in enumerate(_list(keys.get("volumes"))):
            yield from self._volume(volume, (*place, "volumes", index))
        for index, option in enumerate(_list(keys.get("security_opt"))):
            yield from self._profile(str(option), (*place, "security_opt", index))

    def _image(self, service: str, image: Any, place: Path) -> Iterator[Problem]:
        if not isinstance(image, str):
            yield self._problem(place, f"service `{service}` has no image", "add `image:`")
        elif image.startswith(PACKAGE):
            path = posixpath.normpath(posixpath.join(self._folder, image.removeprefix(PACKAGE)))
            self.images[service] = PACKAGE + path
            if f"{path}/build.yml" not in self._tree.entries():
                others = sorted(posixpath.dirname(n) for n in self._tree.entries() if n.endswith("/build.yml"))
                near = did_you_mean(image, [PACKAGE + posixpath.relpath(other, self._folder) for other in others])
                yield self._problem(place, f"there is no package in {path}", near)
        elif BY_DIGEST.fullmatch(image):
            self.images[service] = image
        else:
            hint = (
                "a tag may move: `toweros lock images.lock` pins it; or write NAME@sha256:DIGEST, or @pkg: and a path"
            )
            yield self._problem(place, f"`{image}` does not say which image it is", hint)

    def _modes(self, files: Any, place: Path) -> Iterator[Problem]:
        """In quotes, compose reads a mode as a decimal number: "0440" would be 0670."""
        for index, file in enumerate(_list(files)):
            mode = file.get("mode") if isinstance(file, dict) else None
            if isinstance(mode, str):
                hint = "write it as a number, without quotes: mode: 0440"
                yield self._problem((*place, index, "mode"), f'compose reads "{mode}" as a decimal number', hint)

    def _through_a_link(self, folder: str, name: str) -> bool:
        """Whether a part of the way is a link: from there, `..` is another folder than it looks."""
        way, entries = [part for part in folder.split("/") if part], self._tree.entries()
        for part in name.split("/")[:-1]:
            if part == "..":
                way = way[:-1]
            elif part not in ("", "."):
                way.append(part)
            entry = entries.get("/".join(way))
            if entry and entry.mode == LINK:
                return True
        return False

    def _variables(self) -> Iterator[Problem]:
        dotenv = f"{self._folder}/.env"
        beside = set_in(self._tree.read(dotenv)) if dotenv in self._tree.entries() else set()
        for place, name in unset(self.document.value, {*ON_EVERY_BOX, *self._known, *beside}):
            if self._said_by_a_box(name) or self._hidden(name, self._known):
                continue
            hint = f"write `{name}=...` into {dotenv}, a default (`${{{name}:-...}}`), or `$$` for a plain $"
            yield self._problem(place, f"nobody sets the variable {name}", hint)

    def _said_by_a_box(self, name: str) -> bool:
        """Boxes may say each their own, in the environment of their service `compose`."""
        boxes = (path for path in self._tree.entries() if path.startswith("boxes/") and path.endswith(".yaml"))
        return any(f"{name}=".encode() in self._tree.read(path) for path in boxes)

    def _links(self) -> Iterator[Problem]:
        """Beside the compose file a link names something that is there, too: nothing else of the repository comes."""
        entries, prefix = self._tree.entries(), f"{self._folder}/"
        for path, entry in entries.items():
            if path.startswith(prefix) and entry.mode == LINK:
                target = self._tree.read(path).decode(errors="replace")
                there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
                inside = there.startswith(prefix) and not self._through_a_link(posixpath.dirname(path), target)
                if not inside or not (there in entries or any(each.startswith(f"{there}/") for each in entries)):
                    self.leaving.add(path)
                    hint = "copy the file here, or fix the link"
                    yield Problem(path, 1, 1, f"the link's target `{target}` is not in {self._folder}", hint)

    def _named_volumes(self) -> Iterator[Problem]:
        """A named volume may be a bind mount in disguise: the `local` driver takes any `device`."""
        volumes = self.document.value.get("volumes")
        for name, volume in volumes.items() if isinstance(volumes, dict) else ():
            options = volume.get("driver_opts") if isinstance(volume, dict) else None
            device = str(options.get("device", "")) if isinstance(options, dict) else ""
            yield from self._source(device, ("volumes", name, "driver_opts", "device"))

    def _files_of(self, kind: str) -> Iterator[Problem]:
        """Compose binds the `file` of a configuration or secret into containers, like any other path."""
        entries = self.document.value.get(kind)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "file" in entry:
                yield from self._source(_path(entry["file"]), (kind, name, "file"))

    def _volume(self, volume: Any, place: Path) -> Iterator[Problem]:
        if isinstance(volume, dict):
            source = _path(volume.get("source", "")) if volume.get("type") == "bind" else ""
            closed = volume.get("read_only") is True
        else:
            source, _, rest = str(volume).partition(":") if ":" in str(volume) else ("", "", "")
            closed = "ro" in rest.partition(":")[2].split(",")
        if closed and posixpath.normpath(source) in READABLE:
            return
        yield from self._source(source, place)

    def _source(self, source: str, place: Path) -> Iterator[Problem]:
        """What a mount is made from: a path of the box, of the app, or the name of a volume."""
        if "$" in source:
            yield self._problem(place, f"`{source}` is known on the box only", "write the path out")
        elif source.startswith("/"):
            clean = posixpath.normpath(source)
            if not any(clean == top or clean.startswith(f"{top}/") for top in BINDABLE):
                hint = "user data is below /data, devices below /dev; files of the app are `./NAME`"
                if clean in READABLE:
                    hint = f"it may be read: {clean}:{clean}:ro"
                yield self._problem(place, f"`{source}` of the box is not for user containers", hint)
        elif source.startswith((".", "~")):
            yield from self._beside(source, place)

    def _profile(self, option: str, place: Path) -> Iterator[Problem]:
        kind, _, name = option.replace("=", ":", 1).partition(":")
        if kind == "seccomp" and name != "unconfined":
            yield from self._beside(name, place)
        if kind == "apparmor" and name not in ("unconfined", "docker-default"):
            yield from self._beside(f"./apparmor/{name}", place)

    def _read(self, file: str, must: bool, place: Path) -> Iterator[Problem]:
        """A file that compose itself reads: what asks compose about an app must read nothing else of its machine."""
        path = posixpath.normpath(posixpath.join(self._folder, file))
        if "$" in file:
            yield self._problem(place, f"`{file}` is known on the box only", "write the path out")
        elif must or not path.startswith(f"{self._folder}/"):
            yield from self._beside(file, place)

    def _beside(self, name: str, place: Path) -> Iterator[Problem]:
        """A file or folder of the app."""
        if self._through_a_link(self._folder, name):
            yield self._problem(place, f"`{name}` leads through a link", "name the file itself")
            return
        path = posixpath.normpath(posixpath.join(self._folder, name))
        inside = path == self._folder or path.startswith(f"{self._folder}/")
        entries = self._tree.entries()
        if not inside or not (path in entries or any(other.startswith(f"{path}/") for other in entries)):
            yield self._problem(place, f"there is no `{name}` in {self._folder}", "add it, or fix the path")

    def _problem(self, place: Path, message: str, hint: str) -> Problem:
        if place[-1:] != ("image",):
            self.wrong.add(place)
        return self.document.problem(place, message, hint)


def _path(value: Any) -> str:
    """A path as compose reads it where no name of a volume may stand: relative ones need no `./`."""
    return str(value) if str(value).startswith(("/", ".", "~", "$")) else f"./{value}"


def _files_named(value: Any) -> list[tuple[str, bool]]:
    """Those of `env_file` or `label_file`, and whether they must be there."""
    each = value if isinstance(value, list) else [value] if value else []
    rows = [one if isinstance(one, dict) else {"path": one} for one in each]
    return [(_path(row.get("path", "")), row.get("required") is not False) for row in rows]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
