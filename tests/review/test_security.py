"""A plan says which advisories it fixes and which it brings in, and what nobody knows."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops.fleet.packages import load_packages
from gitops.model import Ecosystem, LockedFile, Revision, Scope
from gitops.review.markdown import markdown
from gitops.review.nouns import Summary
from gitops.review.security import compared
from gitops.review.text import render
from gitops.settings import Feed
from gitops.store import Store
from gitops.workflows.preview import Question, preview
from gitops.workflows.security.advisories import Advisories
from tests.kit.feeds import resolved, tracker, write
from tests.kit.fleets import TREE, lock

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)
BASE = f"deb base-files 13.8 {'cd' * 32} 1 pool/main/b/base-files/base-files_13.8_amd64.deb\n"


@pytest.fixture
def advisories(tmp_path: Path) -> Advisories:
    rows = {
        "CVE-2026-1": resolved("1:10.0p1-8", "high"),
        "CVE-2026-2": {**resolved("1:10.0p1-9", "low")},
        "CVE-2026-3": resolved("1:10.0p1-7"),
    }
    write(tmp_path / "tracker.json", tracker({"openssh": rows}))
    made = Advisories(Store.open(tmp_path / "s"), [Feed(name="debian", place=str(tmp_path / "tracker.json"))])
    made.refresh(2_000_000_000)
    return made


def review(advisories: Advisories | None, old: str, new: str) -> Summary:
    before = TREE.with_files({"pkg/sshd/packages.lock": lock(old) + BASE})
    after = TREE.with_files({"pkg/sshd/packages.lock": lock(new) + BASE})
    return preview(Question((OLD, before), (NEW, after)), None, None, advisories)


def test_an_update_fixes_what_its_new_version_no_longer_has(advisories: Advisories) -> None:
    found = review(advisories, "1:10.0p1-7", "1:10.0p1-8")
    [fixed] = found.security.fixes
    assert (fixed.advisory, fixed.severity, fixed.source, fixed.old, fixed.new, fixed.packages) == (
        "CVE-2026-1",
        "high",
        "openssh",
        "1:10.0p1-7",
        "1:10.0p1-8",
        ("pkg/sshd",),
    )
    assert found.security.brings == () and found.security.unknown == ()
    assert "fixes CVE-2026-1 (high): openssh 1:10.0p1-7 -> 1:10.0p1-8 (pkg/sshd)" in render(found)
    comment = markdown(found)
    assert "advisories: 1 fixed, 0 brought in" in comment
    assert "- fixes [CVE-2026-1](https://www.cve.org/CVERecord?id=CVE-2026-1)" in comment
    assert found.as_json()["security"]["fixes"][0]["advisory"] == "CVE-2026-1"


def test_a_downgrade_brings_in_what_was_fixed(advisories: Advisories) -> None:
    found = review(advisories, "1:10.0p1-9", "1:10.0p1-6")
    assert [each.advisory for each in found.security.brings] == ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3"]
    assert "BRINGS IN CVE-2026-1" in render(found) and "**brings in** [CVE-2026-1]" in markdown(found)


def test_a_change_of_no_lock_says_nothing(advisories: Advisories) -> None:
    assert not review(advisories, "1:10.0p1-7", "1:10.0p1-7").security
    assert not review(None, "1:10.0p1-7", "1:10.0p1-8").security


def test_another_s_package_of_which_nobody_speaks_fixes_nothing(advisories: Advisories) -> None:
    before = TREE.with_files({"pkg/sshd/packages.lock": lock("1:10.0p1-7") + BASE})
    row = LockedFile(
        "deb", "openssh-server", "1:10.0p1-7", "ab" * 32, 9, "https://vendor.example/pool/openssh-server.deb"
    )
    old = load_packages(before, 1, "linux/amd64", [])
    new = {**old, "pkg/sshd": replace(old["pkg/sshd"], lock=(row, *old["pkg/sshd"].lock[:-1]))}
    knowledge = advisories.knowledge({(Scope(Ecosystem.debian, "debian:13"), "openssh")}, 2_000_000_000)
    assert compared(old, new, knowledge).fixes == ()


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    silent = Advisories(Store.open(tmp_path / "t"), [Feed(name="debian", place=str(tmp_path / "none.json"))])
    found = review(silent, "1:10.0p1-7", "1:10.0p1-8")
    assert found.security.unknown == ("feed debian: it was not read yet",)
    assert "not known: feed debian" in render(found) and "- not known: `feed debian" in markdown(found)
