"""packages.in becomes packages.lock, by the machine's own apt against a mirror in a folder."""

import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitops.builders.lock import Locker, fetch_wheel
from gitops.errors import BuildError, FleetError
from gitops.fleet.packages import load_packages
from gitops.model import Package
from tests.kit.servers import files
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


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that somebody's Python program writes when it is run; an index that has nothing."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in ("index/setup.py", "here/pip.py", "here/pip/__main__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    return tmp_path / "ran"


def test_a_wheel_whose_name_is_an_address_runs_no_setup_py(tmp_path: Path, evil: Path) -> None:
    with tarfile.open(tmp_path / "index/a-1.0.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "index/setup.py", "a-1.0/setup.py")
    with files(tmp_path / "index") as (url, asked), pytest.raises(BuildError):
        fetch_wheel(f"{url}a-1.0.tar.gz?x==1.0")
    assert asked == [] and not evil.exists()


def test_a_pip_of_the_current_folder_is_not_run(tmp_path: Path, evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(BuildError, match="no wheel"):
        fetch_wheel("nothing-at-all==1.0")
    assert not evil.exists()
