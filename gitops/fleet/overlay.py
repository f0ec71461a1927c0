"""Fleet > role > box: what the nearer level says, counts. Pure but for reading `source:` files out of the tree.

LinuxKit's own merge only appends; on top of it, and outside of its files, each level may replace keys of a container by
name (`services:`), leave containers and apps out (`remove:`), add or replace files by path, and health checks and
values by name. Of a plain key (`Overlay.members`) the nearest level counts. A file with `template` is filled in at the
end, with the values of the box.

    role = apply(Merged(spec), fleet, ...), then apply(role, roles/vm.yaml, ...), then apply(.., boxes/demo-1.yaml, ...)
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any, Generic, TypeVar

from gitops.errors import Problem
from gitops.fleet.cache import text_of
from gitops.fleet.documents.budget import spend
from gitops.fleet.documents.doubt import Doubt
from gitops.fleet.documents.explain import check, did_you_mean
from gitops.fleet.documents.files import MAX_POINTER, source_mistake
from gitops.fleet.documents.partial import WHOLE
from gitops.fleet.documents.twice import path_twice
from gitops.fleet.documents.yaml import Document, Path
from gitops.fleet.levels.unread import in_doubt
from gitops.fleet.linuxkit.schema import Settings, dump
from gitops.fleet.network.levels import Said, over
from gitops.fleet.schema import Check, File, Overlay
from gitops.model import App, Container, HealthCheck, HealthSpec, Json, Spec, Tree

Content_co = TypeVar("Content_co", bound=Overlay, covariant=True)
ANYTHING = frozenset(("boot", "compose", "health", "role", "services", "values"))
"""Every key below which there are names that others use."""
_KEYS = frozenset((key,) for key in ANYTHING)


@dataclass(frozen=True)
class Parsed(Generic[Content_co]):
    """fleet.yaml, a role or a box: its content, and where each part of it stands."""

    document: Document
    content: Content_co
    dropped: frozenset[Path] = frozenset()
    """Parts that are missing, because they have mistakes (documents/partial.py)."""
    data: bytes = b""
    """The file, where it has some."""

    def unknown(self) -> Mapping[str, Doubt]:
        """The keys of which a name may be missing: what is not there may be in them."""
        hiding = (path for path in self.dropped if path[:1] in _KEYS and _hides_a_name(str(path[0]), path[1:]))
        keys = list(dict.fromkeys(str(path[0]) for path in hiding))
        everything = WHOLE in self.dropped or ("<<",) in self.dropped
        keys = [key for key in ANYTHING if key in type(self.content).model_fields] if everything else keys
        return {key: Doubt.of(self.data, key) for key in keys}

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
    network: Said = field(default_factory=Said)
    watched: HealthSpec | None = None
    unwatched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: Mapping[str, Doubt] = field(default_factory=dict)
    """Keys of the levels so far, of which something could not be read: a name that may be there is no mistake of who
    uses it."""

    def may_hold(self, key: str, name: str, known: Collection[str]) -> bool:
        """Whether a name that is not among those `known` is one that could not be read."""
        return key in self.unknown and self.unknown[key].may_hold(name, known)


@dataclass(frozen=True)
class Elsewhere:
    """Containers of other roles, and what of them could not be read."""

    names: Collection[str] = ()
    doubt: Doubt | None = None

    def may_hold(self, name: str) -> bool:
        return name in self.names or (self.doubt is not None and self.doubt.may_hold(name, self.names))


def apply(
    base: Merged, level: Parsed[Overlay], tree: Tree, problems: list[Problem], *, elsewhere: Elsewhere = Elsewhere()
) -> Merged:
    """Lay one level over the ones before it. What it leaves as it is stays the same object: boxes of a role share it.

    `elsewhere` are containers of other roles (the fleet's level speaks to many): naming them is no mistake.
    """
    content, before = level.content, len(problems)
    spec = _remove(base, level, elsewhere, problems)
    spec = _replace_keys(base, spec, level, elsewhere, problems)
    own = dict(level.unknown()) if level.dropped else {}
    own |= {key: in_doubt(tree, key) for key in ("boot", "compose") if key in own}
    own |= {"services": Doubt.of(level.data, "services")} if len(problems) > before else {}
    values = {**dict.fromkeys(_names_in(level, "values"), ""), **{name: str(v) for name, v in content.values.items()}}
    files = [_file(level, index, tree, problems) for index in range(len(content.files))]
    problems += path_twice(level.document, [file.path for file in content.files])
    return Merged(
        spec=spec,
        health=_health(base, level, problems),
        files=by_path((*base.files, *files)) if files else base.files,
        apps=tuple(app for app in base.apps if app.name not in content.remove) if content.remove else base.apps,
        values={**base.values, **values},
        members={**base.members, **content.members()},
        network=over(base.network, level, tree, problems),
        watched=base.watched,
        unwatched=base.unwatched,
        unknown=together(base.unknown, own) if own else base.unknown,
    )


def together(one: Mapping[str, Doubt], other: Mapping[str, Doubt]) -> Mapping[str, Doubt]:
    """What is in doubt of either."""
    return {key: one.get(key, Doubt()) | other.get(key, Doubt()) for key in (*one, *other)}


def _hides_a_name(key: str, place: Path) -> bool:
    """Whether a part that is missing below a key at the top may hold, or be, a name that others use."""
    if key == "health":
        return len(place) < 3 or place[2:] == ("name",)
    if key == "compose":
        return len(place) < 2 or place[1:] == ("app",)
    return not place or (key == "services" and place[0] == "compose") or key == "boot"


def _names_in(level: Parsed[Overlay], key: str) -> list[str]:
    """The names of a mapping whose values have mistakes."""
    return [str(path[1]) for path in level.dropped if path[:1] == (key,) and len(path) == 2]


def by_path(files: Iterable[Json]) -> tuple[Json, ...]:
    """One entry a path: the last one counts, at the place of the first."""
    return tuple({file["path"]: file for file in files}.values())


# --- containers ------------------------------------------------------------------------------------------------------


def _remove(base: Merged, level: Parsed[Overlay], elsewhere: Elsewhere, problems: list[Problem]) -> Spec:
    if not level.content.remove:
        return base.spec
    names = [*(container.name for container in base.spec.containers()), *(app.name for app in base.apps)]
    for index, name in enumerate(level.content.remove):
        hidden = any(base.may_hold(key, name, names) for key in ("boot", "compose")) or elsewhere.may_hold(name)
        if name not in names and not hidden:
            message = f"there is no container or app `{name}` to remove"
            hint = did_you_mean(name, sorted({*names, *elsewhere.names}))
            problems.append(level.problem(("remove", index), message, hint))
    return base.spec.changed(dict.fromkeys(level.content.remove))


def _replace_keys(
    base: Merged, spec: Spec, level: Parsed[Overlay], elsewhere: Elsewhere, problems: list[Problem]
) -> Spec:
    if not level.content.services:
        return spec
    containers = {container.name: container for container in spec.containers()}
    change: dict[str, Container | None] = {}
    for name, keys in level.content.services.items():
        if name in containers:
            change[name] = _container(containers[name], level.document, keys, problems)
            continue
        _container(Container(name, "", {}), level.document, keys, problems)  # its keys can be looked at all the same
        hidden = base.may_hold("boot", name, containers) or elsewhere.may_hold(name)
        if not hidden or name in level.content.remove:
            hint = did_you_mean(name, sorted({*containers, *elsewhere.names}))
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


def _health(base: Merged, level: Parsed[Overlay], problems: list[Problem]) -> HealthSpec:
    rules, checks = level.content.health, {check.name: check for check in base.health.checks}
    if not (rules.probation or rules.checks or rules.remove):
        return base.health
    for index, name in enumerate(rules.remove):
        if checks.pop(name, None) is None and not base.may_hold("health", name, checks):
            message = f"there is no health check `{name}` to remove"
            problems.append(level.problem(("health", "remove", index), message, did_you_mean(name, list(checks))))
    own: set[str] = set()
    for index, each in enumerate(rules.checks):
        if each.name in own:
            message = f"two health checks are named `{each.name}`"
            problems.append(level.problem(("health", "checks", index, "name"), message, "rename one"))
        own.add(each.name)
        checks[each.name] = _check(each)
    return HealthSpec(rules.probation or base.health.probation, tuple(checks.values()))


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
    place = level.document.mark(("files", index))
    spend(getsizeof(entry.get("contents", "")), level.document.file, place[0], once=(level.document.file, place))
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
