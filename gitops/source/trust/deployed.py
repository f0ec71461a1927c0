"""What was deployed last, and the Git objects that prove it, remembered outside of the clone.

deployed.json:

    {"format": 1, "revision": {...}, "epoch": 0, "policy": {...}, "states": [SHA-256, ...], "tags": {NAME: object id}}

`policy` is fleet.yaml's `source:`; `states` name every state of policy and keys that was deployed, the last one last;
`tags` are the objects of the release tags that were. Lost with the state folder: then the remote is trusted anew,
within what the settings' first keys have signed. `evidence/` holds objects in loose form, by their SHA-256.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gitops.errors import SourceError
from gitops.model import BlobRef, Policy, Revision, sha256
from gitops.source.trust.objects import Signed
from gitops.source.trust.rules import policy_of, source_part

DEPLOYED = "deployed.json"
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
        newest = dict(list(tags.items())[-MAX_TAGS:])
        return Deployed(revision, self.epoch, policy, (*states, state)[-MAX_STATES:], newest)

    def save(self, path: Path) -> None:
        """Replace the file; on disk when this returns."""
        document = {"format": 1, "revision": asdict(self.revision), "epoch": self.epoch}
        document |= {"policy": source_part(self.policy), "states": list(self.states), "tags": self.tags}
        new = path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the rename as well
        finally:
            os.close(folder)


class Memory:
    """`deployed.json` and `evidence/` below a folder."""

    def __init__(self, folder: Path) -> None:
        self._file, self._evidence = folder / DEPLOYED, folder / "evidence"
        self._evidence.mkdir(parents=True, exist_ok=True)

    def last(self) -> Deployed | None:
        """Raises SourceError when the file is damaged."""
        return Deployed.load(self._file)

    def save(self, deployed: Deployed) -> None:
        """Remember what is deployed now; evidence of anything else goes."""
        deployed.save(self._file)
        needed = {ref.sha256 for ref in deployed.revision.evidence}
        for file in self._evidence.iterdir():
            if file.name not in needed:
                file.unlink()

    def keep(self, objects: Iterable[Signed]) -> tuple[BlobRef, ...]:
        """Keep objects that were judged, for the release to carry along."""
        refs = []
        for each in objects:
            refs.append(BlobRef(sha256(each.loose), len(each.loose)))
            (self._evidence / refs[-1].sha256).write_bytes(each.loose)
        return tuple(refs)

    def evidence(self, revision: Revision) -> list[bytes]:
        """The objects of a revision, as far as they are still here."""
        files = (self._evidence / ref.sha256 for ref in revision.evidence)
        return [file.read_bytes() for file in files if file.is_file()]
