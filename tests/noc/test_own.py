"""A site's own server and a bundle have their boxes' own repositories, also where nobody writes the shared one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent.offer.carried import Carried
from toweros_agent.offer.net import NetError
from toweros_agent.offer.repository import seen

from gitops.noc import bundles
from gitops.noc.origin import Folder
from gitops.noc.site import Config
from gitops.noc.site import Site as NocSite
from gitops.publish.older import ALONE
from gitops.server.app import create_app, serve
from gitops.store.notes.box_keys import BootChecked
from tests.kit.followers import Follower
from tests.kit.site import HELLO, Site


@pytest.fixture
def alone(site: Site) -> Site:
    """Every box uses its own repository, and the other one is gone."""
    site.commit({"boxes/a.yaml": "role: vm\nsite: roof\n", "boxes/b.yaml": "role: vm\nsite: cellar\n"})
    site.run()
    for name in site.offers():
        site.store.notes.put(BootChecked(True, own=True), name)
    site.run()
    metadata = site.settings.state / "repo" / "metadata"
    assert (metadata / ALONE).exists()
    for path in metadata.glob("*.json"):
        if not path.name.endswith(".root.json"):
            path.unlink()
    return site


@pytest.fixture
def origin(alone: Site) -> Iterator[str]:
    with serve(create_app(alone.store, alone.settings), "127.0.0.1:0") as url:
        yield url


def test_a_site_has_its_own_boxes_repositories_alone_and_serves_them_without_the_origin(
    alone: Site, origin: str, tmp_path: Path
) -> None:
    root = (alone.settings.keys / "root.json").read_bytes()
    noc = NocSite(Config("x", origin, root, tmp_path / "noc", "127.0.0.1:0", site="roof"))
    assert [*noc.once().boxes] == ["a"] and not noc.state().error
    assert [name for name in noc.copy.metadata.repositories() if name.startswith("boxes/")] == ["boxes/a"]
    with noc.serving() as url:
        box = Follower(alone.store, tmp_path / "a", root, url, "a")
        before = box.looks()
        said = seen(box.folder, "a")
        assert said and said["own"] and noc.state().expires == before.expires
        alone.commit(HELLO)
        alone.run()
        noc.once()
        assert box.looks().sequence == before.sequence + 1
    alone.commit({"boxes/a.yaml": "role: vm\nsite: cellar\n", "boxes/c.yaml": "role: vm\nsite: roof\n"})
    alone.run()
    assert [*noc.once().boxes] == ["c"]
    assert "boxes/a" not in noc.copy.metadata.repositories(), "what is of another site goes"


def test_a_bundle_has_its_box_s_repository_and_no_other_box_takes_it(alone: Site, tmp_path: Path) -> None:
    root = (alone.settings.keys / "root.json").read_bytes()
    folder = tmp_path / "bundle"
    folder.mkdir()
    bundles.make(Folder(alone.settings.state), root, ["a"], folder)
    assert [path.name for path in (folder / "repo" / "metadata" / "boxes").iterdir()] == ["a"]
    assert not (folder / "repo" / "metadata" / "timestamp.json").exists()
    for name, takes in (("a", True), ("b", False)):
        trust = Follower(alone.store, tmp_path / name, root, "http://127.0.0.1:9", name).trust()
        trust.http.carried = Carried(folder)
        if takes:
            assert trust.stamp(trust.http.carried) and trust.carried().sequence
        else:
            with pytest.raises(NetError, match="it is not in the bundle"):
                trust.carried()
    bundles.make(Folder(alone.settings.state), root, ["b"], folder)
    assert [path.name for path in (folder / "repo" / "metadata" / "boxes").iterdir()] == ["b"], (
        "the folder is another's"
    )
