"""Names that look like others, or that not every clone or box can have: told, with the fix."""

from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from tests.kit.fleets import package, repo

ACCENT, APART = "gr\u00f6\u00dfe", "gro\u0308\u00dfe"
"""One name, as NFC and as NFD have it."""


def mistakes(folder: Path, change: dict[str, str | None]) -> list[str]:
    with pytest.raises(FleetError) as caught:
        load_fleet(repo(folder, **change))
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "shown", "code"),
    [
        ("pkg/hello/a\u200bb", r"pkg/hello/a\u200bb", "sees, U+200B"),
        ("pkg/hello/\u202egpj.exe", r"pkg/hello/\u202egpj.exe", "sees, U+202E"),
        ("docs/a\u00adb", r"docs/a\xadb", "sees, U+00AD"),
        ("docs/\ufeffb", r"docs/\ufeffb", "sees, U+FEFF"),
        ("docs/a\u2067b", r"docs/a\u2067b", "sees, U+2067"),
        ("docs/a\u3164b", r"docs/a\u3164b", "sees, U+3164"),
        ("docs/a\ufe0fb", r"docs/a\ufe0fb", "sees, U+FE0F"),
        ("docs/a\u2800", r"docs/a\u2800", "sees, U+2800"),
        ("docs/a\u00a0b", r"docs/a\xa0b", "looks like a space, U+00A0"),
    ],
)
def test_a_name_with_what_nobody_sees_is_shown_and_refused(tmp_path: Path, name: str, shown: str, code: str) -> None:
    """Control characters are refused before, where a tree is read (tests/source)."""
    (found,) = mistakes(tmp_path, {name: "x"})
    assert found.startswith(shown) and code in found and found.isprintable()


def test_names_in_all_scripts_are_names(tmp_path: Path) -> None:
    assert load_fleet(repo(tmp_path, **{f"pkg/hello/{ACCENT}": "x", f"docs/{APART} \u65e5\u672c \u8a9e": "x"}))


@pytest.mark.parametrize("folder", ["docs", "pkg/hello"])
def test_two_names_that_look_alike_are_a_mistake(tmp_path: Path, folder: str) -> None:
    """A reviewer sees one; APFS has one."""
    change: dict[str, str | None] = {**package("pkg/hello"), f"{folder}/{ACCENT}/a": "x", f"{folder}/{APART}/a": "y"}
    (found,) = mistakes(tmp_path, change)
    assert found.isascii() and r"gr\xf6\xdfe:1:1: looks like" in found and r"gro\u0308\xdfe`" in found


@pytest.mark.parametrize(("one", "other"), [("docs/README", "docs/readme"), ("pkg/Hello/a", "pkg/hello/b")])
def test_two_names_that_differ_in_case_alone_are_a_mistake(tmp_path: Path, one: str, other: str) -> None:
    """A clone on Windows or macOS has one of them, and would commit that."""
    (found,) = mistakes(tmp_path, {one: "x", other: "y"})
    assert "do not tell case" in found and "`git rm` one" in found


def test_in_packages_names_may_differ_in_case(tmp_path: Path) -> None:
    """The kernel's sources have xt_TCPMSS.h and xt_tcpmss.h."""
    build = {"pkg/hello/build.yml": "image: hello\nextra-sources: ['../../src:src']\n"}
    files = {"pkg/hello/net/xt_TCPMSS.h": "x", "pkg/hello/net/xt_tcpmss.h": "y", "src/A": "x", "src/a": "y"}
    assert load_fleet(repo(tmp_path, **{**package("pkg/hello"), **build, **files}))


@pytest.mark.parametrize("name", ["site-", "a--", "-a", "a" * 64, "web_1", "Web1"])
def test_a_box_has_a_name_that_a_host_may_have(tmp_path: Path, name: str) -> None:
    (found,) = mistakes(tmp_path, {f"boxes/{name}.yaml": "role: vm\n"})
    assert "between them, `-`, 63 at most" in found
    assert load_fleet(repo(tmp_path / "longest", **{f"boxes/{'a' * 63}.yaml": "role: vm\n"}))


LONG = "/".join(["d" * 60] * 20)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("d" * 256, "255 between two slashes"),
        ("\u65e5" * 86, "255 between two slashes"),
        (LONG, "at most 1024 bytes"),
        (r"etc/a\u200bb", "nobody sees, U+200B"),
        ("etc/a\u202eb", "U+202E"),
        (r"etc/a\nb", "nobody sees, U+000A"),
    ],
)
@pytest.mark.parametrize("file", ["boxes/two.yaml", "boot/b.yml"])
def test_a_path_on_a_box_is_one_that_its_root_can_have(tmp_path: Path, file: str, path: str, says: str) -> None:
    """mkfs.erofs refused it, when everything was built."""
    head = "role: vm\n" if file.startswith("boxes") else "init: []\n"
    for key in (f'path: "{path}", contents: x', f'path: etc/x, symlink: "{path}"'):
        if "symlink" in key and path == LONG:
            continue
        text = f"{head}files:\n  - {{{key}}}\n"
        found = [each for each in mistakes(tmp_path, {file: text}) if "etc/motd" not in each]
        assert any(each.startswith(f"{file}:3:") and says in each for each in found), found


def test_a_branch_has_a_name_that_people_can_read(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, {"fleet.yaml": 'source: {branch: "ma\u200bin"}\n'})
    assert found.startswith("fleet.yaml:1:18: `source.branch`")
