"""A place that still serves yesterday, as boxes see it: the real server, its repositories, the agent's own code."""

import shutil
import time
from pathlib import Path

import pytest
from toweros_agent.nouns import Refused
from toweros_agent.offer.copies.near import ITSELF, Near
from toweros_agent.offer.net import Http
from toweros_agent.offer.trust import Trust

from gitops.server import create_app, serve
from gitops.settings import Settings
from tests.kit.published import kit
from tests.kit.servers import files


def test_a_place_that_serves_yesterday_withholds_a_box_s_own_repository_for_an_hour_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = kit(tmp_path / "fleet")
    here.publisher.publish([here.publication("demo-1", 1)])
    shutil.copytree(here.store.paths.metadata, tmp_path / "place" / "metadata")
    root = (here.store.paths.metadata / "1.root.json").read_bytes()
    app, began = create_app(here.store, Settings(state=here.store.paths.root)), time.monotonic()
    with serve(app, "127.0.0.1:0") as url, files(tmp_path / "place") as (place, asked):
        http = Http(lambda: None, time.sleep, near=Near("", url, (place,)))
        trust = Trust(http, tmp_path / "box", root, url, "demo-1")
        (tmp_path / "box").mkdir()
        assert trust.offer().sequence == 1 and "/metadata/boxes/demo-1/timestamp.json" in asked
        here.publisher.publish([here.publication("demo-1", 2)])
        assert trust.offer().sequence == 1, "it stands still"
        later = began + ITSELF + 60
        monkeypatch.setattr("toweros_agent.offer.copies.near.time.monotonic", lambda: later)
        assert trust.changed() and trust.offer().sequence == 2, "the server is asked, by both questions of a look"
        later += ITSELF / 2
        with pytest.raises(Refused, match="must be >="):
            trust.offer()
        assert trust.offer().sequence == 2, "what is older than what is believed is asked of nobody for a while"
