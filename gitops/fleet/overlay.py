"""Fleet > role > box: what the nearer level says, counts. Pure but for reading `source:` files out of the tree.

LinuxKit's own merge only appends; on top of it, and outside of its files, each level may replace keys of a container by
name (`services:`), leave containers and apps out (`remove:`), add or replace files by path, and health checks and
values by name. A file with `template` is filled in at the end, with the values of the box.

    role = apply(Merged(spec), fleet, ...), then apply(role, roles/vm.yaml, ...), then apply(.., boxes/demo-1.yaml, ...)
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gitops.errors import Problem
from gitops.fleet.linuxkit.schema import Settings, dump
from gitops.fleet.schema import VALUE, Check, File, HealthRules, Overlay, check, did_you_mean
from gitops.fleet.yaml import Document
from gitops.model import App, Container, HealthCheck, HealthSpec, Json, Spec, Tree

PLACEHOLDER = re.compile(r"\$(?:\{(" + VALUE + r")\}|\$)")


@dataclass(frozen=True)
class Merged:
    """What the levels so far say together. `files` are LinuxKit's entries, one a path; some are still templates."""

    spec: Spec
    health: HealthSpec = field(default_factory=HealthSpec)
    files: tuple[Json, ...] = ()
    suspended: str = ""
    poll: int = 30
    apps: tuple[App, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


def apply(
    base: Merged, document: Document, said: Overlay, tree: Tree, problems: list[Problem], *, known: Collection[str] = ()
) -> Merged:
    """Lay one level over the ones before it.

    `known` are containers that exist elsewhere (the fleet's level speaks to many roles): naming them is no mistake.
    """
    spec = _remove(base, document, said, known, problems)
    spec = _replace_keys(spec, document, said, known, problems)
    files = [_file(document, index, file, tree, problems) for index, file in enumerate(said.files)]
    return Merged(
        spec=spec,
        health=_health(base.health, document, said.health, problems),
        files=by_path((*base.files, *files)),
        suspended=said.suspended or base.suspended,
        poll=said.poll or base.poll,
        apps=_keep_apps(base.apps, said.remove),
        values={**base.values, **{name: str(value) for name, value in said.values.items()}}
        if said.values
        else base.values,
    )


def split_templates(files: Iterable[Json]) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
    """Files that are the same on every box, and those that are filled in on each."""
    plain: list[Json] = []
    templates: list[Json] = []
    for file in files:
        (templates if file.get("template") else plain).append(file)
    return tuple(plain), tuple(templates)


def fill_in(merged: Merged, given: Mapping[str, str], document: Document, problems: list[Problem]) -> tuple[Json, ...]:
    """The files, with `${NAME}` in templates replaced by the box's value, and `$$` by `$`."""
    values = {**merged.values, **given}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is not None and name not in values:
            message = f"/{file['path']} needs the value `{name}`"
            near = did_you_mean(name, list(values))
            hint = (
                near if near.startswith("did") else f"add `values: {{{name}: ...}}` here, to the role or to the fleet"
            )
            problems.append(document.problem(("values",), message, hint))
        return "$" if name is None else values.get(name, "")

    plain, templates = split_templates(merged.files)
    filled = []
    for file in templates:
        entry = {key: said for key, said in file.items() if key != "template"}
        filled.append(entry | {"contents": PLACEHOLDER.sub(value, file["contents"])})
    return (*plain, *filled)


def by_path(files: Iterable[Json]) -> tuple[Json, ...]:
    """One entry a path: the last one counts, at the place of the first."""
    return tuple({file["path"]: file for file in files}.values())


def check_services(merged: Merged, document: Document, problems: list[Problem]) -> None:
    """A health check of a service or user container needs it."""
    names = {
        "service": [container.name for container in merged.spec.services],
        "container": [name for app in merged.apps for name in _container_names(app)],
    }
    for each in merged.health.checks:
        if each.type in names and each.target not in names[each.type]:
            message = f"health check `{each.name}`: there is no {each.type} `{each.target}`"
            problems.append(
                document.problem(("health", "checks"), message, did_you_mean(each.target, names[each.type]))
            )


def _container_names(app: App) -> list[str]:
    """As `docker ps` shows them, and as the compose file does."""
    said = app.compose["services"]
    return [*app.images, *(str(said[name]["container_name"]) for name in app.images if "container_name" in said[name])]


def _map(spec: Spec, change: "dict[str, Container | None]") -> Spec:
    """The spec with containers replaced, or left out where the change is None; itself when nothing changes."""

    def section(containers: tuple[Container, ...]) -> tuple[Container, ...]:
        return tuple(new for old in containers if (new := change.get(old.name, old)) is not None)

    if not change:
        return spec
    return replace(
        spec, onboot=section(spec.onboot), onshutdown=section(spec.onshutdown), services=section(spec.services)
    )


def _keep_apps(apps: tuple[App, ...], remove: Collection[str]) -> tuple[App, ...]:
    """Itself when nothing goes: boxes of a role share it."""
    return tuple(app for app in apps if app.name not in remove) if remove else apps


def _remove(base: Merged, document: Document, said: Overlay, known: Collection[str], problems: list[Problem]) -> Spec:
    names = [*(container.name for container in base.spec.containers()), *(app.name for app in base.apps)]
    for index, name in enumerate(said.remove):
        if name not in names and name not in known:
            message = f"there is no container or app `{name}` to remove"
            problems.append(document.problem(("remove", index), message, did_you_mean(name, names)))
    return _map(base.spec, dict.fromkeys(said.remove))


def _replace_keys(
    spec: Spec, document: Document, said: Overlay, known: Collection[str], problems: list[Problem]
) -> Spec:
    containers = {container.name: container for container in spec.containers()}
    change: dict[str, Container | None] = {}
    for name, keys in said.services.items():
        if name in containers:
            change[name] = _container(containers[name], document, keys, problems)
        elif name not in known or name in said.remove:
            message = f"there is no container `{name}`"
            hint = did_you_mean(name, list(containers))
            problems.append(document.problem(("services", name), message, hint, key=True))
    return _map(spec, change)


def _container(old: Container, document: Document, keys: dict[str, Any], problems: list[Problem]) -> Container:
    """The container with its settings replaced key by key, checked as LinuxKit's; null takes a key away."""
    settings = check(document.part(("services", old.name), keys), Settings, problems)
    if settings is None:
        return old
    kept = {key: value for key, value in old.settings.items() if key not in keys}
    return Container(old.name, old.image, kept | dump(settings))


def _health(base: HealthSpec, document: Document, said: HealthRules, problems: list[Problem]) -> HealthSpec:
    checks = {check.name: check for check in base.checks}
    for index, name in enumerate(said.remove):
        if checks.pop(name, None) is None:
            message = f"there is no health check `{name}` to remove"
            problems.append(document.problem(("health", "remove", index), message, did_you_mean(name, list(checks))))
    seen: set[str] = set()
    for index, each in enumerate(said.checks):
        if each.name in seen:
            message = f"two health checks are named `{each.name}`"
            problems.append(document.problem(("health", "checks", index, "name"), message, "rename one"))
        seen.add(each.name)
        checks[each.name] = _check(each)
    return HealthSpec(said.probation or base.probation, tuple(checks.values()))


def _check(said: Check) -> HealthCheck:
    if said.http is not None:
        return HealthCheck(said.name, "http", said.http, said.status, said.contains, said.timeout)
    kind = "service" if said.service is not None else "container"
    return HealthCheck(said.name, kind, said.service or said.container or "", timeout=said.timeout)


def _file(document: Document, index: int, file: File, tree: Tree, problems: list[Problem]) -> Json:
    entry: Json = file.model_dump(exclude_none=True, exclude={"source"})
    if file.source is not None:
        entry["contents"] = _read(document, index, file.source, tree, problems)
    return entry


def _read(document: Document, index: int, source: str, tree: Tree, problems: list[Problem]) -> str:
    place = ("files", index, "source")
    try:
        return tree.read(source).decode()
    except KeyError:
        near = did_you_mean(source, list(tree.entries())) if len(tree.entries()) < 1000 else ""
        hint = near if near.startswith("did") else "name a file by its path from the top of the fleet repo"
        problems.append(document.problem(place, f"there is no file `{source}` in the fleet repo", hint))
    except UnicodeDecodeError:
        problems.append(document.problem(place, f"`{source}` is not UTF-8", "put binary files into a package"))
    return ""
