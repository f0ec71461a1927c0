"""A path that one list of files has twice. Pure.

In: a file, the paths of its `files:` in order. Out: a mistake for each that was there before. Rules: the last one would
count, as with LinuxKit, and nobody would see that there are two; over those of another file or level, one of the same
path is meant to lie, and is no mistake; neither is one of a second `files:` in the file, which is a mistake already.

    problems += path_twice(document, ["etc/motd", "etc/motd"])      # boot/a.yml:9:11: files holds `etc/motd` twice
"""

from collections.abc import Iterator, Sequence

from gitops.errors import Problem
from gitops.fleet.documents.yaml import Document


def path_twice(document: Document, paths: Sequence[str]) -> Iterator[Problem]:
    """Mistakes at the paths that the list has already."""
    first: dict[str, int] = {}
    for index, path in enumerate(paths):
        if path in first and document.mark(("files", index)) not in document.added:
            hint = f"the first is in line {document.mark(('files', first[path], 'path'))[0]}; keep one"
            yield document.problem(("files", index, "path"), f"files holds `{path}` twice", hint)
        first.setdefault(path, index)
