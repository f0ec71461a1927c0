"""How far a pass is: told while it works, in the store for page and API, and gone when nothing is made."""

import threading
import time
from collections.abc import Mapping

import pytest
from fastapi.testclient import TestClient

from gitops.cli.showing.progress import shown, words
from gitops.model import Image, Package, Tree
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store.notes.working import Work
from gitops.workflows.making.patience import Patience
from tests.kit.site import PlayedBuilder, Site


def test_each_build_is_told_with_its_number_while_it_lasts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And at the end, of a pass that failed as well, nothing is made any more."""
    seen, build = list[Work](), PlayedBuilder.build

    def watched(self: PlayedBuilder, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        said = site.store.notes.get(Work)
        assert said and said.subject == package.path
        seen.append(said)
        return build(self, package, tree, packages)

    monkeypatch.setattr(PlayedBuilder, "build", watched)
    site.run()
    assert len(seen) > 1 and [(each.do, each.number, each.of) for each in seen] == [
        ("build", number, len(seen)) for number in range(1, len(seen) + 1)
    ]
    assert seen[0].size == 0 < seen[-1].size, "bytes of what is built so far"
    assert site.store.notes.get(Work) == Work()


def test_what_a_killed_controller_left_is_taken_away_before_the_next_pass(site: Site) -> None:
    site.store.notes.put(Work("build", "pkg/a", 3, 22, 5, 6))
    stop = threading.Event()
    stop.set()
    Patience().rest(site.store, stop, 1)
    assert site.store.notes.get(Work) == Work()


def test_whoever_asks_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The API, and a line on stderr for each step; a name of somebody's is no escape sequence."""
    now = int(time.time())
    client = TestClient(create_app(site.store, Settings(state=site.store.paths.root)))
    assert client.get("/api/v1/progress").json()["do"] == ""
    work = Work("build", "pkg/\x1b[2J", 3, 22, now, now, 41_200_000, 1)
    site.store.notes.put(work)
    assert client.get("/api/v1/progress").json()["number"] == 3
    with shown(site.store):
        end = time.monotonic() + 30
        while "3 of 22" not in (told := capsys.readouterr().err) and time.monotonic() < end:
            time.sleep(0.05)
    assert told.startswith("build 3 of 22: pkg/?[2J, 41.2 MB, 1 failed, ")
    assert "\x1b" not in words(work, now)
    assert words(Work("assemble", "a\nb", 1, 1, now, now), now) == "assemble 1 of 1: a b, 0 s"
