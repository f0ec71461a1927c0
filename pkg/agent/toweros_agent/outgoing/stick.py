"""The key of a machine whose disk is its memory: on a stick, a FAT medium with the label TOWEROS-KEY.

In: the folder where the initrd mounts it, with `box.key` in the form of `identity`. Out: the key, or one that is made
and kept there. Rules: a machine that has a disk neither reads nor writes a stick: whoever plugs one in takes no key
away, and brings none; what is on a stick is never moved or overwritten while it is a key.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = "box.key"
MISSING = "there is no key stick: the machine's key is gone with its power"


class Stick:
    """`folder` is the mounted stick; it is missing where there is none."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def read(self) -> "tuple[Ed25519PrivateKey, bool] | bool":
        """As `identity.read`; True without a stick."""
        from toweros_agent.outgoing.identity import read

        return read(self.path) if self.path.parent.is_dir() else True

    def keep(self, key: "Ed25519PrivateKey") -> str:
        """Why the stick does not have `key` now; "" when it has."""
        from toweros_agent.outgoing.identity import holds, text_of, write

        if not self.path.parent.is_dir():
            return MISSING
        if holds(self.path, key):
            return ""
        try:
            if self.read() is not True:
                raise OSError("it has another key, or cannot be read")
            write(self.path, text_of(key))
        except OSError as error:
            return f"the key stick does not have the machine's key: {error}"
        return ""
