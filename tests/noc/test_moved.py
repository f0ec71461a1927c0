"""Whose content a NOC keeps, by the fleet repo's word: a commit moves a box to another site."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import SettingsError
from gitops.model import Box, Spec
from gitops.noc.site import Config
from gitops.noc.site import Site as NocSite
from gitops.publish.targets import LABELS_LENGTH, labels_of
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


def test_a_noc_keeps_the_boxes_that_git_gives_its_label_and_a_commit_moves_them(
    site: Site, origin: str, tmp_path: Path
) -> None:
    """All conditions must fit. Labels are signed of boxes that name a site's own server, and of no others."""
    here = "role: vm\nnoc: http://192.0.2.7\nlabels: {floor: '3', owner: ada}\n"
    site.commit({"boxes/a.yaml": f"{here}site: roof\n", "boxes/b.yaml": here, "boxes/c.yaml": here.replace("noc", "#")})
    site.run()
    floor = noc(site, origin, tmp_path / "floor", "", labels=("floor=3",))
    both = noc(site, origin, tmp_path / "both", "roof", labels=("floor=3", "owner=ada"))
    none = noc(site, origin, tmp_path / "none", "roof", labels=("floor=4",))
    assert [*floor.once().boxes] == ["a", "b"] and [*both.once().boxes] == ["a"]
    assert none.once().words(0) == "no box that the origin offers something says `site: roof, labels: {floor: 4}`"
    assert not floor.boxes.heard("z"), "whoever asks is not served where a label is named"
    before = site.offers()
    site.commit({"boxes/b.yaml": here.replace("'3'", "'4'"), "boxes/a.yaml": here})
    site.run()
    assert site.offers() == before, "what labels a box has is no part of what it runs"
    assert [*floor.once().boxes] == ["a"] and [*both.once().boxes] == []


@pytest.mark.parametrize("word", ["floor", "=3", "", " =3", "a" * 101 + "=3"])
def test_what_is_no_label_is_said_at_the_start(word: str, site: Site, origin: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KEY=VALUE is expected"):
        noc(site, origin, tmp_path / "noc", "", labels=(word,))


def test_a_box_with_pages_of_labels_costs_the_others_of_its_bin_little() -> None:
    """Each box fetches what is signed of all those in its hash bin."""
    many = tuple((f"key{number:02}", "v" * 100) for number in range(60))
    own = Box("a", "vm", Spec("kernel", "quiet"), labels=many, noc="http://192.0.2.7")
    assert sum(map(len, labels_of(own))) <= LABELS_LENGTH and labels_of(replace(own, noc=None)) == []
