"""The acts of the pages, in words: what each does, what it says afterwards, and the commit that does the same. Pure.

In: a person and a subject. Out: the words of a form. Rules: whatever is done here is possible as a commit, too (ADR
91), and the form shows it; what nothing takes back is asked for twice.

    ACTS["box", "hold"].title.format(subject="site-7")      # "Hold site-7"
    commit(ACTS["box", "hold"], "site-7", "ada", Words("the mast is open"), Seen())
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

WHY = "WHY"
"""In the place of a reason that nobody has given yet."""


@dataclass(frozen=True)
class Kind:
    """One act. `does`: what becomes of it; `done`: what is said afterwards; `file`, `lines`: the commit that does the
    same; `beside`: how that differs; `sure`: what cannot be taken back; `free`: what is said where there is nothing to
    act on."""

    title: str
    button: str
    does: str
    done: str
    file: str
    lines: str
    beside: str
    sure: str = ""
    free: str = ""


@dataclass(frozen=True)
class Words:
    """What somebody says with an act. `seen`: the mark of what was seen; None: nothing was. `wave`: which; `box`,
    `role`: what a machine shall be."""

    reason: str = ""
    seen: str | None = None
    wave: str = ""
    box: str = ""
    role: str = ""


@dataclass(frozen=True)
class Seen:
    """What somebody acts on. `words`: how it is; `mark`: the same for the form, to be compared; `there`: whether there
    is anything to act on; `waves`: name -> what each that is waited for is to run; `role`: that of a newcomer's
    medium."""

    words: str = ""
    mark: str = ""
    there: bool = True
    waves: Mapping[str, str] = field(default_factory=dict)
    role: str = ""


HELD = "From the next pass on it takes nothing new, nor what it was offered before; a trial that runs is finished."
ALL_HELD = (
    "From the next pass on no box takes anything new, nor what it was offered before; trials that run are finished."
)
BOTH = "Both words count: this form takes back what a form or toweros suspend said, a commit what Git says."
ACTS: Mapping[tuple[str, str], Kind] = {
    ("box", "hold"): Kind(
        "Hold {subject}", "Hold it", HELD, "It is held from the next pass on.",
        "boxes/{subject}.yaml", "suspended: {said}", BOTH,
    ),
    ("box", "release"): Kind(
        "Let {subject} go on", "Let it go on", "It takes what Git asks it to run, when its turn comes.",
        "It goes on with the next pass.", "boxes/{subject}.yaml", "# without the line suspended:", BOTH,
        free="Nobody holds it by a form or by toweros suspend any more. What Git holds is let go by a commit.",
    ),
    ("box", "retry"): Kind(
        "Let {subject} try again", "Try again",
        "What failed there is tried once more, for a cause outside of the release.",
        "It tries again what failed, once, from the next pass and look on.",
        "boxes/{subject}.yaml", "retry: {said}", "Each text counts once.",
    ),
    ("fleet", "hold"): Kind(
        "Hold the whole fleet", "Hold every box", ALL_HELD,
        "Every box is held from the next pass on.", "fleet.yaml", "suspended: {said}", BOTH,
    ),
    ("fleet", "release"): Kind(
        "Let the fleet go on", "Let it go on", "Every box that nobody else holds goes on when its turn comes.",
        "The fleet goes on with the next pass.", "fleet.yaml", "# without the line suspended:", BOTH,
        free="Nobody holds the fleet by a form or by toweros suspend --all any more.",
    ),
    ("rollout", "pause"): Kind(
        "Pause the rollout", "Pause", "Nobody else begins, until it is taken back. Who has begun goes on.",
        "Nobody else begins from the next pass on.", "fleet.yaml", "freeze: {said}", "Both words count.",
    ),
    ("rollout", "resume"): Kind(
        "Let the rollout go on", "Go on", "Takes a pause or an abort back.", "The rollout goes on with the next pass.",
        "fleet.yaml", "# without the line freeze:", "A form takes no freeze of Git back, and a commit no pause.",
        free="Nobody has paused the rollout by now. What Git freezes goes on by a commit.",
    ),
    ("rollout", "abort"): Kind(
        "Abort this rollout", "Abort", "Nobody else takes what is deployed now. The next commit is rolled out again.",
        "Nobody else takes what is deployed; the next commit goes on.",
        "", "git revert {mark:.12}", "That brings back those that have it already, too.",
        sure="Nobody else takes {words}, and the next commit goes to all of them.", free="Nothing is deployed yet.",
    ),
    ("rollout", "promote"): Kind(
        "Wait no more for a wave", "Do not wait",
        "Those after it begin, for what they are to run now and nothing later.",
        "Nobody waits for that wave from the next pass on.",
        "fleet.yaml", "rollout:\n  waves:\n    - name: {wave}\n      promote: {said}",
        "Each text is done once, at the first look at it.",
        sure="Boxes of the next waves may restart at once, and nothing calls those back.",
        free="Nobody waits for a wave.",
    ),
    ("newcomer", "adopt"): Kind(
        "A name for the machine {subject}", "Propose it",
        "The controller proposes the commit that names this machine: a branch, and a pull request where there is a "
        "forge. It is the box when somebody who may deploy has merged that.",
        "The commit is proposed after the next pass; the first page says where.",
        "boxes/{box}.yaml", "role: {role}\nhardware:\n  key: \"{mark}\"",
        "toweros box adopt {subject} --name {box} writes it.",
        sure="The machine's own console shows the code {subject}, all of it.",
        free="No machine asks with this code any more, or it has a name by now.",
    ),
}  # fmt: skip
DONE = {f"{of}-{name}": kind.done for (of, name), kind in ACTS.items()} | {
    "already": "That was said before, in the same words: nothing changed."
}
"""What a page says after an act, by its parameter `done`."""


def commit(kind: Kind, subject: str, who: str, said: Words, seen: Seen) -> tuple[str, str, str]:
    """The file, its lines that do the same, and how that differs; no file: a command."""
    wave = next(iter(seen.waves), "NAME")
    words = {
        "subject": subject, "said": json.dumps(f"{who}: {said.reason or WHY}", ensure_ascii=False), "wave": wave,
        "mark": seen.mark, "box": said.box or "NAME", "role": said.role or seen.role or "ROLE",
    }  # fmt: skip
    return kind.file.format(**words), kind.lines.format(**words), kind.beside.format(**words)
