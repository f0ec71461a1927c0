"""Objects that are whole and yet cannot be read: whoever made them is to blame, and not the clone.

In: a repository, and an object that something failed for. Out: a refusal that names the object; nothing where one is
missing or damaged, as then the clone is to blame. Rules: an object whose bytes have its id (libgit2 compares them) came
like that, so fetching it again would help nobody.

    refusal = malformed(repository, "main", commit)      # SourceError: main: commit 1234... cannot be read: ...
"""

import re
from collections import deque

import pygit2
from pygit2.enums import ObjectType

from gitops.errors import STAYS, Reason, SourceError
from gitops.source.objects.bounds import SUBMODULE
from gitops.source.objects.tree_objects import FOLDER, members

MAX_LOOKED_AT = 2_000_000
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git knows it without having it (object-file.c)."""
FAILURES = (pygit2.GitError, KeyError, ValueError)
_LEADS = re.compile(rb"^(?:parent|object|tree) ([0-9a-f]{40})$", re.MULTILINE)
"""Where commits and tags lead to (gitformat-commit)."""


def malformed(repository: pygit2.Repository, ref: str, identity: str) -> SourceError | None:
    """The first object in the history of `identity`, which is what `ref` names, that is whole, and none that Git
    knows."""
    seen, waiting = {identity}, deque([identity])
    while waiting and len(seen) < MAX_LOOKED_AT:
        each = waiting.popleft()
        try:
            kind, data = repository.odb.read(pygit2.Oid(hex=each))
        except FAILURES:
            return None
        try:
            leads = _of_tree(repository, data) if kind == ObjectType.TREE else _of_other(repository, each, data)
        except (SourceError, *FAILURES) as error:
            why = str(error).strip("'\"").removeprefix(f"{each}: ")
            reason = error.reason if isinstance(error, SourceError) else Reason.bad_object
            name = ObjectType(kind).name.lower()
            hint = f"make it again with `git`; {STAYS}"
            return SourceError(f"{ref}: {name} {each} cannot be read: {why}", hint=hint, reason=reason)
        waiting += [lead for lead in dict.fromkeys(leads) if lead not in seen]
        seen.update(leads)
    return None


def _of_tree(repository: pygit2.Repository, data: bytes) -> list[str]:
    """The folders in a folder. Raises SourceError for one that Git would not write."""
    rows, folders = list(members("", data)), list[str]()
    for row in rows:
        wanted = ObjectType.TREE if row.mode == FOLDER else ObjectType.BLOB
        if row.mode != SUBMODULE and _kind(repository, row.id) not in (None, wanted):
            message = f"{row.name}: is listed as a {wanted.name.lower()}, and is none"
            raise SourceError(message, reason=Reason.bad_object)
        folders += [row.id] if row.mode == FOLDER else []
    return folders


def _of_other(repository: pygit2.Repository, identity: str, data: bytes) -> list[str]:
    """Where a commit or a tag leads to, once it gave all that we ever ask for."""
    thing = repository[pygit2.Oid(hex=identity)]
    if isinstance(thing, pygit2.Commit):
        _ = (thing.commit_time, thing.raw_message, thing.parent_ids, thing.tree_id)
        leads = [(str(thing.tree_id), ObjectType.TREE), *((str(each), ObjectType.COMMIT) for each in thing.parent_ids)]
        for each, wanted in leads:
            if _kind(repository, each) not in (None, wanted):
                word = "tree" if wanted == ObjectType.TREE else "parent"
                raise SourceError(f"its {word} {each} is none", reason=Reason.bad_object)
    elif isinstance(thing, pygit2.Tag):
        thing.get_object()
    else:
        return []
    return [match.decode() for match in _LEADS.findall(data.partition(b"\n\n")[0])]


def _kind(repository: pygit2.Repository, identity: str) -> ObjectType | None:
    """What an object is; None: it is not here."""
    if identity == EMPTY_TREE:
        return ObjectType.TREE
    oid = pygit2.Oid(hex=identity)
    return ObjectType(repository.odb.read_header(oid)[0]) if oid in repository.odb else None
