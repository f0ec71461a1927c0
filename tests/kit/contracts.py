"""The schemas and vectors of contracts/, for the tests of both sides.

@pytest.mark.parametrize("vector", vectors("release", "good", "before"))
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
KINDS = ("good", "before", "ahead", "damaged")


def names() -> list[str]:
    """Every document that has a contract."""
    return sorted(path.name for path in CONTRACTS.iterdir() if path.is_dir())


def vectors(name: str, *kinds: str) -> list[Any]:
    """Parameters of a test: the files of these kinds."""
    paths = [path for kind in kinds for path in sorted((CONTRACTS / name / kind).iterdir())]
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in paths]


def load(path: Path) -> Any:
    """A vector as a value. Raises `ValueError` when it is none."""
    return tomllib.loads(path.read_text()) if path.suffix == ".toml" else json.loads(path.read_bytes())


def good(name: str, vector: str, **members: Any) -> dict[str, Any]:
    """A good vector with other values; a member that it does not have is a mistake."""
    document: dict[str, Any] = load(CONTRACTS / name / "good" / f"{vector}.json")
    assert members.keys() <= document.keys(), f"{name} has no {members.keys() - document.keys()}"
    return document | members


def problems(name: str, document: Any) -> list[str]:
    """What the schema has against a document."""
    schema = json.loads((CONTRACTS / name / "schema.json").read_bytes())
    found = Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in found]
