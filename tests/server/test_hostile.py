"""Whatever is sent to the update server: no answer of 500 and above, and no traceback. On both databases.

Every route is asked by schemathesis, the hidden ones too; what it cannot say is said by hand, byte by byte.
"""

import http.client
import json
import re
import socket
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.model import canonical
from gitops.model.rollout.course import Course, Sample
from gitops.server import create_app, serve
from gitops.server.boxes.reports import MAX_BODY
from gitops.server.people.acts.api import PATHS as ACT_PATHS
from gitops.server.people.acts.pages import PATHS as FORM_PATHS
from gitops.server.people.acts.several import PATHS as SEVERAL_PATHS
from gitops.server.people.api import PATHS as API_PATHS
from gitops.server.people.documents import Document
from gitops.server.people.guard import login
from gitops.server.people.guard.oidc import going
from gitops.server.people.guard.oidc.provider import Provider
from gitops.server.people.page import ONE as NAMED
from gitops.server.people.page import PLACES, QUERIES, STATIC
from gitops.settings import Settings
from gitops.settings.people import Oidc
from gitops.store import Store
from tests.kit.contracts import good

BOTH = pytest.mark.parametrize("web", ["sqlite", "postgresql"], indirect=True)
ONE = pytest.mark.parametrize("web", ["sqlite"], indirect=True)
STRICTER = pytest.mark.parametrize("web", ["postgresql"], indirect=True)
"""It refuses texts that SQLite takes."""
SESSION = "demo-1.00c0ffee00c0ffee"
LAYER, SIZE, COMMIT = "ab" * 32, 1 << 20, "5c1e" * 10
PATIENCE = 30
EXAMPLES = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


@dataclass
class Web:
    """A server with one box, `demo-1`, and one layer."""

    url: str
    app: FastAPI
    store: Store
    key: Ed25519PrivateKey

    def signed(self, text: bytes) -> bytes:
        return canonical({"report": text.decode(), "signature": self.key.sign(text).hex()})

    def post(self, body: bytes, box: str = "demo-1") -> int:
        with closing(http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE)) as one:
            one.request("POST", f"/api/v1/boxes/{box}/report", body)
            return one.getresponse().status

    def raw(self, data: bytes) -> int:
        """The status of the answer to these bytes; 0: the connection is ended without one."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as one:
            try:
                one.sendall(data)
                answer = one.recv(1 << 16)
            except ConnectionError:
                return 0
        return int(answer.split()[1]) if answer else 0


@pytest.fixture(scope="module")
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    database = ""
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").create()
    folder = tmp_path_factory.mktemp("hostile")
    store = Store.open(folder / "state", database)
    (folder / "layer").write_bytes(bytes(SIZE))
    store.layers.add(folder / "layer", LAYER)
    key = Ed25519PrivateKey.generate()
    store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    store.notes.put(Course(f"main@sha1:{COMMIT}", 1, 5, 0, (Sample(5, 1, 0, 0, 1),)), COMMIT)
    # A provider that does not answer: every way to it is there.
    oidc = Oidc(issuer="http://127.0.0.1:1", client_id="toweros")
    app = create_app(store, Settings(state=store.paths.root))
    pages = login.Pages(store, app.state.rendered, oidc.called)
    app.include_router(going.router(going.Going(pages, Provider(oidc), "http://127.0.0.1:1")))
    with serve(app, "127.0.0.1:0") as url:
        yield Web(url, app, store, key)


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.exc_info] == []


# --- every route ---

NAMES = {
    "/metadata/{name}": ["timestamp.json", "1.root.json"],
    "/layers/{name}": [LAYER, f"{LAYER}.zst"],
    "/targets/{name}": [f"demo-1/{LAYER}.uki.efi"],
    "/deltas/{name}": [f"{LAYER}/{LAYER}.zst", f"{LAYER}/{LAYER}.zlib"],
    "/attestations/{name}": [f"{LAYER}.json"],
    "/sbom/{name}": [f"{LAYER}.cdx.json"],
    "/boot/files/{name}": [LAYER],
    "/boot/{name}": ["demo-1.img"],
    "/api/v1/boxes/{name}": ["demo-1"],
    "/api/v1/boxes/{name}/report": ["demo-1"],
    "/boxes/{name}": ["demo-1"],
    "/commits/{name}": [COMMIT, COMMIT[:7]],
    "/api/v1/commits/{name}": [COMMIT],
    "/api/v1/nocs/{name}/contact": ["site-1"],
    "/api/v1/nocs/{name}/starts": ["site-1"],
    "/hooks/{name}": ["github", "gitlab"],
    "/api/v1/remote/{name}/box": [SESSION],
    "/api/v1/remote/{name}/person": [SESSION],
}
SENT = {"/login", "/logout", "/account/password"}
"""Forms."""
TOLD = {"/hooks/{name}", "/api/v1/boxes/{name}/report", "/api/v1/nocs/{name}/contact", "/api/v1/nocs/{name}/starts"}
ASKED = {path: QUERIES[document].parameters for document, path in PLACES.items()}
ASKED |= {path: QUERIES[document].parameters for path, document in API_PATHS.items()}
ASKED |= {"/boxes/{name}": QUERIES[Document.box].parameters, "/commits/{name}": QUERIES[Document.commit].parameters}
"""What pages are asked with."""
PLAIN = {
    *API_PATHS,
    *PLACES.values(),
    *(f"/static/{name}" for name in STATIC),
    "/api/v1/nocs",
    "/api/v1/rollout",
    "/api/v1/progress",
    "/api/v1/fetch",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/account",
    "/login",
    "/login/oidc",
    "/login/oidc/back",
}
SCRIPTS = {"/boot/boot.ipxe", "/boot/box.ipxe"}
ENDS = {"/api/v1/remote/{name}/box", "/api/v1/remote/{name}/person"}
"""Of a session: read, written, ended."""
PATHS = {
    "get": {*NAMES, *PLAIN, *SCRIPTS} - TOLD,
    "head": {path for path in (*NAMES, *SCRIPTS) if "/api/" not in path and path not in ASKED} - TOLD,
    "post": TOLD | SENT | ENDS,
    "delete": ENDS,
}
FORMS, ACTS = set(FORM_PATHS.values()), {*ACT_PATHS.values(), *SEVERAL_PATHS.values()}
"""What people and programs do: with no login here, so that nobody does it (`tests/server/people/acts`)."""
NAMES |= {path: ["demo-1", "3b6a-27bc-9f86-d081-884c"] for path in (*FORMS, *ACTS) if "{name}" in path}
PATHS["get"] |= FORMS
PATHS["post"] |= FORMS | ACTS
PATHS["head"] |= {*PLACES.values(), *NAMED.values(), *(f"/static/{name}" for name in STATIC)}
HEADERS = ("range", "if-none-match", "if-range", "content-encoding", "content-type", "expect", "toweros-receipt",
           "accept-encoding", "authorization", "x-original-uri", "accept", "host", "sec-fetch-site")  # fmt: skip


def described() -> dict[str, Any]:
    """The API as a document: any text as a name, any value of the headers that we read, any body."""
    paths: dict[str, Any] = {}
    for method, names in PATHS.items():
        for path in sorted(names):
            text = {"schema": {"type": "string"}}
            parameters = [{"name": name, "in": "header", **text} for name in HEADERS]
            if "{name}" in path:
                known = {"anyOf": [{"type": "string", "minLength": 1}, {"enum": NAMES[path]}]}
                parameters.append({"name": "name", "in": "path", "required": True, "schema": known})
            for name in ("mac", "uuid") if path in SCRIPTS else ():
                parameters.append({"name": name, "in": "query", **text})
            if path in ENDS and method != "delete":
                parameters.append({"name": "at", "in": "query", **text})
            for name, each in ASKED.get(path, {}).items():
                known = {"enum": list(each.words) or ["1", "demo-1", "2", "-"]}
                parameters.append({"name": name, "in": "query", "schema": {"anyOf": [known, {"type": "string"}]}})
            spoken = method in ("post", "delete")
            body = {"requestBody": {"content": {"application/json": {"schema": {}}}}} if spoken else {}
            about = {"parameters": parameters, "responses": {"default": {"description": "any"}}, **body}
            paths.setdefault(path, {})[method] = about
    return {"openapi": "3.1.0", "info": {"title": "all routes", "version": "1"}, "paths": paths}


API = schemathesis.openapi.from_dict(described())


@API.parametrize()
@EXAMPLES
@STRICTER
def test_no_request_is_a_fault_of_ours(case: schemathesis.Case, web: Web) -> None:
    answer = case.call(base_url=web.url, timeout=PATIENCE)
    ready = case.path == "/readyz" and answer.status_code == 503
    assert answer.status_code < 500 or ready, answer.text
    assert "Traceback" not in answer.text


@ONE
def test_every_route_is_asked(web: Web) -> None:
    """A route that somebody adds is described here, too."""
    routers = [getattr(route, "original_router", None) for route in web.app.router.routes]
    found = {(route.path.replace(":path}", "}"), method.lower())
             for router in routers if router for route in router.routes for method in route.methods}  # fmt: skip
    endless = {("/live", "get")}  # tests/server/people/test_live.py
    assert found - endless == {(path, method) for method, paths in PATHS.items() for path in paths}


# --- reports of a box that is let in, and lies ---

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just("\0")
    | st.just("\x1b[31m"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
REPORT = good("report", "went-back")


@BOTH
@EXAMPLES
@given(data=st.data())
def test_a_box_that_signs_nonsense_is_told_so(web: Web, data: st.DataObject) -> None:
    """Each member, any value; and any value where the report is said to be a document of our own."""
    member = data.draw(st.sampled_from(sorted(REPORT)))
    document = REPORT | {"counter": data.draw(st.integers(0, 1 << 53)), member: data.draw(ANY)}
    assert web.post(web.signed(json.dumps(document).encode())) in (204, 403, 409, 422)
    for path in (b"/api/v1/boxes/demo-1", b"/boxes/demo-1", b"/"):
        assert web.raw(b"GET %b HTTP/1.0\r\n\r\n" % path) == 200, "it is shown"


TEXTS = ["\0", "a\0b", "\u202e", "\x7f", "\U0001f4a3" * 50, "'; DROP TABLE boxes; --"]


@BOTH
@pytest.mark.parametrize("member", ["boot_id", "agent", "error", "entry", "degraded", "checks", "fetched", "retried"])
def test_odd_texts_are_kept_or_refused(web: Web, member: str) -> None:
    known = web.store.boxes.report("demo-1")
    for number, text in enumerate(TEXTS, (known.counter if known else 0) + 1):
        kinds = {"degraded": [text], "retried": [text], "checks": [{text: text}], "fetched": {text: [text]}}
        document = REPORT | {"counter": number, member: kinds.get(member, text)}
        assert web.post(web.signed(json.dumps(document).encode())) in (204, 409, 422), text
        assert web.raw(b"GET /boxes/demo-1 HTTP/1.0\r\n\r\n") == 200
    assert web.raw(b"GET /?agent=1&q=x HTTP/1.0\r\n\r\n") == 200


# --- what is no report ---

DEEP = b"[" * 100_000
WORSE = {
    "lists in lists": DEEP,
    "lists in lists, in the report": canonical({"report": DEEP.decode(), "signature": "0" * 128, "key": "0" * 64}),
    "a number without an end": b'{"report": ' + b"9" * 200_000 + b"}",
    "half of a surrogate": b'{"report": "\\ud800", "signature": "' + b"0" * 128 + b'"}',
    "UTF-16": '{"report": ""}'.encode("utf-16"),
    "compressed nothing, a gigabyte of it": zlib.compress(bytes(64 << 20)),
    "many members": b"{" + b",".join(b'"%d":1' % number for number in range(20_000)) + b"}",
    "nothing": b"",
}


@ONE
def test_bodies_that_cost_nothing_to_send_cost_nothing_to_refuse(web: Web) -> None:
    assert {name: web.post(body) for name, body in WORSE.items() if web.post(body) not in (400, 403)} == {}
    assert web.post(web.signed(DEEP)) == 422
    nested = json.dumps(REPORT | {"counter": 1 << 52, "checks": [{}]}).replace("[{}]", "[" + DEEP.decode()[:5000])
    assert web.post(web.signed(nested.encode())) == 422


@BOTH
def test_a_report_is_not_anothers_nor_yesterdays(web: Web) -> None:
    other = Ed25519PrivateKey.generate()
    web.store.boxes.enroll("demo-2", other.public_key().public_bytes_raw().hex())
    text = canonical(REPORT | {"boot_id": "replay", "counter": 5})
    sound = web.signed(text)
    assert [web.post(sound) for _ in range(3)] == [204, 409, 409]
    assert web.post(sound, "demo-2") == 403
    foreign = canonical({"report": text.decode(), "signature": other.sign(text).hex()})
    assert web.post(foreign, "demo-2") == 403, "signed by demo-2, of demo-1"
    strange = ["a%00b", "..", "%2e%2e", "DEMO-1", "x" * 5000, "%ff%fe", "demo-1%0a", "%00"]
    assert {name: web.post(sound, name) for name in strange if web.post(sound, name) not in (403, 404, 405)} == {}


# --- what only bytes can say ---

LONG = b"x" * 100_000
REQUESTS: dict[str, tuple[bytes, set[int]]] = {
    "a head that is too long": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + LONG + b"\r\n\r\n", {0, 200, 400}),
    "too many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", {0, 200, 400}),
    "a path that is too long": (b"GET /" + LONG + b" HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400, 404}),
    "a path of dots": (b"GET /layers/" + b"../" * 2000 + b"etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a path of dots, encoded": (b"GET /sbom/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "NUL": (b"GET /api/v1/boxes/%00 HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "NUL itself": (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400}),
    "bytes that are no text": (b"GET /api/v1/boxes/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "bytes above 127": (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400}),
    "overlong UTF-8": (b"GET /layers/%c0%ae%c0%ae HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    "a whole address": (b"GET http://elsewhere/api/v1/boxes HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "no version": (b"GET /\r\n\r\n", {0, 400}),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), {0, 400}),
    "two lengths": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", {0, 400}),
    "a length below 0": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {0, 400}),
    "a chunk without an end": (
        b"POST /api/v1/boxes/demo-1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFF\r\n"
        + bytes(2 * MAX_BODY),
        {413},
    ),
    "chunks that are no chunks": (
        b"POST /api/v1/boxes/demo-1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        {0, 400},
    ),
    "a body that is too long": (
        b"POST /api/v1/boxes/demo-1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n"
        + bytes(2 * MAX_BODY),
        {413},
    ),
    "compressed": (
        b"POST /api/v1/boxes/demo-1/report HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        {400},
    ),
    "a websocket": (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        {200},
    ),
    "a method of its own": (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", {405}),
    "many requests at once": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5000, {200}),
}


@ONE
@pytest.mark.parametrize("name", REQUESTS)
def test_bytes_that_are_hardly_a_request(web: Web, name: str) -> None:
    data, allowed = REQUESTS[name]
    assert web.raw(data) in allowed
    assert web.raw(b"GET /healthz HTTP/1.0\r\n\r\n") == 200


RANGES = {
    "many that overlap": "0-," * 60 + "0-",
    "thousands": ",".join(f"{2 * at}-{2 * at}" for at in range(1500)),
    "a few": "0-0,5-5,9-9",
    "beyond the end": f"{SIZE}-",
    "backwards": "9-1",
    "a number of 4,000 digits": "9" * 4000 + "-",
    "digits of others": "٠-٩",
    "below 0": "--5",
    "of nothing": "-0",
    "no number": "a-b",
    "another unit": None,
}


@ONE
def test_a_range_costs_at_most_one_layer(web: Web) -> None:
    for name, ranges in RANGES.items():
        value = "lines=0-1" if ranges is None else f"bytes={ranges}"
        with closing(http.client.HTTPConnection(web.url.removeprefix("http://"), timeout=PATIENCE)) as one:
            one.request("GET", f"/layers/{LAYER}", headers={"range": value.encode()})
            answer = one.getresponse()
            assert answer.status in (200, 206, 400, 416), name
            assert len(answer.read()) <= SIZE, name
            assert "multipart" not in answer.headers.get("content-type", ""), name


@ONE
def test_a_file_that_goes_while_it_is_asked_for_ends_the_answer(web: Web, tmp_path: Path) -> None:
    """What is collected between the look and the reading: the box asks again, and is told 404."""
    other = "cd" * 32
    (tmp_path / "layer").write_bytes(bytes(32 << 20))
    web.store.layers.add(tmp_path / "layer", other)
    path = web.store.layers.path(other)
    with closing(http.client.HTTPConnection(web.url.removeprefix("http://"), timeout=PATIENCE)) as one:
        one.request("GET", f"/layers/{other}")
        answer = one.getresponse()
        path.write_bytes(b"")
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    path.unlink()
    assert web.raw(f"GET /layers/{other} HTTP/1.0\r\n\r\n".encode()) == 404


def test_the_table_of_headers_is_what_the_server_reads() -> None:
    """A header that somebody begins to read is asked about, too."""
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "gitops" / "server").rglob("*.py"))
    assert set(re.findall(r'headers\.get\("([a-z-]+)"', source)) <= set(HEADERS)
