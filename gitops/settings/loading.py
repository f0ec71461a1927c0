"""Where the settings come from: flag > `TOWEROS_*` > toweros.toml > default.

In: a file that was named or is in one of `PLACES`, the environment, flags. Out: `Settings`, or which value is wrong.
Rule: settings name keys, servers and databases, so nobody's commit sets them: in a clone, only a named file counts.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gitops.errors import SettingsError
from gitops.files.named import UnfitError, named
from gitops.settings.values import Settings

MAX_SETTINGS = 1 << 20
"""Bytes of toweros.toml."""
PREFIX = "TOWEROS_"
HINT = "see docs/settings.md"
TOKENS = "the files of the keys folder name keys in tokens (docs/keys.md, Keys in tokens); ssh_key cannot"
HERE = Path("toweros.toml")
PLACES = (HERE, Path("/etc/toweros/toweros.toml"))
PATHS = tuple(name for name, value in Settings.model_fields.items() if value.annotation in (Path, Path | None))


def load(config: Path | None = None, **flags: Any) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: the file is not there, not TOML, or says something that no setting means.
    """
    path = _find(config)
    values = _read(path) if path else {}
    values |= _from_environment()
    values |= {name: value for name, value in flags.items() if value is not None}
    for name in PATHS:
        if _in_token(values.get(name)):
            raise _no_token("the environment or a flag", name)
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        where = path or "the environment or a flag"
        said = ": ".join(filter(None, (str(where), name, first["msg"].removeprefix("Value error, "))))
        raise SettingsError(said, hint=HINT) from error


def _find(config: Path | None) -> Path | None:
    named = config or (Path(os.environ[PREFIX + "CONFIG"]) if PREFIX + "CONFIG" in os.environ else None)
    if named:
        if not named.is_file():
            raise SettingsError(
                f"{named}: there is no such file", hint="pass another --config; docs/quickstart.md has one to copy"
            )
        return named
    found = next((place for place in PLACES if place.is_file()), None)
    if found == HERE and (tree := _clone_around(Path.cwd())):
        raise SettingsError(
            f"{HERE}: {tree} is a clone, so anybody's commit may have brought it", hint=f"is it yours? --config {HERE}"
        )
    return found


def _clone_around(folder: Path) -> Path | None:
    """The working tree of Git's that this folder is in (gitrepository-layout(5): `.git` is a folder or a file)."""
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each / ".git")), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(named(path, MAX_SETTINGS).decode())
    except UnfitError as error:
        raise SettingsError(f"{path} {error.strerror}", hint="name another --config") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    base = path.resolve().parent
    for name in PATHS:
        if _in_token(values.get(name)):
            raise _no_token(f"{path}:{_line(path, name)}", name)
        if isinstance(values.get(name), str):
            values[name] = base / values[name]
    inputs = values.get("inputs")
    if isinstance(inputs, str | list):
        words = inputs.split() if isinstance(inputs, str) else map(str, inputs)
        values["inputs"] = [word if "://" in word else str(base / word) for word in words]
    feeds = values.get("feeds")
    for feed in feeds if isinstance(feeds, list) else ():
        if isinstance(feed, dict) and isinstance(feed.get("place"), str) and "://" not in feed["place"]:
            feed["place"] = str(base / feed["place"])
    return values


def _in_token(value: object) -> bool:
    return str(value).startswith("pkcs11:")


def _no_token(where: str, name: str) -> SettingsError:
    """What it is may hold a PIN, and is shown nowhere."""
    return SettingsError(f"{where}: {name}: a file is expected here, not a key in a token", hint=TOKENS)


def _line(path: Path, name: str) -> int:
    """Where a value is set."""
    lines = path.read_text().splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.split("=")[0].strip(" \"'") == name), 1)


def _from_environment() -> dict[str, Any]:
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    return {names[key]: value for key, value in os.environ.items() if key in names}
