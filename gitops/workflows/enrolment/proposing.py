"""What operators named from the pages is proposed in Git: a branch with boxes/NAME.yaml, and a pull request.

In: `Adoptions`, the deployed fleet. Out: `toweros/adopt-NAME` on the remote, on top of the branch that deploys, and on
a forge a pull request; never the branch that deploys. Rules:

- The same file as `toweros box adopt` writes, and a fleet repo with mistakes gets none.
- A branch of that name that is there is left alone, unless it is the very commit of ours.
- When the box is deployed, or the name is taken, it is settled, and a branch that is ours is removed.

    Proposals(desk).look(fleet, revision)
"""

from collections.abc import Mapping
from dataclasses import replace

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.model import EventType, Fleet, Happened, Revision
from gitops.model.machines.newcomer import code
from gitops.source.clone.pushing import Draft, PushClone
from gitops.store.notes.adopting import Adoption, Adoptions
from gitops.workflows.enrolment.box_file import Adopted, new_file
from gitops.workflows.updates.desk import Desk

TAKEN, DEPLOYED = "there is such a box by now, another machine", "it is deployed"
THEIRS = "a branch of that name is there, and it is none of ours"
GONE = "somebody removed the branch"


class Proposals:
    """Looks at what was asked for after a pass."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._notes = desk, desk.store.notes

    def look(self, fleet: Fleet, revision: Revision) -> None:
        """Propose what is to be proposed, and settle what is done.

        Raises:
            SourceError, ForgeError: the remote or the forge is away, or does not let us: it is looked at again.
        """
        for key, row in (self._notes.get(Adoptions) or Adoptions()).rows.items():
            if row.ended:
                continue
            if box := fleet.boxes.get(row.name):
                self._settle(key, row, DEPLOYED if box.hardware and box.hardware.key == key else TAKEN)
            elif not row.pushed or (self._desk.forge and not row.pull):
                self._propose(key, row, fleet)

    def _propose(self, key: str, row: Adoption, fleet: Fleet) -> None:
        clone = self._desk.clone()
        heads = clone.heads()
        branch, there = fleet.policy.branch or heads.default, heads.branches.get(row.branch, "")
        if there and there != row.commit:
            return self._settle(key, row, THEIRS)
        if row.pushed and not there:
            return self._settle(key, row, GONE)
        if not there:
            commit, wrong = self._draft(clone, clone.fetch(branch), row)
            if wrong:
                return self._settle(key, row, wrong)
            row = replace(row, commit=commit)
            self._keep(key, row)  # whoever lost the lease stops here
            clone.push(f"refs/heads/{row.branch}", commit, "")
        row = replace(row, pushed=True)
        self._keep(key, row)
        if self._desk.forge:
            number = self._desk.forge.proposed(row.branch, branch)
            number = number or self._desk.forge.propose(row.branch, branch, _subject(row), _text(row))
            row = replace(row, pull=number)
            self._keep(key, row)
        self._desk.say(EventType.NORMAL, Happened.PROPOSED, str(row))

    def _draft(self, clone: PushClone, head: str, row: Adoption) -> tuple[str, str]:
        """The commit; or what is wrong."""
        path = f"boxes/{row.name}.yaml"
        if path in clone.files(head).entries():
            return "", TAKEN
        data = new_file(Adopted(row.name, row.key, row.role)).encode()
        message = f"{_subject(row)}\n\n{row.who}: {row.why}\n"
        commit = clone.commit(Draft(head, {path: data}, message, int(self._desk.clock())))
        try:
            load_fleet(clone.files(commit), self._desk.settings.platform)
        except FleetError as error:
            return "", f"the fleet repo would have mistakes: {error.problems[0] if error.problems else error.message}"
        return commit, ""

    def _settle(self, key: str, row: Adoption, note: str) -> None:
        """It is never looked at again; a branch that is ours goes."""
        if row.pushed and note not in (GONE, THEIRS):
            clone = self._desk.clone()
            if clone.heads().branches.get(row.branch) == row.commit:
                clone.remove(f"refs/heads/{row.branch}", row.commit)
        kind = EventType.NORMAL if note == DEPLOYED else EventType.WARNING
        row = replace(row, note=note, ended=True)
        self._desk.say(kind, Happened.PROPOSED, str(row))
        self._keep(key, row)

    def _keep(self, key: str, row: Adoption) -> None:
        def change(old: Adoptions) -> Adoptions:
            rows: Mapping[str, Adoption] = {**old.rows, key: row}
            return Adoptions(rows)

        self._notes.change(Adoptions, change)


def _subject(row: Adoption) -> str:
    return f"boxes/{row.name}: the machine {code(row.key)}"


def _text(row: Adoption) -> str:
    """Of a pull request: words of people are no markup there."""
    words = f"{row.who}: {row.why}".replace("`", "'")
    return (
        f"The machine with the code `{code(row.key)}` becomes the box `{row.name}` with the role `{row.role}`.\n\n"
        f"    {words}\n\nCompare the code with the machine's console before you merge."
    )
