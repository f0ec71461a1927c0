"""Whoever asks for the head of a page alone (a monitor, `curl -I`) gets what the page would say of itself."""

from pathlib import Path

import httpx

from gitops.server import create_app, serve
from gitops.server.people.page import PLACES, STATIC
from gitops.settings import Settings
from gitops.store import Store


def test_the_head_of_a_page_is_that_of_the_page_and_has_no_body(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state")
    paths = [*PLACES.values(), *(f"/static/{name}" for name in STATIC), "/boxes/no-such", "/?nonsense=1"]
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        with httpx.Client(base_url=url) as client:
            for path in paths:
                page, head = client.get(path), client.head(path)
                assert (head.status_code, head.content) == (page.status_code, b""), path
                same = [{**each.headers, "date": "", "content-length": ""} for each in (head, page)]
                assert same[0] == same[1] and int(head.headers["content-length"]) > 0, path
