"""A fleet repo at one revision: Tree -> Fleet, with every mistake of every file in one error.

    fleet = load_fleet(tree, "linux/amd64")
    fleet.boxes["demo-1"].spec.services
    policy = load_policy(tree)            # fleet.yaml alone: which branch, who must sign

Rules: fleet > role > box, by name (`overlay`); LinuxKit's files are read by `linuxkit`, packages by `packages`. A box
exists because boxes/NAME.yaml does. A role that no box has is checked all the same.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from gitops.errors import DocumentError, FleetError, Problem
from gitops.fleet import signers
from gitops.fleet.apps.compose import load_apps
from gitops.fleet.apps.watching import watched
from gitops.fleet.cache import PARSED, CachedTree
from gitops.fleet.documents import files, yaml
from gitops.fleet.documents.budget import Mistakes, SpentError, budget
from gitops.fleet.documents.explain import check, did_you_mean
from gitops.fleet.images import lockfile as images
from gitops.fleet.linuxkit import spec as linuxkit
from gitops.fleet.overlay import Merged, Parsed, apply, by_path, check_services, fill_in, split_templates
from gitops.fleet.packages import load_packages
from gitops.fleet.schema import NAME, BoxFile, FleetFile, Overlay, RoleFile
from gitops.fleet.system_files import BUILDER_JSON, box_files, too_large
from gitops.fleet.vex import load_statements
from gitops.model import Box, Builders, Fleet, Network, PathRule, Policy, Spec, Tree, building

FLEET, ROLES, BOXES = "fleet.yaml", "roles/", "boxes/"
MAX_BOXES = 10_000

Content = TypeVar("Content", bound=Overlay)


def load_policy(tree: Tree) -> Policy:
    """What fleet.yaml says about deploying.

    Raises:
        FleetError: there is no fleet.yaml, or it has mistakes.
    """
    problems: list[Problem] = []
    fleet = _read(tree, FLEET, FleetFile, problems)
    if fleet is None:
        raise FleetError(problems)
    return _policy(fleet.content)


def key_mistakes(tree: Tree) -> list[Problem]:
    """What is wrong with `keys/`, and with what fleet.yaml asks of it, today: also what only time has made wrong."""
    problems: list[Problem] = []
    fleet = _read(tree, FLEET, FleetFile, problems)
    if fleet:
        said = (tree, fleet.document, fleet.content.source)
        problems += [*signers.lockouts(*said), *signers.today(*said)]
    return sorted(dict.fromkeys(problems))


def rule_warnings(tree: Tree) -> list[str]:
    """What rules on paths leave open, and tags that no release fits, in sentences."""
    fleet = _read(tree, FLEET, FleetFile, [])
    return signers.warnings(tree, fleet.content.source) if fleet else []


def load_fleet(tree: Tree, platform: str = "linux/amd64") -> Fleet:
    """The whole fleet, validated.

    Raises:
        FleetError: with all mistakes.
    """
    problems = Mistakes()
    try:
        with budget():
            return _load_fleet(CachedTree(tree), platform, problems)
    except SpentError as spent:
        raise FleetError(list(dict.fromkeys((*problems, spent.problem)))) from None


def _load_fleet(tree: Tree, platform: str, problems: Mistakes) -> Fleet:
    fleet = _read(tree, FLEET, FleetFile, problems) or Parsed(yaml.Document(FLEET), FleetFile())
    policy = _policy(fleet.content)
    packages = load_packages(tree, building(policy.recipe), platform, problems)
    roles = _folder(tree, ROLES, RoleFile, problems)
    merged = _roles(tree, fleet, roles, problems)
    boxes = {}
    for name, box in _folder(tree, BOXES, BoxFile, problems).items():
        role = box.content.role
        if role in merged:
            boxes[name] = _box(tree, name, box, merged[role], problems)
        elif f"{ROLES}{role}.yaml" not in tree.entries():
            hint = did_you_mean(role, roles) or f"write roles/{role}.yaml"
            problems.append(box.problem(("role",), f"there is no role `{role}`", hint))
    problems += [
        *_private_keys(tree),
        *too_large(tree),
        *_builders(tree),
        *signers.lockouts(tree, fleet.document, fleet.content.source),
    ]
    statements = load_statements(tree, problems)
    problems += [*images.mistakes(tree), *files.mistakes(tree)]
    if problems:
        raise FleetError(list(dict.fromkeys(problems)))
    return Fleet(policy, packages, boxes, statements)


def _policy(file: FleetFile) -> Policy:
    source, rollout = file.source, file.rollout
    return Policy(
        branch="" if source.tags else source.branch or "main",
        sign=source.sign,
        canaries=rollout.canaries,
        max_failures=rollout.max_failures,
        recipe=file.recipe,
        suspended=file.members().get("suspended", ""),
        tags=source.tags or "",
        threshold=source.threshold,
        rules=tuple(PathRule(rule.paths, rule.signers) for rule in source.rules),
        limits=tuple(PathRule(rule.paths, rule.signers) for rule in source.limits),
        security=file.security.patching() if file.security else None,
        unsigned=file.images.unsigned,
    )


# --- files ---------------------------------------------------------------------------------------------------------


def _read(tree: Tree, path: str, model: type[Content], problems: list[Problem]) -> Parsed[Content] | None:
    if path not in tree.entries():
        hint = "run `toweros init` for a fleet repo to begin with"
        problems.append(Problem(path, 1, 1, "there is no such file", hint))
        return None
    entry = tree.entries()[path]
    cached: Parsed[Content] | None = PARSED.get(path, entry, model)
    if cached:
        return cached
    document = yaml.load(tree.read(path), path, problems)
    content = check(document, model, problems) if document else None
    if document is None or content is None:
        return None
    PARSED.put(path, entry, model, parsed := Parsed(document, content))
    return parsed


def _folder(tree: Tree, folder: str, model: type[Content], problems: list[Problem]) -> dict[str, Parsed[Content]]:
    """Every NAME.yaml of a folder, by name."""
    files: dict[str, Parsed[Content]] = {}
    paths = sorted(path for path in tree.entries() if path.startswith(folder))
    for path in paths[:MAX_BOXES]:
        file = path.removeprefix(folder)
        name = file.removesuffix(".yaml")
        if file.startswith((".", "README")):
            continue
        if name == file or "/" in file or not re.fullmatch(NAME, name):
            hint = f"name it {folder}NAME.yaml, NAME of lower-case letters, digits and, between them, `-`"
            problems.append(Problem(path, 1, 1, "not the name of a file that belongs here", hint))
        elif parsed := _read(tree, path, model, problems):
            files[name] = parsed
    if len(paths) > MAX_BOXES:
        problems.append(Problem(paths[MAX_BOXES], 1, 1, f"more than {MAX_BOXES} files", "split the fleet"))
    return files


def _private_keys(tree: Tree) -> list[Problem]:
    """Whoever reads the repository has what is in it."""
    paths = (path for path in tree.entries() if path.startswith("keys/") and b"PRIVATE KEY" in tree.read(path))
    hint = "remove it, and make a new one: this one is known to all readers"
    return [Problem(path, 1, 1, "a private key in the fleet repo", hint) for path in paths]


def _builders(tree: Tree) -> list[Problem]:
    """A box that cannot read whom to believe believes nobody."""
    try:
        if BUILDER_JSON in tree.entries():
            Builders.parse(tree.read(BUILDER_JSON))
    except DocumentError as error:
        return [Problem(BUILDER_JSON, 1, 1, error.message, "copy builder.json of the controller's keys folder")]
    return []


# --- roles and boxes -----------------------------------------------------------------------------------------------


def _spec(tree: Tree, role: Parsed[RoleFile], problems: list[Problem]) -> Spec | None:
    """The role's boot specs, merged as LinuxKit merges them. None when they have mistakes."""
    before = len(problems)
    for index, path in enumerate(role.content.boot):
        if path not in tree.entries():
            hint = (
                did_you_mean(path, lambda: [name for name in tree.entries() if name.startswith("boot/")])
                or "add it, or name another boot spec"
            )
            problems.append(role.problem(("boot", index), f"there is no file `{path}`", hint))
    if len(problems) > before:
        return None
    spec = linuxkit.load(tree, role.content.boot, problems)
    cmdline = " ".join(filter(None, (spec.cmdline, *role.content.cmdline)))
    return replace(spec, cmdline=cmdline) if len(problems) == before else None


def _roles(
    tree: Tree, fleet: Parsed[FleetFile], roles: Mapping[str, Parsed[RoleFile]], problems: list[Problem]
) -> dict[str, Merged]:
    """Fleet > role, for every role whose boot specs are sound. A role's files join its spec: its boxes share them."""
    specs = {name: spec for name, role in roles.items() if (spec := _spec(tree, role, problems))}
    everywhere = {container.name for spec in specs.values() for container in spec.containers()}
    merged = {}
    for name, spec in specs.items():
        base = apply(Merged(spec), fleet, tree, problems, elsewhere=everywhere)
        base = _level(tree, base, roles[name], problems)
        plain, templates = split_templates(base.files)
        files = by_path((*base.spec.files, *plain))
        merged[name] = replace(base, spec=replace(base.spec, files=files), files=templates)
    return merged


def _level(tree: Tree, base: Merged, level: Parsed[RoleFile] | Parsed[BoxFile], problems: list[Problem]) -> Merged:
    """A role or box over what the levels before it say, with its apps; the whole must then hold."""
    merged = apply(base, level, tree, problems)
    apps = load_apps(tree, level, merged, problems)
    own = {posixpath.basename(rule.app): rule.unwatched for rule in level.content.compose}
    merged = replace(merged, apps=apps, unwatched={**base.unwatched, **own})
    check_services(merged, level, problems)
    if base.watched and merged.apps is base.apps and merged.health is base.health:  # boxes share what is a role's
        return merged
    return replace(merged, watched=watched(merged.health, merged.apps, merged.unwatched))


def _box(tree: Tree, name: str, level: Parsed[BoxFile], role: Merged, problems: list[Problem]) -> Box:
    content, merged = level.content, _level(tree, role, level, problems)
    rules = content.network
    box = Box(
        name=name,
        role=content.role,
        spec=merged.spec,
        network=Network(rules.interface, rules.address or "", rules.gateway or "", rules.dns),
        health=merged.watched or merged.health,
        labels=tuple(sorted(content.labels.items())),
        apps=merged.apps,
        **merged.members,
    )
    given = {"box": name, "role": box.role, "site": box.site}
    own = fill_in(merged, given, level, problems) if merged.files else ()
    system = box_files(box, tree)
    made = {file["path"] for file in system}
    for index, file in enumerate(content.files):
        if file.path in made:
            hint = 'remove the entry; see docs/spec.md, "What every box gets"'
            problems.append(level.problem(("files", index, "path"), f"/{file.path} is made by TowerOS", hint))
    return replace(box, files=by_path((*own, *system)))
