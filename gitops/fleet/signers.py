"""Who is listed in the fleet repo's `keys/`, and whether its own policy can ever be met by them.

In: a tree, fleet.yaml read. Out: names; mistakes as `Problem`s. Rules: a rule that names somebody without a key, a list
that ssh-keygen and gpg cannot use, or a threshold above the number of people who could sign would lock everybody out
once it is deployed, so it never is; a repo without keys of its own leaves that to the controller's settings. What time
alone has done to single keys is told by `today`: it must not stop a commit that changes no key.

    names(tree)                           # {"ada", "ben"}
"""

from collections.abc import Iterator

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.yaml import Document
from gitops.fleet.keys.enough import nobody_for, too_few
from gitops.fleet.keys.files import ALLOWED, Keys, broken, misplaced, told
from gitops.fleet.keys.listed import groups, lines, one_person
from gitops.fleet.schema import SourceRules
from gitops.model import Sign, Tree
from gitops.model.paths.globs import glob
from gitops.model.paths.releases import room

WORTH = 500_000
"""So many comparisons of a pattern with a path a warning may cost: a stranger's pull request is warned, too."""


def names(tree: Tree) -> set[str]:
    """Everybody in `keys/`."""
    return Keys.of(tree).names()


def lockouts(tree: Tree, document: Document, rules: SourceRules) -> Iterator[Problem]:
    """What nobody could ever sign, and what is in `keys/` for nothing."""
    keys = Keys.of(tree)
    yield from misplaced(tree)
    people = keys.names()
    if keys.too_many:
        yield keys.too_many
        return
    proof = keys.prove()
    yield from broken(proof)
    yield from (told(fault) for fault in proof.faults if not (fault.passing or fault.withdrawn))
    if not (people or keys.open) or rules.sign is Sign.none:
        return
    for key, named in (("rules", rules.rules), ("limits", rules.limits)):
        for index, rule in enumerate(named):
            for place, name in enumerate(rule.signers):
                if not keys.lists(name):
                    hint = did_you_mean(name, sorted(people))
                    where = ("source", key, index, "signers", place)
                    yield document.problem(where, f"keys/ lists no `{name}`", hint)
    if rules.threshold > len(people) and not keys.open:
        message = f"{rules.threshold} people must sign, and keys/ lists {len(people)}: nobody could deploy any more"
        yield document.problem(("source", "threshold"), message, "list the others first")
        return
    limited = {name for limit in rules.limits for name in limit.signers}
    if people <= limited and not keys.open:
        message = "everybody in keys/ is limited: nobody could change anything else any more"
        yield document.problem(("source", "limits"), message, "list somebody without a limit first")
        return
    missing = too_few(rules.threshold, limited, proof, one_person(groups(lines(keys.allowed))))
    if missing:
        yield document.problem(
            ("source", "threshold" if rules.threshold > 1 else "sign"), missing, "list others first, or keys that count"
        )
        yield from (told(fault) for fault in proof.faults if fault.passing or fault.withdrawn)


def today(tree: Tree, document: Document, rules: SourceRules) -> Iterator[Problem]:
    """What time has done to single keys: a mistake where keys or policy change, and a reminder elsewhere."""
    keys = Keys.of(tree)
    if keys.too_many or not (keys.names() or keys.open):
        return
    proof = keys.prove()
    yield from (told(fault) for fault in proof.faults if fault.passing)
    for index, named in enumerate(nobody_for([rule.signers for rule in rules.rules], proof)):
        if any(name in keys.names() for name in named):  # that others are not listed is told already
            message = f"none of {', '.join(named)} could sign today: nobody could change these paths any more"
            yield document.problem(("source", "rules", index, "signers"), message, "name somebody whose key counts")


def warnings(tree: Tree, rules: SourceRules) -> list[str]:
    """What is likely meant otherwise, and stops nobody: tags without room for a version, rules that protect less than
    they seem to."""
    said = []
    if rules.tags and not room(rules.tags):
        what = "no name that fits it ends with a version such as v1.0.0: no release could ever deploy"
        said.append(f"fleet.yaml: source.tags: `{rules.tags}`: {what}")
    return [*said, *_unprotected(tree, rules)]


def _unprotected(tree: Tree, rules: SourceRules) -> list[str]:
    """What the rules on paths leave open."""
    if rules.sign is Sign.none or not rules.rules:
        return []
    paths = sorted(tree.entries())
    patterns = list(dict.fromkeys(pattern for rule in rules.rules for pattern in rule.paths))[: WORTH // len(paths)]
    told = [
        f"fleet.yaml: source.rules: `{pattern}` covers no file: globs are gitignore's, from the top of the repo on"
        for pattern in patterns
        if not any(glob(pattern).fullmatch(path) for path in paths)
    ]
    for path, what in (("fleet.yaml", "the rules themselves"), (ALLOWED, "who is listed")):
        if not any(glob(pattern).fullmatch(path) for pattern in patterns):
            told.append(f"fleet.yaml: source.rules leave out {path}: whoever may sign anything can change {what}")
    return told
