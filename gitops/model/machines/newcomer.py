"""Machines that have no name yet: they run a role's medium, until somebody, or Git, says who they are (ADR 64). Pure.

    newcomer("vm")                  # "new.vm": what `toweros.box=` says on the medium of the role vm
    role_of("new.vm")               # "vm"; "" for the name of a box
    code(public)                    # "3b6a-27bc-9f86-d081-884c": shown by the machine, typed by who adopts it
    claim_path(public)              # the TUF target that says which box the machine with this key is

Rules: no boxes/NAME.yaml can have such a name, as box names have no dot; the release of a newcomer has the sequence 0,
so that every release of a box is newer; what a newcomer says proves nothing but that it has its key.
"""

import re
from dataclasses import dataclass

from gitops.model.digest import Json, sha256

PREFIX = "new."
SEQUENCE = 0
"""The sequence of a newcomer's release: the first release of the box that it becomes is an ordinary update."""
CLAIMS = "claims.new"
"""The folder of the targets that bind keys to names: no box and no newcomer is called so."""
NAMING_FORMAT = 1
GROUP, GROUPS = 4, 5
"""A code is 80 bits of the SHA-256 of the key: its fingerprint's first five groups. Who wants another machine's code
has to make 2^80 keys."""

_NAME = re.compile(r"new\.([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)")


@dataclass(frozen=True)
class Hardware:
    """Which machine a box is: `key` names it beyond doubt, `ek` its TPM, which proves itself (`sign.endorsement`);
    `serial` (of the board or chassis) and `mac` are words that anybody can say, and the first who says them is it.
    Empty: not asked."""

    serial: str = ""
    mac: str = ""
    key: str = ""
    ek: str = ""

    def fits(self, serial: str, macs: tuple[str, ...], ek: str) -> bool:
        """Whether a machine that says this, and has proven `ek`, may be it. All that is asked must be right."""
        asked = [serial == self.serial] * bool(self.serial) + [self.mac in macs] * bool(self.mac)
        asked += [ek == self.ek] * bool(self.ek)
        return not self.key and bool(asked) and all(asked)


@dataclass(frozen=True)
class Naming:
    """Which box the machine with `key` (Ed25519, hex) is: the `custom` of the target `claim_path(key)`
    (contracts/naming)."""

    box: str
    key: str

    def encode(self) -> Json:
        return {"format": NAMING_FORMAT, "box": self.box, "key": self.key}


def newcomer(role: str) -> str:
    """The name of the machines that run the role's medium."""
    return PREFIX + role


def role_of(name: str) -> str:
    """The role of whose medium a machine of this name runs; empty: it has a name of its own."""
    found = _NAME.fullmatch(name)
    return found[1] if found else ""


def code(public: str) -> str:
    """What a machine with this key (Ed25519, hex) shows, and people compare."""
    digest = sha256(bytes.fromhex(public))
    return "-".join(digest[start : start + GROUP] for start in range(0, GROUP * GROUPS, GROUP))


def claim_path(public: str) -> str:
    """The target whose `custom` names the box of this key."""
    return f"{CLAIMS}/{public}"
