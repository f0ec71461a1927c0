"""The boot entry that this boot was started from: is it on the ESP still, and is this boot its trial?

A power cut while an entry gets its name leaves two records of one content, and the check of the file system before the
agent (pkg/init) empties one of them: that may be the one that was started. The other has all of the content then, and
gets the name again. Where there is none, nothing could be blessed or counted, so the trial ends without a verdict: a
boot that was started as a trial never goes on as a blessed one by losing its entry. The same for one whose UKI is
another than was staged: its verdict would be about something else.
"""

import contextlib
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

from toweros_agent.deadlines import MADE
from toweros_agent.host.boot import Boot
from toweros_agent.host.disk import file_digest
from toweros_agent.host.esp import TRIES, Esp
from toweros_agent.host.renaming import rename
from toweros_agent.nouns import Entry, Staged

GONE = "its boot entry is gone from the ESP: a power cut, or a bad disk"
ANOTHER = "its boot entry has another UKI than was staged: a bad disk, or somebody wrote there"


class Started:
    """`trial`: this boot is one. `void`: why it can come to no verdict, while there are others to go back to.

    `other_uki`: what was started is known to be another than was staged.
    """

    def __init__(self, esp: Esp, boot: Boot, staged: Mapping[int, Staged], *, other_uki: bool = False) -> None:
        entry = esp.get(boot.sequence)
        if entry is None and boot.sequence in staged:
            with contextlib.suppress(OSError):
                entry = take_back(esp, staged[boot.sequence])
        itself = boot.started == boot.sequence  # else the entry is there, under the number of another release
        gone = boot.trial and entry is None and itself and bool(esp.entries())
        self.trial = boot.trial and (gone or (entry is not None and not entry.plain))
        another = self.trial and other_uki and len(esp.entries()) > 1
        self.void = GONE if gone else ANOTHER if another else ""


def take_back(esp: Esp, staged: Staged) -> Entry | None:
    """Name what was gathered for an entry once more, if it is whole. Raises `OSError`."""
    gathered = esp.folder / f"toweros-{staged.sequence}.efi.new"
    if not gathered.exists() or file_digest(gathered) != staged.uki:
        return None
    names = [Entry.parse(path.name) for path in esp.folder.iterdir()]
    counted = [each for each in names if each and each.sequence == staged.sequence and not each.plain]
    entry = next(iter(counted), Entry(staged.sequence, TRIES - 1, 1))  # the emptied record knows its tries
    rename(gathered, esp.path(entry), check=True)
    return entry


def first_start(path: Path) -> float:
    """When the agent first started in this boot: a restarted agent does not begin its probation again."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(path.read_bytes())["started"])
    started = time.monotonic()
    path.write_text(json.dumps({"started": started}))
    return started


def services_made(run: Path, started: float) -> float:
    """Since when all services are made, as init says (seconds of uptime), or have had their time; infinity until then.

    On a slow processor the agent may run a minute before the last of them is made: a trial's time that began with the
    agent would be over before a service could have started.
    """
    latest = started + MADE
    with contextlib.suppress(OSError, ValueError):
        return min(max(started, float((run / "services.made").read_text())), latest)
    return latest if time.monotonic() >= latest else math.inf
