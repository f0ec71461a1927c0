"""Files that are not what they look like: pointers of Git LFS and git-annex, what git-crypt encrypted, links, scripts
with Windows line ends.

In: a Tree. Out: problems. Rules: a pointer is a mistake wherever its text would get onto a box or be read: in a
package, beside a compose file, as a `source:`, as a document; so is a link in place of a file that TowerOS reads. What
else is wrong with such a file only follows from that, and is not told.

    problems += mistakes(tree, names, {problem.file for problem in problems})
    message, hint = source_mistake(tree, "tool", tree.read("tool"))
"""

from collections.abc import Collection, Iterable, Iterator

from gitops.errors import Problem
from gitops.fleet.documents import names
from gitops.model import Tree

POINTER = tuple(
    b"version " + url
    for url in (b"https://git-lfs.github.com/spec/", b"https://hawser.github.com/spec/", b"http://git-media.io/v/")
)
"""How one begins; the older addresses count, too (git-lfs, lfs/pointer.go)."""
MAX_POINTER = 1024
"""Bytes that a pointer has at most (git-lfs, docs/spec.md)."""
MAX_SCRIPT = 16 << 10
"""Bytes of a file of a package or app that is looked at for its first line."""
POINTER_MESSAGE = "is a pointer of Git LFS, and the file itself is not in Git"
POINTER_HINT = "`git lfs migrate export --include=PATH` puts it into Git; or fetch it in a package, by its digest"
STAND_INS = (
    (b"/annex/objects/", "is a pointer of git-annex, and the file itself is not in Git", "commit the file itself"),
    (b"\0GITCRYPT\0", "is encrypted by git-crypt, and no box has its key", "no secret belongs into Git: leave it out"),
)
"""How files begin that others leave in Git (git-annex, doc/internals/pointer_file; git-crypt, commands.cpp)."""
LINK_MESSAGE = "is a link: the name of its target would be read in place of the file"
LINK_HINT = "write the file itself"
LINK = 0o120000
"""Git's mode of a symbolic link."""
BOM = b"\xef\xbb\xbf"
MARKS = ("build.yml", "docker-compose.yml")
"""A folder with one of these goes to boxes with all that is in it."""
LISTS = ("keys/allowed_signers", "keys/authorized_keys")
"""One line for each key: what comes first in it must be what people see."""
ALWAYS = (*LISTS, "keys/root.json", "keys/builder.json", "keys/firmware.json")
"""What boxes get as it is."""
MAX_PLAIN = 100_000

_plain: set[str] = set()
"""Ids of blobs that were read and are as they look."""


def mistakes(tree: Tree, sources: Iterable[str] = (), suspects: Collection[str] = ()) -> list[Problem]:
    """What is wrong with a fleet repo's files as files. `sources`: folders that builds take besides; `suspects`: files
    with other mistakes."""
    folders = {path.rpartition("/")[0] for path in tree.entries() if path.rpartition("/")[2] in MARKS}
    content = {*folders, *sources} - {""}
    return [*names.mistakes(tree, content), *_files(tree, content, {*suspects, *ALWAYS}), *_lists(tree)]


def without_consequences(problems: Iterable[Problem]) -> list[Problem]:
    """Mistakes, but for those within files that are pointers or links."""
    told = list(dict.fromkeys(problems))
    alone = {each.file for each in told if each.message in (POINTER_MESSAGE, LINK_MESSAGE)}
    return [each for each in told if each.file not in alone or each.message in (POINTER_MESSAGE, LINK_MESSAGE)]


def is_pointer(data: bytes) -> bool:
    """Whether a file's bytes are what Git LFS leaves in Git in place of the file."""
    return len(data) <= MAX_POINTER and data.lstrip().startswith(POINTER)  # git-lfs takes space before it, too


def source_mistake(tree: Tree, path: str, data: bytes) -> tuple[str, str]:
    """Why a file cannot be a `source:`, and the fix; empty when it can. `data`: how it begins."""
    entry = tree.entries().get(path)
    if entry and entry.mode == LINK:
        return f"{path} is a link", "name the file itself"
    message, hint = _stand_in(data)
    if not message:
        message, hint = _script(data)
    return f"{path} {message}" if message else "", hint


def _stand_in(data: bytes) -> tuple[str, str]:
    """What a file is that stands in place of another one, and the fix; empty: it is the file itself."""
    if is_pointer(data):
        return POINTER_MESSAGE, POINTER_HINT
    return next(((message, hint) for start, message, hint in STAND_INS if data.startswith(start)), ("", ""))


def _script(data: bytes) -> tuple[str, str]:
    """Why Linux does not find the interpreter of a script (execve(2): it is the first line, as it is)."""
    hint = "save it with Unix line ends and without a byte order mark; `*.sh text eol=lf` in .gitattributes keeps that"
    if data.startswith(BOM + b"#!"):
        return "is a script behind a byte order mark, which no box can run", hint
    if data.startswith(b"#!") and data.partition(b"\n")[0].endswith(b"\r"):
        return "is a script with Windows line ends, which no box can run", hint
    return "", ""


def _files(tree: Tree, content: Collection[str], suspects: Collection[str]) -> Iterator[Problem]:
    if len(_plain) > MAX_PLAIN:
        _plain.clear()
    for path, entry in tree.entries().items():
        if entry.mode == LINK:
            if path in suspects:
                yield Problem(path, 1, 1, LINK_MESSAGE, LINK_HINT)
            continue
        inside = path in suspects or names.within(path.rpartition("/")[0], content)
        if inside and entry.size <= MAX_SCRIPT and entry.id not in _plain:
            yield from _file(path, tree.read(path), entry.id)


def _file(path: str, data: bytes, identity: str) -> Iterator[Problem]:
    if (words := _stand_in(data))[0] or (words := _script(data))[0]:
        yield Problem(path, 1, 1, *words)
    else:
        _plain.add(identity)


def _lists(tree: Tree) -> Iterator[Problem]:
    """Whom nobody could name: a byte order mark belongs to the name behind it."""
    for path in LISTS:
        entry = tree.entries().get(path)
        text = tree.read(path).decode(errors="replace") if entry and entry.mode != LINK else ""
        for number, line in enumerate(text.split("\n"), 1):
            word = line.strip("\r").partition(" ")[0].replace("\t", " ")
            index, what = names.unseen("" if word.startswith("#") else word)
            if what:
                hint = "save it as UTF-8 without a byte order mark" if number == 1 and not index else "remove it"
                yield Problem(path, number, index + 1, f"{what}, which belongs to the name here", hint)
