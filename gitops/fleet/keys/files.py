"""The files of a fleet repo's `keys/` that say who is listed.

In: a tree. Out: their bytes as `Keys`; what is in the folder for nothing, as `Problem`s with the fix.

    Keys.of(tree).names()                 # {"ada", "ben"}
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from gitops.errors import Problem
from gitops.fleet.keys.listed import Line, lines
from gitops.fleet.keys.proof import MAX_AUTHORITIES, MAX_FILE, MAX_FILES, MAX_KEYS, Fault, Proof, prove
from gitops.model import Tree

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
        people = (line.literal if line.authority else line.names for line in lines(self.allowed))
        return {name for names in people for name in names} | {name for name, _ in self.openpgp}

    def lists(self, name: str) -> bool:
        """Whether somebody of this name may sign: by a key, or by a certificate."""
        return name in self.names() or any(line.vouches(name) for line in self.open)

    @property
    def open(self) -> list[Line]:
        """Authorities for more names than are written down."""
        return [line for line in lines(self.allowed) if line.authority and line.patterns]

    @property
    def too_many(self) -> Problem | None:
        """More than ssh-keygen and gpg are asked about."""
        if len(self.openpgp) > MAX_FILES:
            return Problem(OPENPGP, 1, 1, f"more than {MAX_FILES} OpenPGP keys", "list those who sign")
        large = next((name for name, key in self.openpgp if len(key) > MAX_FILE), "")
        if large:
            hint = "export it with `gpg --armor --export-options export-minimal --export`"
            return Problem(f"{OPENPGP}{large}.asc", 1, 1, f"more than {MAX_FILE >> 10} KiB", hint)
        if len(lines(self.allowed)) > MAX_KEYS:
            return Problem(ALLOWED, 1, 1, f"more than {MAX_KEYS} keys", "list those who sign")
        if sum(line.authority for line in lines(self.allowed)) > MAX_AUTHORITIES:
            return Problem(ALLOWED, 1, 1, f"more than {MAX_AUTHORITIES} cert-authority lines", "join their names")
        return None

    def prove(self) -> Proof:
        """Whose signature would count today."""
        return prove(self.allowed, self.revoked, self.openpgp)


def openpgp_files(tree: Tree) -> list[str]:
    """The paths of the OpenPGP keys."""
    return sorted(path for path in tree.entries() if path.startswith(OPENPGP) and path.endswith(".asc"))


def misplaced(tree: Tree) -> Iterator[Problem]:
    """Links, and names that nothing reads."""
    for path, entry in sorted(tree.entries().items()):
        within = path in ("keys", ALLOWED, REVOKED, OPENPGP.rstrip("/")) or path.startswith(OPENPGP)
        if entry.mode == LINK and within:
            yield Problem(path, 1, 1, "is a link: nobody would be listed by it", "write the file itself")
        elif path in ("keys", OPENPGP.rstrip("/")):
            yield Problem(path, 1, 1, "is a file: nobody would be listed by it", "make it a folder")
        elif path.startswith((f"{ALLOWED}/", f"{REVOKED}/")):
            yield Problem(path, 1, 1, "is in a folder with the name of a list: nobody reads it", "write one file")
        elif path.startswith(OPENPGP) and path.endswith(_OTHER_NAMES):
            hint = f"export it with `gpg --armor --export` as {PurePath(path).with_suffix('.asc')}"
            yield Problem(path, 1, 1, "is not read: OpenPGP keys are NAME.asc", hint)


def broken(proof: Proof) -> Iterator[Problem]:
    hint = "write the key alone, as in a .pub file: ssh-ed25519 AAAA..."
    if proof.broken == [0]:
        what = "a key revocation list that ssh-keygen cannot read: every signature would count as revoked"
        yield Problem(REVOKED, 1, 1, what, "make it again: ssh-keygen -k -f keys/revoked_keys -s CA.pub WHAT")
        return
    for number in proof.broken[:MAX_KEYS]:
        yield Problem(REVOKED, number, 1, "not an SSH public key: every signature would count as revoked", hint)


def told(fault: Fault) -> Problem:
    if not fault.line:
        hint = "export it again with `gpg --armor --export`, or remove the file"
        return Problem(f"{OPENPGP}{fault.name}.asc", 1, 1, f"{fault.why}: nothing that {fault.name} signs counts", hint)
    return Problem(ALLOWED, fault.line, 1, f"this line counts for nothing: {fault.why}", _way_out(fault.why))


def _way_out(why: str) -> str:
    """What to do about what ssh-keygen says."""
    if "certificate" in why:
        return 'list its authority\'s key: *@example.org cert-authority,namespaces="git" ssh-ed25519 AAAA...'
    if "fit nobody" in why:
        return "name those whom it may certify: ada,*@example.org"
    if "namespace" in why:
        return 'write namespaces="git", or remove the line'
    if "revoked" in why:
        return f"list another key, or take this one out of {REVOKED}"
    if "expired" in why or "not yet valid" in why:
        return "set other dates, or remove the line"
    return 'one line for each: ada namespaces="git" ssh-ed25519 AAAA...'
