"""Two listeners: what is for people is not where boxes ask, and the other way round; TLS by files; proxies."""

import http.client
import re
import socket
import ssl
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from gitops.errors import SettingsError
from gitops.server import listening, secured
from gitops.server.app import boxes_app, create_app, people_app
from gitops.settings import Settings
from gitops.store import Store
from tests.kit.authority import Authority
from tests.kit.logins import PASSWORD, Towers
from tests.kit.routes import routes

BOTH = {"/healthz", "/readyz"}
ANY = "127.0.0.1:0"


def apart(folder: Path, **more: Any) -> Settings:
    """Both anywhere, and not at one place."""
    return Settings(state=folder, listen=ANY, people_listen="127.0.0.2:0", **more)


def test_no_route_for_people_is_at_the_listener_of_boxes_nor_the_other_way_round(tmp_path: Path) -> None:
    """Every route that there is, asked at the other listener."""
    store, settings = Towers(tmp_path).store, apart(tmp_path, hook_secret_file=tmp_path / "none")
    boxes, people = routes(boxes_app(store, settings)), routes(people_app(store, settings))
    assert {path for _, path in boxes & people} == BOTH
    assert boxes | people == routes(create_app(store, settings)), "and both together are all"

    with listening(store, settings) as urls:
        found = {
            (method, path): requests.request(method, url + re.sub(r"\{.*\}", "north-1", path), timeout=30).status_code
            for url, theirs in ((urls.boxes, people - boxes), (urls.people, boxes - people))
            for method, path in theirs
        }  # fmt: skip

    assert len(found) > 40 and {where for where, status in found.items() if status != 404} == set()


def test_both_at_one_address_is_for_this_machine_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with listening(store, Settings(state=tmp_path, listen=ANY, people_listen=ANY)) as urls:
        assert urls.boxes == urls.people
        assert [requests.get(urls.boxes + path, timeout=30).status_code for path in ("/", "/boot/boot.ipxe")] == [
            200
        ] * 2
    with listening(store, Settings(state=tmp_path, listen=ANY, people_listen="")) as urls:
        assert urls.people == "" and requests.get(urls.boxes, timeout=30).status_code == 404
    for wrong in ("0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"):
        with pytest.raises(ValueError, match="only an address of the loopback may be both"):
            Settings(listen=wrong, people_listen=wrong)


def test_an_address_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        people = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match="cannot listen") as error:
            with listening(Store.open(tmp_path), Settings(state=tmp_path, listen=ANY, people_listen=people)):
                pass
    assert "people_listen" in error.value.hint


# --- TLS ---


def peer(url: str, authority: Path) -> bytes:
    """The certificate that a listener shows."""
    at = urlsplit(url)
    context = ssl.create_default_context(cafile=str(authority))
    with socket.create_connection((str(at.hostname), int(at.port or 0)), timeout=30) as bare:
        with context.wrap_socket(bare, server_hostname=str(at.hostname)) as wrapped:
            return wrapped.getpeercert(binary_form=True) or b""


def test_a_certificate_that_is_renewed_is_taken_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitops.server.app.LOOK", 0.1)
    towers, ca, pem = Towers(tmp_path / "state"), Authority(), tmp_path / "server.pem"
    towers.account("ada", "viewer")
    (tmp_path / "ca.pem").write_text(ca.pem)
    ca.server("127.0.0.1", pem)
    settings = Settings(
        state=tmp_path / "state", listen=ANY, people_listen="127.0.0.1:00", people_tls_cert=pem, people_tls_key=pem
    )
    with listening(towers.store, settings) as urls:
        assert urls.people.startswith("https://") and urls.boxes.startswith("http://")
        with closing(requests.Session()) as web:
            how: Any = {"verify": str(tmp_path / "ca.pem"), "timeout": 30}
            page = web.get(f"{urls.people}/login", **how)
            token = page.text.partition('name="csrf" value="')[2][:64]
            answer = web.post(f"{urls.people}/login", {"csrf": token, "name": "ada", "password": PASSWORD}, **how)
            assert answer.status_code == 200 and ">ada</a>" in answer.text
            assert "__Host-toweros" in web.cookies and all(cookie.secure for cookie in web.cookies)
        first = peer(urls.people, tmp_path / "ca.pem")
        pem.write_text("half of a certif")
        with suppress(AssertionError):
            changed(urls.people, tmp_path / "ca.pem", first, 1)
            pytest.fail("it took what is none")
        ca.server("127.0.0.1", pem)
        changed(urls.people, tmp_path / "ca.pem", first, 60)
        with pytest.raises(http.client.BadStatusLine), closing(http.client.HTTPConnection(urls.people[8:])) as plain:
            plain.request("GET", "/")
            plain.getresponse()


def changed(url: str, authority: Path, first: bytes, patience: float) -> None:
    end = time.monotonic() + patience
    while peer(url, authority) == first:
        assert time.monotonic() < end, "it is still the one of before"
        time.sleep(0.1)


def test_files_that_do_not_fit_together_are_told_before_anything_listens(tmp_path: Path) -> None:
    ca = Authority()
    ca.server("127.0.0.1", tmp_path / "one.pem")
    ca.server("127.0.0.1", tmp_path / "two.pem")
    key = tmp_path / "two.key"
    key.write_text("-----BEGIN PRIVATE KEY" + (tmp_path / "two.pem").read_text().partition("-----BEGIN PRIVATE KEY")[2])
    key.write_text(key.read_text().partition("-----BEGIN CERT")[0])
    for certificate, other in ((tmp_path / "one.pem", key), (tmp_path / "none", tmp_path / "none"), (key, key)):
        with pytest.raises(SettingsError, match=r"one|none|two"):
            secured.Tls(certificate, other)
    with pytest.raises(ValueError, match="belong together"):
        Settings(people_tls_cert=tmp_path / "one.pem")


# --- proxies ---

FORWARDED = {"x-forwarded-for": "192.0.2.99", "x-forwarded-proto": "https"}


def test_forwarded_headers_count_from_a_proxy_of_the_settings_alone(tmp_path: Path) -> None:
    """Header spoofing: nobody says of himself from where he comes, or that he came by TLS."""
    towers = Towers(tmp_path)
    towers.account("ada", "viewer")
    for proxies, believed in ((("127.0.0.0/8",), True), (("192.0.2.1", "10.0.0.0/8"), False)):
        with listening(towers.store, apart(tmp_path, proxies=proxies)) as urls:
            page = requests.get(f"{urls.people}/login", headers=FORWARDED, timeout=30)
            assert ("__Host-toweros-login" in page.headers["set-cookie"]) == believed
            plain = requests.get(f"{urls.people}/login", headers={"x-forwarded-for": "192.0.2.99"}, timeout=30)
            assert ("not encrypted" in plain.text) == believed, "from elsewhere, and no word of TLS"
            first = {"x-forwarded-for": "127.0.0.1, 192.0.2.99"}  # what a client wrote stands before
            plain = requests.get(f"{urls.people}/login", headers=first, timeout=30)
            assert ("not encrypted" in plain.text) == believed
    with pytest.raises(ValueError, match="no address and no network"):
        Settings(proxies=("proxy.example",))
