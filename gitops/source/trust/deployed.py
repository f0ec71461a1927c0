"""What was deployed last, remembered outside of the clone: `deployed.json`.

    {"format": 1, "revision": {...}, "epoch": 0, "policy": {...}, "states": [SHA-256, ...], "tags": {NAME: object id}}

`policy` is fleet.yaml's `source:`; `states` name every state of policy and keys that was deployed, the last one last;
`tags` are the objects of the release tags that were. Lost with the state folder: then the remote is trusted anew,
within what the settings' first keys have signed.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gitops.errors import SourceError
from gitops.model import Policy, Revision
from gitops.source.trust.rules import policy_of, source_part

MAX_STATES = 1000
MAX_TAGS = 10_000


@dataclass(frozen=True)
class Deployed:
    """The last deployed revision, and what judges the next one."""

    revision: Revision
    epoch: int
    policy: Policy
    states: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Deployed | None":
        """Raises SourceError when the file is damaged."""
        try:
            row: dict[str, Any] = json.loads(path.read_text())
            policy, states, tags = policy_of(row["policy"]), tuple(row.get("states", ())), dict(row.get("tags", {}))
            return cls(Revision.of(row["revision"]), int(row["epoch"]), policy, states, tags)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "restore it, or remove it to trust the remote's history anew"
            raise SourceError(f"{path} is damaged", hint=hint) from error

    def after(self, revision: Revision, policy: Policy, state: str, tag: str) -> "Deployed":
        """The next one, with what is remembered of this one. `tag` is the object id of a release tag, or empty."""
        states = tuple(each for each in self.states if each != state)
        tags = {**self.tags, **({revision.ref: tag} if tag else {})}
        kept = dict(list(tags.items())[-MAX_TAGS:])
        return Deployed(revision, self.epoch, policy, (*states, state)[-MAX_STATES:], kept)

    def save(self, path: Path) -> None:
        """Replace the file; on disk when this returns."""
        said = {"format": 1, "revision": asdict(self.revision), "epoch": self.epoch}
        said |= {"policy": source_part(self.policy), "states": list(self.states), "tags": self.tags}
        new = path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the rename as well
        finally:
            os.close(folder)
