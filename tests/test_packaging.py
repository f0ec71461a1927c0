"""What pip is told is what the code needs: declared, pinned in two lock files, and true at its lowest."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
NOT_IMPORTED = {"uvloop", "psycopg", "alembic", "virt-firmware"}
"""A driver that SQLAlchemy loads by its name, migrations, and a command that `toweros vm` starts."""
TOOLS = [
    "pytest",
    "pytest-xdist",
    "pytest-timeout",
    "hypothesis",
    "httpx",
    "jsonschema",
    "oidc-provider-mock",
    "moto[s3]>=5",
    "flask-cors",
]
"""What the small part of the tests below needs."""
SMALL = [
    "tests/fleet/test_fleet.py",
    "tests/test_plan.py",
    "tests/sign/test_keys.py",
    "tests/sign/roots/test_rotation.py",
    "tests/sign/tokens/test_session.py",
    "tests/publish/test_publish.py",
    "tests/publish/elsewhere/test_objects.py",
    "tests/store/test_store.py",
    "tests/store/test_migrations.py",
    "tests/store/test_reports.py",
    "tests/server/test_server.py",
    "tests/server/people/acts",
    "tests/server/people/guard/oidc",
    "tests/server/people/pages",
    "tests/server/people/pictures",
]
"""What asks each library for something, and takes a minute of two slow cores."""

ENROLL = """
import sys
from pathlib import Path
from gitops.lab.firmware import Certificates, enroll_keys
folder = Path(sys.argv[1])
enroll_keys(Path(sys.argv[2]), Certificates(*(folder / f"{name}.crt" for name in ("PK", "KEK", "db"))))
"""
"""A machine's firmware gets our keys, by a command that only a library brings."""


def normal(name: str) -> str:
    """A distribution's name, as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, str]:
    """Each dependency's name, with the requirement as it stands in pyproject.toml."""
    return {normal(re.split(r"[\[>=<!~; ]", line)[0]): line for line in PROJECT["dependencies"]}


def pins(file: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9.-]+==\S+", (CHECKOUT / file).read_text(), re.M))


def imported(folder: Path) -> set[str]:
    """The first part of every module that the code below a folder imports, its own and Python's left out."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {folder.name}


def test_every_import_is_a_declared_dependency_and_none_is_declared_for_nothing() -> None:
    owners = packages_distributions()
    needed = {name: {normal(owner) for owner in owners.get(name, ["nobody"])} for name in imported(CHECKOUT / "gitops")}
    assert {name: owner for name, owner in needed.items() if not owner & declared().keys()} == {}
    assert declared().keys() - set().union(*needed.values()) <= NOT_IMPORTED


def test_a_controller_gets_no_tools_and_the_tests_run_on_its_versions() -> None:
    controller, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert controller < development
    names = {pin.partition("==")[0] for pin in controller}
    assert declared().keys() <= names
    assert names.isdisjoint({"pytest", "ruff", "mypy", "hypothesis", "playwright", "import-linter"})


def test_every_pin_has_a_hash() -> None:
    for file in ("requirements.lock", "requirements-dev.lock"):
        for entry in re.split(r"\n(?=\S)", (CHECKOUT / file).read_text().strip()):
            assert re.match(r"[a-z0-9.\[\]-]+==\S+ (; .*)?\\\n    --hash=sha256:[0-9a-f]{64}", entry), entry[:80]


def test_an_installation_looks_into_nothing_that_was_built_beside_the_code(tmp_path: Path) -> None:
    """Roots of systems lie in `state/`, and their links lead round and round."""
    (tmp_path / "gitops").mkdir()
    (tmp_path / "gitops" / "__init__.py").touch()
    (tmp_path / "state").mkdir()
    for number in range(12):
        (tmp_path / "state" / f"round{number}").symlink_to(".")
    words = {"where": ["."]} | PYPROJECT["tool"]["setuptools"]["packages"]["find"]
    code = f"from setuptools.config import expand; import json; print(json.dumps(expand.find_packages(**{words!r})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == ["gitops"], done.stderr


@pytest.mark.e2e
@pytest.mark.soak
def test_the_lowest_versions_that_are_allowed_work(tmp_path: Path) -> None:
    """A real environment with each direct dependency at its minimum: the command starts, the fast tests pass."""
    lowest = [line.replace(">=", "==") for line in (*declared().values(), *PROJECT["optional-dependencies"]["install"])]
    assert all("==" in line for line in lowest), lowest
    venv, fleet = tmp_path / "venv", tmp_path / "fleet"
    python, toweros = venv / "bin" / "python", venv / "bin" / "toweros"

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    run(sys.executable, "-m", "venv", venv)
    pip = (python, "-m", "pip", "install", "--quiet")
    run(*pip, *lowest, *TOOLS)
    run(*pip, "--no-deps", "--no-build-isolation", "--no-index", "-e", CHECKOUT)
    assert run(toweros, "--version").strip() == PROJECT["version"]
    run(toweros, "init", fleet)
    assert "no mistakes" in run(toweros, "validate", fleet)
    (tmp_path / "passphrase").write_text("for tests only")
    run(toweros, "keys", "init", tmp_path / "keys", "--passphrase-file", tmp_path / "passphrase")
    run(python, "-c", ENROLL, tmp_path / "keys", tmp_path / "variables")
    run(python, "-m", "pytest", "-q", "-m", "not e2e", "-n", "2", "-p", "no:cacheprovider", *SMALL)


@pytest.mark.e2e
def test_a_controller_is_installed_from_its_own_lock_file(tmp_path: Path) -> None:
    """What `tools/install --controller` leaves can make a fleet repo, and has no tool of ours in it."""
    checkout = tmp_path / "toweros"
    subprocess.run(["git", "clone", "-q", CHECKOUT, checkout], check=True)
    subprocess.run([checkout / "tools" / "install", "--controller"], check=True)
    bin_ = checkout / ".venv" / "bin"
    subprocess.run([bin_ / "toweros", "init", tmp_path / "fleet"], check=True)
    subprocess.run([bin_ / "toweros", "validate", tmp_path / "fleet"], check=True)
    assert not {"pytest", "ruff", "mypy"} & {path.name for path in bin_.iterdir()}
