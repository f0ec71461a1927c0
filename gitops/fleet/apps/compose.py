"""Compose apps: a folder with a docker-compose.yml and what stands beside it, as a role or a box names it.

In: a tree, an app's folder, how its images reach the box. Out: an `App`: the compose file as a value, the image of each
service, the other files as LinuxKit's `files:` entries below /etc/compose/NAME; mistakes as `Problem`s. Everything but
what is checked here is compose's own affair (the Compose specification), and stays as it is. Rules:

- an image is a package (`@pkg:` and a path relative to the compose file), or NAME@sha256:DIGEST; a tag may move, so
  images.lock says what it means (`images`);
- nothing is built on a box; what services extend (`extending`) is read and checked as they are; nothing is included;
- what is bound from the box is below /data or /dev, or beside the file (`./x`); a few files of the system, read-only;
- seccomp and AppArmor profiles that a service names are files of the app.

    app = load_app(tree, "boot/compose/osmo-nitb", "staged", problems)
    app.images["osmo-hlr"]                # "@pkg:pkg/osmocom/osmo-hlr"
"""

import functools
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitops.errors import Problem
from gitops.fleet.apps.beside import LINK, Beside, Wrong, path_of
from gitops.fleet.apps.extending import EXTENDS, Extending, Found, tags_of
from gitops.fleet.apps.refused import refused
from gitops.fleet.apps.variables import ON_EVERY_BOX, environment_of, set_in, sources, unset
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
from gitops.model.fleet import OWN

BY_DIGEST = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]{0,200}@sha256:[0-9a-f]{64}")
RESTARTS = re.compile("|no|always|unless-stopped|on-failure(:[0-9]{1,9})?")
"""Compose takes any word, and the engine then no container (docker run(1), --restart)."""
OTHERS = ("compose.yaml", "compose.yml", "docker-compose.yaml")
"""Names that compose would take, too: here there is one."""
APPS_OF = "compose"
"""The key of a level that names apps."""
Hidden = Callable[[str, Collection[str]], bool]
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
    document = document.without(document.doubtful) if document.doubtful else document
    reader = _Reader(tree, document, folder, known, hidden)
    problems.extend(reader.mistakes())
    extended = _extended(tree, reader, problems, (folder, known, hidden))
    value, name = _sound(reader.document, reader.wrong), posixpath.basename(folder)
    if not value:
        return None
    images = {service: reader.images.get(service, "") for service in value["services"]}
    beside = once(tree, ("beside", folder), lambda: tuple(_files(tree, folder, name)))
    files = tuple(file for path, file in beside if path not in reader.leaving)
    return App(name, folder, pull, _plain(value, extended.whole, reader.document), images, files)


def _extended(
    tree: Tree, reader: "_Reader", problems: list[Problem], given: tuple[str, Collection[str], Hidden]
) -> Found:
    """What services extend, with the images that they have from there. What cannot be read is extended by nobody."""
    folder, known, hidden = given
    found = Extending(tree, folder, reader.document).look()
    others = {reader.document.file: reader}
    made = [*found.problems]
    for file, (document, services) in found.used.items():
        others[file] = _Reader(tree, document, folder, known, hidden)
        made += others[file].extended(services)
    broken = {problem.file for problem in made}
    problems += made
    for service, base in found.images.items():
        there = others[base.file]
        if there.keys_of(base.service).get("image") is None:
            problems.append(reader.wants_image(service))
        elif image := there.images.get(base.service):
            reader.images[service] = image
    wrong = {*found.whole, *found.wrong} if broken - {reader.document.file} else found.wrong
    reader.wrong |= {("services", service, EXTENDS) for service in wrong}
    found.whole = {service: keys for service, keys in found.whole.items() if service not in wrong}
    return found


def load_apps(
    tree: Tree, level: Parsed[RoleFile] | Parsed[BoxFile], base: Merged, problems: list[Problem], before: Merged
) -> Merged:
    """With the apps that a role or a box names; of one name, the nearer one counts. `before`: what the levels without
    this one say, of which everything was told."""
    apps: dict[str, App | None] = {}
    known, hidden = environment_of(base.spec), functools.partial(_may_be_set, base)
    doubts = [] if all(f"{rule.app}/{FILE}" in tree.entries() for rule in level.content.compose) else [APPS_OF]
    for index, rule in enumerate(level.content.compose):
        name, path = posixpath.basename(rule.app), f"{rule.app}/{FILE}"
        place = ("compose", index, "app")
        if path not in tree.entries():
            other = next((f"{rule.app}/{each}" for each in OTHERS if f"{rule.app}/{each}" in tree.entries()), "")
            hint = f"rename {other}" if other else did_you_mean(rule.app, lambda: _apps(tree))
            problems.append(level.problem(place, f"there is no {path}", hint))
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
    told = bool(before.apps) and not _runs_apps(before)
    if (apps or base.apps) and not _runs_apps(base) and "boot" not in base.unknown and not told:
        hint = "name boot/docker.yml among the role's boot specs"
        problems.append(level.problem(("compose",), "there are no services `docker` and `compose`", hint))
    if not level.content.compose:
        return base
    there = {app.name: app for app in (*base.apps, *apps.values()) if app}
    unknown = together(base.unknown, {key: in_doubt(tree, key) for key in doubts})
    return replace(base, apps=tuple(there.values()), unknown=unknown)


def _runs_apps(merged: Merged) -> bool:
    return {"docker", "compose"} <= {container.name for container in merged.spec.services}


def _may_be_set(base: Merged, name: str, known: Collection[str]) -> bool:
    """Whether a variable may be one of the service that runs compose, where that cannot be read."""
    return any(base.may_hold(key, name, known) for key in ("boot", "services"))


def _apps(tree: Tree) -> list[str]:
    return [path.removesuffix(f"/{FILE}") for path in tree.entries() if path.endswith(f"/{FILE}")]


def _plain(compose: Json, whole: Mapping[str, Json], document: Document) -> Json:
    """As compose itself knows it: `track` is ours. `whole`: services with what they extend."""
    services = compose["services"].items()
    plain = {name: {key: keys[key] for key in keys if key != TRACK} for name, keys in services}
    extended = {name: keys for name, keys in whole.items() if name in plain}
    own = {OWN: {"whole": extended, "tags": tags_of(document, extended)}} if extended else {}
    return {**compose, "services": plain} | own


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
        self._here = posixpath.dirname(document.file)
        self._part = document.file != f"{folder}/{FILE}"
        self._beside = Beside(tree, folder, self._here)
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
        if OWN in self.document.value:
            yield self._problem((OWN,), "this key is TowerOS's own", "give it another name that begins with `x-`")
        if "include" in self.document.value:
            yield self._problem(("include",), "other files are not read", "write their services here")
        yield from self._links()
        yield from self._unset(self.document.value, ())
        yield from self._named_volumes()
        for kind in ("configs", "secrets"):
            yield from self._files_of(kind)
        for service, keys in services.items():
            if isinstance(keys, dict):
                yield from self._service(service, keys)
            else:
                yield self._problem(("services", service), "keys and values are expected", "write `image:` below it")

    def extended(self, services: Collection[str]) -> Iterator[Problem]:
        """Of another file of the app: what is wrong with services that are extended."""
        for service in services:
            keys = self.document.value["services"][service]
            if TRACK in keys:
                hint = f"write the image and `{TRACK}` in {FILE}"
                yield self._problem(("services", service, TRACK), f"compose does not know `{TRACK}`", hint)
            yield from self._unset(keys, ("services", service))
            yield from self._service(service, keys)

    def keys_of(self, service: str) -> Json:
        """What is written of a service itself."""
        keys: Json = self.document.value["services"][service]
        return keys

    def wants_image(self, service: str) -> Problem:
        """Neither it nor what it extends names one."""
        return self._problem(("services", service), f"service `{service}` has no image", "add `image:`")

    def _service(self, name: str, keys: Json) -> Iterator[Problem]:
        place: Path = ("services", name)
        if "build" in keys:
            hint = "make it a package in pkg/, and name that as `image:`"
            yield self._problem((*place, "build"), "nothing is built on a box", hint)
        if wrong := mistake(keys):
            yield self._problem((*place, TRACK), *wrong)
        elif (tracked := tracked_of(keys)) and (digest := tracked.digest(pins(self._tree))):
            self.images[name] = f"{tracked.reference}@{digest}"
        elif keys.get("image") is None and ("build" in keys or EXTENDS in keys or self._part):
            pass
        elif not tracked or not doubtful(self._tree, tracked.written):
            yield from self._image(name, keys.get("image"), (*place, "image"))
        if "platform" in keys and not PLATFORMS.fullmatch(str(keys["platform"])):
            yield self._problem((*place, "platform"), f"boxes are {PLATFORM}", "remove it, and name an image for that")
        restart = keys.get("restart")
        if isinstance(restart, str) and not ("$" in restart or RESTARTS.fullmatch(restart)):
            hint = "write `always`, `unless-stopped`, `on-failure`, `on-failure:TIMES` or `no`"
            yield self._problem((*place, "restart"), f"Docker knows no restart policy `{restart}`", hint)
        for inside, message, hint in refused(keys):
            yield self._problem((*place, *inside), message, hint)
        yield from self._files_of_service(keys, place)

    def _files_of_service(self, keys: Json, place: Path) -> Iterator[Problem]:
        """What it takes from the app's folder, and from the box."""
        for kind in ("env_file", "label_file"):
            for file, must in files_named(keys.get(kind)):
                yield from self._told(self._beside.read(file, must=must), (*place, kind))
        for kind in ("configs", "secrets"):
            yield from self._modes(keys.get(kind), (*place, kind))
        for index, volume in enumerate(_list(keys.get("volumes"))):
            yield from self._told(self._beside.volume(volume), (*place, "volumes", index))
        for index, row in enumerate(_list(keys.get("volumes_from"))):
            yield from self._told(self._beside.lender(str(row)), (*place, "volumes_from", index))
        for index, option in enumerate(_list(keys.get("security_opt"))):
            yield from self._told(self._beside.profile(str(option)), (*place, "security_opt", index))

    def _image(self, service: str, image: Any, place: Path) -> Iterator[Problem]:
        if not isinstance(image, str):
            yield self._problem(place, f"service `{service}` has no image", "add `image:`")
        elif image.startswith(PACKAGE):
            path = posixpath.normpath(posixpath.join(self._here, image.removeprefix(PACKAGE)))
            self.images[service] = PACKAGE + path
            if f"{path}/build.yml" not in self._tree.entries():
                others = sorted(posixpath.dirname(n) for n in self._tree.entries() if n.endswith("/build.yml"))
                near = did_you_mean(image, [PACKAGE + posixpath.relpath(other, self._here) for other in others])
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

    def _unset(self, value: Json, below: Path) -> Iterator[Problem]:
        dotenv = f"{self._folder}/.env"
        beside = set_in(self._tree.read(dotenv)) if dotenv in self._tree.entries() else set()
        known = {*ON_EVERY_BOX, *self._known, *beside}
        for place, name in (*unset(value, known, below), *(() if below else sources(value, known))):
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
                inside = there.startswith(prefix) and not self._beside.through_a_link(posixpath.dirname(path), target)
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
            yield from self._told(self._beside.source(device), ("volumes", name, "driver_opts", "device"))

    def _files_of(self, kind: str) -> Iterator[Problem]:
        """Compose binds the `file` of a configuration or secret into containers, like any other path."""
        entries = self.document.value.get(kind)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and "file" in entry:
                yield from self._told(self._beside.source(path_of(entry["file"])), (kind, name, "file"))

    def _told(self, wrong: Iterator[Wrong], place: Path) -> Iterator[Problem]:
        return (self._problem(place, *each) for each in wrong)

    def _problem(self, place: Path, message: str, hint: str) -> Problem:
        if place[-1:] != ("image",):
            self.wrong.add(place)
        return self.document.problem(place, message, hint)


def files_named(value: Any) -> list[tuple[str, bool]]:
    """Those of `env_file` or `label_file`, and whether they must be there."""
    each = value if isinstance(value, list) else [value] if value else []
    rows = [one if isinstance(one, dict) else {"path": one} for one in each]
    return [(path_of(row.get("path", "")), row.get("required") is not False) for row in rows]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
