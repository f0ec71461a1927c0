"""Boot specs name images of others by digest: from a real registry to the release, and what cannot be had is the
trouble of the boxes that need it alone."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gitops.errors import AssembleError
from gitops.fleet import load_fleet
from gitops.lab.hardware import free_port
from gitops.model import HoldReason, sha256
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files.importing import import_images
from gitops.oci.registry import Registry
from gitops.oci.trust import Trust
from gitops.settings import Settings
from gitops.source import FolderTree
from gitops.store.notes.documents import AppImages
from gitops.workflows.images.ask import Registries
from gitops.workflows.images.relock import relock
from tests.kit.images import attestation, index, layout, made, zstd
from tests.kit.oci import tar
from tests.kit.registry import pem, sign
from tests.kit.site import Site, beside, spec
from tests.simulators.registry import DockerRegistry

ADA = ec.generate_private_key(ec.SECP256R1())
NTP, INIT = tar({"bin/ntpd": b"ntp"}), tar({"bin/more": b"more"})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as server:
        yield server.address


def layers_of(site: Site, box: str) -> list[bytes]:
    """What the release has of each tar: the played assembler's layers are the tars themselves."""
    found = site.store.offers.published(box)
    assert found
    return [site.store.layers.path(layer.root).read_bytes().rstrip(b"\0") for layer in found.release.layers()]


def test_a_service_by_digest_comes_from_the_registry_into_the_release(site: Site, host: str) -> None:
    ntp = made([NTP], pack=gzip.compress)
    arm = made([b"arm"], ("linux", "arm64"))
    whole = index(arm, attestation(ntp), ntp).push(host, "ntp", "4.2")
    init = made([INIT], pack=zstd).push(host, "init", "1")
    site.commit(beside(f"{host}/ntp@{whole}", f"{host}/init@{init}"))
    done = site.run()
    assert "d" in done.published and not done.held
    assert {NTP.rstrip(b"\0"), INIT.rstrip(b"\0")} <= set(layers_of(site, "d"))
    rows = (site.store.notes.get(AppImages) or AppImages()).rows
    assert {whole.removeprefix("sha256:"), sha256(NTP)} <= set(rows[f"{host}/ntp@{whole}"]), "and they are kept"
    assert site.run().plan.empty


def test_a_tag_is_pinned_by_the_lock_and_may_need_a_signature(site: Site, host: str) -> None:
    digest = made([NTP]).push(host, "signed", "1")
    site.commit(beside(f"{host}/signed:1"))
    made_of = relock(FolderTree(site.remote.work), Registries(site.settings, Trust({})))
    assert made_of.data.decode().splitlines()[1:] == [f"{host}/signed:1 {digest}"]
    site.commit({"images.lock": made_of.data.decode(), "keys/cosign/ada.pub": pem(ADA).decode()})
    done = site.run()
    assert set(done.published) == {"a", "b", "c"} and "is not signed" in done.held["d"].detail
    sign(host, "signed", digest.removeprefix("sha256:"), ADA)
    assert site.run().published == ("d",)


def test_an_image_that_cannot_be_had_is_the_trouble_of_its_box_alone(site: Site, host: str) -> None:
    cut = made([NTP], pack=lambda data: gzip.compress(data)[:-9]).push(host, "cut")
    arm = made([NTP], ("linux", "arm64")).push(host, "arm")
    beside_an_image = attestation(made([NTP])).push(host, "sbom")
    faults = {
        "gone": (f"{host}/ntp@sha256:{'0' * 64}", "404"),
        "away": (f"127.0.0.1:{free_port()}/ntp@sha256:{'0' * 64}", "is unreachable"),
        "cut": (f"{host}/cut@{cut}", "cannot be unpacked"),
        "arm": (f"{host}/arm@{arm}", "is an image for linux/arm64, not for linux/amd64"),
        "none": (f"{host}/sbom@{beside_an_image}", "is an image for unknown/unknown"),
        "nowhere": (f"ntp@sha256:{'0' * 64}", "no registry is named"),
    }
    for box, (name, _) in faults.items():
        site.commit(beside(name, box=box))
    done = site.run()
    assert set(done.published) == {"a", "b", "c"} and done.held.keys() == faults.keys()
    for box, (name, said) in faults.items():
        hold = done.held[box]
        assert hold.reason == HoldReason.CANNOT_BE_OFFERED and said in hold.detail and name in hold.detail
    assert site.run().held == done.held, "and each is tried again"
    site.commit(beside("@pkg:../pkg/hello", box="gone"))
    assert site.run().published == ("gone",)


def test_when_no_box_can_be_made_the_pass_says_so(site: Site, host: str) -> None:
    site.commit({"boot/a.yml": spec(f"{host}/ntp@sha256:{'0' * 64}")})
    with pytest.raises(AssembleError, match=r"ntp@sha256:0+ cannot be had: .*404"):
        site.run()


def test_what_a_person_imported_is_asked_of_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(site.folder / "layout", {"web.example/ntp:4.2": index(made([NTP]))})
    store = site.store
    with store.lease.held():
        (one,) = import_images(Elsewhere(Settings(), store), store, str(folder)).images
    monkeypatch.setattr(Registry, "_ask", lambda *_, **__: pytest.fail("asked"))
    site.commit(beside(f"web.example/ntp:4.2@sha256:{one.digest}"))
    assert "d" in site.run().published


def test_a_registry_that_is_away_is_asked_once_in_a_pass(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    ask = Registry._ask

    def counted(self: Registry, *words: Any, **more: Any) -> Any:
        asked.append(self.host)
        return ask(self, *words, **more)

    monkeypatch.setattr(Registry, "_ask", counted)
    away = f"127.0.0.1:{free_port()}"
    names = [f"{away}/{name}@sha256:{'0' * 64}" for name in ("ntp", "init", "more")]
    site.commit(beside(*names))
    assert set(site.run().published) == {"a", "b", "c"} and asked == [away]


def test_a_fleet_repo_is_valid_whether_its_images_can_be_had_or_not(site: Site) -> None:
    site.commit(beside(f"web.example/ntp@sha256:{'0' * 64}"))
    assert load_fleet(FolderTree(site.remote.work)).boxes["d"].spec.services[0].image.startswith("web.example/ntp@")
