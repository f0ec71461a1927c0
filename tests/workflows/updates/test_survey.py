"""Locks of one fleet repo that are not equally old: no update makes one of them older than it is."""

from gitops.model.updates.patching import Grouping, Window
from gitops.workflows.updates.survey import NAME, name_of
from tests.kit.updates import LOCK, Patched

EXTRA = {
    "pkg/extra/build.yml": "image: extra\n",
    "pkg/extra/Dockerfile": "FROM scratch\nCOPY file /file\n",
    "pkg/extra/file": "extra\n",
}


def test_a_version_that_is_newer_for_one_lock_and_older_for_another_stays(patched: Patched) -> None:
    patched.site.commit({"pkg/extra/packages.in": "deb libssl3\n", **EXTRA})
    patched.relock()
    old = (patched.site.remote.work / "pkg/extra/packages.lock").read_text()
    patched.update()
    patched.relock()
    patched.site.commit({"pkg/extra/packages.lock": old})
    patched.says("{how: commit}")
    patched.debian.withdraw("libssl3", "3.5.9-1")
    patched.update("libssl3", "3.5.8-1")
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    assert patched.locked("main", LOCK)["libssl3"] == "3.5.9-1" and patched.locked("main", LOCK)["libz"] == "1.1-1"
    assert patched.locked("main", "pkg/extra/packages.lock")["libssl3"] == "3.5.7-1"
    assert patched.run().outcome == "1 of 2 updates offered, 1 left"


def test_groups_that_are_too_long_for_a_name_have_one_each() -> None:
    many, more = [f"source-{number}" for number in range(12)], [f"source-{number}" for number in range(13)]
    names = [name_of(each, Grouping.source, Window.packages) for each in (many, more, many)]
    assert names[0] == names[2] != names[1] and all(len(name) <= NAME for name in names)
    assert names[0].startswith("source-0+source-1+") and "all" not in names
    assert name_of(many, Grouping.all, Window.kernel) == "kernel"
    assert name_of(many[:1], Grouping.all, Window.kernel) == many[0]
