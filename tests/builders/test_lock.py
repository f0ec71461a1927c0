"""packages.in becomes packages.lock, by the machine's own apt against a mirror in a folder."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gitops.builders.lock import Locker
from gitops.errors import FleetError
from gitops.fleet.packages import load_packages
from gitops.model import Package
from tests.simulators.tree import DictTree

STANZA = "Package: {name}\nVersion: 1.0\nArchitecture: all\nDepends: {depends}\nFilename: ./{name}.deb\n"
SUMS = f"Size: 10\nSHA256: {'ab' * 32}\nMaintainer: -\nDescription: -\n\n"


@pytest.fixture
def locker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Locker:
    """A mirror with `hello`, which needs `lib`; and `broken`, which needs what nobody has."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    rows = {"hello": "lib", "lib": "", "broken": "nobody"}
    text = "".join(STANZA.format(name=name, depends=needs) + SUMS for name, needs in rows.items())
    (mirror / "Packages").write_text(text.replace("Depends: \n", ""))
    source = SimpleNamespace(source=lambda components: f"deb [trusted=yes] file:{mirror} ./")
    monkeypatch.setattr("gitops.builders.apt.mirrors", lambda: (source,))
    return Locker(tmp_path / "apt", lambda file: pytest.fail(f"asked for {file}"))


def lock(locker: Locker, wanted: str) -> list[str]:
    tree = DictTree(
        {
            "pkg/a/build.yml": "image: a\n",
            "pkg/a/Dockerfile": "FROM scratch\nCOPY debs /debs\n",
            "pkg/a/packages.in": wanted,
        }
    )
    packages: dict[str, Package] = load_packages(tree, 1, "linux/amd64", [])
    return [line.split()[1] for line in locker.lock(tree, packages, "pkg/a").decode().splitlines()[1:]]


def test_a_lock_names_what_is_wanted_and_what_that_needs(locker: Locker) -> None:
    assert lock(locker, "deb hello\n") == ["hello", "lib"]


def test_what_is_assumed_is_not_locked(locker: Locker) -> None:
    assert lock(locker, "deb hello\nassume lib\n") == ["hello"]


@pytest.mark.parametrize(
    ("wanted", "line", "message"),
    [("deb lib\ndeb hallo\n", 2, "no package `hallo`"), ("deb lib\ndeb broken\n", 1, "broken packages")],
    ids=["unknown", "cannot be had"],
)
def test_a_name_that_cannot_be_had_is_a_mistake_in_its_line(
    locker: Locker, wanted: str, line: int, message: str
) -> None:
    with pytest.raises(FleetError, match=message) as caught:
        lock(locker, wanted)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("pkg/a/packages.in", line)
