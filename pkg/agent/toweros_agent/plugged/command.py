"""`toweros-agent bundle DIR`: an operator on the box says where a bundle lies that was copied there.

In: a folder, as the agent sees it (`/state`, `/run/toweros`). Out: words, and a note for the agent that runs, which
lasts until another one: a release is tried with the bundle still there. Rules: nothing is believed here; the agent
judges.

    ctr -n services.linuxkit t exec --exec-id 7 agent toweros-agent bundle /state/from-the-laptop
"""

import json
import time
from pathlib import Path

from toweros_agent.host.boot import DISK, Boot
from toweros_agent.host.disk import write
from toweros_agent.joining.name import named
from toweros_agent.media import NAME
from toweros_agent.nouns import Refused, number, readable, texts
from toweros_agent.offer.carried import ASKED, MAX_NAME
from toweros_agent.offer.net import NetError
from toweros_agent.plugged.folder import Folder
from toweros_agent.settings import Places

USAGE = "usage: toweros-agent bundle DIR|none"
SEEN = "the agent sees /state and /run/toweros: copy it there, or plug in a stick, which needs no command"


def main(words: list[str], places: Places) -> str:
    """What to print. Raises Refused: it is no bundle for this box, and nothing is changed."""
    if len(words) != 2 or words[0] != "bundle":
        raise Refused(USAGE)
    note = places.run / "disk" / "state" / ASKED
    if words[1] == "none":
        note.unlink(missing_ok=True)
        return "no folder is looked at any more but /state/bundle and /run/toweros/bundle\n"
    boot = Boot.parse((places.run / "boot.json").read_bytes())
    box = named(boot, places.run / "disk" / "identity", places.run / "key").box
    if boot.place != DISK:
        raise Refused("this box runs from its memory or from a medium: it takes no bundle")
    boxes, expires = _words(Path(words[1]))
    if box not in boxes:
        raise Refused(f"it says that it is for {', '.join(boxes[:5])}, and this is {box}: `toweros bundle make {box}`")
    write(note, f"{words[1]}\n".encode())
    until = time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(expires))
    return f"for {box}, until {until} by its own word; the agent judges it now: see `toweros-box log`\n"


def _words(folder: Path) -> tuple[tuple[str, ...], int]:
    if not folder.is_absolute():
        raise Refused(f"{folder}: a path from / on is expected")
    if not (found := Folder(folder, "asked")).there:
        raise Refused(f"{folder} is no bundle: there is no {NAME}; {SEEN}")
    try:
        document = json.loads(found.read(NAME, MAX_NAME))
        readable(NAME, document)
        return texts(document["boxes"]), min(number(document["expires"]), 1 << 40)
    except (NetError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Refused(f"{folder}/{NAME} is damaged ({type(error).__name__}): make the bundle again") from error
