"""contrib/compose/ by Docker compose itself, and the archive that `tools/image` writes by our own reader of images."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from gitops.builders.places import Places
from gitops.oci.layout import OciLayout
from gitops.workflows.composing.program import fetched
from tests.kit import built
from tests.kit.docs import CHECKOUT

COMPOSE = CHECKOUT / "contrib" / "compose"
UNIT = (CHECKOUT / "contrib" / "toweros.service").read_text()


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What compose makes of the file."""
    program = fetched(built.FOLDER / "compose", Places()) or pytest.fail("no mirror has it")
    words = ["--file", COMPOSE / "compose.yaml", "--env-file", COMPOSE / "example.env", "config", "--format", "json"]
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def test_nobody_has_more_than_it_needs(said: dict[str, Any]) -> None:
    assert said.keys() == {"controller", "server", "database", "front"}
    for name, service in said.items():
        assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged") and "docker.sock" not in str(service), name
        assert service["restart"] == "unless-stopped", name
    assert all(said[name]["read_only"] for name in ("controller", "server", "front"))
    assert [name for name, service in said.items() if service.get("ports")] == ["front"]


def test_the_server_is_not_root_has_no_capability_and_no_key(said: dict[str, Any]) -> None:
    server = said["server"]
    assert "user" not in server and "cap_add" not in server
    assert [each["target"] for each in server["volumes"]] == ["/var/lib/toweros", "/etc/toweros/toweros.toml"]
    assert all(each["read_only"] for each in server["volumes"])


def test_the_controller_may_what_its_unit_may(said: dict[str, Any]) -> None:
    capabilities = next(line for line in UNIT.splitlines() if line.startswith("CapabilityBoundingSet="))
    assert {f"CAP_{name}" for name in said["controller"]["cap_add"]} == set(capabilities.partition("=")[2].split())


def test_no_password_stands_in_the_environment(said: dict[str, Any]) -> None:
    for service in said.values():
        for name, value in (service.get("environment") or {}).items():
            assert "PASSWORD" not in name or value.startswith("/run/secrets/")


def test_a_service_waits_until_what_it_needs_is_well(said: dict[str, Any]) -> None:
    waits = {name: dict(service.get("depends_on") or {}) for name, service in said.items()}
    assert {name: sorted(each) for name, each in waits.items()} == {
        "controller": ["database"],
        "server": ["controller"],
        "database": [],
        "front": ["controller", "server"],
    }
    assert all(each["condition"] == "service_healthy" for needs in waits.values() for each in needs.values())
    assert all(said[name]["healthcheck"]["test"] for needs in waits.values() for name in needs)


def test_nginx_starts_again_with_those_whose_addresses_it_knows(said: dict[str, Any]) -> None:
    """It asks for them once; whoever is made anew may have another one."""
    assert all(each["restart"] for each in said["front"]["depends_on"].values())


def test_a_database_is_well_when_it_answers_others(said: dict[str, Any]) -> None:
    """The official image makes it with a server of its own, which answers at its socket alone and ends again."""
    assert "--host=127.0.0.1" in said["database"]["healthcheck"]["test"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("hello\n")
    with tarfile.open(tmp_path / "root.tar", "w") as files:
        files.add(tmp_path / "file", "etc/hello")
    return tmp_path / "root.tar"


def packed(root: Path, out: Path) -> str:
    words = [sys.executable, CHECKOUT / "tools" / "oci.py", root, "1.2.3", out]
    return subprocess.run(
        words, capture_output=True, text=True, check=True, env={"SOURCE_DATE_EPOCH": "1"}
    ).stdout.strip()


def test_an_archive_is_the_same_twice_and_an_image_by_its_digest(root: Path, tmp_path: Path) -> None:
    digest, again = packed(root, tmp_path / "one.tar"), packed(root, tmp_path / "two.tar")
    assert digest == again and (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as files:
        files.extractall(tmp_path / "layout", filter="data")
    layout = OciLayout(tmp_path / "layout")
    manifest = json.loads((tmp_path / "layout" / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_text())
    assert layout.names() == ["1.2.3"] and digest.endswith(layout.digest("1.2.3").removeprefix("sha256:"))
    assert manifest["layers"][0]["mediaType"].endswith("tar+gzip")
    config = json.loads((tmp_path / "layout" / "blobs" / "sha256" / manifest["config"]["digest"][7:]).read_text())
    assert config["config"]["User"] == "toweros" and config["config"]["Entrypoint"] == ["toweros"]
