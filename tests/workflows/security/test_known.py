"""A run of updates learns what an update mends, and whether anybody knows."""

from pathlib import Path

from gitops.model import LockedFile, VexStatement, VexStatus
from gitops.security.schedule.knowledge import mended, unsure
from gitops.settings import Feed
from gitops.store import Store
from gitops.workflows.security.advisories import Advisories
from gitops.workflows.security.known import Known
from tests.kit.feeds import resolved, tracker, write

NOW = 1_795_000_000


def lock(version: str) -> tuple[LockedFile, ...]:
    pool = "pool/updates/main/l/linux-signed-amd64"
    return (
        LockedFile("deb", "base-files", "13.8", "ab" * 32, 1, "pool/main/b/base-files/base-files.deb"),
        LockedFile("deb", "linux-image-amd64", version, "cd" * 32, 1, f"{pool}/linux-image.deb", "linux-signed-amd64"),
    )


def test_a_kernel_s_update_mends_what_advisories_say_of_linux(tmp_path: Path) -> None:
    write(tmp_path / "tracker.json", tracker({"linux": {"CVE-2026-1": resolved("6.12.118-1", "high")}}))
    advisories = Advisories(Store.open(tmp_path / "s"), [Feed(name="debian", place=str(tmp_path / "tracker.json"))])
    known = Known(advisories, lambda: NOW)
    before = known.stamp
    assert not known.known and mended({"pkg/k": lock("6.12.117-1")}, {"pkg/k": lock("6.12.118-1")}, known) == {}
    advisories.refresh(NOW)
    found = mended({"pkg/k": lock("6.12.117-1")}, {"pkg/k": lock("6.12.118-1")}, known)
    assert {source: [each.advisory.id for each in rows] for source, rows in found.items()} == {
        "linux-signed-amd64": ["CVE-2026-1"]
    }
    said = VexStatement("CVE-2026-1", VexStatus.not_affected, "ada", "2026-12-31", ("linux",))
    assert mended({"pkg/k": lock("6.12.117-1")}, {"pkg/k": lock("6.12.118-1")}, known, [said], "2026-12-31") == {}
    assert mended({"pkg/k": lock("6.12.117-1")}, {"pkg/k": lock("6.12.118-1")}, known, [said], "2027-01-01") == found
    assert known.known and known.stamp != before
    late = Known(advisories, lambda: 2 * NOW)
    late.findings([])
    assert not late.known
    bookworm = Known(advisories, lambda: NOW)
    mended({"pkg/k": (LockedFile("deb", "base-files", "12.1", "ab" * 32, 1, "x"),)}, {}, bookworm)
    assert not bookworm.known, "no feed speaks of this distribution"
    assert not Known(Advisories(Store.open(tmp_path / "t"), ())).known, "no feed"


def test_a_source_of_which_no_feed_can_tell_is_not_known(tmp_path: Path) -> None:
    rows = {"linux": {"CVE-2026-1": resolved("6.12.118-1", "high")}}
    write(tmp_path / "tracker.json", tracker(rows))
    advisories = Advisories(Store.open(tmp_path / "s"), [Feed(name="debian", place=str(tmp_path / "tracker.json"))])
    advisories.refresh(NOW)
    known = Known(advisories, lambda: NOW)
    before, after = ({"pkg/k": lock(version)} for version in ("6.12.117-1", "6.12.118-1"))
    assert unsure(before, after, known) == frozenset()
    odd = {"pkg/k": lock("no version!")}
    assert unsure(odd, after, known) == {"linux-signed-amd64"} and mended(odd, after, known) == {}
    theirs = LockedFile("deb", "docker-ce", "5:29", "ef" * 32, 1, "https://debs.example.org/docker-ce.deb", "docker")
    assert unsure({"pkg/k": (*lock("6.12.117-1"), theirs)}, after, known) == {"docker"}
    assert unsure(before, after, Known(advisories, lambda: 2 * NOW)) == {"base-files", "linux-signed-amd64"}
