"""The signed word that says which box a machine is (contracts/naming)."""

from dataclasses import dataclass

from toweros_agent.joining.name import NAME
from toweros_agent.nouns import Json, Refused, digest, readable, text

NAMINGS = "claims.new"
"""The folder of these targets; the name of each is the machine's key."""


@dataclass(frozen=True)
class Naming:
    """`box` is the name of the machine with `key` (Ed25519, hex)."""

    box: str
    key: str

    @classmethod
    def parse(cls, custom: Json | None, key: str) -> "Naming":
        """Raises `Refused` when it is none of a format that this agent reads, or another key's."""
        try:
            document = custom or {}
            readable("naming", document)
            naming = cls(text(document["box"]), digest(document["key"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(f"the naming is damaged: {type(error).__name__}: {error}") from error
        if not NAME.fullmatch(naming.box):
            raise Refused(f"the naming gives {naming.box!r}, which is no name of a box")
        if naming.key != key:
            raise Refused("the naming is for another machine's key")
        return naming
