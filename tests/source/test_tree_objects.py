"""Trees that `git fsck --strict` refuses: another reader would see other files under the same id."""

import subprocess

import pytest

from gitops.errors import Reason, SourceError
from gitops.source.objects.bounds import check_path
from tests.kit.trust import Story

WHO = "Eve <eve@example.org> 1700000000 +0000"
Row = tuple[str, bytes, str]


def write(story: Story, kind: str, data: bytes) -> str:
    command = ["git", "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    done = subprocess.run(command, cwd=story.remote.bare, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


class Trees:
    """Trees as no git would write them, in the remote itself."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.file, self.other = (write(story, "blob", text) for text in (b"harmless\n", b"evil\n"))
        self.policy = write(story, "blob", b"source: {branch: main}\n")
        self.folder = self.tree(("100644", b"x", self.file))

    def tree(self, *rows: Row, tail: bytes = b"") -> str:
        data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(id_) for mode, name, id_ in rows)
        return write(self.story, "tree", data + tail)

    def push(self, tree: str) -> None:
        parent = (self.story.remote.bare / "refs/heads/main").read_text().strip()
        text = f"tree {tree}\nparent {parent}\nauthor {WHO}\ncommitter {WHO}\n\nx\n"
        (self.story.remote.bare / "refs/heads/main").write_text(write(self.story, "commit", text.encode()) + "\n")


ODD = {
    "a name with slashes": (lambda t: [("100644", b"pkg/p/payload", t.other)], "BadPath"),
    "a folder's name with a slash": (lambda t: [("40000", b"pkg/p", t.folder)], "BadPath"),
    "an empty name": (lambda t: [("100644", b"", t.file)], "BadPath"),
    "a file twice": (lambda t: [("100644", b"a", t.file), ("100644", b"a", t.other)], "BadObject"),
    "a folder twice": (lambda t: [("40000", b"p", t.folder), ("40000", b"p", t.tree())], "BadObject"),
    "a file and a folder": (lambda t: [("100644", b"p", t.file), ("40000", b"p", t.folder)], "BadObject"),
    "a file, others, and a folder": (
        lambda t: [("100644", b"p", t.file), ("100644", b"p-x", t.file), ("40000", b"p", t.folder)],
        "BadObject",
    ),
    "another order": (lambda t: [("100644", b"b", t.file), ("100644", b"a", t.file)], "BadObject"),
    "a folder sorted as a file": (lambda t: [("40000", b"p", t.folder), ("100644", b"p.x", t.file)], "BadObject"),
    "a mode with a zero before it": (lambda t: [("0100644", b"a", t.file)], "BadMode"),
    "a folder's mode with a zero before it": (lambda t: [("040000", b"p", t.folder)], "BadMode"),
    "a mode of others": (lambda t: [("100666", b"a", t.file)], "BadMode"),
    "a mode of a device": (lambda t: [("20644", b"a", t.file)], "BadMode"),
    "a file that is a folder": (lambda t: [("100644", b"a", t.folder)], "BadObject"),
    "a folder that is a file": (lambda t: [("40000", b"a", t.file)], "BadObject"),
    "git's own folder": (lambda t: [("40000", b".git", t.folder)], "BadPath"),
    "git's own folder on HFS+": (lambda t: [("40000", ".g\u200cit".encode(), t.folder)], "BadPath"),
    "git's own folder on NTFS": (lambda t: [("40000", b"GIT~1", t.folder)], "BadPath"),
    "the folder above": (lambda t: [("40000", b"..", t.folder)], "BadPath"),
    "no UTF-8": (lambda t: [("100644", b"\xff", t.file)], "BadPath"),
}


@pytest.mark.parametrize("deep", [False, True], ids=["", "deep"])
@pytest.mark.parametrize(("rows", "reason"), ODD.values(), ids=ODD)
def test_a_tree_that_git_would_not_write_is_refused(head: Story, rows: object, reason: str, deep: bool) -> None:
    trees = Trees(head)
    tree = trees.tree(*rows(trees))  # type: ignore[operator]
    trees.push(trees.tree(("40000", b"a", tree), ("100644", b"fleet.yaml", trees.policy)) if deep else tree)
    assert head.refused(reason).reason is Reason(reason)


@pytest.mark.parametrize("tail", [b"100644 x\0short", b"100644 x", b"1", b"\0"])
def test_a_tree_that_is_cut_off_is_refused(head: Story, tail: bytes) -> None:
    trees = Trees(head)
    trees.push(trees.tree(("40000", b"a", trees.tree(tail=tail)), ("100644", b"fleet.yaml", trees.policy)))
    head.refused("BadObject")


def test_git_fsck_finds_the_same_trees_odd(head: Story) -> None:
    """Every one of them but what only a fleet repo refuses; and a sound one is sound to both."""
    trees = Trees(head)
    for name, (rows, _) in ODD.items():
        trees.push(trees.tree(*rows(trees)))  # type: ignore[no-untyped-call]
        done = subprocess.run(
            ["git", "fsck", "--strict", "--no-dangling"], cwd=head.remote.bare, capture_output=True, text=True
        )
        assert done.returncode or name == "no UTF-8", name


def test_a_plain_tree_has_git_s_ids(head: Story) -> None:
    for path in ("a/b/c", "a.b", "a-b", "a0", "é/ü"):
        head.commit(path, "ada", path)
    tree = head.source.tree(head.source.poll())
    assert tree.tree_id("a/b") == head.remote.git("rev-parse", "HEAD:a/b")
    assert tree.tree_id("") == head.remote.git("rev-parse", "HEAD^{tree}")
    with pytest.raises(KeyError):
        tree.tree_id("a.b")


@pytest.mark.parametrize("name", [".git.", ".git ", ".GIT::$INDEX_ALLOCATION", "git~1", ".gi\ufefft"])
def test_other_spellings_of_git_s_folder(name: str) -> None:
    with pytest.raises(SourceError):
        check_path(f"a/{name}")
    check_path("a/.gitignore")
    check_path("a/git")
