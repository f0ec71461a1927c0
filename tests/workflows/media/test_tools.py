"""The programs that make media: of the deployed revision, built when somebody asks."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError, StoreError
from gitops.model import Image, Package, Tree
from gitops.store import Store
from gitops.workflows.media import tools
from gitops.workflows.media.tools import MEDIA_TOOLS, building, media_tools
from tests.kit.site import DOCKERFILE, PlayedBuilder, Site

PACKAGE = {f"{MEDIA_TOOLS}/build.yml": "image: media-tools\n", f"{MEDIA_TOOLS}/Dockerfile": DOCKERFILE}
FILE = f"{MEDIA_TOOLS}/file"


class Unpacked(Toolbox):
    """The real one: that of a site is played."""

    unpack = Toolbox.__dict__["unpack"]


class Packing(PlayedBuilder):
    """One whose images can be unpacked: each has the package's file."""

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        if image := self.store.builds.image(package.key):
            return image
        self.built.append(package.path)
        stream, data = io.BytesIO(), tree.read(f"{package.path}/file")
        with tarfile.open(fileobj=stream, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        image = Image(package.tag, package.key, {}, (self.store.blobs.put(stream.getvalue()).sha256,))
        self.store.builds.save_image(image)
        return image


@pytest.fixture
def builder(site: Site, monkeypatch: pytest.MonkeyPatch) -> Packing:
    made = Packing(site.store)
    monkeypatch.setattr(tools, "builder_of", lambda *_: made)
    monkeypatch.setattr(tools, "Toolbox", Unpacked)
    return made


def tools_of(site: Site) -> bytes:
    store: Store = site.store
    with media_tools(site.settings, store).workspace() as work:
        return work.folder.parents[1].joinpath("file").read_bytes()


@pytest.mark.e2e
def test_the_tools_are_those_of_the_deployed_revision_and_are_built_once(site: Site, builder: Packing) -> None:
    site.commit({**PACKAGE, FILE: "one"})
    site.run()
    site.commit({FILE: "two"})
    assert [tools_of(site), tools_of(site)] == [b"one", b"one"], "what is not deployed makes nothing"
    assert builder.built == [MEDIA_TOOLS], "and not by the pass: no box needs them"
    site.run()
    assert tools_of(site) == b"two"


@pytest.mark.e2e
def test_a_disk_can_be_made_while_the_controller_is_at_work(site: Site, builder: Packing) -> None:
    site.commit({**PACKAGE, FILE: "one"})
    site.run()
    with site.store.lease.held():
        assert tools_of(site) == b"one"


def test_a_fleet_repo_of_before_hears_where_the_tools_come_from(site: Site, builder: Packing) -> None:
    with pytest.raises(StoreError) as nothing:
        media_tools(site.settings, site.store)
    assert nothing.value.hint and "toweros apply" in nothing.value.hint
    site.run()
    with pytest.raises(AssembleError, match=f"no {MEDIA_TOOLS}") as missing:
        media_tools(site.settings, site.store)
    assert missing.value.hint and "toweros init" in missing.value.hint and not builder.built


def test_a_pass_does_not_wait_for_somebody_who_builds_a_medium(tmp_path: Path) -> None:
    """That may take as long as a kernel does; the network starts boxes with what was made before."""
    store = Store.open(tmp_path)
    with building(store):
        with pytest.raises(AssembleError) as caught, building(store, wait=False):
            pass
        assert "another process builds" in caught.value.message and "next pass" in caught.value.hint
    with building(store, wait=False):
        pass
