"""A registry that lies in each way of its own to one box each: the pass ends, every lie is that box's alone and is told
by its name, and what boxes have that were told the truth is out in the same pass."""

import errno
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitops.fleet import load_fleet
from gitops.model import canonical, sha256
from gitops.oci.registry import Registry
from gitops.source import FolderTree
from gitops.workflows.images.missing import missing
from tests.kit.images import Made, index, made, zstd
from tests.kit.oci import tar
from tests.kit.site import Site, beside

GIB = 1 << 30
STARTS = {"Cmd": ["/bin/run"]}


class Liar(http.server.BaseHTTPRequestHandler):
    """Its server has `pages`: the path behind /v2/ -> (kind, bytes) or what is to be done; `heard`: who proved what."""

    def do_GET(self) -> None:
        self.server.heard.append((self.path, self.headers.get("Authorization", "")))  # type: ignore[attr-defined]
        page = self.server.pages.get(self.path.removeprefix("/v2/"), ("", b""))  # type: ignore[attr-defined]
        with suppress(OSError):
            page(self) if callable(page) else self.say(200 if page[0] else 404, *page)

    def say(self, code: int, kind: str, data: bytes, length: int = -1, **more: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": kind, **more}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length < 0 else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def servers() -> Iterator[list[Any]]:
    """The registry, and where it sends some people."""
    with ExitStack() as stack:
        both = [stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)) for _ in range(2)]
        for server in both:
            server.pages, server.heard, server.daemon_threads = {}, [], True  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
        yield both


def image(name: str) -> Made:
    return made([tar({"bin/run": name.encode() * 3000})], config=STARTS)


def says(one: Made, **more: Any) -> Made:
    """The same with another manifest."""
    return replace(one, manifest=canonical(json.loads(one.manifest) | more))


def larger(one: Made, size: int) -> Made:
    manifest = json.loads(one.manifest)
    return says(one, layers=[manifest["layers"][0] | {"size": size}])


ARM = made([tar({"bin/run": b"arm"})], ("linux", "arm64"))
MANY = index(*[image("many")] * 10_000)
CHART = {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": f"sha256:{'1' * 64}", "size": 2}
BOMB = tar({"bin/run": bytes(32 << 20)})
LIES: dict[str, tuple[Made, str]] = {
    "other": (image("other"), "is not what its digest says"),
    "gone": (image("gone"), "404"),
    "cut": (image("cut"), "the connection broke"),
    "more": (image("more"), "more than"),
    "short": (larger(image("short"), GIB), "bytes, and the manifest says"),
    "huge": (larger(image("huge"), 10 * GIB), f"its layers have {10 * GIB} bytes"),
    "many": (MANY, "more than 1000 entries"),
    "chart": (says(image("chart"), config=CHART), "is no image, but application/vnd.cncf.helm"),
    "arm": (index(ARM), "has no image for linux/amd64; it has linux/arm64"),
    "inside": (replace(made([BOMB], pack=zstd, config=STARTS)), "is not what its config says"),
    "text": (Made(b"<html>not here</html>"), "no JSON"),
    "full": (image("full"), "No space left on device"),
    "odd": (image("odd"), "unexpected: KeyError"),
}
SEEN = {"other", "gone", "huge", "many", "chart", "arm", "text", "odd"}
"""What is seen without a layer."""


def offer(server: Any, name: str, one: Made) -> None:
    """What an honest registry has."""
    for each in (one, *one.manifests):
        kind = each.kind if each.manifest.startswith(b"{") else "text/html"
        server.pages[f"{name}/manifests/{each.digest}"] = (kind, each.manifest)
        for data in each.blobs:
            server.pages[f"{name}/blobs/sha256:{sha256(data)}"] = ("application/octet-stream", data)


def lie(server: Any) -> None:
    def page(name: str, what: bytes) -> str:
        return f"{name}/blobs/sha256:{sha256(what)}"

    for name, (one, _) in LIES.items():
        offer(server, name, one)
    layer = {name: one.blobs[-1] for name, (one, _) in LIES.items() if one.blobs}
    server.pages[f"other/manifests/{LIES['other'][0].digest}"] = (image("x").kind, image("x").manifest)
    server.pages = {path: what for path, what in server.pages.items() if not path.startswith("gone/")}
    server.pages[page("cut", layer["cut"])] = lambda self: self.say(200, "x", layer["cut"][:99], len(layer["cut"]))
    server.pages[page("more", layer["more"])] = ("x", layer["more"] + b"x")
    config, other = json.loads(LIES["inside"][0].blobs[0]), f"sha256:{'2' * 64}"
    config["rootfs"]["diff_ids"] = [other]
    data = canonical(config)
    said = {"mediaType": json.loads(LIES["inside"][0].manifest)["config"]["mediaType"]}
    inside = says(LIES["inside"][0], config=said | {"digest": f"sha256:{sha256(data)}", "size": len(data)})
    LIES["inside"] = (replace(inside, blobs=(data, layer["inside"])), LIES["inside"][1])
    offer(server, "inside", LIES["inside"][0])


def breaking(real: Callable[..., Any]) -> Callable[..., Any]:
    def broken(self: Registry, *words: Any) -> Any:
        if "full" in words and real.__name__ == "fetch":
            raise OSError(errno.ENOSPC, "No space left on device", "/state/blobs")
        if "odd" in words:
            raise KeyError("odd")
        return real(self, *words)

    return broken


@pytest.fixture
def lying(site: Site, servers: list[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """A fleet with a box for each lie, and `d`, which is told the truth from another place."""
    first, second = servers
    host = f"127.0.0.1:{first.server_port}"
    lie(first)
    honest = image("d")
    offer(first, "d", honest)
    offer(second, "d", honest)
    path = f"d/blobs/sha256:{sha256(honest.blobs[-1])}"
    place = f"http://localhost:{second.server_port}/v2/{path}"
    first.pages[path] = lambda self: self.say(307, "x", b"", Location=place)
    for box, (one, _) in {**LIES, "d": (honest, "")}.items():
        site.commit(beside(f"{host}/{box}@{one.digest}", box=box))
    for name in ("fetch", "document"):
        monkeypatch.setattr(Registry, name, breaking(getattr(Registry, name)))
    return host


def test_each_lie_of_a_registry_is_one_box_s_and_has_its_name(site: Site, lying: str, servers: list[Any]) -> None:
    first, _ = servers
    done = site.run()
    assert set(done.published) == {"a", "b", "c", "d"}, {box: hold.detail for box, hold in done.held.items()}
    told = {box: hold.detail for box, hold in done.held.items()}
    assert {box: why for box, (_, why) in LIES.items() if why not in told[box]} == {}
    layer = LIES["huge"][0].blobs[-1]
    assert not [path for path, _ in first.heard if path == f"/v2/huge/blobs/sha256:{sha256(layer)}"], "nothing of it"
    assert not [path for path in (site.store.paths.root / "blobs").rglob("*") if path.name.startswith(".")]


def test_no_password_follows_to_where_a_registry_sends_us(
    site: Site, lying: str, servers: list[Any], tmp_path: Path
) -> None:
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"auths": {lying: {"auth": "YWRhOnNlY3JldA=="}}}))
    site.settings = site.settings.model_copy(update={"registry_auth": auth})
    assert "d" in site.run().published
    assert [given for path, given in servers[0].heard if "/d/blobs" in path and given]
    assert [given for path, given in servers[1].heard] == [""]


def test_a_plan_says_what_it_can_see_without_a_layer(site: Site, lying: str) -> None:
    tree = FolderTree(site.remote.work)
    told = missing(load_fleet(tree), tree, site.settings, None)
    assert {one.partition(":")[0] for one in told if " cannot be had: " in one} == SEEN
    for box in SEEN:
        assert any(one.startswith(f"{box}: ") and LIES[box][1] in one for one in told), (box, told)
