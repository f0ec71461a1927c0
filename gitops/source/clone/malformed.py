"""Objects that are whole and yet cannot be read: whoever made them is to blame, and not the clone.

In: a repository, and an object that something failed for. Out: a refusal that names the object; nothing where one is
missing or damaged, as then the clone is to blame. Rules: an object whose bytes have its id (libgit2 compares them) came
like that, so fetching it again would help nobody.

    refusal = malformed(repository, "main", commit)      # SourceError: main: commit 1234... cannot be read: ...
"""

import re

import pygit2

from gitops.errors import STAYS, Reason, SourceError

MAX_LOOKED_AT = 2_000_000
FAILURES = (pygit2.GitError, KeyError, ValueError)
_LEADS = re.compile(rb"^(?:parent|object|tree) ([0-9a-f]{40})$", re.MULTILINE)
"""Where commits and tags lead to (gitformat-commit)."""


def malformed(repository: pygit2.Repository, ref: str, identity: str) -> SourceError | None:
    """The first object in the history of `identity`, which is what `ref` names, that is whole, and none that Git
    knows."""
    seen, waiting = {identity}, [identity]
    while waiting and len(seen) < MAX_LOOKED_AT:
        each = waiting.pop(0)
        try:
            kind, data = repository.odb.read(pygit2.Oid(hex=each))
        except FAILURES:
            return None
        try:
            _read(repository[pygit2.Oid(hex=each)])
        except FAILURES as error:
            why = str(error).strip("'\"").removeprefix(f"{each}: ")
            name = pygit2.enums.ObjectType(kind).name.lower()
            hint = f"make it again with `git`; {STAYS}"
            return SourceError(f"{ref}: {name} {each} cannot be read: {why}", hint=hint, reason=Reason.bad_object)
        if kind in (pygit2.enums.ObjectType.COMMIT, pygit2.enums.ObjectType.TAG):
            leads = [match.decode() for match in _LEADS.findall(data.partition(b"\n\n")[0])]
            waiting += [lead for lead in leads if lead not in seen]
            seen.update(leads)
    return None


def _read(thing: pygit2.Object) -> None:
    """Ask for all that we ever ask for."""
    if isinstance(thing, pygit2.Commit):
        _ = (thing.commit_time, thing.raw_message, thing.parent_ids, thing.peel(pygit2.Tree))
    if isinstance(thing, pygit2.Tag):
        thing.get_object()
