"""What the server signs when it got a report (contracts/receipt)."""

import json
from dataclasses import dataclass

from toweros_agent.nouns import Refused, digest, number, readable, text


@dataclass(frozen=True)
class Receipt:
    """The server got a report: its digest, whether it counts, and when that was by the server's clock."""

    box: str
    report: str
    taken: bool
    time: int

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Raises `Refused`. Whose signature it has is not asked here."""
        try:
            document = json.loads(data)
            readable("receipt", document)
            if not isinstance(document["taken"], bool):
                raise ValueError(f"taken {document['taken']!r}")
            box, report = text(document["box"]), digest(document["report"])
            return cls(box, report, document["taken"], number(document["time"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused(f"the receipt is damaged: {type(error).__name__}: {error}") from error
