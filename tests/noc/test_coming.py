"""What waits for its turn comes to a site once, and its boxes have it from there; its faults hold nothing up."""

from pathlib import Path

import pytest

from tests.kit.nocs import Noc, box_at, content, offer, release, settle
from tests.simulators.box import Made
from tests.simulators.update_server import UpdateServer, flipped

SEVEN, EIGHT = release(7, b"one"), release(8)


def comes(server: UpdateServer, made: Made) -> None:
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    offer(server, SEVEN, custom={"next": server.coming(made.document, made.uki, made.addon)})


def test_a_site_brings_it_once_and_its_boxes_have_it_from_there(
    server: UpdateServer, here: Noc, tmp_path: Path
) -> None:
    comes(server, EIGHT)
    assert here.once().words(0) == "up to date"
    server.requests.clear()
    agent = settle(box_at(here.url, tmp_path / "box", server.root))
    assert agent.boot.sequence == 7 and set(EIGHT.blobs) <= {path.name for path in agent.disk.layers.iterdir()}
    assert content(server) == []
    offer(server, EIGHT)
    server.requests.clear()
    assert here.once().words(0) == "up to date" and content(server) == []


@pytest.mark.parametrize("what", ["layer", "words"])
def test_what_is_wrong_with_it_holds_up_nothing_that_is_offered(server: UpdateServer, here: Noc, what: str) -> None:
    comes(server, EIGHT)
    if what == "layer":
        (own,) = set(EIGHT.blobs) - set(SEVEN.blobs)
        server.faults |= {f"/layers/{own}": flipped, f"/layers/{own}.zst": flipped}
    else:
        offer(server, SEVEN, custom={"next": {"sequence": "x"}})
    assert here.once().words(0) == "up to date"
    assert here.get("/metadata/timestamp.json").content == server.files["/metadata/timestamp.json"]
