"""`docker compose config` over the apps of a fleet: what it refuses, no box can start.

In: the program, a tree, apps. Out: its complaints as `Problem`s, at the line that they speak of. Rules: compose reads
each app in a folder of its own, as the box will have it, with nothing of this machine's environment; images are names
that say nothing; it has `SECONDS` for an app.

    check(program, tree, fleet)         # raises FleetError
"""

import copy
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from gitops.errors import FleetError, Problem, ProcessError
from gitops.fleet.apps.compose import files_named
from gitops.fleet.apps.variables import environment_of
from gitops.fleet.apps.written import text
from gitops.fleet.documents.fragments import Fragments
from gitops.fleet.documents.yaml import Document, read
from gitops.fleet.images.tracked import COMPOSE
from gitops.fleet.linuxkit.spec import bytes_of
from gitops.model import APPS, App, Fleet, Json, Tree
from gitops.process import run

log = structlog.get_logger(__name__)

SECONDS = 30.0
QUESTIONS = 20
"""Mistakes of one app that compose is asked for."""
SOME_IMAGE = f"localhost/image@sha256:{'0' * 64}"
HINT = "compose itself says so: it would not start the app"
SECTIONS = {
    "network": "networks",
    "volume": "volumes",
    "config": "configs",
    "secret": "secrets",
    "service": "depends_on",
}
_UNKNOWN = re.compile(r"(\S+) Additional property (.+) is not allowed")
_UNDEFINED = re.compile(r'service "([\w.-]+)" (?:refers to|depends on) undefined (\w+) "?([\w.-]+)')
_PATH = re.compile(r"(?:services|volumes|networks|configs|secrets)(?:\.[\w-]+|\[[\w.-]+\])+")
_QUOTED = re.compile(r'unsupported \S+ \S+ "([^"]+)"')
_PORT = re.compile(r"(?:[Ii]nvalid (?:\w+Port|proto|ip address|range)|no port specified)[^:]*: *([^:\s<]+)")
"""Of a port, compose says the part that it does not take."""
_LINE = re.compile(r"(?:failed to read \S+: )?line (\d+): (.+)")
"""Of a file of variables."""
LINE_HINT = "write `NAME=VALUE`, NAME of letters, digits and `_`; compose itself says so: it would not start the app"
_SERVICE = re.compile(r'service "?([\w.-]+)"?')


def check(program: Path, tree: Tree, fleet: Fleet) -> None:
    """Every app of every box.

    Raises:
        FleetError: compose refuses one.
    """
    apps = {app.path: (app, environment_of(box.spec)) for box in fleet.boxes.values() for app in box.apps}
    if problems := complaints_of(program, tree, apps):
        raise FleetError(problems)


def complaints_of(program: Path, tree: Tree, apps: Mapping[str, tuple[App, Mapping[str, str]]]) -> list[Problem]:
    """What compose says of apps, each with its variables."""
    return [problem for app, given in apps.values() for problem in complaints(program, tree, app, given)]


def complaints(program: Path, tree: Tree, app: App, environment: Mapping[str, str]) -> list[Problem]:
    """What compose says of one app. Of several mistakes it names the first: without that, it is asked again."""
    path, said = f"{app.path}/{COMPOSE}", dict[str, Problem]()
    document = read(tree.read(path), path, [], Fragments) or Document(path)
    value: Json = copy.deepcopy(dict(app.compose))
    with tempfile.TemporaryDirectory(prefix="compose-") as name:
        folder = Path(name, app.name)
        _write(folder, app)
        for _ in range(QUESTIONS):
            words = _answer(program, folder, replace(app, compose=value), environment)
            if not words or words in said:
                break
            if wrong := _in_env_file(words, app, folder):
                said[f"{wrong.file}:{words}"] = wrong
                continue
            place, key = _place(document, words)
            said[words] = document.problem(place, words, HINT, key=key)
            if not mended(value, words, place):
                break
    return list(dict.fromkeys(said.values()))


def _answer(program: Path, folder: Path, app: App, environment: Mapping[str, str]) -> str:
    """What compose refuses first; empty when it takes the app, or cannot say."""
    services = {name: {**keys, "image": SOME_IMAGE} for name, keys in app.compose["services"].items()}
    (folder / COMPOSE).write_text(text(app.compose, services))
    try:
        run(
            [program.absolute(), "-p", app.name, "-f", COMPOSE, "--profile", "*", "config", "--quiet"],
            cwd=folder, env={**environment, "HOME": "/root", "PATH": "/usr/sbin:/usr/bin"}, timeout=SECONDS,
        )  # fmt: skip
    except OSError as error:  # of another kind of machine, or where nothing may be started
        log.warning("compose.cannot_start", error=str(error))
    except ProcessError as error:
        if error.code is not None:
            return _said(error, folder)
        # It took too long, or was ended: that says nothing of the app.
        log.warning("compose.gave_no_answer", app=app.path, error=error.message)
    return ""


def _write(folder: Path, app: App) -> None:
    """The app as the box has it, but for its images."""
    folder.mkdir(parents=True)
    for file in app.files:
        path = folder / Path(file["path"]).relative_to(f"{APPS}/{app.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if "symlink" in file:
            path.symlink_to(file["symlink"])
        else:
            path.write_bytes(bytes_of(file))


def _said(error: ProcessError, folder: Path) -> str:
    """Its first words that are no warning; paths as the app has them."""
    lines = (line.replace(f"{folder}/", "").strip() for line in error.log.splitlines())
    words = (line.removeprefix(f"validating {COMPOSE}: ") for line in lines if line and "level=warning" not in line)
    return next((line for line in words if not line.endswith("error(s):")), error.message)


def _in_env_file(said: str, app: App, folder: Path) -> Problem | None:
    """A line of a file of variables that compose cannot read: it says which line, and not of which file. That line is
    left out from then on. None: it complains of something else."""
    match = _LINE.match(said)
    files = {name: _lines(folder / name) for name in _env_files(app) if (folder / name).is_file()} if match else {}
    if not match or not files:
        return None
    number, words = int(match[1]), match[2]
    places = [(name, at) for name, lines in files.items() for at, line in enumerate(lines, 1) if _is_wrong(line, words)]
    places.sort(key=lambda place: place[1] != number)
    name, at = places[0] if places else (next(iter(files)), number)
    lines = files[name]
    (folder / name).write_text("\n".join((*lines[: at - 1], "", *lines[at:])))
    # The rest of what compose says repeats the line, with what is behind the `=`.
    return Problem(f"{app.path}/{name}", at, 1, words.partition(" in variable name")[0], LINE_HINT)


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").split("\n")


def _env_files(app: App) -> list[str]:
    """Those of the app's folder, as far as they are named there, and the one that is always read."""
    kinds = (keys.get(kind) for keys in app.compose["services"].values() for kind in ("env_file", "label_file"))
    named = (posixpath.normpath(name) for each in kinds for name, _ in files_named(each))
    return list(dict.fromkeys((".env", *(name for name in named if not name.startswith(("/", ".."))))))


def _is_wrong(line: str, words: str) -> bool:
    """Whether it may be what compose means."""
    name = re.split("[=:]", line.strip().removeprefix("export "), maxsplit=1)[0].rstrip()
    strange = re.match(r'unexpected character "(.+?)" in', words)
    return bool(name) and not name.startswith("#") and (strange[1] if strange else " ") in name


def _place(document: Document, said: str) -> tuple[tuple[str | int, ...], bool]:
    """The part of the file that a complaint is about, and whether its key is meant."""
    if match := _UNKNOWN.search(said):
        parts = () if match[1] == "(root)" else _parts(match[1])
        below = (where for where in document.keys if where[: len(parts)] == parts and where[-1] == match[2])
        return next(below, parts), True
    if match := _UNDEFINED.search(said):
        return ("services", match[1], SECTIONS.get(match[2], match[2])), True
    if match := _PATH.search(said):
        return _parts(match[0]), False
    if match := _SERVICE.search(said):
        return ("services", match[1]), True
    if match := _PORT.search(said):
        return next(_ports(document, match[1]), ()), False
    match = _QUOTED.search(said) or re.search(r"env file (\S+) not found", said)
    word = match[1] if match else said.rpartition(": ")[2]
    return next((where for where in document.marks if _value(document, where) == word), ()), False


def _ports(document: Document, part: str) -> Iterator[tuple[str | int, ...]]:
    """Where a port stands in which there is such a part."""
    for where in document.marks:
        value = _value(document, where) if "ports" in where else None
        if isinstance(value, str | int) and part in str(value):
            yield where


def mended(value: Json, said: str, place: tuple[str | int, ...]) -> bool:
    """Take what compose complained of out of the app's value, or declare what it did not find. False: it is no part
    that can be taken out by itself."""
    if match := _UNDEFINED.search(said):
        kind = {"depends_on": "services"}.get(SECTIONS.get(match[2], ""), SECTIONS.get(match[2], ""))
        if not kind or not isinstance(value.setdefault(kind, {}), dict) or match[3] in value[kind]:
            return False
        value[kind][match[3]] = {} if kind in ("networks", "services", "volumes") else {"external": True}
        return True
    if match := _UNKNOWN.search(said):
        place = (*(() if match[1] == "(root)" else _parts(match[1])), match[2])
    if len(place) < 1 or ((place[0] in SECTIONS.values() or place[0] == "services") and len(place) < 3):
        return False
    inside: Any = value
    for part in place[:-1]:
        inside = inside[part] if _has(inside, part) else None
    if not _has(inside, place[-1]):
        return False
    del inside[place[-1]]
    return True


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _parts(path: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", path) if part)


def _value(document: Document, where: tuple[str | int, ...]) -> object:
    value = document.value
    for part in where:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):  # within a fragment
            return None
    return value
