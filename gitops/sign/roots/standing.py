"""Whether the fleet repo names the root that the controller has: boxes are built to trust what is there.

In: the keys folder, keys/root.json of the fleet repo. Out: what is wrong with it, in words; "" when nothing is. Rules:
a root is compared by what it says, not by its bytes, as people store files with other ends of lines; a keys folder that
cannot be read, or is another machine's, says nothing.

    behind(settings.keys, tree.read("keys/root.json"))
"""

import contextlib
from pathlib import Path

from gitops.errors import SignError
from gitops.sign import keys
from gitops.sign.roots.reading import read

PLACE = "keys/root.json"
MEND = "`toweros keys export keys` in the fleet repo, then commit it"


def behind(folder: Path, theirs: bytes) -> str:
    """What is wrong with the fleet repo's root, and the command that mends it."""
    ours: dict[int, bytes] = {}
    with contextlib.suppress(SignError, OSError, ValueError):
        ours = keys.load_roots(folder)
    if not ours:
        return ""
    newest, root = max(ours), read(theirs)
    if root is None:
        return f"{PLACE} of the fleet repo is no TUF root: {MEND}"
    if root.version > newest:
        there = f"{PLACE} of the fleet repo is root {root.version}, and the newest in the keys folder is {newest}"
        return f"{there}: restore the keys folder from a later backup"
    if root.version not in ours or root != read(ours[root.version]):
        return f"{PLACE} of the fleet repo is another fleet's: what is built from it takes nothing from here. {MEND}"
    if root.version == newest:
        return ""
    there = f"{PLACE} of the fleet repo is root {root.version}, and the controller's is root {newest}"
    return f"{there}: new boxes are built to trust root {root.version}, and the keys that it names. {MEND}"
