"""Fleet > role > box: what the nearer level says, counts. Pure but for reading `source:` files out of the tree.

LinuxKit's own merge only appends; on top of it, and outside of its files, each level may replace keys of a container by
name (`services:`), leave containers and apps out (`remove:`), add or replace files by path, and health checks and
values by name. Of a plain key (`Overlay.members`) the nearest level counts. A file with `template` is filled in at the
end, with the values of the box.

    role = apply(Merged(spec), fleet, ...), then apply(role, roles/vm.yaml, ...), then apply(.., boxes/demo-1.yaml, ...)
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any, Generic, TypeVar

from gitops.errors import Problem
from gitops.fleet.cache import text_of
from gitops.fleet.documents.budget import spend
from gitops.fleet.documents.explain import check, did_you_mean
from gitops.fleet.documents.files import MAX_POINTER, source_mistake
from gitops.fleet.documents.yaml import Document
from gitops.fleet.linuxkit.schema import Settings, dump
from gitops.fleet.schema import VALUE, Check, File, Overlay
from gitops.model import App, Container, HealthCheck, HealthSpec, Json, Spec, Tree

PLACEHOLDER = re.compile(r"\$(?:\{(" + VALUE + r")\}|\$)")
Content_co = TypeVar("Content_co", bound=Overlay, covariant=True)


@dataclass(frozen=True)
class Parsed(Generic[Content_co]):
    """fleet.yaml, a role or a box: its content, and where each part of it stands."""

    document: Document
    content: Content_co

    def problem(self, path: Sequence[str | int], message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A mistake at a part of this file."""
        return self.document.problem(path, message, hint, key=key)


@dataclass(frozen=True)
class Merged:
    """What the levels so far say together. `files` are LinuxKit's entries, one a path; some are still templates.
    `members` are those of a `Box`; `watched`: the health checks with those that nobody wrote (apps/watching.py)."""

    spec: Spec
    health: HealthSpec = field(default_factory=HealthSpec)
    files: tuple[Json, ...] = ()
    apps: tuple[App, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    watched: HealthSpec | None = None
    unwatched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def apply(
    base: Merged, level: Parsed[Overlay], tree: Tree, problems: list[Problem], *, elsewhere: Collection[str] = ()
) -> Merged:
    """Lay one level over the ones before it. What it leaves as it is stays the same object: boxes of a role share it.

    `elsewhere` are containers of other roles (the fleet's level speaks to many): naming them is no mistake.
    """
    content = level.content
    spec = _remove(base, level, elsewhere, problems)
    spec = _replace_keys(spec, level, elsewhere, problems)
    files = [_file(level, index, tree, problems) for index in range(len(content.files))]
    return Merged(
        spec=spec,
        health=_health(base.health, level, problems),
        files=by_path((*base.files, *files)) if files else base.files,
        apps=tuple(app for app in base.apps if app.name not in content.remove) if content.remove else base.apps,
        values={**base.values, **{name: str(value) for name, value in content.values.items()}},
        members={**base.members, **content.members()},
        watched=base.watched,
        unwatched=base.unwatched,
    )


def split_templates(files: Iterable[Json]) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
    """Files that are the same on every box, and those that are filled in on each."""
    plain: list[Json] = []
    templates: list[Json] = []
    for file in files:
        (templates if file.get("template") else plain).append(file)
    return tuple(plain), tuple(templates)


def fill_in(
    merged: Merged, given: Mapping[str, str], box: Parsed[Overlay], problems: list[Problem]
) -> tuple[Json, ...]:
    """The files, with `${NAME}` in templates replaced by the box's value, and `$$` by `$`."""
    values = {**merged.values, **given}

    def value(place: re.Match[str]) -> str:
        name = place[1]
        if name is not None and name not in values:
            add = f"add `values: {{{name}: ...}}` here, to the role or to the fleet"
            hint = did_you_mean(name, values, add)
            problems.append(box.problem(("values",), f"/{file['path']} needs the value `{name}`", hint))
        text = "$" if name is None else values.get(name, "")
        spend(getsizeof(text), box.document.file)
        return text

    plain, templates = split_templates(merged.files)
    filled = []
    for file in templates:
        spend(getsizeof(file["contents"]), box.document.file)
        entry = {key: item for key, item in file.items() if key != "template"}
        filled.append(entry | {"contents": PLACEHOLDER.sub(value, file["contents"])})
    return (*plain, *filled)


def by_path(files: Iterable[Json]) -> tuple[Json, ...]:
    """One entry a path: the last one counts, at the place of the first."""
    return tuple({file["path"]: file for file in files}.values())


def check_services(merged: Merged, level: Parsed[Overlay], problems: list[Problem]) -> None:
    """A health check of a service or user container needs it."""
    names = {
        "service": [container.name for container in merged.spec.services],
        "container": [name for app in merged.apps for name in app.container_names()],
    }
    for each in merged.health.checks:
        if each.type in names and each.target not in names[each.type]:
            message = f"health check `{each.name}`: there is no {each.type} `{each.target}`"
            problems.append(level.problem(("health", "checks"), message, did_you_mean(each.target, names[each.type])))


# --- containers ------------------------------------------------------------------------------------------------------


def _remove(base: Merged, level: Parsed[Overlay], elsewhere: Collection[str], problems: list[Problem]) -> Spec:
    if not level.content.remove:
        return base.spec
    names = [*(container.name for container in base.spec.containers()), *(app.name for app in base.apps)]
    for index, name in enumerate(level.content.remove):
        if name not in names and name not in elsewhere:
            message = f"there is no container or app `{name}` to remove"
            problems.append(level.problem(("remove", index), message, did_you_mean(name, names)))
    return base.spec.changed(dict.fromkeys(level.content.remove))


def _replace_keys(spec: Spec, level: Parsed[Overlay], elsewhere: Collection[str], problems: list[Problem]) -> Spec:
    if not level.content.services:
        return spec
    containers = {container.name: container for container in spec.containers()}
    change: dict[str, Container | None] = {}
    for name, keys in level.content.services.items():
        if name in containers:
            change[name] = _container(containers[name], level.document, keys, problems)
        elif name not in elsewhere or name in level.content.remove:
            hint = did_you_mean(name, list(containers))
            problems.append(level.problem(("services", name), f"there is no container `{name}`", hint, key=True))
    return spec.changed(change)


def _container(old: Container, document: Document, keys: dict[str, Any], problems: list[Problem]) -> Container:
    """The container with its settings replaced key by key, checked as LinuxKit's; null takes a key away."""
    settings = check(document.part(("services", old.name), keys), Settings, problems)
    if settings is None:
        return old
    others = {key: value for key, value in old.settings.items() if key not in keys}
    return Container(old.name, old.image, others | dump(settings))


# --- health checks and files -----------------------------------------------------------------------------------------


def _health(base: HealthSpec, level: Parsed[Overlay], problems: list[Problem]) -> HealthSpec:
    rules, checks = level.content.health, {check.name: check for check in base.checks}
    if not (rules.probation or rules.checks or rules.remove):
        return base
    for index, name in enumerate(rules.remove):
        if checks.pop(name, None) is None:
            message = f"there is no health check `{name}` to remove"
            problems.append(level.problem(("health", "remove", index), message, did_you_mean(name, list(checks))))
    own: set[str] = set()
    for index, each in enumerate(rules.checks):
        if each.name in own:
            message = f"two health checks are named `{each.name}`"
            problems.append(level.problem(("health", "checks", index, "name"), message, "rename one"))
        own.add(each.name)
        checks[each.name] = _check(each)
    return HealthSpec(rules.probation or base.probation, tuple(checks.values()))


def _check(rule: Check) -> HealthCheck:
    if rule.http is not None:
        return HealthCheck(rule.name, "http", rule.http, rule.status, rule.contains, rule.timeout)
    kind = "service" if rule.service is not None else "container"
    return HealthCheck(rule.name, kind, rule.service or rule.container or "", timeout=rule.timeout)


def _file(level: Parsed[Overlay], index: int, tree: Tree, problems: list[Problem]) -> Json:
    file: File = level.content.files[index]
    entry: Json = file.model_dump(exclude_none=True, exclude={"source"})
    if file.source is not None:
        entry["contents"] = _read(level, ("files", index, "source"), file.source, tree, problems)
    spend(getsizeof(entry.get("contents", "")), level.document.file, level.document.mark(("files", index))[0])
    return entry


def _read(level: Parsed[Overlay], place: Sequence[str | int], source: str, tree: Tree, problems: list[Problem]) -> str:
    try:
        text = text_of(tree, source)
        message, hint = source_mistake(tree, source, text[:MAX_POINTER].encode())
        if message:
            problems.append(level.problem(place, message, hint))
        return text
    except KeyError:
        hint = did_you_mean(source, tree.entries(), "name a file by its path from the top of the fleet repo")
        problems.append(level.problem(place, f"there is no file `{source}` in the fleet repo", hint))
    except UnicodeDecodeError:
        problems.append(level.problem(place, f"`{source}` is not UTF-8", "put binary files into a package"))
    return ""
