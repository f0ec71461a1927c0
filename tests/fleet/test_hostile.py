"""A fleet repo written by an enemy: each trick ends in a clear error, in bounded memory, and never in a traceback.

Every case runs as the real command, in a process of its own. How long it takes is measured in bench/hostile.py.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.fleets import SOUND, repo

MEMORY = 200 << 20
"""Bytes of RAM that the process may take, Python and its libraries included."""
PATIENCE = 30.0
"""Seconds: against a hang."""
MAIN = """
import atexit, pathlib, sys
from gitops.cli.main import main
folder, sys.argv = sys.argv[1], ["toweros", "validate", sys.argv[1]]
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: pathlib.Path(folder + ".status").write_text(status.read_text()))
main()
"""
Trick = Callable[[Path], object]
TEXT = "  - {{path: /etc/t{n}, source: text}}\n"
TEMPLATE = "  - {{path: /etc/t{n}, source: text, template: true}}\n"


def many(count: int, line: str, path: str = "boxes/one.yaml", head: str = "role: vm\nfiles:\n") -> Trick:
    """A file of as many lines, each with its number."""
    return file(path, head + "".join(line.format(n=n) for n in range(count)))


def all_of(*tricks: Trick) -> Trick:
    return lambda folder: [trick(folder) for trick in tricks]


def boxes(count: int, text: str = "role: vm\n") -> Trick:
    return all_of(*(file(f"boxes/b{number}.yaml", text) for number in range(count)))


def wrong_names(folder: Path) -> None:
    """300,000 mistakes, each near to one of 9,000 names."""
    for number in range(9000):
        (folder / f"boot/spec-number-{number:05}.yml").write_text("")
    for number in range(9400):
        names = ", ".join(f"boot/spec-nunber-{other:05}.yml" for other in range(32))
        (folder / f"roles/r{number}.yaml").write_text(f"boot: [{names}]\n")


def validate(folder: Path) -> tuple[int, str, int]:
    """Exit code of `toweros validate`, everything it said, and the most RAM that it took, by its own VmHWM (proc(5)):
    wait4's ru_maxrss would begin with ours."""
    command = [sys.executable, "-c", MAIN, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    status = Path(f"{folder}.status").read_text()
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return done.returncode, done.stdout.decode(errors="replace"), int(peak) * 1024


def file(path: str, data: bytes | str) -> Trick:
    def write(folder: Path) -> None:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data.encode() if isinstance(data, str) else data)

    return write


def link(target: str) -> Trick:
    return lambda folder: (folder / "link").symlink_to(target)


def bomb() -> str:
    """Nine lists of nine aliases each: 387 million values in 300 bytes."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines) + "\n"


def many_files(folder: Path) -> None:
    for number in range(100_000):
        place = folder / f"d{number // 1000}"
        if number % 1000 == 0:
            place.mkdir()
        os.close(os.open(place / str(number), os.O_CREAT | os.O_WRONLY))


def many_folders(folder: Path) -> None:
    deep = folder
    for _ in range(40):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").touch()


FLEET, BOX = "fleet.yaml", "boxes/one.yaml"
TRICKS: dict[str, tuple[Trick, str]] = {
    "alias bomb": (file(FLEET, bomb()), "fleet.yaml:1:4: anchor &a"),
    "depth of lists": (file(FLEET, "poll: " + "[" * 100_000), "fleet.yaml:1:"),
    "depth of mappings": (file(FLEET, "".join(" " * n + "a:\n" for n in range(1000))), "the file holds too much"),
    "a huge scalar": (file(FLEET, 'suspended: "' + "x" * (1 << 20) + '"\n'), "bytes are too many"),
    "a long scalar": (file(FLEET, 'suspended: "' + "x" * 900_000 + '"\n'), "`suspended`: "),
    "a huge number": (file(FLEET, "poll: " + "9" * 500_000 + "\n"), "fleet.yaml:1:7: the number is too large"),
    "a huge exponent": (file(FLEET, "poll: 1e999999999\n"), "fleet.yaml:1:7: `poll`"),
    "too many values": (file(FLEET, "remove: [" + "a, " * 100_000 + "]\n"), "the file holds too much"),
    "too many keys": (file(FLEET, "".join(f"k{n}: 1\n" for n in range(40_000))), "unknown key `k0`"),
    "one key again and again": (file(FLEET, "poll: 1\n" * 10_000), "duplicate key `poll`"),
    "a merge key": (file(FLEET, "<<: {poll: 1}\n"), "merge key"),
    "a tag": (file(FLEET, "poll: !!python/object/apply:os.system [id]\n"), "tag "),
    "UTF-16": (file(FLEET, "poll: 1\n".encode("utf-16")), "fleet.yaml:1:1: not UTF-8"),
    "Latin-1": (file(FLEET, b"# \xe9\npoll: 1\n"), "fleet.yaml:1:3: not UTF-8"),
    "a byte order mark": (file(FLEET, b"\xef\xbb\xbfpol: 1\n"), "fleet.yaml:1:"),
    "a NUL": (file(FLEET, b"poll: 1\n\0\n"), "fleet.yaml:"),
    "an escape sequence": (file(FLEET, 'suspended: "\\e[2Jgone"\n'), "control character U+001B"),
    "text that runs backwards": (file(FLEET, 'suspended: "ada: \u202eexe"\n'), "control character U+202E"),
    "a tab": (file(FLEET, "source:\n\tbranch: x\n"), "fleet.yaml:2:1: not YAML"),
    "two documents": (file(FLEET, "poll: 1\n---\npoll: 2\n"), "a second document"),
    "a path that climbs": (
        file(BOX, "role: vm\nfiles: [{path: ../../etc/shadow, contents: x}]\n"),
        "boxes/one.yaml:2:16: `files.0.path`: a path without",
    ),
    "a source that climbs": (
        file(BOX, "role: vm\nfiles: [{path: x, source: ../../../etc/shadow}]\n"),
        "boxes/one.yaml:2:27: `files.0.source`: a path without",
    ),
    "a boot file that climbs": (file("roles/vm.yaml", "boot: [../../boot.yml]\n"), "roles/vm.yaml:1:8: `boot.0`"),
    "a package that climbs": (
        file("boot/b.yml", 'services: [{name: x, image: "@pkg:../../../root"}]\n'),
        "boot/b.yml:1:",
    ),
    "a link that leaves": (link("../../etc/passwd"), "link: the link leaves the repository"),
    "an absolute link": (link("/etc/passwd"), "link: the link leaves the repository"),
    "an escape in a name": (file("boxes/\x1b[2J.yaml", "role: vm\n"), "the name holds a control character"),
    "a name that is no name": (file("boxes/A B.yaml", "role: vm\n"), "not the name of a file that belongs here"),
    "a name that is not UTF-8": (lambda folder: Path(os.fsdecode(bytes(folder) + b"/\xff")).touch(), "is not UTF-8"),
    "a large file": (file("large", bytes((8 << 20) + 1)), "bytes are too many"),
    "a sparse file": (lambda folder: os.truncate(os.open(folder / "s", os.O_CREAT | os.O_WRONLY), 1 << 40), "too many"),
    "100,000 files": (many_files, "more than 20000 files"),
    "folders in folders": (many_folders, "too deep"),
    "8 MiB, 500 times": (
        all_of(file("text", "x" * (8 << 20)), many(500, TEXT)),
        "boxes/one.yaml:10:1: what the levels",
    ),
    "letters of four bytes": (
        all_of(file("text", "x" * (7 << 20) + "\U0001f600"), many(9, TEXT)),
        "boxes/one.yaml:5:1: what the levels expand to is more than 64 MiB",
    ),
    "a template of a million values": (
        all_of(
            file("text", "${v}" * 1_000_000), file("fleet.yaml", f"values: {{v: {'y' * 900}}}\n"), many(1, TEMPLATE)
        ),
        "boxes/one.yaml:1:1: what the levels expand to",
    ),
    "a template for each of 2,000 boxes": (
        all_of(
            file("text", "x" * 100_000), boxes(2000), many(1, TEMPLATE, "roles/vm.yaml", SOUND["roles/vm.yaml"] or "")
        ),
        "what the levels expand to",
    ),
    "large keys for every box": (file("keys/authorized_keys", "x" * (300 << 10)), "every box gets it: at most 256 KiB"),
    "wrong names by the hundred thousand": (wrong_names, "more than 10000 mistakes"),
    "a pipe": (lambda folder: os.mkfifo(folder / "boxes" / "pipe.yaml"), "no mistakes"),
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_ends_in_an_error_that_says_what_and_where(tmp_path: Path, name: str) -> None:
    trick, says = TRICKS[name]
    folder = tmp_path / "fleet"
    repo(folder)
    trick(folder)
    code, said, memory = validate(folder)
    assert says in said, said[:2000]
    assert code == (0 if says == "no mistakes" else 1)
    assert "Traceback" not in said and "\x1b" not in said and "\u202e" not in said
    assert memory < MEMORY, f"{memory >> 20} MiB"
