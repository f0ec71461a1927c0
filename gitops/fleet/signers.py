"""Who is listed in the fleet repo's `keys/`, and whether its own policy can ever be met by them.

In: a tree, fleet.yaml read. Out: names; mistakes as `Problem`s. Rules: a rule that names somebody without a key, a list
that ssh-keygen and gpg cannot use, or a threshold above the number of people who could sign would lock everybody out
once it is deployed, so it never is; a repo without keys of its own leaves that to the controller's settings. What time
alone has done to single keys is told by `today`: it must not stop a commit that changes no key.

    names(tree)                           # {"ada", "ben"}
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.documents.yaml import Document
from gitops.fleet.keys.listed import groups, lines, one_person
from gitops.fleet.keys.proof import MAX_KEYS, Fault, Proof, prove
from gitops.fleet.schema import SourceRules
from gitops.model import Sign, Tree

ALLOWED, REVOKED, OPENPGP = "keys/allowed_signers", "keys/revoked_keys", "keys/openpgp/"
LINK = 0o120000
_OTHER_NAMES = (".gpg", ".pgp", ".key", ".pub")


@dataclass(frozen=True)
class Keys:
    """The bytes that say who is listed."""

    allowed: bytes = b""
    revoked: bytes = b""
    openpgp: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(cls, tree: Tree) -> "Keys":
        """What a fleet repo says in keys/."""
        entries = tree.entries()
        allowed, revoked = (tree.read(path) if path in entries else b"" for path in (ALLOWED, REVOKED))
        return cls(allowed, revoked, tuple((PurePath(path).stem, tree.read(path)) for path in openpgp_files(tree)))

    def names(self) -> set[str]:
        """Principals (ssh-keygen(1)), and the names of the OpenPGP key files."""
        return {name for line in lines(self.allowed) for name in line.names} | {name for name, _ in self.openpgp}

    def prove(self) -> Proof:
        """Whose signature would count today."""
        return prove(self.allowed, self.revoked, self.openpgp)


def names(tree: Tree) -> set[str]:
    """Everybody in `keys/`."""
    return Keys.of(tree).names()


def openpgp_files(tree: Tree) -> list[str]:
    """The paths of the OpenPGP keys."""
    return sorted(path for path in tree.entries() if path.startswith(OPENPGP) and path.endswith(".asc"))


def lockouts(tree: Tree, document: Document, rules: SourceRules) -> Iterator[Problem]:
    """What nobody could ever sign, and what is in `keys/` for nothing."""
    keys = Keys.of(tree)
    yield from _files(tree)
    people = keys.names()
    if len(lines(keys.allowed)) + len(keys.openpgp) > MAX_KEYS:
        yield Problem(ALLOWED, 1, 1, f"more than {MAX_KEYS} keys", "list those who sign")
        return
    proof = keys.prove()
    yield from _broken(proof)
    yield from (_told(fault) for fault in proof.faults if not (fault.passing or fault.withdrawn))
    if not people or rules.sign is Sign.none:
        return
    for key, named in (("rules", rules.rules), ("limits", rules.limits)):
        for index, rule in enumerate(named):
            for place, name in enumerate(rule.signers):
                if name not in people:
                    hint = did_you_mean(name, sorted(people))
                    where = ("source", key, index, "signers", place)
                    yield document.problem(where, f"keys/ lists no `{name}`", hint)
    if rules.threshold > len(people):
        message = f"{rules.threshold} people must sign, and keys/ lists {len(people)}: nobody could deploy any more"
        yield document.problem(("source", "threshold"), message, "list the others first")
        return
    limited = {name for limit in rules.limits for name in limit.signers}
    if people <= limited:
        message = "everybody in keys/ is limited: nobody could change anything else any more"
        yield document.problem(("source", "limits"), message, "list somebody without a limit first")
        return
    missing = too_few(rules.threshold, limited, proof.able, one_person(groups(lines(keys.allowed))))
    if missing:
        yield document.problem(
            ("source", "threshold" if rules.threshold > 1 else "sign"), missing, "list others first, or keys that count"
        )
        yield from (_told(fault) for fault in proof.faults if fault.passing or fault.withdrawn)


def today(tree: Tree, document: Document, rules: SourceRules) -> Iterator[Problem]:
    """What time has done to single keys: a mistake where keys or policy change, and a reminder elsewhere."""
    keys = Keys.of(tree)
    if not keys.names():
        return
    proof = keys.prove()
    yield from (_told(fault) for fault in proof.faults if fault.passing)
    for index, named in enumerate(nobody_for([rule.signers for rule in rules.rules], proof.able)):
        if named:
            message = f"none of {', '.join(named)} could sign today: nobody could change these paths any more"
            yield document.problem(("source", "rules", index, "signers"), message, "name somebody whose key counts")


def too_few(threshold: int, limited: Iterable[str], able: Iterable[tuple[str, ...]], person: Mapping[str, str]) -> str:
    """What is missing for the next commit to be signed by enough people; empty: nothing."""
    held = set(limited)
    people = {person.get(names[0], names[0]) for names in able if not held & set(names)}
    if threshold > 1 and len(people) < threshold:
        return (
            f"{threshold} people must sign, and keys/ lists {len(people)} who could today: nobody could deploy any more"
        )
    return "" if people else "nobody in keys/ could sign the next commit today: nobody could deploy any more"


def nobody_for(rules: Iterable[tuple[str, ...]], able: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """For each rule its signers, if none of them could sign; else nothing."""
    names = {name for each in able for name in each}
    return [() if names & set(signers) else signers for signers in rules]


def _files(tree: Tree) -> Iterator[Problem]:
    """Links, and names that nothing reads."""
    for path, entry in sorted(tree.entries().items()):
        within = path in ("keys", ALLOWED, REVOKED, OPENPGP.rstrip("/")) or path.startswith(OPENPGP)
        if entry.mode == LINK and within:
            yield Problem(path, 1, 1, "is a link: nobody would be listed by it", "write the file itself")
        elif path.startswith(OPENPGP) and path.endswith(_OTHER_NAMES):
            hint = f"export it with `gpg --armor --export` as {PurePath(path).with_suffix('.asc')}"
            yield Problem(path, 1, 1, "is not read: OpenPGP keys are NAME.asc", hint)


def _broken(proof: Proof) -> Iterator[Problem]:
    hint = "write the key alone, as in a .pub file: ssh-ed25519 AAAA..."
    for number in proof.broken:
        yield Problem(REVOKED, number, 1, "not an SSH public key: every signature would count as revoked", hint)


def _told(fault: Fault) -> Problem:
    if not fault.line:
        hint = "export it again with `gpg --armor --export`, or remove the file"
        return Problem(f"{OPENPGP}{fault.name}.asc", 1, 1, f"{fault.why}: nothing that {fault.name} signs counts", hint)
    return Problem(ALLOWED, fault.line, 1, f"this line counts for nothing: {fault.why}", _way_out(fault.why))


def _way_out(why: str) -> str:
    """What to do about what ssh-keygen says."""
    if "namespace" in why:
        return 'write namespaces="git", or remove the line'
    if "revoked" in why:
        return f"list another key, or take this one out of {REVOKED}"
    if "expired" in why or "not yet valid" in why:
        return "set other dates, or remove the line"
    return 'one line for each: ada namespaces="git" ssh-ed25519 AAAA...'
