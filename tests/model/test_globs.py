"""Rules' globs: what gitignore(5) means by them, compared with git itself; and no pattern takes long."""

import random
import re
import string
import subprocess
from pathlib import Path

import pytest

from gitops.model.paths.globs import glob

COVERS = [
    ("**/Dockerfile", "Dockerfile", True),
    ("**/Dockerfile", "pkg/a/Dockerfile", True),
    ("boxes/**/a.yaml", "boxes/a.yaml", True),
    ("boxes/**/a.yaml", "boxes/x/y/a.yaml", True),
    ("boxes/site-[ab]/**", "boxes/site-a/x", True),
    ("boxes/site-[!ab]/**", "boxes/site-a/x", False),
    ("boxes/site-[ab]*", "boxes/site-a.yaml", True),
    ("boxes/{a,b}.yaml", "boxes/a.yaml", True),
    ("boxes/{a,b}.yaml", "boxes/c.yaml", False),
    ("*.yaml", "fleet.yaml", True),
    ("*.yaml", "boxes/a.yaml", False),
    ("keys/", "keys/x", True),
    ("/keys", "keys/x", True),
    ("keys", "keys-of-mine", False),
    ("keys", "pkg/keys", False),
    ("Keys", "keys/x", False),
    ("**", "fleet.yaml", True),
    ("*", "boxes/a.yaml", True),
    ("!boxes", "boxes/a.yaml", False),
    ("boxes/*", "boxes/d/x", True),
    ("boxes/*.yaml", "boxes/deep/x.yaml", False),
    (".github/**", ".github/w/x", True),
    ("**/*", ".hidden", True),
    ("a/**", "a", False),
    ("a/**/**/b", "a/b", True),
    (r"a\*", "a*", True),
    (r"a\*", "ab", False),
    ("a[]]", "a]", True),
    ("a[", "a[", True),
    ("a[z-a]", "az", True),
    ("a[z-a]", "ab", False),
    ("keys ", "keys/x", True),
    (r"keys\ ", "keys/x", False),
    (r"keys\ ", "keys /x", True),
    ("a[[:digit:]]", "a7", True),
    ("a[![:digit:]]", "a7", False),
    ("a[[:nothing:]]", "a7", False),
    ("boxes/[!/]*", "boxes/x", True),
    ("boxes[/]x", "boxes/x", False),
    ("***/x", "a/b/x", True),
    ("a[--^]", "aB", True),
    ("a\n*", "a\nb", True),
    ("a?c", "a\nc", True),
]


@pytest.mark.parametrize(("pattern", "path", "covers"), COVERS)
def test_what_a_pattern_covers(pattern: str, path: str, covers: bool) -> None:
    assert glob(pattern).fullmatch(path) is covers


def test_a_limit_means_files_not_what_is_below_them() -> None:
    assert glob("**/packages.lock", below=False).fullmatch("pkg/a/packages.lock")
    assert not glob("**/packages.lock", below=False).fullmatch("pkg/a/packages.lock/evil")


NAMED = ["[:alpha:]", "[:digit:]", "![:upper:]", "[:space:]a", "[:foo:]", "a[:punct:]-z", "[:x"]


def made_up(seed: int, count: int) -> list[tuple[str, str]]:
    """Patterns with stars or classes, and paths that they may cover."""
    chance = random.Random(seed)

    def word(letters: str, longest: int) -> str:
        return "".join(chance.choices(letters, k=chance.randint(1, longest)))

    def pattern() -> str:
        if chance.random() < 0.3:
            return (
                chance.choice(["x[", "x[!", "x[^"])
                + word("abc-!^]\\[:A/ ", 6)
                + chance.choice(["]", "]*", "]b", "]  "])
            )
        if chance.random() < 0.1:
            return f"x[{chance.choice(NAMED)}]"
        parts = [
            chance.choice([word("ab*?.!-# ", 4), word("ab*", 3), "**", "***"]) for _ in range(chance.randint(1, 4))
        ]
        return "/".join(parts) if chance.random() < 0.8 else f"x[{word('abc-!]', 4)}]"

    def path(said: str) -> str:
        if said.startswith("x["):
            return "x" + chance.choice("abc-!]z^\\[:A1 .") + chance.choice(["", "b"])
        return "/".join(word("aab-", 3) for _ in range(chance.randint(1, 4)))

    # `a**` is `a*`, but Git lets it begin with any folder when what is before the star fits (dir.c, match_pathname).
    said = [each for _ in range(count) if not re.search(r"[^*/]\*\*|\*\*[^*/]|/ *$", each := pattern())]
    return [(each, path(each)) for each in said]


def ignored(folder: Path, pairs: list[tuple[str, str]]) -> set[int]:
    """The pairs whose path git would ignore: each in a folder of its own, with the pattern at its top."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for number, (pattern, _) in enumerate(pairs):
        (folder / str(number)).mkdir()
        (folder / str(number) / ".gitignore").write_text(f"/{pattern}\n")
    asked = "".join(f"{number}/{path}\0" for number, (_, path) in enumerate(pairs))
    command = ["git", "-C", str(folder), "check-ignore", "--no-index", "-z", "--stdin"]
    said = subprocess.run(command, input=asked.encode(), capture_output=True).stdout.decode()
    return {int(path.partition("/")[0]) for path in said.split("\0") if path}


@pytest.mark.parametrize("seed", range(3))
def test_git_agrees(tmp_path: Path, seed: int) -> None:
    asked = made_up(seed, 1000)
    theirs = ignored(tmp_path, asked)
    ours = {number for number, (pattern, path) in enumerate(asked) if glob(pattern).fullmatch(path)}
    assert [asked[number] for number in sorted(ours ^ theirs)] == []
    assert len(ours) > 50


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 60 + "b",
        "**/" * 30 + "b",
        "*?" * 60 + "b",
        "{a,b}" * 60,
        "[a-" * 80,
        "[a-" * 20_000,
        " " * 20_000 + "b",
        "/".join(["**", "*a*a*a"] * 9) + "b",
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """A regular expression that goes back takes years for the first of these."""
    assert not glob(pattern).fullmatch("/".join(["a" * 200] * 4) + "c" + string.ascii_uppercase)
