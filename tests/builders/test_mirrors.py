"""Which mirrors are asked: those of this machine's apt, also before it has fetched anything."""

from functools import partial
from pathlib import Path

import pytest

from gitops.builders import mirrors
from gitops.builders.mirrors import Mirror
from gitops.errors import BuildError
from gitops.process import run

SOURCES = """deb http://mirror.invalid/debian bookworm main
deb http://mirror.invalid/debian bookworm-updates main
deb http://mirror.invalid/debian bookworm-backports main
deb http://mirror.invalid/security bookworm-security main
deb http://others.invalid/apt nodistro main
"""


def asked(folder: Path, monkeypatch: pytest.MonkeyPatch, sources: str) -> tuple[Mirror, ...]:
    """A machine whose apt has these sources and no index yet: a container, or one that is new."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "sources").write_text(sources)
    places = {"State::lists": folder / "lists", "Etc::sourcelist": folder / "sources", "Etc::sourceparts": "/dev/null"}
    (folder / "apt.conf").write_text("".join(f'Dir::{name} "{place}";\n' for name, place in places.items()))
    (folder / "os-release").write_text("VERSION_CODENAME=bookworm\n")
    monkeypatch.setattr(mirrors, "run", partial(run, env={"APT_CONFIG": str(folder / "apt.conf")}))
    monkeypatch.setattr(mirrors, "OS_RELEASE", folder / "os-release")
    return mirrors.mirrors.__wrapped__()


def test_mirrors_are_known_before_apt_has_fetched_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(tmp_path, monkeypatch, SOURCES)
    assert [(mirror.uri, mirror.suite) for mirror in found] == [
        ("http://mirror.invalid/debian/", "trixie"),
        ("http://mirror.invalid/debian/", "trixie-updates"),
        ("http://mirror.invalid/security/", "trixie-security"),
    ]


def test_without_a_debian_source_somebody_is_told_where_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BuildError, match="apt has no Debian source") as caught:
        asked(tmp_path, monkeypatch, "deb http://others.invalid/apt nodistro main\n")
    assert "sources.list.d" in caught.value.hint
