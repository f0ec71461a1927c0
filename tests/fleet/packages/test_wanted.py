"""What packages.in may say of components, other people's repositories and files by digest, and what it may not."""

from dataclasses import replace

import pytest

from gitops.errors import Problem
from gitops.fleet.packages import load_packages
from gitops.fleet.packages.lockfile import dump_lock, fetched, parse_lock
from gitops.fleet.packages.wanted import Fetch, Source, Wanted, parse_wanted
from gitops.model import LockedFile
from tests.kit.fleets import PACKAGES
from tests.simulators.tree import DictTree

HEX = "9f" * 32
SOURCE = "source vendor https://packages.example/apt stable main extra\n"
ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
FETCH = f"fetch https://files.example/modem-1.2.bin sha256:{HEX}\n"


def read(text: str) -> tuple[Wanted, list[Problem]]:
    problems: list[Problem] = []
    return parse_wanted(text.encode(), "pkg/a/packages.in", problems), problems


def test_components_sources_and_files_are_read() -> None:
    text = f"components non-free-firmware\n{SOURCE}deb hello tool@vendor\n{FETCH}"
    wanted, problems = read(text)
    assert problems == []
    assert wanted.components == ("main", "non-free-firmware")
    assert wanted.sources == (Source("vendor", "https://packages.example/apt", "stable", ("main", "extra")),)
    assert (wanted.debs, wanted.extra) == (("hello",), (("tool", "vendor"),))
    assert wanted.fetches == (Fetch("modem-1.2.bin", "https://files.example/modem-1.2.bin", HEX),)
    assert [wanted.line(name) for name in ("vendor", "tool", "modem-1.2.bin")] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("deb a-b\ncomponents non-free-firmwar\n", 2, "non-free-firmware"),
        ("source vendor https://packages.example/apt stable\ndeb tool@vendor\n", 1, "write `source NAME URL"),
        ("source vendor file:///etc stable main\ndeb tool@vendor\n", 1, "by http or https"),
        ("source vendor https://ada:secret@packages.example stable main\ndeb tool@vendor\n", 1, "without a password"),
        ("source vendor https://p.example/[trusted=yes] stable main\ndeb tool@vendor\n", 1, "write `source NAME URL"),
        (f"{SOURCE}{SOURCE}deb tool@vendor\n", 2, "another name"),
        (f"deb hello\n{SOURCE}", 2, "deb NAME@vendor"),
        (f"{SOURCE}deb tool@vendor\ndeb tool@vendr\n", 3, "two places"),
        (f"{SOURCE}deb tool@vendor\ndeb other@vendr\n", 3, "did you mean `vendor`?"),
        (f"{SOURCE}deb tool\ndeb tool@vendor\n", 3, "two places"),
        ("fetch https://files.example/a.bin\n", 1, "write `fetch URL sha256:HEX"),
        ("fetch https://files.example/a.bin sha256:abc\n", 1, "write `fetch URL sha256:HEX"),
        (f"fetch file:///etc/shadow sha256:{HEX}\n", 1, "by http or https"),
        (f"fetch https://files.example/ sha256:{HEX}\n", 1, "as NAME"),
        (f"{FETCH}fetch https://other.example/modem-1.2.bin sha256:{HEX}\n", 2, "as NAME"),
        (f"fetch https://files.example/a sha256:{HEX} as ../a\n", 1, "as NAME"),
    ],
)
def test_a_mistake_names_its_line_and_the_fix(text: str, line: int, words: str) -> None:
    _, problems = read(text)
    assert [each.line for each in problems if words in f"{each.message} {each.hint}"] == [line], problems
    assert "secret" not in str(problems)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "there is no keys/apt/vendor.asc"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "keys/apt/vendor.asc is no armoured public key"),
    ],
)
def test_a_source_without_its_key_in_the_fleet_repo_is_a_mistake(key: str | None, words: str) -> None:
    asked = f"{SOURCE}deb tool@vendor\n"
    files = {"pkg/hello/packages.in": asked, "pkg/hello/packages.lock": dump_lock(asked.encode(), []).decode()}
    problems: list[Problem] = []
    tree = PACKAGES.with_files({**files, "keys/apt/vendor.asc": key})
    load_packages(tree, 1, "linux/amd64", problems)
    assert [(str(each.file), each.line) for each in problems] == [("pkg/hello/packages.in", 1)]
    assert words in problems[0].message and "gpg --armor --export" in problems[0].hint


def test_a_new_key_of_a_source_changes_no_package() -> None:
    """What goes into it stands in the lock, by digest: whose signature was asked for yesterday is no part of it."""
    asked = f"{SOURCE}deb tool@vendor\n"
    files: dict[str, str | None] = {
        "pkg/hello/packages.in": asked,
        "pkg/hello/packages.lock": dump_lock(asked.encode(), []).decode(),
    }

    def key(tree: DictTree) -> str:
        return load_packages(tree, 1, "linux/amd64", [])["pkg/hello"].key

    one, two = (PACKAGES.with_files({**files, "keys/apt/vendor.asc": text}) for text in ("one", "two"))
    assert key(one) == key(two)


def test_a_folder_of_the_package_does_not_hide_what_was_fetched() -> None:
    files = {"pkg/hello/packages.in": FETCH, "pkg/hello/packages.lock": dump_lock(FETCH.encode(), []).decode()}
    problems: list[Problem] = []
    load_packages(PACKAGES.with_files({**files, "pkg/hello/fetched/x": "x"}), 1, "linux/amd64", problems)
    assert "rename" in problems[0].hint


VENDORS = LockedFile("deb", "tool", "1.0", HEX, 7, "https://packages.example/apt/pool/tool_1.0_amd64.deb")
FILE = fetched(Fetch("modem.bin", "https://files.example/get?id=7", HEX), 12)


WHEEL = LockedFile("wheel", "tuf", "7.0.1", HEX, 7, "tuf-7.0.1-py3-none-any.whl")
OTHERS = "source others https://others.example/apt stable main\ndeb their@others\n"
ASKED = f"{SOURCE}{OTHERS}deb tool@vendor\nwheel tuf==7.0.1\nfetch {FILE.path} sha256:{HEX} as modem.bin\n".encode()


def test_their_lines_in_a_lock_are_read_back() -> None:
    problems: list[Problem] = []
    lines = {VENDORS, FILE, WHEEL}
    assert set(parse_lock(dump_lock(ASKED, lines), "pkg/a/packages.lock", ASKED, problems)) == lines
    assert problems == [] and FILE.filename == "modem.bin"


@pytest.mark.parametrize(
    "file",
    [
        replace(FILE, path="https://evil.example/get?id=7"),
        replace(FILE, name="evil.bin"),
        fetched(Fetch("modem.bin", FILE.path, "66" * 32), 12),
        replace(FILE, version="0" * 12),
        replace(VENDORS, path="https://evil.example/tool_1.0_amd64.deb"),
        replace(VENDORS, path="https://packages.example/other/tool_1.0_amd64.deb"),
        replace(VENDORS, path="https://packages.example/apt-evil/tool_1.0_amd64.deb"),
        replace(VENDORS, path="https://others.example/apt/tool_1.0_amd64.deb"),
        replace(VENDORS, name="libc6"),
        replace(WHEEL, name="evil", path="evil-7.0.1-py3-none-any.whl"),
        replace(WHEEL, version="6.0.0", path="tuf-6.0.0-py3-none-any.whl"),
    ],
    ids=lambda file: f"{file.kind} {file.name} {file.version} {file.path}",
)
def test_who_may_sign_locks_alone_adds_nothing_that_nobody_asked_for(file: LockedFile) -> None:
    """The controller's own key is one: an address of its choice would be code of its choice on every box."""
    files = {"pkg/hello/packages.in": ASKED.decode(), "pkg/hello/packages.lock": dump_lock(ASKED, [file]).decode()}
    keys = {f"keys/apt/{name}.asc": ARMOUR for name in ("vendor", "others")}
    problems: list[Problem] = []
    load_packages(PACKAGES.with_files({**files, **keys}), 1, "linux/amd64", problems)
    (problem,) = problems
    assert (problem.file, problem.line, problem.hint) == ("pkg/hello/packages.lock", 2, "run `toweros lock pkg/hello`")
    assert file.name in problem.message


@pytest.mark.parametrize(
    "line",
    [
        f"deb tool 1.0 {HEX} 7 file:///etc/shadow",
        f"deb tool 1.0 {HEX} 7 https://packages.example/../tool.deb",
        f"deb tool 1.0 {HEX} 7 https://packages.example/pool/",
        f"deb tool 1.0 {HEX} 7 https://ada:secret@packages.example/tool.deb",
        f"wheel tool 1.0 {HEX} 7 https://packages.example/tool.whl",
        f"fetch modem.bin 9f9f {HEX} 7 pool/modem.bin",
        f"fetch .. 9f9f {HEX} 7 https://files.example/modem.bin",
        f"fetch a/b 9f9f {HEX} 7 https://files.example/modem.bin",
    ],
)
def test_a_line_of_a_lock_that_leads_elsewhere_is_refused(line: str) -> None:
    problems: list[Problem] = []
    assert parse_lock(f"{dump_lock(b'', []).decode()}{line}\n".encode(), "pkg/a/packages.lock", b"", problems) == ()
