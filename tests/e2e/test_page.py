"""The first page in a real browser, without JavaScript, on a desk and on a phone."""

import shutil
from pathlib import Path

import pytest

from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store.notes.documents import Status
from tests.kit.published import kit

pytestmark = pytest.mark.e2e
LONG = 300_000
"""Milliseconds, of a browser that starts beside two machines."""
CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1100, 360])
def test_the_page_is_readable_without_scripts(tmp_path: Path, width: int) -> None:
    from playwright.sync_api import sync_playwright

    here = kit(tmp_path / "fleet")
    publication = here.publication("demo-1", 7)
    here.publisher.publish([publication])
    here.store.offers.save_published(publication, "ab" * 32)
    here.store.boxes.enroll("demo-1", "ab" * 32)
    here.store.notes.put(Status(str(publication.revision), error="x" * 300, polled=1))
    app = create_app(here.store, Settings(state=here.store.paths.root))
    with serve(app, "127.0.0.1:0") as url, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=LONG)
        view = {"width": width, "height": 800}
        page = browser.new_context(java_script_enabled=False, viewport=view).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(LONG)
        page.goto(url)
        card = page.locator("#box-demo-1")
        assert card.locator("h3").inner_text() == "demo-1"
        assert "main@" in card.inner_text() and "Unknown" in card.inner_text()
        assert all(part["x"] + part["width"] <= width for part in [card.bounding_box()] if part)
        browser.close()
