"""What the box remembers from one boot to the next: what was staged, what failed and why, and the proven time.

One JSON document on `TOWEROS`; one that cannot be read is put aside and the box starts afresh, which costs at most a
retry. What came later stands beside what was there first, as an older agent reads that too: after a trial whose agent
was newer it takes what it knows of a memory with a newer number, or it would forget what it went back from, and try
that again for ever.
"""

import contextlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from toweros_agent.host.disk import Disk
from toweros_agent.nouns import FORMAT, Failure, Json, Reset, Staged, Verdict, number, text
from toweros_agent.rules import Cut

MAX_FAILURES = 8
MAX_RESETS = 8


@dataclass
class Memory:
    """`time` is the greatest moment that the box has proof of; `fetched` speaks of the last update."""

    staged: dict[int, Staged] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    fetched: Json = field(default_factory=dict)
    time: int = 0
    resets: list[Reset] = field(default_factory=list)
    retried: dict[str, list[str]] = field(default_factory=dict)
    """Content -> the reasons for which it was tried again. Beside the failures, as an older agent reads those too."""
    cuts: dict[str, int] = field(default_factory=dict)
    """Content -> how often its tries ended by loss of power."""
    cut_at: dict[str, int] = field(default_factory=dict)
    """Content -> when that was found last. Beside the count, as an older agent reads that too."""
    served: int = 0
    """Until when the newest timestamp holds that the server itself gave; 0: it gave none yet."""
    early: str = ""
    """The release (digest of its document) that is here before its turn: layers and boot files, and no boot entry."""
    spent: int = 0
    """Up to which number no permission is used any more (turn/turn.py)."""
    vetoed: int = 0
    """Seconds for which a restart was held off since the last one."""

    @classmethod
    def parse(cls, data: bytes) -> "Memory":
        document = json.loads(data)
        if number(document["format"]) < FORMAT - 1:
            raise ValueError(f"memory format {document['format']}")
        staged = [Staged(**_known(Staged, each)) for each in document["staged"]]
        rows = [_known(Failure, each) for each in document["failures"]]
        failures = [Failure(**row | {"verdict": Verdict(row["verdict"])}) for row in rows]
        resets = [Reset(**_known(Reset, each)) for each in document.get("resets", ())]
        fetched, moment = dict(document["fetched"]), int(document["time"])
        retried = {content: [text(each) for each in why] for content, why in document.get("retried", {}).items()}
        cuts = {content: number(count) for content, count in document.get("cuts", {}).items()}
        cut_at = {content: number(when) for content, when in document.get("cut_at", {}).items()}
        by_sequence = {each.sequence: each for each in staged}
        served = number(document.get("served", 0))
        turn = text(document.get("early", "")), number(document.get("spent", 0)), number(document.get("vetoed", 0))
        return cls(by_sequence, failures, fetched, moment, resets, retried, cuts, cut_at, served, *turn)

    def cut(self, content: str) -> Cut:
        """Loss of power in the tries of a content."""
        return Cut(self.cuts.get(content, 0), self.cut_at.get(content, 0))

    def encode(self) -> bytes:
        staged = [asdict(each) for each in self.staged.values()]
        failures = [asdict(each) for each in self.failures[-MAX_FAILURES:]]
        resets = [asdict(each) for each in self.resets[-MAX_RESETS:]]
        document = {"format": FORMAT, "staged": staged, "failures": failures, "resets": resets}
        document["retried"] = dict([*self.retried.items()][-MAX_FAILURES:])
        document["cuts"] = dict([*self.cuts.items()][-MAX_FAILURES:])
        document["cut_at"] = dict([*self.cut_at.items()][-MAX_FAILURES:])
        document |= {"served": self.served, "early": self.early, "spent": self.spent, "vetoed": self.vetoed}
        return json.dumps(document | {"fetched": self.fetched, "time": self.time}, indent=1).encode()

    @classmethod
    def load(cls, disk: Disk) -> tuple["Memory", str]:
        """The memory, and what was wrong with it ("" when nothing was)."""
        path = path_of(disk)
        try:
            return cls.parse(path.read_bytes()), ""
        except FileNotFoundError:
            return cls(), ""
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".bad"))
            return cls(), f"the memory was unreadable and is put aside: {type(error).__name__}: {error}"


def _known(kind: type, row: Json) -> Json:
    """The members that this version has."""
    return {each.name: row[each.name] for each in fields(kind) if each.name in row}


def path_of(disk: Disk) -> Path:
    return disk.state / "memory.json"
