"""What the policy refuses is seen everywhere that people look, by its name, until it is over."""

import re

import pytest
from fastapi.testclient import TestClient

from gitops.errors import SourceError
from gitops.server import create_app
from tests.kit.console import toweros
from tests.kit.people import People
from tests.kit.site import HELLO, Site


@pytest.fixture
def signed(site: Site, people: People) -> Site:
    """A fleet whose commits Ada must sign; hers is deployed."""
    allowed = site.folder / "signers"
    allowed.write_text(people.allowed("ada"))
    site.settings = site.settings.model_copy(update={"allowed_signers": allowed})
    site.commit({"fleet.yaml": "source: {branch: main, sign: head}\n"}, f"-S{people.key('ada')}")
    assert site.run().revision.signers == ("ada",)
    return site


def looks(site: Site) -> tuple[str, str, str]:
    """The page, the metrics, and the terminal."""
    web = TestClient(create_app(site.store, site.settings))
    terminal = toweros("status", "--state", site.settings.state)
    return web.get("/").text, web.get("/metrics").text, terminal.stderr


def test_a_refused_commit_is_not_verified_until_a_good_one_comes(signed: Site, people: People) -> None:
    offers = signed.offers()
    signed.commit(HELLO)
    for _ in range(2):
        with pytest.raises(SourceError):
            signed.run()
    page, metrics, terminal = looks(signed)
    assert "Not verified" in page and "Unsigned: commit" in page and "git commit -S" in page
    assert 'toweros_not_verified{reason="Unsigned"} 1.0' in metrics
    assert "Not verified: Unsigned: commit" in terminal
    assert [event.reason for event in signed.store.events.latest()].count("Unsigned") == 1, "one alarm, not one a poll"
    assert signed.offers() == offers, "the last good state stays"
    signed.commit({"pkg/hello/file": "hello 4\n"}, f"-S{people.key('ada')}")
    signed.run()
    page, metrics, terminal = looks(signed)
    assert "Not verified" not in page + terminal and not re.search("^toweros_not_verified{", metrics, re.MULTILINE)
    assert "Signed by" in page
