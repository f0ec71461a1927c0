"""The contracts agree with themselves: every schema takes the good vectors, and no damaged one or one from ahead."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gitops.model import canonical
from tests.kit.contracts import CONTRACTS, KINDS, load, names, problems, vectors


@pytest.mark.parametrize("name", names())
def test_a_contract_is_a_schema_and_several_vectors_of_each_kind(name: str) -> None:
    schema = json.loads((CONTRACTS / name / "schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert {path.name for path in (CONTRACTS / name).iterdir()} == {*KINDS, "schema.json"}
    assert all(vectors(name, kind) for kind in KINDS)


def every(*kinds: str) -> list[Any]:
    return [
        pytest.param(name, *each.values, id=f"{name}/{each.id}") for name in names() for each in vectors(name, *kinds)
    ]


@pytest.mark.parametrize(("name", "vector"), every("good"))
def test_a_schema_takes_what_is_good(name: str, vector: Path) -> None:
    assert problems(name, load(vector)) == []


@pytest.mark.parametrize(("name", "vector"), every("ahead", "damaged"))
def test_a_schema_takes_nothing_else(name: str, vector: Path) -> None:
    try:
        document = load(vector)
        canonical(document)  # TOML has numbers that are none
    except ValueError:
        return
    assert problems(name, document)


@pytest.mark.parametrize("name", names())
def test_a_renamed_member_is_no_good_document(name: str) -> None:
    """Whatever the product writes is held against the schema: no member may be missing, and none be added."""
    for parameters in vectors(name, "good"):
        (vector,) = parameters.values
        document = load(vector)
        for member in document:
            renamed = {f"{key}_" if key == member else key: value for key, value in document.items()}
            assert problems(name, renamed), f"{member} may be renamed"


def test_the_schemas_are_in_the_wheel(tmp_path: Path) -> None:
    """`gitops/contracts` is a link: there is one copy in the repo, and one in what is installed."""
    checkout = CONTRACTS.parent
    for folder in ("gitops", "contracts"):
        copytree(checkout / folder, tmp_path / folder, symlinks=True)
    for file in ("pyproject.toml", "README.md"):
        (tmp_path / file).write_bytes((checkout / file).read_bytes())
    program = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    assert not (installed / "contracts").exists()
    program = "import sys; sys.argv[1:] = ['schema']; from gitops.cli.main import main; main()"
    command = [sys.executable, "-P", "-c", program]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=installed, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout).keys() >= set(names())
