"""Login by a provider: one that is as it should be, and ones that hang, lie, or mean somebody else."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc.jwk import RSAKey
from oidc_provider_mock import User, run_server_in_thread
from structlog.testing import capture_logs

from gitops.server.people.guard.oidc import provider
from gitops.settings.people import Oidc
from gitops.web.ask import Bounds
from tests.kit.logins import Browser, Towers
from tests.simulators.issuer import CLIENT, SECRET, Issuer

LINK = "http://testserver"
GRANTS = ({"group": "noc-north", "role": "operator", "site": "north"}, {"group": "chiefs", "role": "admin"})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def web(issuer: Issuer, tmp_path: Path) -> Browser:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    said: dict[str, Any] = {"client_id": CLIENT, "client_secret_file": tmp_path / "secret", "grants": GRANTS}
    towers = Towers(tmp_path / "state", link=LINK, oidc=Oidc(issuer=issuer.url, **said))
    return towers.browser()


def comes_back(web: Browser, issuer: Issuer, to: str = "/", **changed: str) -> Any:
    way = web.get("/login/oidc", params={"next": to})
    assert way.status_code == 303, way.text
    return web.get("/login/oidc/back", params=issuer.lets_in(way.headers["location"]) | changed)


def test_who_is_in_a_group_comes_in_with_its_roles_by_a_real_provider(tmp_path: Path) -> None:
    user = User(sub="ada", claims={"groups": ["noc-north"], "preferred_username": "ada"})
    with run_server_in_thread(user_claims=[user], require_nonce=True) as server:
        (secret := tmp_path / "secret").write_text("any")
        said: dict[str, Any] = {"client_id": CLIENT, "client_secret_file": secret, "grants": GRANTS}
        oidc = Oidc(issuer=f"http://localhost:{server.server_port}", **said)
        web = Towers(tmp_path, link=LINK, oidc=oidc).browser()
        assert web.get("/").headers["location"] == "/login?next=%2F", "a provider closes the pages"
        assert f"Log in by localhost:{server.server_port}" in web.get("/login?next=/sites").text
        way = web.get("/login/oidc?next=/boxes/north-1").headers["location"]
        back = requests.post(way, {"sub": "ada"}, allow_redirects=False, timeout=20).headers["location"]
        answer = web.get(back.removeprefix(LINK))

    assert (answer.status_code, answer.headers["location"]) == (303, "/boxes/north-1")
    assert web.get("/boxes/north-1").status_code == 200 and web.get("/boxes/south-1").status_code == 404
    account = web.get("/account").text
    assert ">ada</h1>" in account and "operator</th><td>north" in account


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://elsewhere.example"}, "another issuer"),
    "another audience": ({"aud": "another"}, "another client"),
    "several audiences, for another": ({"aud": [CLIENT, "another"], "azp": "another"}, "another client"),
    "several audiences, for nobody": ({"aud": [CLIENT, "another"]}, "another client"),
    "another nonce": ({"nonce": "another"}, "another login"),
    "no nonce": ({"nonce": None}, "another login"),
    "ended": ({"exp": int(time.time()) - 3600}, "it has ended"),
    "no end": ({"exp": None}, "it has ended"),
    "an end that is none": ({"exp": "tomorrow"}, "it has ended"),
    "from tomorrow": ({"iat": int(time.time()) + 86_400}, "another time"),
    "not yet": ({"nbf": int(time.time()) + 86_400}, "does not count yet"),
    "nobody": ({"sub": None}, "names nobody"),
    "groups that are none": ({"groups": {"noc-north": True}}, "may nothing here"),
    "a group of another name": ({"groups": ["noc-north "]}, "may nothing here"),
    "no groups": ({"groups": None}, "may nothing here"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_what_was_asked_for_lets_nobody_in(web: Browser, issuer: Issuer, lie: str) -> None:
    issuer.lies, why = LIES[lie]
    answer = comes_back(web, issuer)
    assert answer.status_code == 403 and why in answer.text
    assert "toweros" not in web.cookies and web.get("/").status_code == 303
    issuer.lies = {}
    assert comes_back(web, issuer).status_code == 303, "and the next one is taken"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_no_key_of_the_provider_signed_lets_nobody_in(
    web: Browser, issuer: Issuer, algorithm: str
) -> None:
    """`none`, and the public key as if it were a secret of both."""
    issuer.header = {"alg": algorithm}
    assert "no key of the provider has signed it" in comes_back(web, issuer).text
    issuer.header, issuer.signs_by = {}, RSAKey.generate_key(2048)
    assert "no key of the provider has signed it" in comes_back(web, issuer).text
    issuer.signs_by = None
    assert comes_back(web, issuer).status_code == 303


def test_keys_that_were_rotated_are_asked_for_again(web: Browser, issuer: Issuer) -> None:
    assert comes_back(web, issuer).status_code == 303
    assert comes_back(web, issuer).status_code == 303
    assert issuer.asked["/keys"] == 1 and issuer.asked["/.well-known/openid-configuration"] == 1
    issuer.rotate()
    assert comes_back(web, issuer).status_code == 303
    assert issuer.asked["/keys"] == 2


def hangs(_: BaseHTTPRequestHandler) -> None:
    time.sleep(20)


def trickles(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        request.wfile.write(b"x-y: z\r\n")
        time.sleep(0.1)


def endless(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b" " * (2 << 20))


def nonsense(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<ht>")


def elsewhere(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("wire", [hangs, trickles, endless, nonsense, elsewhere])
def test_a_provider_that_is_no_help_is_told_and_the_rest_goes_on(
    web: Browser, issuer: Issuer, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "BOUNDS", Bounds(connect=1, silence=1, longest=1, largest=1 << 20))
    issuer.wire = wire
    answer = web.get("/login/oidc")
    assert answer.status_code == 403 and "The provider" in answer.text
    assert [web.get(path).status_code for path in ("/healthz", "/login")] == [200, 200]
    issuer.wire = None
    assert comes_back(web, issuer).status_code == 303


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://elsewhere.example"},
        {"issuer": None},
        {"token_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_is_not_the_one_of_the_settings_is_not_asked(
    web: Browser, issuer: Issuer, said: dict[str, Any]
) -> None:
    issuer.said = said
    assert web.get("/login/oidc").status_code == 403
    assert "/token" not in issuer.asked


def test_an_answer_that_belongs_to_another_login_lets_nobody_in(web: Browser, issuer: Issuer) -> None:
    """Mix-ups: another's code, another's state, another provider's answer, the same answer twice, without a cookie."""
    assert comes_back(web, issuer, state="x").status_code == 403
    assert comes_back(web, issuer, iss="https://elsewhere.example").status_code == 403
    assert comes_back(web, issuer, code="code-of-another").status_code == 403
    assert comes_back(web, issuer, code="x" * 5000).status_code == 403

    eve = Browser(web.app, client=("127.0.0.1", 2), follow_redirects=False)
    hers = issuer.lets_in(eve.get("/login/oidc").headers["location"])
    web.get("/login/oidc")
    assert web.get("/login/oidc/back", params=hers).status_code == 403, "she would have us work under her name"

    mine = issuer.lets_in(web.get("/login/oidc").headers["location"])
    assert web.get("/login/oidc/back", params=mine | {"iss": issuer.url}).status_code == 303
    assert web.get("/login/oidc/back", params=mine).status_code == 403, "twice"
    assert web.get("/login/oidc/back").status_code == 403


def test_a_code_without_its_proof_is_worth_nothing(web: Browser, issuer: Issuer) -> None:
    """PKCE: what is asked for with one secret is not given for another."""
    way = web.get("/login/oidc").headers["location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(way).query).items()}
    assert asked["code_challenge_method"] == "S256" and asked["redirect_uri"] == f"{LINK}/login/oidc/back"
    code = issuer.lets_in(way.replace(asked["code_challenge"], "A" * 43))
    assert "invalid_grant" in web.get("/login/oidc/back", params=code).text


def test_who_was_let_in_nowhere_is_told_why_and_the_log_has_neither_code_nor_secret(
    web: Browser, issuer: Issuer
) -> None:
    with capture_logs() as said:
        way = web.get("/login/oidc")
        answer = web.get("/login/oidc/back", params={"error": "access_denied", "state": issuer.lets_in(
            way.headers["location"])["state"]})  # fmt: skip
        comes_back(web, issuer)
    assert "access_denied" in answer.text and answer.status_code == 403
    acts = [line["outcome"].partition(":")[0] for line in said if line["event"] == "act"]
    assert acts == ["refused", "done"]
    assert not [word for word in (SECRET, "code-0", "code-1") if word in repr(said)]


def test_what_a_provider_calls_somebody_is_shown_and_runs_nowhere(web: Browser, issuer: Issuer) -> None:
    issuer.lies = {"preferred_username": "<script>alert(1)</script>\x1b[31m\n" + "x" * 500}
    assert comes_back(web, issuer, to="//elsewhere.example").headers["location"] == "/"
    page = web.get("/account").text
    assert "<script>alert" not in page and "&lt;script&gt;" in page and "x" * 101 not in page


def test_over_plain_http_from_elsewhere_nobody_comes_in_by_a_provider(web: Browser, issuer: Issuer) -> None:
    """The cookie of the session would be read on the way, and counts over TLS."""
    way = web.get("/login/oidc")
    far = Browser(web.app, client=("192.0.2.7", 1), follow_redirects=False, cookies=dict(web.cookies))
    back = far.get("/login/oidc/back", params=issuer.lets_in(way.headers["location"]))
    there = far.get("/login/oidc")
    assert [(each.status_code, "not encrypted" in each.text) for each in (back, there)] == [(403, True)] * 2
    assert "toweros=" not in back.headers.get("set-cookie", "")
