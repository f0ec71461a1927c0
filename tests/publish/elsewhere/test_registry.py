"""An OCI registry: Debian's docker-registry, in a process of its own."""

import shutil
from pathlib import Path

import pytest
from toweros_agent.offer.copies import registry as of_agent

from gitops.errors import PublishError
from gitops.publish.elsewhere.registry import Registered, tag_of
from tests.kit.elsewhere import Copies, Origin, docker_registry
from tests.kit.nocs import release, settle
from tests.kit.servers import BAD, files

DELTA = f"deltas/{'ab' * 32}/{'cd' * 32}.zst"


def test_a_box_takes_all_from_a_registry_and_reports_to_the_server(tmp_path: Path, origin: Origin) -> None:
    with docker_registry(tmp_path / "registry") as host:
        copies = Copies(origin, Registered("images", host, "toweros/fleet"), grace=0)
        assert copies.once().put and copies.once().put == 0
        copies.again()
        assert copies.once().put == 0, "another process finds what is there"
        box = origin.box(tmp_path / "box", f"oci+http://{host}/toweros/fleet")
        agent = settle(box)
        assert (agent.boot.sequence, agent.error, origin.reported(), origin.content()) == (8, "", 8, [])
        assert agent.trust.changed() is False, "the manifest's ETag saves the rest"
        origin.offer(release(9, b"three"))
        copies.once()
        copies.once(1)
        assert settle(box).boot.sequence == 9 and origin.content() == []
        before = copies.place.listed()
        lost = next(path for path in before if path.endswith(".zst"))
        digest = Path(next((tmp_path / "registry/data").rglob(f"tags/{tag_of(lost)}/current/link"))).read_text()
        shutil.rmtree(next((tmp_path / "registry/data").rglob(f"revisions/sha256/{digest.removeprefix('sha256:')}")))
        assert copies.once(3600).mended == (f"{lost} was gone",) and copies.place.listed() == before


def test_both_sides_make_the_same_tags() -> None:
    paths = [
        "metadata/timestamp.json",
        f"layers/{'ab' * 32}.zst",
        DELTA,
        f"targets/{'a' * 63}/{'ab' * 32}.release.json",
    ]
    assert [tag_of(path) for path in paths] == [of_agent.tag_of(path) for path in paths]
    assert len({tag_of(path) for path in paths}) == 4 and all(len(tag_of(path)) <= 128 for path in paths)


@pytest.mark.parametrize("kind", [BAD["broken"], BAD["redirects in a circle"]])
def test_a_registry_that_is_none_is_told_of_and_costs_a_box_no_update(
    tmp_path: Path, origin: Origin, kind: type
) -> None:
    with files(tmp_path, kind) as (url, _):
        host = url.removeprefix("http://").rstrip("/")
        with pytest.raises(PublishError, match="images: "):
            Copies(origin, Registered("images", host, "fleet")).once()
        agent = settle(origin.box(tmp_path / "box", f"oci+http://{host}/fleet", "http://127.0.0.1:9"))
    assert (agent.boot.sequence, origin.reported()) == (8, 8)
