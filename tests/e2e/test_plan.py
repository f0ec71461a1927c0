"""`toweros plan --build`, with the real builder: exact numbers, and nothing of it stays."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.source import new_fleet
from tests.kit import built

pytestmark = pytest.mark.e2e
TOWEROS = Path(sys.executable).with_name("toweros")


def test_a_measured_plan_is_smaller_than_the_estimate_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    for path in ("toolbox", "base", "hello", "kernel", "initrd", "bootloader"):
        built.image(f"pkg/{path}")
    store = built.lend(tmp_path / "state")
    fleet = tmp_path / "fleet"
    new_fleet.make(fleet)
    for path in fleet.glob("boxes/*.yaml"):
        path.unlink()
    boot = 'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/base"]\n'
    (fleet / "boot" / "small.yml").write_text(boot + 'services: [{name: hello, image: "@pkg:../pkg/hello"}]\n')
    (fleet / "roles" / "small.yaml").write_text("boot: [boot/small.yml]\n")
    (fleet / "boxes" / "one.yaml").write_text("role: small\nnetwork: {dhcp: true}\n")
    commit(fleet, "one box")
    (fleet / "pkg" / "hello" / "www" / "index.html").write_text("<h1>hello, again</h1>\n")
    commit(fleet, "say it again")
    before = listing(store.paths.root)
    estimated, measured = plan(fleet, store.paths.root), plan(fleet, store.paths.root, "--build")
    assert (estimated["sizes"], measured["sizes"]) == ("estimated", "measured")
    assert measured["digest"] == estimated["digest"] and measured["layers"]["made"] == 1
    assert 0 < measured["groups"][0]["fetch"][0] <= estimated["groups"][0]["fetch"][0] < 100_000
    assert listing(store.paths.root) == before


def plan(fleet: Path, state: Path, *words: str) -> dict[str, object]:
    command = [
        TOWEROS,
        "plan",
        "-C",
        fleet,
        "--base",
        "HEAD~1",
        "--head",
        "HEAD",
        "--state",
        state,
        "-o",
        "json",
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def commit(fleet: Path, message: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *who, "add", "-A"], cwd=fleet, check=True)
    subprocess.run(["git", *who, "commit", "-q", "-m", message], cwd=fleet, check=True)


def listing(folder: Path) -> set[str]:
    """Every file; the database's side files come and go with who looks."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith("toweros.db-")}
