"""Whose content a NOC keeps, by the fleet repo's word: a commit moves a box to another site."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.noc.site import Config
from gitops.noc.site import Site as NocSite
from gitops.server.app import create_app, serve
from tests.kit.site import Site


@pytest.fixture
def origin(site: Site) -> Iterator[str]:
    site.commit({"boxes/a.yaml": "role: vm\nsite: roof\n", "boxes/b.yaml": "role: vm\nsite: cellar\n"})
    site.run()
    with serve(create_app(site.store, site.settings), "127.0.0.1:0") as url:
        yield url


def noc(site: Site, url: str, folder: Path, place: str, **more: object) -> NocSite:
    folder.mkdir(exist_ok=True)
    root = (site.settings.keys / "root.json").read_bytes()
    return NocSite(Config("x", url, root, folder, "127.0.0.1:0", site=place, **more))  # type: ignore[arg-type]


def test_a_commit_moves_a_box_to_another_site_and_starts_no_box_anew(site: Site, origin: str, tmp_path: Path) -> None:
    roof, cellar = (noc(site, origin, tmp_path / place, place) for place in ("roof", "cellar"))
    assert [*roof.once().boxes] == ["a"] and [*cellar.once().boxes] == ["b"]
    before = site.offers()
    site.commit({"boxes/a.yaml": "role: vm\nsite: cellar\n", "boxes/c.yaml": "role: vm\nsite: roof\n"})
    site.run()
    assert site.offers() == before, "where a box stands is no part of what it runs"
    assert [*roof.once().boxes] == ["c"] and [*cellar.once().boxes] == ["a", "b"]
    assert roof.boxes.knows("c") and not roof.boxes.knows("a")
    site.commit({"boxes/c.yaml": "role: vm\n"})
    site.run()
    assert roof.once().words(0) == "no box that the origin offers something says `site: roof`"


def test_a_site_knows_its_boxes_after_a_restart_without_the_origin(site: Site, origin: str, tmp_path: Path) -> None:
    assert [*noc(site, origin, tmp_path / "noc", "roof").once().boxes] == ["a"]
    again = noc(site, "http://127.0.0.1:9", tmp_path / "noc", "roof")
    assert again.once().since and again.boxes.names() == {"a"}
    assert not again.boxes.heard("z") and not again.boxes.knows("z"), "whoever asks is not served where a site is named"


def test_listed_boxes_are_kept_beside_those_of_the_site(site: Site, origin: str, tmp_path: Path) -> None:
    assert [*noc(site, origin, tmp_path / "noc", "roof", boxes=("c",)).once().boxes] == ["a", "c"]
