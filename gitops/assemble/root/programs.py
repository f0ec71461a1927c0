"""Init images of two kinds, which hide each other's programs. Pure.

In: the init images of a spec, and the tree of each as far as it is known. Out: nothing, or an error. Rules: in a root
that is layers over each other, a link and a folder of one name hide each other (overlayfs), where a tar merges them;
LinuxKit's images have programs in /bin and /sbin, and ours (as Debian's) links of these names. Without this a box
would be asked to start a root that has no /sbin/init.

    check_programs(spec.init, trees.get)
"""

import stat
from collections.abc import Callable, Iterable, Mapping

from gitops.assemble.tars.tree import Entry
from gitops.errors import AssembleError

FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin")
"""Where programs are looked for. Not /lib: an image with firmware alone has it as a folder, and hides no program."""
HINT = "take init images of one kind; a file that one image alone has may come by `files:` of the spec"


def check_programs(names: Iterable[str], tree_of: Callable[[str], Mapping[str, Entry] | None]) -> None:
    """`tree_of`: an image -> its tree; None: it is not known.

    Raises:
        AssembleError: one image has as a link what another has as a folder.
    """
    seen = dict[str, tuple[bool, str]]()
    for name in names:
        tree = tree_of(name) or {}
        for path in (each for each in FOLDERS if each in tree):
            link = tree[path].kind == stat.S_IFLNK
            other, first = seen.setdefault(path, (link, name))
            if other != link:
                has, lacks = (name, first) if link else (first, name)
                raise AssembleError(
                    f"/{path} is a link in {has}, and a folder in {lacks}: one hides the other", hint=HINT
                )
