"""A fleet repo at one revision: Tree -> Fleet, with every mistake of every file in one error.

    fleet = load_fleet(tree, "linux/amd64")
    fleet.boxes["demo-1"].spec.services
    policy = load_policy(tree)            # fleet.yaml alone: which branch, who must sign

Rules: fleet > role > box, by name (`overlay`); LinuxKit's files are read by `linuxkit`, packages by `packages`. A box
exists because boxes/NAME.yaml does. A role that no box has is checked all the same.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Generic, TypeVar

from gitops.errors import FleetError, Problem
from gitops.fleet import compose, yaml
from gitops.fleet import signers as people
from gitops.fleet.cache import KNOWN, Remembering
from gitops.fleet.linuxkit import spec as linuxkit
from gitops.fleet.overlay import Merged, apply, by_path, check_services, fill_in, split_templates
from gitops.fleet.packages import load_packages
from gitops.fleet.schema import NAME, BoxFile, FleetFile, Overlay, RoleFile, check, did_you_mean
from gitops.fleet.system_files import box_files
from gitops.model import Box, Fleet, Network, PathRule, Policy, Spec, Tree

FLEET, ROLES, BOXES = "fleet.yaml", "roles/", "boxes/"
MAX_BOXES = 10_000

Said = TypeVar("Said", bound=Overlay)


class Level(Generic[Said]):
    """One file, read: where it stands, and what it says."""

    def __init__(self, document: yaml.Document, said: Said) -> None:
        self.document, self.said = document, said


def load_policy(tree: Tree) -> Policy:
    """What fleet.yaml says about deploying.

    Raises:
        FleetError: there is no fleet.yaml, or it has mistakes.
    """
    problems: list[Problem] = []
    fleet = _read(tree, FLEET, FleetFile, problems)
    if fleet is None:
        raise FleetError(problems)
    return _policy(fleet.said)


def load_fleet(tree: Tree, platform: str = "linux/amd64") -> Fleet:
    """The whole fleet, validated.

    Raises:
        FleetError: with all mistakes.
    """
    problems: list[Problem] = []
    tree = Remembering(tree)
    fleet = _read(tree, FLEET, FleetFile, problems) or Level(yaml.Document(FLEET), FleetFile())
    policy = _policy(fleet.said)
    packages = load_packages(tree, policy.recipe, platform, problems)
    roles = _folder(tree, ROLES, RoleFile, problems)
    specs = {name: _spec(tree, role, problems) for name, role in roles.items()}
    merged = _roles(tree, fleet, roles, specs, problems)
    boxes = {}
    for name, box in _folder(tree, BOXES, BoxFile, problems).items():
        if box.said.role in merged:
            boxes[name] = _box(tree, name, box, merged[box.said.role], problems)
        elif ROLES + box.said.role + ".yaml" not in tree.entries():
            hint = did_you_mean(box.said.role, list(roles)) or f"write roles/{box.said.role}.yaml"
            problems.append(box.document.problem(("role",), f"there is no role `{box.said.role}`", hint))
    problems += [*_private_keys(tree), *people.lockouts(tree, fleet.document, fleet.said.source)]
    if problems:
        raise FleetError(list(dict.fromkeys(problems)))
    return Fleet(policy, packages, boxes)


def _policy(said: FleetFile) -> Policy:
    source, rollout = said.source, said.rollout
    return Policy(
        branch="" if source.tags else source.branch or "main",
        sign=source.sign,
        canaries=rollout.canaries,
        max_failures=rollout.max_failures,
        recipe=said.recipe,
        suspended=said.suspended or "",
        tags=source.tags or "",
        threshold=source.threshold,
        rules=tuple(PathRule(rule.paths, rule.signers) for rule in source.rules),
    )


# --- files ---------------------------------------------------------------------------------------------------------


def _read(tree: Tree, path: str, model: type[Said], problems: list[Problem]) -> Level[Said] | None:
    if path not in tree.entries():
        problems.append(
            Problem(path, 1, 1, "there is no such file", "run `toweros init` for a fleet repo to begin with")
        )
        return None
    entry = tree.entries()[path]
    known: Level[Said] | None = KNOWN.get(path, entry, model)
    if known:
        return known
    document = yaml.load(tree.read(path), path, problems)
    said = check(document, model, problems) if document else None
    if document is None or said is None:
        return None
    level = Level(document, said)
    KNOWN.put(path, entry, model, level)
    return level


def _folder(tree: Tree, folder: str, model: type[Said], problems: list[Problem]) -> dict[str, Level[Said]]:
    """Every NAME.yaml of a folder, by name."""
    found: dict[str, Level[Said]] = {}
    paths = sorted(path for path in tree.entries() if path.startswith(folder))
    for path in paths[:MAX_BOXES]:
        file = path.removeprefix(folder)
        name = file.removesuffix(".yaml")
        if file.startswith((".", "README")):
            continue
        if name == file or "/" in file or not re.fullmatch(NAME, name):
            hint = f"name it {folder}NAME.yaml, NAME of lower-case letters, digits and `-`"
            problems.append(Problem(path, 1, 1, "not the name of a file that belongs here", hint))
        elif level := _read(tree, path, model, problems):
            found[name] = level
    if len(paths) > MAX_BOXES:
        problems.append(Problem(paths[MAX_BOXES], 1, 1, f"more than {MAX_BOXES} files", "split the fleet"))
    return found


def _private_keys(tree: Tree) -> list[Problem]:
    """Whoever reads the repository has what is in it."""
    found = (path for path in tree.entries() if path.startswith("keys/") and b"PRIVATE KEY" in tree.read(path))
    hint = "remove it, and make a new one: this one is known to all readers"
    return [Problem(path, 1, 1, "a private key in the fleet repo", hint) for path in found]


# --- roles and boxes -----------------------------------------------------------------------------------------------


def _spec(tree: Tree, role: Level[RoleFile], problems: list[Problem]) -> Spec | None:
    """The role's boot specs, merged as LinuxKit merges them. None when they have mistakes."""
    before = len(problems)
    for index, path in enumerate(role.said.boot):
        if path not in tree.entries():
            known = [name for name in tree.entries() if name.startswith("boot/")]
            hint = did_you_mean(path, known) or "add it, or name another boot spec"
            problems.append(role.document.problem(("boot", index), f"there is no file `{path}`", hint))
    if len(problems) > before:
        return None
    spec = linuxkit.load(tree, role.said.boot, problems)
    cmdline = " ".join(filter(None, (spec.cmdline, *role.said.cmdline)))
    return replace(spec, cmdline=cmdline) if len(problems) == before else None


def _roles(
    tree: Tree,
    fleet: Level[FleetFile],
    roles: Mapping[str, Level[RoleFile]],
    specs: Mapping[str, Spec | None],
    problems: list[Problem],
) -> dict[str, Merged]:
    """Fleet > role, for every role whose boot specs are sound. A role's files join its spec: its boxes share them."""
    known = {container.name for spec in specs.values() if spec for container in spec.containers()}
    merged = {}
    for name, role in roles.items():
        spec = specs[name]
        if spec is None:
            continue
        base = apply(Merged(spec), fleet.document, fleet.said, tree, problems, known=known)
        base = apply(base, role.document, role.said, tree, problems)
        base = replace(base, apps=compose.load_apps(tree, role.document, role.said.compose, base, problems))
        check_services(base, role.document, problems)
        plain, templates = split_templates(base.files)
        files = by_path((*base.spec.files, *plain))
        merged[name] = replace(base, spec=replace(base.spec, files=files), files=templates)
    return merged


def _box(tree: Tree, name: str, level: Level[BoxFile], role: Merged, problems: list[Problem]) -> Box:
    said = level.said
    merged = apply(role, level.document, said, tree, problems)
    merged = replace(merged, apps=compose.load_apps(tree, level.document, said.compose, merged, problems))
    check_services(merged, level.document, problems)
    given = {"box": name, "role": said.role, "site": said.site}
    own = fill_in(merged, given, level.document, problems) if merged.files else ()
    rules = said.network
    network = Network(rules.interface, rules.address or "", rules.gateway or "", rules.dns)
    box = Box(
        name,
        said.role,
        merged.spec,
        network,
        merged.health,
        said.site,
        tuple(sorted(said.labels.items())),
        own,
        merged.suspended,
        merged.poll,
        merged.apps,
    )
    system = box_files(box, tree)
    made = {file["path"] for file in system}
    for index, file in enumerate(said.files):
        if file.path in made:
            hint = 'remove the entry; see docs/spec.md, "What every box gets"'
            problems.append(level.document.problem(("files", index, "path"), f"/{file.path} is made by TowerOS", hint))
    return replace(box, files=by_path((*own, *system)))
