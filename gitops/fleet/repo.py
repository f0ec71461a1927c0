"""A fleet repo at one revision: Tree -> Fleet, with every mistake of every file in one error.

    fleet = load_fleet(tree, "linux/amd64")
    fleet.boxes["demo-1"].spec.services
    policy = load_policy(tree)            # fleet.yaml alone: which branch, who must sign

Rules: a mistake hides no other, and none is told that only follows from one: what stands on a broken level is judged by
what is known (`Merged.unknown`). Fleet > role > box, by name (`overlay`); LinuxKit's files are read by `linuxkit`,
packages by `packages`. A box exists because boxes/NAME.yaml does. A role that no box has is checked all the same.
"""

import functools
import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from gitops.errors import FleetError, Problem
from gitops.fleet import signers
from gitops.fleet.apps.compose import load_app, load_apps
from gitops.fleet.apps.variables import environment_of
from gitops.fleet.apps.watching import watched
from gitops.fleet.cache import PARSED, CachedTree
from gitops.fleet.documents import files, yaml
from gitops.fleet.documents.budget import Mistakes, SpentError, budget
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.partial import Part, nothing_of, partly
from gitops.fleet.images import lockfile as images
from gitops.fleet.keys import authorized
from gitops.fleet.keys.kept import private_keys, unread_builders
from gitops.fleet.levels.checks import check_services
from gitops.fleet.levels.hardware import clashes
from gitops.fleet.levels.netboot import machines
from gitops.fleet.levels.remote import entrances
from gitops.fleet.levels.templates import Lacking, fill_in, split_templates
from gitops.fleet.levels.unread import COMPOSE, app_folders, in_doubt, spec_files
from gitops.fleet.levels.wiping import orders
from gitops.fleet.linuxkit import spec as linuxkit
from gitops.fleet.linuxkit.unheeded import unheeded
from gitops.fleet.network.levels import nouns, uncarried
from gitops.fleet.overlay import Elsewhere, Merged, Parsed, apply, by_path
from gitops.fleet.packages import load_packages
from gitops.fleet.rollout.nobody import nobody
from gitops.fleet.schema import NAME, BoxFile, FleetFile, Overlay, RoleFile
from gitops.fleet.system_files import box_files, too_large
from gitops.fleet.vex import load_statements
from gitops.model import App, Box, Fleet, PathRule, Policy, Spec, Tree, building
from gitops.model.machines.newcomer import newcomer

FLEET, ROLES, BOXES = "fleet.yaml", "roles/", "boxes/"
MAX_BOXES = 10_000
NO_FLEET = "no fleet.yaml here"
NO_FLEET_HINT = "run `toweros init` for a fleet repo to begin with"
WHO = {(), ("<<",), ("role",), ("site",), ("labels",)}
"""Parts of a box's file by which waves name it: where one has mistakes, who is in a wave is not known."""
NO_SPEC = Spec(kernel="", cmdline="")

Before = tuple[Merged] | tuple[None, Parsed[FleetFile], Elsewhere]
"""What stands above a level: of a box its role; of a role fleet.yaml, and what other roles have."""
Content = TypeVar("Content", bound=Overlay)


def load_policy(tree: Tree) -> Policy:
    """What fleet.yaml says about deploying.

    Raises:
        FleetError: there is no fleet.yaml, or it has mistakes.
    """
    problems: list[Problem] = []
    fleet = _read(tree, FLEET, FleetFile, problems)
    if problems:
        raise FleetError(problems)
    return _policy(fleet.content)


def key_mistakes(tree: Tree) -> list[Problem]:
    """What is wrong with `keys/`, and with what fleet.yaml asks of it, today: also what only time has made wrong."""
    fleet = _read(tree, FLEET, FleetFile, [])
    said = (tree, fleet.document, fleet.content.source)
    return sorted({*signers.lockouts(*said), *signers.today(*said)})


def rule_warnings(tree: Tree) -> list[str]:
    """What the rules on paths leave open, tags that no release fits, keys that let nobody in, waves of nobody, and what
    of specs no box does, in sentences."""
    fleet = _read(tree, FLEET, FleetFile, [])
    boxes = _folder(tree, BOXES, BoxFile, [])
    unsure = any(place[:1] in WHO for box in boxes.values() for place in box.dropped)
    known = {} if unsure else {name: box.content for name, box in boxes.items()}
    waves = nobody(fleet.document, fleet.content.rollout, known)
    logins = authorized.unread(tree.read(authorized.PATH)) if authorized.PATH in tree.entries() else ()
    return [*signers.warnings(tree, fleet.content.source), *logins, *waves, *unheeded(tree)]


def load_fleet(tree: Tree, platform: str = "linux/amd64") -> Fleet:
    """The whole fleet, validated.

    Raises:
        FleetError: with all mistakes.
    """
    judged = judge_fleet(tree, platform)
    if judged.problems:
        raise FleetError(judged.problems)
    return judged.fleet


@dataclass(frozen=True)
class Judged:
    """A fleet as far as it can be read, and every mistake: one that has some is there to be looked at further, and for
    nothing else. `apps`: those that a role or box names, by path, each with the variables that are set for it."""

    fleet: Fleet
    problems: list[Problem]
    apps: Mapping[str, tuple[App, Mapping[str, str]]]


def judge_fleet(tree: Tree, platform: str = "linux/amd64") -> Judged:
    """Everything that can be said of a fleet.

    Raises:
        FleetError: it is too large to be looked at to its end.
    """
    problems = Mistakes()
    try:
        with budget():
            fleet, apps = _judge(CachedTree(tree), platform, problems)
    except SpentError as spent:
        raise FleetError(list(dict.fromkeys((*problems, spent.problem)))) from None
    return Judged(fleet, files.without_consequences(problems), apps)


def _judge(tree: Tree, platform: str, problems: Mistakes) -> tuple[Fleet, Mapping[str, tuple[App, Mapping[str, str]]]]:
    fleet = _read(tree, FLEET, FleetFile, problems)
    policy = _policy(fleet.content)
    packages = load_packages(tree, building(policy.recipe), platform, problems)
    roles = _folder(tree, ROLES, RoleFile, problems)
    merged, nowhere = _roles(tree, fleet, roles, problems)
    boxes, lacking, levels = {}, Lacking(), _folder(tree, BOXES, BoxFile, problems)
    unread = _unread(tree, roles.values(), levels.values(), problems)
    for name, box in levels.items():
        role = box.content.role
        if role not in merged and "role" not in box.unknown():
            hint = did_you_mean(role, roles) or f"write roles/{role}.yaml"
            problems.append(box.problem(("role",), f"there is no role `{role}`", hint))
        boxes[name] = _box(tree, name, box, merged.get(role) or nowhere(), problems, lacking)
    problems += [
        *lacking.problems(),
        *machines(levels, boxes),
        *clashes(levels, boxes),
        *orders(levels, boxes),
        *entrances(levels, boxes, tree),
        *uncarried(levels, boxes, packages),
        *private_keys(tree),
        *too_large(tree),
        *unread_builders(tree),
        *signers.lockouts(tree, fleet.document, fleet.content.source),
    ]
    statements = load_statements(tree, problems)
    problems += images.mistakes(tree)
    sources = {folder for package in packages.values() for folder, _ in package.sources}
    problems += files.mistakes(tree, sources, {problem.file for problem in problems})
    apps: dict[str, tuple[App, Mapping[str, str]]] = {app.path: (app, {}) for app in unread}
    apps |= {app.path: (app, environment_of(role.spec)) for role in merged.values() for app in role.apps}
    apps |= {app.path: (app, environment_of(box.spec)) for box in boxes.values() for app in box.apps}
    newcomers = {} if problems else _newcomers(tree, roles, merged)
    return Fleet(policy, packages, boxes, statements, newcomers), apps


def _policy(file: FleetFile) -> Policy:
    source, rollout = file.source, file.rollout
    return Policy(
        branch="" if source.tags else source.branch or "main",
        sign=source.sign,
        canaries=rollout.canaries,
        max_failures=rollout.max_failures,
        careful=rollout.careful(),
        recipe=file.recipe,
        suspended=file.members().get("suspended", ""),
        tags=source.tags or "",
        threshold=source.threshold,
        rules=tuple(PathRule(rule.paths, rule.signers) for rule in source.rules),
        limits=tuple(PathRule(rule.paths, rule.signers) for rule in source.limits),
        security=file.security.patching() if file.security else None,
        unsigned=file.images.unsigned,
        notify=tuple(rule.noun() for rule in file.notify),
    )


# --- files ---------------------------------------------------------------------------------------------------------


def _read(tree: Tree, path: str, model: type[Content], problems: list[Problem]) -> Parsed[Content]:
    """A file, as far as it can be read."""
    if path not in tree.entries():
        problems.append(Problem(path, 1, 1, NO_FLEET, NO_FLEET_HINT))
        return _parsed(nothing_of(path, model), b"")
    entry, before = tree.entries()[path], len(problems)
    cached: Parsed[Content] | None = PARSED.get(path, entry, model)
    if cached:
        return cached
    data = tree.read(path)
    document = yaml.read(data, path, problems)
    part = partly(document, model, problems) if document else nothing_of(path, model)
    parsed = _parsed(part, data if part.dropped else b"")
    if len(problems) == before:
        PARSED.put(path, entry, model, parsed)
    return parsed


def _parsed(part: Part[Content], data: bytes) -> Parsed[Content]:
    return Parsed(part.document, part.content, part.dropped, data)


def _folder(tree: Tree, folder: str, model: type[Content], problems: list[Problem]) -> dict[str, Parsed[Content]]:
    """Every NAME.yaml of a folder, by name; and what has the wrong name, for its mistakes."""
    files: dict[str, Parsed[Content]] = {}
    paths = sorted(path for path in tree.entries() if path.startswith(folder))
    for path in paths[:MAX_BOXES]:
        file = path.removeprefix(folder)
        name = file.removesuffix(".yaml")
        if file.startswith((".", "README")):
            continue
        if name == file or "/" in file or not re.fullmatch(NAME, name):
            hint = f"name it {folder}NAME.yaml, NAME of lower-case letters, digits and, between them, `-`, 63 at most"
            problems.append(Problem(path, 1, 1, "not the name of a file that belongs here", hint))
            name = file.removesuffix(".yml").removesuffix(".yaml")
        if file.endswith((".yaml", ".yml")) and name not in files:
            files[name] = _read(tree, path, model, problems)
    if len(paths) > MAX_BOXES:
        problems.append(Problem(paths[MAX_BOXES], 1, 1, f"more than {MAX_BOXES} files", "split the fleet"))
    return files


# --- roles and boxes -----------------------------------------------------------------------------------------------


def _spec(tree: Tree, role: Parsed[RoleFile], problems: list[Problem]) -> Merged:
    """The role's boot specs, merged as LinuxKit merges them, as far as they can be read."""
    named = () if {(), ("boot",)} & role.dropped else role.content.boot
    there = [path for path in named if path in tree.entries()]
    for index, path in enumerate(named):
        if path not in tree.entries():
            hint = (
                did_you_mean(path, lambda: [name for name in tree.entries() if name.startswith("boot/")])
                or "add it, or name another boot spec"
            )
            problems.append(role.problem(("boot", index), f"there is no file `{path}`", hint))
    whole = len(there) == len(role.content.boot) and "boot" not in role.unknown()
    spec, sound = linuxkit.load_known(tree, there, problems, images.pins(tree), alone=whole)
    cmdline = " ".join(filter(None, (spec.cmdline, *role.content.cmdline)))
    return Merged(replace(spec, cmdline=cmdline), unknown={} if whole and sound else {"boot": in_doubt(tree, "boot")})


def _roles(
    tree: Tree, fleet: Parsed[FleetFile], roles: Mapping[str, Parsed[RoleFile]], problems: list[Problem]
) -> tuple[dict[str, Merged], Callable[[], Merged]]:
    """Fleet > role, for every role, and without one. A role's files join its spec: its boxes share them."""
    specs = {name: _spec(tree, role, problems) for name, role in roles.items()}
    everywhere = {container.name for base in specs.values() for container in base.spec.containers()}
    unsure = next((base.unknown["boot"] for base in specs.values() if base.unknown), None)
    others = Elsewhere(everywhere, unsure)
    merged = {}
    for name, spec in specs.items():
        base = apply(spec, fleet, tree, problems, elsewhere=others)
        base = _level(tree, base, roles[name], problems, (None, fleet, others))
        plain, templates = split_templates(base.files)
        files = by_path((*base.spec.files, *plain))
        merged[name] = replace(base, spec=replace(base.spec, files=files), files=templates)

    @functools.cache
    def nowhere() -> Merged:
        nothing = Merged(NO_SPEC, unknown={key: in_doubt(tree, key) for key in ("boot", "compose")})
        return apply(nothing, fleet, tree, problems, elsewhere=others)

    if not specs:  # what fleet.yaml names is looked at all the same
        nowhere()
    return merged, nowhere


def _newcomers(tree: Tree, roles: Mapping[str, Parsed[RoleFile]], merged: Mapping[str, Merged]) -> dict[str, Box]:
    """By role: the box that its medium starts, which has no file of its own."""
    boxes: dict[str, Box] = {}
    for role, file in roles.items():
        problems, lacking = list[Problem](), Lacking()
        level = Parsed(file.document, BoxFile(role=role))
        box = _box(tree, newcomer(role), level, merged[role], problems, lacking)
        if not problems and not [*lacking.problems()]:
            boxes[role] = box
    return boxes


def _unread(
    tree: Tree, roles: Collection[Parsed[RoleFile]], boxes: Collection[Parsed[BoxFile]], problems: list[Problem]
) -> list[App]:
    """What a role or box may name that cannot be read to its end is looked at by itself. Returns those of the apps
    that mean the same whoever sets variables: compose is asked about them, too."""
    unknown = {key for level in (*roles, *boxes) if level.dropped for key in level.unknown()}
    if "boot" in unknown or any(path not in tree.entries() for role in roles for path in role.content.boot):
        named = {path for role in roles for path in role.content.boot}
        for path in (path for path in spec_files(tree) if path not in named):
            linuxkit.load_known(tree, [path], problems, alone=False)
    rules = [rule for role in roles for rule in role.content.compose]
    apps = {rule.app for rule in (*rules, *(rule for box in boxes for rule in box.content.compose))}
    folders = app_folders(tree)
    if "compose" in unknown or not apps <= {*folders}:
        hidden = in_doubt(tree, "boot")
        alone = [load_app(tree, each, "staged", problems, (), hidden.may_hold) for each in folders if each not in apps]
        return [app for app in alone if app and b"$" not in tree.read(f"{app.path}/{COMPOSE}")]
    return []


def _level(
    tree: Tree,
    base: Merged,
    level: Parsed[RoleFile] | Parsed[BoxFile],
    problems: list[Problem],
    before: Before,
) -> Merged:
    """A role or box over what the levels before it say, with its apps; the whole must then hold."""
    merged = apply(base, level, tree, problems)
    merged = load_apps(tree, level, merged, problems, base)
    own = {posixpath.basename(rule.app): rule.unwatched for rule in level.content.compose}
    merged = replace(merged, unwatched={**base.unwatched, **own})
    check_services(merged, level, problems, *before)
    if base.watched and merged.apps is base.apps and merged.health is base.health:  # boxes share what is a role's
        return merged
    return replace(merged, watched=watched(merged.health, merged.apps, merged.unwatched))


def _box(tree: Tree, name: str, level: Parsed[BoxFile], role: Merged, problems: list[Problem], lacking: Lacking) -> Box:
    content, merged = level.content, _level(tree, role, level, problems, (role,))
    network, wiring = nouns(merged.network)
    box = Box(
        name=name,
        role=content.role,
        spec=merged.spec,
        network=network,
        wiring=wiring,
        health=merged.watched or merged.health,
        labels=tuple(sorted(content.labels.items())),
        apps=merged.apps,
        hardware=content.hardware.noun() if content.hardware else None,
        **merged.members,
    )
    given = {"box": name, "role": box.role, "site": box.site}
    own = fill_in(merged, given, level, lacking) if merged.files else ()
    system = box_files(box, tree)
    made = {file["path"] for file in system}
    for index, file in enumerate(content.files):
        if file.path in made:
            hint = 'remove the entry; see docs/spec.md, "What every box gets"'
            problems.append(level.problem(("files", index, "path"), f"/{file.path} is made by TowerOS", hint))
    return replace(box, files=by_path((*own, *system)))
