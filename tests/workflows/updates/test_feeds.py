"""What feeds say decides which updates go, and stands in their commits; a feed that is away keeps nothing back."""

from pathlib import Path

import pytest

from gitops.settings import Feed
from tests.kit.feeds import resolved, tracker, write
from tests.kit.updates import Patched

NEW = "locks: openssl 3.5.7-1 -> 3.5.9-1"


@pytest.fixture
def fed(patched: Patched, tmp_path: Path) -> Patched:
    """Debian's tracker knows of a fault of openssl that 3.5.9-1 mends. (`base-files` says which Debian it is.)"""
    rows = {"openssl": {"CVE-2026-1": resolved("3.5.9-1", "high")}}
    feed = write(tmp_path / "tracker.json", tracker(rows))
    feeds = (Feed(name="debian", place=str(feed)),)
    patched.site.settings = patched.site.settings.model_copy(update={"feeds": feeds})
    patched.debian.add("base-files", "13.8")
    patched.debian.publish()
    patched.site.commit({"pkg/init/packages.in": "deb libz\ndeb base-files\n", "pkg/init/packages.lock": None})
    patched.relock()
    return patched


def test_a_commit_says_what_it_fixes(fed: Patched) -> None:
    fed.says("{how: commit}")
    fed.update()
    fed.later()
    fed.look()
    assert fed.show("main") == f"{NEW} (1 advisory, high)"
    assert "  CVE-2026-1 (high): CVE-2026-1 in openssl" in fed.show("main", "%b") and "not known" not in fed.show(
        "main", "%b"
    )


def test_an_update_that_fixes_nothing_of_what_is_asked_for_stays(fed: Patched) -> None:
    fed.says("{how: commit, severities: [high]}")
    before = fed.refs["main"]
    fed.update("libz", "1.1-1", "zlib")
    fed.later()
    fed.look()
    assert fed.refs["main"] == before and fed.run().outcome == "0 of 1 updates offered, 1 left"
    fed.update()
    fed.later()
    fed.look()
    assert fed.show("main") == f"{NEW} (1 advisory, high)" and fed.locked("main")["libz"] == "1.0-1"


def test_a_feed_that_is_broken_keeps_no_update_back(fed: Patched, tmp_path: Path) -> None:
    (tmp_path / "tracker.json").write_text("{")
    fed.says("{how: commit, severities: [critical]}")
    fed.update()
    fed.later()
    fed.look()
    assert fed.show("main") == NEW and "not known" in fed.show("main", "%b")


def test_what_a_feed_learns_is_news(fed: Patched, tmp_path: Path) -> None:
    fed.says("{how: commit, severities: [critical]}")
    before = fed.refs["main"]
    fed.update()
    fed.later()
    fed.look()
    assert fed.refs["main"] == before
    write(tmp_path / "tracker.json", tracker({"openssl": {"CVE-2026-1": resolved("3.5.9-1", "critical")}}))
    fed.later()
    fed.look()
    assert fed.show("main") == f"{NEW} (1 advisory, critical)"
