"""The machine's own trouble is told from a package that does not build."""

from pathlib import Path

import pytest

from gitops.builders import buildah
from gitops.builders.buildah import BuildahBuilder
from gitops.builders.docker import DockerBuilder
from gitops.errors import BuildError
from gitops.model import Package
from tests.kit.fleets import PACKAGES, load
from tests.kit.site import Site


def failing(builder: BuildahBuilder | DockerBuilder, package: Package) -> BuildError:
    with pytest.raises(BuildError) as caught:
        builder.build(package, PACKAGES, {package.path: package})
    return caught.value


@pytest.fixture
def package() -> Package:
    return load(PACKAGES)["pkg/toolbox"]


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """All that starts buildah."""
    place = folder / "tools"
    place.mkdir(exist_ok=True)
    for name in ("buildah", "unshare"):
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")


def test_a_disk_that_is_full(site: Site, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildah, "MINIMUM_FREE", 1 << 60)
    assert failing(BuildahBuilder(site.store), package).transient


def test_a_build_that_takes_too_long_or_fails(
    site: Site, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildah, "TIMEOUT", 0.5)
    tool(tmp_path, monkeypatch, "sleep 60")
    assert failing(BuildahBuilder(site.store), package).transient
    monkeypatch.setattr(buildah, "TIMEOUT", 60)
    tool(tmp_path, monkeypatch, "exit 1")
    assert not failing(BuildahBuilder(site.store), package).transient


def test_an_engine_that_is_away(site: Site, package: Package, tmp_path: Path) -> None:
    assert failing(DockerBuilder(site.store, f"unix://{tmp_path}/nobody.sock"), package).transient
