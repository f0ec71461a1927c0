"""What a Dockerfile copies, or runs, and nobody has: known before it is built.

In: the lines that copy from the build's folder, the files that a build sees; those that run where nothing is. Out:
mistakes with their lines. Rules: a pattern, an argument, and what a .dockerignore may leave out are not judged; nor is
what the locked inputs bring.

    [*missing(tree, package)]       # [Problem("pkg/a/Dockerfile", 3, 1, "there is no `start.sh` in pkg/a", ..)]
"""

import posixpath
import re
from collections.abc import Iterator

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.packages.folder import within
from gitops.model import Package, Tree

LAID = ("debs", "wheels", "fetched", "rootfs.tar", ".repository")
"""What a build has from packages.lock (`folder`)."""
_OPEN = re.compile(r"[*?\[\]$\\<\"'`]")


def missing(tree: Tree, package: Package) -> Iterator[Problem]:
    """One for each source."""
    file = f"{package.path}/{package.dockerfile}"
    for line in package.barren:
        hint = "stand on an image that has one, or run it in a stage before, and COPY --from that"
        yield Problem(file, line, 1, "RUN in an empty stage: no program is in it, and no shell", hint)
    ignored = f"{package.path}/.dockerignore" in tree.entries()
    there = {part for _, file in within(tree, package) for part in _parts(file)} if package.copies else set()
    for line, source in package.copies:
        place = posixpath.normpath(source.lstrip("/") or ".")
        if _OPEN.search(source) or place == "." or place.split("/")[0] in LAID or "://" in source:
            continue
        if source.startswith("../"):
            hint = "name its folder in `extra-sources` of build.yml"
            yield Problem(file, line, 1, f"`{source}` is outside of the package's folder", hint)
        elif place not in there and not ignored:
            hint = did_you_mean(place, sorted(there)) or "add it, or fix the path"
            yield Problem(file, line, 1, f"there is no `{source}` in {package.path}", hint)


def _parts(file: str) -> Iterator[str]:
    yield file
    while file := posixpath.dirname(file):
        yield file
