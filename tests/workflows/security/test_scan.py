"""`toweros scan`: what is open, what a newer version mends, and what nobody knows, also before anything is built."""

import json
from pathlib import Path

import pytest
from typer.testing import Result

from gitops.errors import StoreError, TowerosError
from gitops.model import Severity, Sighting
from gitops.settings import load
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.feeds import resolved, tracker, unfixed, write
from tests.kit.fleets import IMAGE, TREE, lock

STATEMENT = """\
statements:
- vulnerability: CVE-2026-2
  status: not_affected
  author: ada
  until: "2999-01-01"
  justification: component_not_present
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose sshd is 1:10.0p1-7, with base-files of Debian 13, and a feed."""
    folder = tmp_path / "fleet"
    for path in TREE.entries():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(TREE.read(path))
    text = lock("1:10.0p1-7") + f"deb base-files 13.8 {'cd' * 32} 1 pool/main/b/base-files/base-files_13.8_amd64.deb\n"
    (folder / "pkg/sshd/packages.lock").write_text(text)
    (folder / "security/vex").mkdir(parents=True)
    (folder / "security/vex/ours.yaml").write_text(STATEMENT)
    rows = {
        "CVE-2026-1": resolved("1:10.0p1-8", "high"),
        "CVE-2026-2": unfixed("low"),
        "CVE-2026-3": resolved("1:10.0p1-7"),
    }
    write(tmp_path / "tracker.json", tracker({"openssh": rows}))
    (tmp_path / "toweros.toml").write_text('state = "state"\n[[feeds]]\nname = "debian"\nplace = "tracker.json"\n')
    monkeypatch.chdir(tmp_path)
    return folder


def scan(fleet: Path, *words: str) -> Result:
    return toweros("scan", "-C", fleet, *words)


def test_what_is_open_the_worst_first_and_what_a_newer_version_mends(fleet: Path) -> None:
    done = scan(fleet)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [line[:5] for line in lines] == [
        ["CVE-2026-1", "high", "openssh", "1:10.0p1-7", "1:10.0p1-8"],
        ["CVE-2026-2", "low", "openssh", "1:10.0p1-7", "now"],
    ]
    assert "not affected, ada: component_not_present" in done.stdout
    assert "1 open; `toweros lock` would bring what fixes 1" in done.stderr
    assert "this is what the locks say" in done.stderr and "not known" not in done.stderr


def test_a_package_a_role_and_a_box_and_nobody(fleet: Path) -> None:
    for name in ("pkg/sshd", "vm", "one"):
        assert json.loads(scan(fleet, name, "-o", "json").stdout)["advisories"][0]["advisory"] == "CVE-2026-1"
    assert json.loads(scan(fleet, "pkg/hello", "-o", "json").stdout)["advisories"] == []
    with pytest.raises(TowerosError, match="no box, role or package") as caught:
        raise scan(fleet, "pkg/ssh").exception or AssertionError
    assert "pkg/sshd" in caught.value.hint


def test_only_what_matters_can_be_asked_for(fleet: Path) -> None:
    done = scan(fleet, "--severity", "high", "--fixable")
    assert "CVE-2026-2" not in done.stdout and "1 left out" in done.stderr
    assert json.loads(scan(fleet, "--severity", "critical", "-o", "json").stdout)["left_out"] == 2
    assert "2 are left out" in scan(fleet, "--severity", "critical").stdout


def test_what_nobody_has_judged_is_never_left_out(fleet: Path) -> None:
    rows = {"CVE-2026-1": resolved("1:10.0p1-8"), "CVE-2026-2": unfixed("low"), "CVE-2026-3": unfixed()}
    write(fleet.parent / "tracker.json", tracker({"openssh": rows}))
    assert "CVE-2026-1" in scan(fleet, "--severity", "critical").stdout


def test_when_it_was_first_seen(fleet: Path) -> None:
    store = Store.open(fleet.parent / "state")
    store.sightings.save([Sighting("vm", "CVE-2026-1", "openssh", Severity.high, 1_700_000_000)])
    assert json.loads(scan(fleet, "-o", "json").stdout)["advisories"][0]["seen"] == 1_700_000_000


def test_what_nobody_knows_is_said_and_nothing_looks_clean(fleet: Path) -> None:
    (fleet.parent / "toweros.toml").write_text('state = "state"\n')
    done = scan(fleet)
    assert "not all is known" in done.stdout and "no feed is set" in done.stderr
    said = json.loads(scan(fleet, "-o", "json").stdout)
    assert said["known"] is False and said["gaps"]


def test_without_a_folder_it_is_of_what_is_deployed(fleet: Path) -> None:
    for words in ("no state here", "nothing is deployed"):
        with pytest.raises(StoreError, match=words):
            raise toweros("scan").exception or AssertionError
        Store.of(load()).close()


def test_a_foreign_image_is_not_known_before_it_is_here_though_locks_are(fleet: Path) -> None:
    boot = fleet / "boot/a.yml"
    boot.write_text(boot.read_text().replace("services:\n", f'services:\n  - {{name: theirs, image: "{IMAGE}"}}\n', 1))
    for name in ("one", "vm"):
        done = scan(fleet, name)
        assert "CVE-2026-1" in done.stdout and "this is what the locks say" in done.stderr
        said = f"not known: {IMAGE}: unknown inside: the image is not in the store: it could not be looked into"
        assert "".join(said.split()) in "".join(done.stderr.split())
    assert json.loads(scan(fleet, "one", "-o", "json").stdout)["known"] is False
    assert "not known" not in scan(fleet, "pkg/sshd").stderr, "it is in no package"
