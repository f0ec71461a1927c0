"""The identity of packages: what changes it, what does not, and what a package folder may not say."""

import itertools
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import Problem
from gitops.fleet.packages import load_packages
from gitops.fleet.packages.folder import within
from gitops.fleet.packages.lockfile import dump_lock, parse_lock
from gitops.fleet.packages.wanted import parse_wanted
from gitops.model import LockedFile, Package
from gitops.source import FolderTree
from tests.kit.fleets import PACKAGES, load, package
from tests.simulators.tree import DictTree

DIGEST = "example.org/x@sha256:" + "0" * 64


def mistakes(tree: DictTree) -> list[str]:
    problems: list[Problem] = []
    load_packages(tree, 1, "linux/amd64", problems)
    return [str(problem) for problem in problems]


def changed(before: dict[str, Package], after: dict[str, Package]) -> set[str]:
    return {path for path in before if before[path].key != after[path].key}


def test_touching_one_package_changes_only_it() -> None:
    assert changed(load(PACKAGES), load(PACKAGES.with_files({"pkg/hello/file": "x"}))) == {"pkg/hello"}


def test_touching_the_base_changes_all_that_stand_on_it_and_no_tag_but_its_own() -> None:
    before, after = load(PACKAGES), load(PACKAGES.with_files({"pkg/base/file": "x"}))
    assert changed(before, after) == {"pkg/base", "pkg/sshd", "pkg/hello"}
    assert {path for path in before if before[path].tag != after[path].tag} == {"pkg/base"}


@given(st.sampled_from(["toolbox", "base", "sshd", "hello", "kernel"]), st.text(st.characters(codec="utf-8")))
def test_a_key_changes_exactly_when_the_package_or_one_below_it_does(name: str, text: str) -> None:
    before = load(PACKAGES)
    below = {"toolbox": set(before), "base": {"pkg/base", "pkg/sshd", "pkg/hello"}}.get(name, {f"pkg/{name}"})
    expected = set() if text == f"pkg/{name}" else below
    assert changed(before, load(PACKAGES.with_files({f"pkg/{name}/file": text}))) == expected


def test_recipe_and_platform_change_every_key_and_no_tag() -> None:
    before = load(PACKAGES)
    for after in (load(PACKAGES, recipe=2), load(PACKAGES, platform="linux/arm64")):
        assert changed(before, after) == set(before)
        assert {p.tag for p in before.values()} == {p.tag for p in after.values()}


def test_files_outside_packages_change_no_key() -> None:
    assert changed(load(PACKAGES), load(PACKAGES.with_files({"README.md": "x", "pkg/README.md": "y"}))) == set()


def test_the_tag_is_git_s_tree_id(tmp_path: Path) -> None:
    for path in PACKAGES.entries():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(PACKAGES.read(path))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    said = subprocess.run([*git, "rev-parse", "HEAD:pkg/sshd"], check=True, capture_output=True, text=True)
    expected = f"linuxkit/sshd:{said.stdout.strip()}"
    assert load(PACKAGES)["pkg/sshd"].tag == expected
    assert load_packages(FolderTree(tmp_path), 1, "linux/amd64", [])["pkg/sshd"].tag == expected


def test_a_circle_is_a_mistake_not_a_hang() -> None:
    tree = DictTree(package("pkg/a", "pkg/b") | package("pkg/b", "pkg/a"))
    assert any("pkg/a -> pkg/b -> pkg/a" in line for line in mistakes(tree))


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("count", [2000, 101])
def test_a_long_chain_is_one_mistake_that_names_the_file(count: int, upwards: bool) -> None:
    """Packages are read by name: the first one is the top of the chain, or its bottom."""
    names = [f"pkg/p{number:04}" for number in range(count)]
    chain = names if upwards else names[::-1]
    files = package(chain[0]) | {
        path: data for below, each in itertools.pairwise(chain) for path, data in package(each, below).items()
    }
    (said,) = mistakes(DictTree(files))
    assert said.startswith(f"{chain[100]}/build.yml:") and "at most 100" in said and len(said) < 300


def test_a_chain_as_long_as_it_may_be_is_planned() -> None:
    names = [f"pkg/p{number:04}" for number in range(100)]
    files = package(names[0]) | {
        path: data for below, each in itertools.pairwise(names) for path, data in package(each, below).items()
    }
    assert len(load(DictTree(files))) == 100


def test_a_circle_of_thousands_is_a_short_mistake() -> None:
    names = [f"pkg/p{number:04}" for number in range(2000)]
    ring = {path: data for at, each in enumerate(names) for path, data in package(each, names[at - 1]).items()}
    assert [line for line in mistakes(DictTree(ring)) if "build on each other" in line and len(line) < 300]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pkg/sshd/Dockerfile": "FROM debian:13\n"}, ["pkg/sshd/Dockerfile:1", "debian:13", "by digest"]),
        ({"pkg/sshd/Dockerfile": "FROM ${NOPE}\n"}, ["pkg/sshd/Dockerfile:1", "NOPE", "ARG NOPE"]),
        ({"pkg/sshd/Dockerfile": None}, ["pkg/sshd/build.yml", "no Dockerfile"]),
        ({"pkg/sshd/build.yml": "image: sshd\nimagee: x\n"}, ["pkg/sshd/build.yml:2", "imagee"]),
        ({"pkg/toolbox/build.yml": "image: toolbox\nnetwork: true\n"}, ["pkg/toolbox/build.yml:2", "without network"]),
        ({"pkg/toolbox/build.yml": "image: toolbox\nlabels: {a: b}\n"}, ["pkg/toolbox/build.yml:2", "LABEL"]),
        ({"pkg/toolbox/build.yml": "image: t\nextra-sources: [../bse:b]\n"}, ["build.yml:2", "no folder `pkg/bse`"]),
        ({"pkg/toolbox/build.yml": "image: t\nextra-sources: [../../../x:b]\n"}, ["build.yml:2", "no folder `../x`"]),
        ({"pkg/toolbox/build.yml": "image: t\nextra-sources: [../base]\n"}, ["build.yml:2", "SOURCE:DESTINATION"]),
        ({"pkg/toolbox/build.yml": "image: t\nextra-sources: [../base:/]\n"}, ["build.yml:2", "is already there"]),
        ({"pkg/toolbox/build.yml": "image: t\nextra-sources: [../base:/file]\n"}, ["build.yml:2", "already there"]),
        ({"pkg/toolbox/build.yml": "image: t\ntag: a b\n"}, ["build.yml:2", "`a b` is no tag of an image"]),
        ({"pkg/toolbox/build.yml": "image: t\ntag: '{{.Foo}}'\n"}, ["build.yml:2", "is no tag of an image"]),
        ({"pkg/toolbox/build.yml": "image: t\ntag: '{{upper .Hash}}'\n"}, ["build.yml:2", "not known here"]),
        ({"pkg/toolbox/build.yml": "image: t\ndockerfile: ../x\n"}, ["build.yml:2", "no path in the package's folder"]),
        ({"pkg/toolbox/build.yml": "image: t\ndockerfile: D\n"}, ["build.yml:2", "write pkg/toolbox/D"]),
        ({"pkg/toolbox/build.yml": "image: t\ndepends: {docker-images: {target: x}}\n"}, ["build.yml:2", "by digest"]),
        ({"pkg/toolbox/build.yml": "image: t\nconfig: {uid: 0100}\n"}, ["build.yml:2:15", "octal or decimal"]),
        ({"pkg/toolbox/build.yml": "image: t\nconfig: {capabilites: [all]}\n"}, ["build.yml:2", "`capabilities`?"]),
        ({"pkg/sshd/build.yml": "image: sshd\nbuildArgs:\n  - B0=@lkt:pkg:../bse\n"}, ["pkg/bse", "pkg/base"]),
        ({"pkg/sshd/packages.in": "deb a-b\n"}, ["pkg/sshd/packages.in:1", "toweros lock pkg/sshd"]),
    ],
)
def test_mistakes_name_their_place_and_the_fix(files: dict[str, str | None], words: list[str]) -> None:
    found = mistakes(PACKAGES.with_files(files))
    assert any(all(word in line for word in words) for line in found), found


def test_numbers_are_texts_where_linuxkit_takes_a_text() -> None:
    build = (
        "image: 12\norg: 007\ntag: 1.10\nnetwork:\nconfig:\n  devices:\n"
        "  - {path: /dev/x, type: c, major: 1, minor: 3, mode: 0666}\n"
        "  command: [sleep, 10]\n  oomScoreAdj: -5\n  sysctl: {net.ipv4.ip_forward: 1}\n"
    )
    package = load(PACKAGES.with_files({"pkg/toolbox/build.yml": build}))["pkg/toolbox"]
    assert package.tag == "007/12:1.10"
    assert json.loads(json.dumps(package.config)) == {
        "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "mode": "0666"}],
        "command": ["sleep", "10"],
        "oomScoreAdj": -5,
        "sysctl": {"net.ipv4.ip_forward": "1"},
    }


def test_a_tag_of_its_own_moves_no_key_and_the_content_moves_it_all_the_same() -> None:
    build = {
        "pkg/sshd/build.yml": "image: a/sshd\ntag: v1-{{slice .Hash 0 7}}\n",
        "pkg/sshd/Dockerfile": "FROM scratch\n",
    }
    fixed = {**build, "pkg/sshd/build.yml": "image: a/sshd\ntag: v1\n"}
    one = load(PACKAGES.with_files(build))["pkg/sshd"]
    assert one.tag == f"linuxkit/a/sshd:v1-{one.hashed.rpartition(':')[2][:7]}"
    before, after = (load(PACKAGES.with_files({**fixed, "pkg/sshd/x": x}))["pkg/sshd"] for x in "ab")
    assert before.tag == after.tag == "linuxkit/a/sshd:v1" and before.key != after.key


@pytest.mark.parametrize("written", ["in/Dockerfile.x", "./in/Dockerfile.x"])
def test_another_dockerfile_is_read_in_place_of_the_usual_one(written: str) -> None:
    files = {
        "pkg/sshd/build.yml": f"image: sshd\ndockerfile: {written}\n",
        "pkg/sshd/in/Dockerfile.x": f"FROM {DIGEST}\n",
        "pkg/sshd/Dockerfile": "nonsense\n",
    }
    package = load(PACKAGES.with_files(files))["pkg/sshd"]
    assert (package.dockerfile, package.bases) == ("in/Dockerfile.x", (DIGEST,))


def test_folders_beside_a_package_are_part_of_its_build_and_of_its_key() -> None:
    build = {"pkg/sshd/build.yml": "image: sshd\nextra-sources: ['../base:/src/./base', '../../boot:b']\n"}
    files = build | {"pkg/sshd/Dockerfile": "FROM scratch\n", "boot/x/y": "y"}
    tree = PACKAGES.with_files(files)
    packages = load(tree)
    assert packages["pkg/sshd"].sources == (("pkg/base", "src/base"), ("boot", "b"))
    assert dict(within(tree, packages["pkg/sshd"])) == {
        **{f"pkg/sshd/{name}": name for name in ("build.yml", "Dockerfile", "file")},
        **{f"pkg/base/{name}": f"src/base/{name}" for name in ("build.yml", "Dockerfile", "file")},
        "boot/x/y": "b/x/y",
    }
    assert changed(packages, load(tree.with_files({"boot/x/y": "z"}))) == {"pkg/sshd"}


def test_an_image_from_outside_by_digest_is_part_of_the_key() -> None:
    first, second = (DIGEST, DIGEST.replace("sha256:0", "sha256:1"))
    keys = {load(DictTree(package("pkg/a", dockerfile=f"FROM {image}\n")))["pkg/a"].key for image in (first, second)}
    assert len(keys) == 2


def test_an_earlier_stage_needs_no_digest() -> None:
    text = f"FROM {DIGEST} AS one\nFROM one AS two\nFROM scratch\nCOPY --from=two / /\n"
    assert mistakes(DictTree(package("pkg/a", dockerfile=text))) == []


# --- packages.in and packages.lock -----------------------------------------------------------------------------------

WORD = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}", fullmatch=True)
VERSION = st.from_regex(r"[0-9][0-9a-z.+:~-]{0,20}", fullmatch=True)
HEX = st.from_regex("[0-9a-f]{64}", fullmatch=True)
DEBS = st.builds(
    LockedFile,
    kind=st.just("deb"),
    name=st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True),
    version=VERSION,
    sha256=HEX,
    size=st.integers(0, 10**10),
    path=st.builds(lambda a, b: f"pool/{a}/{b}.deb", WORD, WORD),
)
RELEASE = st.from_regex(r"[0-9][0-9a-z.+!-]{0,20}", fullmatch=True)
WHEELS = st.builds(LockedFile, st.just("wheel"), WORD, RELEASE, HEX, st.integers(0, 10**10), WORD.map("{}.whl".format))


ASKED = b"source vendor https://packages.example/apt stable main\ndeb libc6 vendor@vendor\nwheel one==1 two==1\n"
RELOCK = "run `toweros lock pkg/a`"


@given(st.lists(DEBS | WHEELS, unique_by=lambda file: file.filename))
def test_a_lock_that_was_written_is_read_back(files: list[LockedFile]) -> None:
    problems: list[Problem] = []
    asked = "".join(f"wheel {file.name}=={file.version}\n" for file in files if file.kind == "wheel").encode()
    assert set(parse_lock(dump_lock(asked, files), "pkg/a/packages.lock", asked, problems)) == set(files)
    assert problems == []


@given(st.binary(max_size=200))
def test_garbage_in_a_lock_is_a_mistake_never_a_crash(garbage: bytes) -> None:
    problems: list[Problem] = []
    parse_lock(garbage, "pkg/a/packages.lock", b"deb x\n", problems)
    assert problems and "toweros lock pkg/a" in str(problems[0])


@pytest.mark.parametrize(
    "line",
    [
        "deb aa 1 " + "0" * 63 + " 1 pool/aa.deb",
        "deb aa 1 " + "0" * 64 + " -1 pool/aa.deb",
        "deb aa 1 " + "0" * 64 + " 1 pool/../../etc/passwd",
        "deb aa 1 " + "0" * 64 + " 1 /etc/passwd",
        "rpm aa 1 " + "0" * 64 + " 1 pool/a.rpm",
        "deb aa 1 " + "0" * 64,
        "deb --help 1 " + "0" * 64 + " 1 pool/aa.deb",
        "deb a_a,b 1 " + "0" * 64 + " 1 pool/aa.deb",
        "deb aa -1 " + "0" * 64 + " 1 pool/aa.deb",
        "deb aa 1;x " + "0" * 64 + " 1 pool/aa.deb",
        "deb aa 1 " + "0" * 64 + " 1 pool/Packages",
        "deb aa 1 " + "0" * 64 + " 1 https://packages.example/apt/%2e%2e/aa.deb",
        "deb aa 1 " + "0" * 64 + " 1 pool/aa.deb ../x 1",
        "deb aa 1 " + "0" * 64 + " 1 pool/aa.deb source --x",
        "wheel https://evil.example/a-1.0.tar.gz?x 1.0 " + "0" * 64 + " 1 a-1.0-py3-none-any.whl",
        "wheel --find-links=x 1.0 " + "0" * 64 + " 1 a-1.0-py3-none-any.whl",
        "wheel a@b 1.0 " + "0" * 64 + " 1 a-1.0-py3-none-any.whl",
        "wheel a 1.0@x " + "0" * 64 + " 1 a-1.0-py3-none-any.whl",
        "wheel a 1.0 " + "0" * 64 + " 1 a-1.0.tar.gz",
        "wheel a 1.0 " + "0" * 64 + " 1 b/a-1.0-py3-none-any.whl",
        "wheel a 1.0 " + "0" * 64 + " 1 .whl",
        "wheel a 1.0 " + "0" * 64 + " 1 a-1.0-py3-none-any.whl a 1.0",
    ],
)
def test_a_line_that_is_not_sound_is_refused(line: str) -> None:
    problems: list[Problem] = []
    header = dump_lock(b"", []).decode()
    assert parse_lock(f"{header}{line}\n".encode(), "pkg/a/packages.lock", b"", problems) == ()
    assert [problem.line for problem in problems] == [2]


def test_two_files_of_one_name_are_refused_in_the_second_s_line() -> None:
    one = LockedFile("deb", "libc6", "1", "a" * 64, 1, "pool/main/g/glibc/libc6_1_amd64.deb")
    other = LockedFile("deb", "vendor", "1", "b" * 64, 1, "https://packages.example/apt/libc6_1_amd64.deb")
    wheel = LockedFile("wheel", "one", "1", "c" * 64, 1, "one-1-py3-none-any.whl")
    problems: list[Problem] = []
    parse_lock(
        dump_lock(ASKED, [one, other, wheel, replace(wheel, name="two")]), "pkg/a/packages.lock", ASKED, problems
    )
    assert [(each.line, each.hint) for each in problems] == [(3, RELOCK), (5, RELOCK)]
    assert "libc6_1_amd64.deb" in problems[0].message


def test_a_lock_of_another_packages_in_is_stale() -> None:
    problems: list[Problem] = []
    parse_lock(dump_lock(b"deb a-a\n", []), "pkg/a/packages.lock", b"deb b-b\n", problems)
    assert "not made from the packages.in" in problems[0].message


def test_packages_in_says_where_a_line_is_wrong() -> None:
    problems: list[Problem] = []
    text = b"# why\ndeb openssh-server\nassume a-a b-b\nwheel tuf\nrpm x\nwheel tuf==7.0.1 # ok\n"
    wanted = parse_wanted(text, "pkg/a/packages.in", problems)
    assert [problem.line for problem in problems] == [4, 5]
    assert (wanted.debs, wanted.assumed, wanted.wheels) == (("openssh-server",), ("a-a", "b-b"), ("tuf==7.0.1",))


def test_a_dockerfile_that_is_a_link_is_a_mistake_for_builders_follow_it() -> None:
    """What it leads to was read by nobody: its images would be pinned by nobody, and be in no key."""
    files = package("pkg/a") | {"pkg/a/real": "FROM web.example/evil:1\n", "pkg/a/Dockerfile": "real"}
    problems: list[Problem] = []
    load_packages(DictTree(files, links=["pkg/a/Dockerfile"]), 1, "linux/amd64", problems)
    assert [(each.file, each.line) for each in problems] == [("pkg/a/Dockerfile", 1)]
    assert problems[0].message.startswith("is a link: ")


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"pkg/a/debs/x": ""}, "pkg/a/debs/x"),
        ({"pkg/a/build.yml": "image: a\nextra-sources: ['../b:/wheels']\n", "pkg/b/x": ""}, "pkg/b/x"),
        (
            {"pkg/a/packages.in": "suite trixie\nrootfs minbase\n", "pkg/a/rootfs.tar": "/etc/passwd"},
            "pkg/a/rootfs.tar",
        ),
    ],
)
def test_where_locked_files_go_is_nothing_of_gits(files: dict[str, str], where: str) -> None:
    """A folder there ended the build with a traceback; a link there, and the root was written to where it leads."""
    problems: list[Problem] = []
    load_packages(DictTree(package("pkg/a") | files), 1, "linux/amd64", problems)
    assert [each.file for each in problems if "where its locked files go" in each.message] == [where]


@pytest.mark.parametrize(
    ("step", "moves"),
    [
        ('SHELL ["/bin/bash", "-c"]\nRUN x\n', True),
        ("RUN --mount=type=cache,target=/c x\n", True),
        ('SHELL ["/bin/bash", "-c"]\nRUN ["x"]\n', False),
        ("RUN <<EOF\nx\nEOF\n", False),
        ("COPY --link file /f\n", False),
        ("RUN --mount=type=bind,target=/c x\n", False),
    ],
)
def test_what_an_older_controller_built_otherwise_has_another_key_and_nothing_else(
    step: str, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its image would be found under the old one."""
    tree = DictTree(package("pkg/a", dockerfile=f"FROM scratch\n{step}") | package("pkg/b", "pkg/a"))
    keys = {path: each.key for path, each in load(tree).items()}
    monkeypatch.setattr("gitops.fleet.packages.identity.STEPS", 3)
    after = {path: each.key for path, each in load(tree).items()}
    assert [keys[path] != after[path] for path in ("pkg/a", "pkg/b")] == [moves, moves]
