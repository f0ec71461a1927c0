"""Tags of packages against LinuxKit's own words: of odd build.yml files, odd folders, and dirty ones.

The words are those that pkglib's algorithm gives (Go, yaml.v3 and git); ids of trees follow from the files alone.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog.testing

from gitops.errors import FleetError, TowerosError
from gitops.fleet.packages.tags.show import Asked, show
from tests.kit.console import git, toweros

SAID = {
    "plain": ("image: plain\n", "linuxkit/plain:6e9f0109e6426f33fe6524ab0dea69c5289557d1"),
    "org": ("org: acme\nimage: x\n", "acme/x:f13f29f91d2649f8a649c1df8dfebfb094689c48"),
    "slash": ("image: a/b\n", "linuxkit/a/b:85ac47f1708caecad5c2d87fe52d734f3c2898a0"),
    "deep-org": ("org: h:5000/a/b\nimage: c\n", "h:5000/a/b/c:30e1639c00271cfdab6ffd6c1a9ba63db8380ef6"),
    "org-null": ("image: t\norg: ~\n", "linuxkit/t:28897429efe06b660a680eebcddbd06bb9a0fb9c"),
    "org-empty": ('image: t\norg: ""\n', "/t:a74219c1140855c995d4737d484ec788e7ae376e"),
    "numbers": ("image: 12\norg: 007\n", "007/12:42e55bab1f05871b612398a0f66b4e071cebde2c"),
    "tag": ("image: t\ntag: v1.0\n", "linuxkit/t:v1.0"),
    "tag-float": ("image: t\ntag: 1.10\n", "linuxkit/t:1.10"),
    "tag-octal": ("image: t\ntag: 0440\n", "linuxkit/t:0440"),
    "tag-hash": ('image: t\ntag: "v1-{{.Hash}}"\n', "linuxkit/t:v1-7fa8edebbc7e42ec428a7b863770d3ed11e997af"),
    "tag-trim": ('image: t\ntag: "a {{- .Hash -}} b"\n', "linuxkit/t:afa483ab818dee0dc761c14cd4f1c7195ae83ed2bb"),
    "tag-slice": ('image: t\ntag: "{{slice .Hash 0 7}}"\n', "linuxkit/t:e5bfce4"),
    "tag-printf": ("image: t\ntag: '{{printf \"%.7s\" .Hash}}-x'\n", "linuxkit/t:6d82af0-x"),
    "tag-pipe": (
        'image: t\ntag: \'{{.Hash | printf "%s-%s" "p"}}\'\n',
        "linuxkit/t:p-490314ca51ad8ac8cd058c3a6381f0f214a24a67",
    ),
    "tag-empty": ('image: t\ntag: ""\n', "linuxkit/t:ef5799eaef948b80c4f1f6eed82af4e10e28cd61"),
    "tag-null": ("image: t\ntag:\n", "linuxkit/t:b74c80f0069ac3f645f34ebec85544e8e077ecfa"),
    "tag-other": ('image: t\ntag: "{{.Foo}}"\n', "linuxkit/t:<no value>"),
    "tag-comment": ('image: t\ntag: "a{{/* x */}}b"\n', "linuxkit/t:ab"),
    "network": ("image: t\nnetwork: yes\n", "linuxkit/t:dfeb63a01eccce44a3956823f1d36453f988afac"),
    "dockerfile": ("image: t\ndockerfile: sub/Dockerfile.x\n", "linuxkit/t:f94f1ae8b7466725ea675d7a8331ab5c98581214"),
    "arches": (
        "image: t\narches: [amd64, arm64]\ngitrepo: https://x.example/y\ndisable-cache: true\n",
        "linuxkit/t:ba7036da992dbcfbf3f5782eecdc45a8f3a31fe6",
    ),
    "octals": (
        "image: t\nconfig:\n  devices:\n  - {path: /dev/x, type: c, major: 1, minor: 3, mode: 0666}\n",
        "linuxkit/t:7ae392a453fc158c300ecf42bfc02b8313f91581",
    ),
    "depends": (
        "image: t\ndepends: {docker-images: {target: x.tar, list: ['a:1@sha256:"
        "0000000000000000000000000000000000000000000000000000000000000000']}}\n",
        "linuxkit/t:56d541fff75e118d3860e6e261182bb245af063a",
    ),
    "anchors": ("image: &a t\norg: *a\n", "t/t:968c593222230c361ea3eb202edee895a46dd5c1"),
    "merge": ("image: t\ntag: v1\n<<: [{org: m, tag: v2}, {org: n}]\n", "m/t:v1"),
    "documents": ("image: t\n---\nimage: u\n", "linuxkit/t:132e47eb5b56c0d534b31c77a0073ded4767f920"),
    "bom": ("\ufeffimage: t\n", "linuxkit/t:b43eb311a9fe01090e4e42f084d7e56b17fc65aa"),
    "crlf": ("image: t\r\norg: o\r\n", "o/t:efadb06d8257e6976d1bf58b0a32c15a61e3295a"),
    "binary": ("image: !!binary dA==\n", "linuxkit/t:8d00cf2ed7687730b3f0a29fe5a4fc2be28a622d"),
    "arguments": (
        "image: t\nbuildArgs: [A=1, 'B=@lkt:pkg:../plain']\n",
        "linuxkit/t:ca2775637006e2b451c65b6b29b77d16c9009529",
    ),
    "nest": ("image: nest\n", "linuxkit/nest:d3da07410f6646ef1735e4567a14cf7f4e7a910e"),
    "sources": (
        "image: t\nextra-sources:\n  - ../shared:/src\n",
        "linuxkit/t:779606a812a80994c59f998bf651f2ba335cba99",
    ),
    "sources-two": (
        "image: t\nextra-sources: ['../shared:/src', '../nest/a:/a']\n",
        "linuxkit/t:a346810425c1ec516744e6e5ccaa1eb277df5e50",
    ),
    "sources-tag": (
        'image: t\ntag: "z{{.Hash}}"\nextra-sources: ["../shared:/x"]\n',
        "linuxkit/t:z8c5e9283f72f59d7aac56efb20b9f8608db1bf4a",
    ),
    "a b": ("image: space\n", "linuxkit/space:a7a5919080e3a22bd7ffa4fabb25d2d09f874c76"),
    "ünï": ("image: letters\n", "linuxkit/letters:d5c1c06f78f401f0dca68905332f0864a071f2e6"),
    "[x]*": ("image: glob\n", "linuxkit/glob:acac707eb8ac33754bb42588217ddb48ac709369"),
}
REFUSED = {
    "empty": ("", "1:1: the file is empty"),
    "null": ("---\n", "1:1: there is no `image`"),
    "list": ("- a\n", "1:1: `the file` holds no keys"),
    "no-image": ("image:\n", "there is no `image`"),
    "unknown": ("image: t\nfoo: 1\n", "2:1: LinuxKit knows no `foo`"),
    "of-2021": ("image: t\ndisable-content-trust: true\n", "2:1: LinuxKit knows no `disable-content-trust`"),
    "config": ("image: t\nconfig:\n  capabilites: [all]\n", "3:3: LinuxKit knows no `capabilites`"),
    "kind": ("image: t\narches: amd64\n", "2:9: `arches` is a list of texts"),
    "quoted": ('image: t\nnetwork: "true"\n', "2:10: `network` is true or false"),
    "twice": ("image: t\nimage: u\n", "2:1: `image` is there twice"),
    "yaml": ("image: [t\n", "not YAML"),
    "template": ('image: t\ntag: "{{.Hash"\n', "2:1: `{{` without `}}`"),
    "function": ("image: t\ntag: '{{upper .Hash}}'\n", "2:1: `{{upper .Hash}}` is not known here"),
    "source": ("image: t\nextra-sources: ['../shared']\n", "2:1: `../shared` is no SOURCE:DESTINATION"),
    "source-file": ("image: t\nextra-sources: ['../shared/f:/x']\n", "is no folder of a Git repository"),
    "both": ("image: t\ndepends: {docker-images: {target: a, target-dir: b}}\n", "exclude each other"),
    "out": ("image: t\ndepends: {docker-images: {target: ../a}}\n", "not inside of the package's folder"),
    "binary-letters": ("image: t\norg: !!binary 'é'\n", "2:6: this is no base64"),
    "merge-itself": ("image: t\n<<: &a [{<<: *a}, {<<: *a}]\n", "more than 1000 parts are merged"),
    "tag-only": ("image: t\ndepends: {docker-images: {list: [a:1], target: x}}\n", "a:1 has no digest"),
}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One commit with a package for each case, and the repository itself as a package."""
    folder = tmp_path_factory.mktemp("tags") / "repo"
    for name, (text, _) in (SAID | REFUSED).items():
        write(folder / "pkg" / name / "build.yml", text)
    for path, text in (
        ("pkg/shared/f", "s"),
        ("pkg/nest/a/build.yml", "image: deep\n"),
        ("build.yml", "image: root\n"),
    ):
        write(folder / path, text)
    (folder / "pkg/link").symlink_to("plain")
    (folder / ".gitignore").write_text("*.o\n")
    commit(folder)
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def commit(folder: Path, *options: str) -> None:
    git(folder, "init", "-q", *options)
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x")


def word(folder: Path, asked: Asked | None = None) -> str:
    (shown,) = show([str(folder)], asked or Asked(), Path())
    if shown.mistake:
        raise shown.mistake
    return shown.word


@pytest.mark.parametrize("name", SAID)
def test_the_word_is_linuxkit_s(repo: Path, name: str) -> None:
    assert word(repo / "pkg" / name) == SAID[name][1]


@pytest.mark.parametrize("name", REFUSED)
def test_what_linuxkit_does_not_read_is_a_mistake_with_its_line(repo: Path, name: str) -> None:
    with pytest.raises(TowerosError) as error:
        word(repo / "pkg" / name)
    assert REFUSED[name][1] in error.value.message
    assert isinstance(error.value, FleetError) and all(problem.hint for problem in error.value.problems)


def test_one_mistake_hides_no_other_word_and_is_told_by_name(repo: Path) -> None:
    done = toweros("pkg", "show-tag", "pkg/plain", "pkg/unknown", "pkg/nope", "pkg/org", "--dir", repo)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [SAID["plain"][1], SAID["org"][1]]
    lines = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    assert lines[0].startswith("pkg/unknown: pkg/unknown/build.yml:2:1:") and lines[-1].startswith("pkg/nope: ")
    assert "Traceback" not in done.output


def test_a_name_that_no_terminal_can_show_keeps_no_other_word_back(repo: Path, tmp_path: Path) -> None:
    write(tmp_path / "odd" / "build.yml", "image: !!binary /xtjCg==\n")
    done = toweros("pkg", "show-tag", tmp_path / "odd", "pkg/org", "--dir", repo)
    assert done.exit_code == 0 and done.stdout.splitlines()[-1] == SAID["org"][1] and "\x1b" not in done.stdout


def test_all_are_asked_for_by_few_questions(repo: Path) -> None:
    """LinuxKit asks Git seven times a package; the machine starts some hundred processes a second."""
    names = [str(repo / "pkg" / name) for name in SAID]
    with structlog.testing.capture_logs() as logs:
        words = [shown.word for shown in show(names, Asked(), Path())]
    assert words == [said for _, said in SAID.values()]
    started = [row for row in logs if row["event"] == "process.start"]
    assert 4 <= len(started) <= 8, "a source beside a package is one question more"


def test_flags_mean_what_they_mean_there(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")
    plain, tree = repo / "pkg/plain", SAID["plain"][1].rpartition(":")[2]
    of_pkg = git(repo, "rev-parse", "HEAD:pkg")
    assert word(plain, Asked(canonical=True)) == f"docker.io/linuxkit/plain:{tree}"
    assert word(repo / "pkg/deep-org", Asked(canonical=True)).startswith("h:5000/a/b/c:")
    assert word(plain, Asked(org="acme")) == f"acme/plain:{tree}"
    assert word(plain, Asked(org="")) == f"/plain:{tree}"
    assert word(plain, Asked(tag="x-{{.Hash}}")) == f"linuxkit/plain:x-{tree}"
    assert word(plain, Asked(hash="h")) == "linuxkit/plain:h"
    assert word(plain, Asked(dev=True)) == "ada/plain:dev"
    assert word(plain, Asked(path=str(repo / "pkg"))) == f"linuxkit/plain:{of_pkg}"
    assert word(repo / "pkg/nest", Asked(build_yml="a/build.yml")).startswith("linuxkit/deep:")
    assert word(plain, Asked(commit=git(repo, "rev-parse", "HEAD"))) == f"linuxkit/plain:{tree}"
    assert word(plain, Asked(dirty=True)).startswith(f"linuxkit/plain:{tree}-dirty-")
    for asked, words in ((Asked(path=str(repo / "top")), "not below"), (Asked(commit="nope"), "no commit nope")):
        with pytest.raises(TowerosError, match=words):
            word(plain, asked)


def test_the_root_a_nested_folder_and_a_link_count_as_git_counts_them(repo: Path, tmp_path: Path) -> None:
    assert word(repo) == f"linuxkit/root:{git(repo, 'rev-parse', 'HEAD^{tree}')}"
    assert word(repo / "pkg/nest/a") == f"linuxkit/deep:{git(repo, 'rev-parse', 'HEAD:pkg/nest/a')}"
    assert word(repo / "pkg/link") == f"linuxkit/plain:{git(repo, 'rev-parse', 'HEAD:pkg/link')}"
    (tmp_path / "alias").symlink_to(repo)
    assert word(tmp_path / "alias/pkg/plain") == SAID["plain"][1]
    (tmp_path / "out").symlink_to(repo / "pkg/plain")
    with pytest.raises(TowerosError, match="outside of the repository"):
        word(tmp_path / "out")


def test_outside_of_git_there_is_no_hash(tmp_path: Path) -> None:
    for name, text in (("a", ""), ("b", "tag: v1\n"), ("c", 'tag: "v{{.Hash}}"\n')):
        write(tmp_path / name / "build.yml", f"image: {name}\n{text}")
    done = toweros("pkg", "show-tag", "a", "b", "c", "--dir", tmp_path)
    assert done.stdout.splitlines() == ["linuxkit/a:latest", "linuxkit/b:v1", "linuxkit/c:v"]
    assert done.exit_code == 0 and "a: no Git repository" in done.stderr


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ({".gitignore": "a.o\n", "a.o/build.yml": "image: a\n"}, (), "is not in Git"),
        ({"a.o/build.yml": "image: a\n"}, ("--object-format=sha256",), "another format than SHA-1"),
    ],
)
def test_what_git_does_not_have_has_no_tag(
    tmp_path: Path, files: dict[str, str], options: tuple[str, ...], words: str
) -> None:
    for path, text in files.items():
        write(tmp_path / path, text)
    commit(tmp_path, *options)
    with pytest.raises(TowerosError, match=words):
        word(tmp_path / "a.o")


def test_a_repository_of_sha_256_has_a_tag_for_its_root_alone(tmp_path: Path) -> None:
    """LinuxKit asks for a commit's own tree in another way than for a folder's, and takes what it gets."""
    write(tmp_path / "build.yml", "image: a\n")
    commit(tmp_path, "--object-format=sha256")
    assert word(tmp_path) == f"linuxkit/a:{git(tmp_path, 'rev-parse', 'HEAD^{tree}')}"


def test_a_name_that_is_a_pattern_for_git_makes_its_neighbours_count_as_in_linuxkit(tmp_path: Path) -> None:
    for name in ("g*", "gg", "h"):
        write(tmp_path / name / "build.yml", f"image: {name[0]}\n")
    commit(tmp_path)
    clean = word(tmp_path / "g*")
    write(tmp_path / "h/f", "new")
    assert word(tmp_path / "g*") == clean
    write(tmp_path / "gg/f", "new")
    assert word(tmp_path / "g*") == f"{clean}-dirty-{as_linuxkit(tmp_path / 'g*')}"
    (tmp_path / "gg/f").unlink()
    write(tmp_path / "gg/build.yml", "image: new\n")
    assert word(tmp_path / "g*").startswith(f"{clean}-dirty-")


def test_a_repository_without_commits_and_a_git_folder_are_named(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for path in ("a", ".git/x"):
        write(tmp_path / path / "build.yml", "image: a\n")
    with pytest.raises(TowerosError, match="no commit HEAD"):
        word(tmp_path / "a")
    with pytest.raises(TowerosError, match=r"inside of a `\.git`"):
        word(tmp_path / ".git/x")


# --- dirt ------------------------------------------------------------------------------------------------------------


def as_linuxkit(folder: Path) -> str:
    """The mark of a dirty folder by git and sha256sum alone."""
    script = """cd "$1"; { git ls-files; git ls-files --exclude-standard --others; } | while IFS= read -r name; do
        if [ -f "$name" ] && [ ! -L "$name" ]; then cat "$name"; fi; done | sha256sum | cut -c1-7"""
    return subprocess.run(["sh", "-c", script, "-", folder], check=True, capture_output=True, text=True).stdout.strip()


def change(folder: Path) -> None:
    write(folder / "f", "new")


def stage(folder: Path) -> None:
    change(folder)
    git(folder, "add", "f")


def link(folder: Path) -> None:
    (folder / "l").unlink()
    (folder / "l").symlink_to("g")


def move(folder: Path) -> None:
    git(folder, "mv", "g", "../other/moved")


def quote(folder: Path) -> None:
    write(folder / "é", "q")
    write(folder / "a b", "r")


def nest(folder: Path) -> None:
    write(folder / "nested/f", "n")
    commit(folder / "nested")


def replace_by_link(folder: Path) -> None:
    (folder / "f").unlink()
    (folder / "f").symlink_to("g")


def promise(folder: Path) -> None:
    write(folder / "new", "n")
    git(folder, "add", "-N", "new")


def hide(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "f")
    write(folder / "f", "new")


DIRT: dict[str, Callable[[Path], object]] = {
    "a changed file": change,
    "a new file": lambda folder: (folder / "new").write_text("n"),
    "a new file in a new folder": lambda folder: write(folder / "in/new", "n"),
    "a file less": lambda folder: (folder / "f").unlink(),
    "a staged change": stage,
    "a mode": lambda folder: (folder / "f").chmod(0o755),
    "another link": link,
    "a file that went elsewhere": move,
    "names in quotes, which do not count": quote,
    "a repository inside": nest,
    "a file that became a link": replace_by_link,
    "a file that is only promised": promise,
    "a file that is out of the index": lambda folder: git(folder, "rm", "-q", "--cached", "f"),
}
CLEAN: dict[str, Callable[[Path], object]] = {
    "a time": lambda folder: os.utime(folder / "f", (1, 1)),
    "an ignored file": lambda folder: write(folder / "x.o", "n"),
    "an empty folder": lambda folder: (folder / "empty").mkdir(),
    "a pipe, which no commit has": lambda folder: os.mkfifo(folder / "pipe"),
    "a change that Git is told not to see": hide,
    "a neighbour": lambda folder: write(folder.parent / "other/f", "new"),
    "a longer name": lambda folder: write(folder.parent / "pkg-2/f", "new"),
}


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    for path, text in (("build.yml", "image: a\n"), ("f", "1"), ("g", "2")):
        write(tmp_path / "pkg" / path, text)
    (tmp_path / "pkg/l").symlink_to("f")
    write(tmp_path / ".gitignore", "*.o\n")
    write(tmp_path / "other/f", "")
    commit(tmp_path)
    return tmp_path / "pkg"


@pytest.mark.parametrize("what", DIRT)
def test_what_git_would_commit_makes_a_folder_dirty(dirty: Path, what: str) -> None:
    before = word(dirty)
    DIRT[what](dirty)
    assert word(dirty) == f"{before}-dirty-{as_linuxkit(dirty)}"


@pytest.mark.parametrize("what", CLEAN)
def test_and_nothing_else_does(dirty: Path, what: str) -> None:
    before = word(dirty)
    CLEAN[what](dirty)
    assert word(dirty) == before
    assert word(dirty, Asked(commit="HEAD~0")) == before


def test_a_dirty_repository_against_another_commit_than_head_is_not_dirty(dirty: Path) -> None:
    before = word(dirty)
    write(dirty / "f", "new")
    assert word(dirty, Asked(commit=git(dirty, "rev-parse", "HEAD"))) == before
    assert word(dirty, Asked(hash="h", dirty=True)) == "linuxkit/a:h"


def test_a_file_that_went_from_one_package_to_another_makes_both_dirty(dirty: Path) -> None:
    other = dirty.parent / "other"
    write(other / "build.yml", "image: b\n")
    write(dirty / "g", "a file that Git knows again\n" * 9)
    commit(dirty.parent)
    move(dirty)
    assert ["-dirty-" in each.word for each in show([str(dirty), str(other)], Asked(), Path())] == [True, True]
