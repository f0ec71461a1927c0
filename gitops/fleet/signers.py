"""Who is listed in the fleet repo's `keys/`, and whether its own policy can ever be met by them.

In: a tree, fleet.yaml read. Out: names; mistakes as `Problem`s. Rules: a rule that names somebody who has no key, or a
threshold above the number of people, would lock everybody out once it is deployed, so it never is; a repo without keys
of its own leaves that to the controller's settings.

    names(tree)                           # {"ada", "ben"}
"""

import re
from collections.abc import Iterator
from pathlib import PurePath

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.yaml import Document
from gitops.fleet.schema import SourceRules
from gitops.model import Sign, Tree

KEY = re.compile(r"#|(ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+ \S+")
ALLOWED, REVOKED, OPENPGP = "keys/allowed_signers", "keys/revoked_keys", "keys/openpgp/"


def names(tree: Tree) -> set[str]:
    """Principals of the allowed_signers file (ssh-keygen(1)), and the names of the OpenPGP key files."""
    lines = tree.read(ALLOWED).decode(errors="replace").splitlines() if ALLOWED in tree.entries() else []
    principals = {name for line in lines for name in _principals(line.strip())}
    return principals | {PurePath(path).stem for path in openpgp_files(tree)}


def openpgp_files(tree: Tree) -> list[str]:
    """The paths of the OpenPGP keys."""
    return sorted(path for path in tree.entries() if path.startswith(OPENPGP) and path.endswith(".asc"))


def lockouts(tree: Tree, document: Document, rules: SourceRules) -> Iterator[Problem]:
    """What nobody could ever sign."""
    lines = tree.read(REVOKED).decode(errors="replace").splitlines() if REVOKED in tree.entries() else []
    for number, line in enumerate(lines, 1):
        if line.strip() and not KEY.match(line.strip()):
            hint = "write the key alone, as in a .pub file: ssh-ed25519 AAAA..."
            yield Problem(REVOKED, number, 1, "not an SSH public key: every signature would count as revoked", hint)
    people = names(tree)
    if not people or rules.sign is Sign.none:
        return
    if rules.threshold > len(people):
        message = f"{rules.threshold} people must sign, and keys/ lists {len(people)}: nobody could deploy any more"
        yield document.problem(("source", "threshold"), message, "list the others first")
    for key, named in (("rules", rules.rules), ("limits", rules.limits)):
        for index, rule in enumerate(named):
            for place, name in enumerate(rule.signers):
                if name not in people:
                    hint = did_you_mean(name, sorted(people))
                    where = ("source", key, index, "signers", place)
                    yield document.problem(where, f"keys/ lists no `{name}`", hint)
    if people <= {name for limit in rules.limits for name in limit.signers}:
        message = "everybody in keys/ is limited: nobody could change anything else any more"
        yield document.problem(("source", "limits"), message, "list somebody without a limit first")


def _principals(line: str) -> list[str]:
    field = re.match(r'"([^"]+)"|([^\s#"]\S*)', line)
    return (field[1] or field[2]).split(",") if field else []
