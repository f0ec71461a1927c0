"""The demo builds years after its locks were made: what left the mirrors is locked again in its own fleet repo."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.lab.setup import Setup
from tests.kit.console import git, toweros
from tests.kit.debian import Debian


class Here(Setup):
    """Its verbs run in this process, which knows the test's mirror."""

    def toweros(self, *words: str | Path, configured: bool = True) -> bytes:
        done = toweros(str(words[0]), *words[1:], *(["--config", self.config] if configured else []))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output.encode()


def stock(debian: Debian) -> None:
    for name in ("kept", "gone"):
        debian.add(name, "1.0")


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Debian]:
    with Debian(tmp_path / "mirror", stock) as made:
        monkeypatch.setattr("gitops.builders.apt.mirrors", made.mirrors)
        monkeypatch.setattr("gitops.builders.places.mirrors", made.mirrors)
        yield made


@pytest.fixture
def setup(tmp_path: Path, debian: Debian) -> Setup:
    made = Here(tmp_path / "demo")
    for name in ("kept", "gone"):
        folder = made.fleet / "pkg" / name
        folder.mkdir(parents=True)
        (folder / "build.yml").write_text(f"image: {name}\n")
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY debs /debs\n")
        (folder / "packages.in").write_text(f"deb {name}\n")
    made.config.write_text('state = "state"\n')
    git(made.folder, "init", "--quiet", "--initial-branch", "main", str(made.fleet))
    for key, value in {"user.name": "demo", "user.email": "demo@demo"}.items():
        git(made.fleet, "config", key, value)
    made.toweros("lock", "--dir", made.fleet)
    made.commit("first")
    return made


def test_what_left_the_mirror_is_locked_again_and_the_rest_stays(setup: Setup, debian: Debian) -> None:
    debian.withdraw("gone", "1.0")
    debian.add("gone", "1.1")
    debian.add("kept", "1.1")
    debian.publish()
    assert setup.lock_again() == ("pkg/gone",)
    assert " 1.1 " in (setup.fleet / "pkg/gone/packages.lock").read_text()
    assert " 1.0 " in (setup.fleet / "pkg/kept/packages.lock").read_text()
    assert "pkg/gone" in git(setup.fleet, "log", "-1", "--format=%B") and not git(setup.fleet, "status", "--porcelain")
    assert setup.lock_again() == ()


def test_a_mirror_that_is_away_locks_nothing(setup: Setup, debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    head = setup.head()
    with pytest.raises(Exception, match="does not answer"):
        monkeypatch.setattr(debian, "url", "http://127.0.0.1:9/")
        setup.lock_again()
    assert setup.head() == head
