"""Registries: images by digest, in and out, and whose signature counts; against Debian's docker-registry."""

import base64
import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gitops.cli.repo import pkg
from gitops.errors import BuildError, RegistryError
from gitops.fleet.packages import load_packages
from gitops.lab.hardware import free_port
from gitops.model import App, AppImage, Box, Image, Spec, canonical, sha256
from gitops.oci.cosign import verify_signature
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files.importing import import_images
from gitops.oci.image import Reference, oci_image, pull, push
from gitops.oci.manifest import for_us
from gitops.oci.registry import MANIFEST, Registry, credentials
from gitops.settings import Settings
from gitops.source import FolderTree
from gitops.store import Store
from gitops.store.notes.documents import AppImages
from gitops.workflows.images.pulling import Images
from tests.kit.authority import Authority
from tests.kit.registry import pem, sign
from tests.kit.servers import Detour, files
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

NAME = "osmocom/osmo-hlr"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that is up."""
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as server:
        yield server.address


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def an_image(store: Store, text: bytes = b"layer") -> AppImage:
    return oci_image(store, Image("osmocom/osmo-hlr:1", "k", {"Cmd": ["/x"]}, (store.blobs.put(text).sha256,)))


def test_an_image_goes_out_once_and_comes_back_the_same(host: str, store: Store, tmp_path: Path) -> None:
    registry, image = Registry(host), an_image(store, b"there and back")
    assert push(store, registry, NAME, "1", image)
    assert not push(store, registry, NAME, "1", image), "it is there"
    other = Store.open(tmp_path / "other")
    assert pull(other, registry, NAME, image.digest) == image
    assert other.blobs.read(image.layers[0].sha256) == b"there and back"


def test_an_index_is_followed_to_our_platform(host: str, store: Store) -> None:
    registry, image = Registry(host), an_image(store, b"for us")
    push(store, registry, NAME, "amd64", image)
    entries = [
        {"digest": f"sha256:{'0' * 64}", "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": f"sha256:{image.digest}", "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    sizes = [{"mediaType": MANIFEST, "size": len(image.manifest), **entry} for entry in entries[1:]]
    kind = "application/vnd.oci.image.index.v1+json"
    index = canonical({"schemaVersion": 2, "mediaType": kind, "manifests": sizes})
    answer = requests.put(
        f"http://{host}/v2/{NAME}/manifests/index", data=index, headers={"Content-Type": kind}, timeout=10
    )
    assert answer.status_code == 201, answer.text
    assert pull(store, registry, NAME, sha256(index)) == image
    newer = [{"digest": f"sha256:{'1' * 64}", "platform": {**entries[1]["platform"], "variant": "v3"}}, *entries]  # type: ignore[dict-item]
    assert for_us({"manifests": newer}, NAME) == image.digest, "what every machine can run"


def test_what_is_not_there_and_who_is_away_are_named(host: str, store: Store) -> None:
    with pytest.raises(RegistryError, match=f"{host}: GET {NAME}/manifests/sha256:0+: 404"):
        pull(store, Registry(host), NAME, "0" * 64)
    with pytest.raises(RegistryError, match="is unreachable"):
        pull(store, Registry(f"127.0.0.1:{free_port()}"), NAME, "0" * 64)


def test_the_body_of_a_registry_s_redirect_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    with files(tmp_path, Detour) as (url, _), pytest.raises(RegistryError, match="404"):
        Registry(url.split("/")[2]).document(NAME, "manifests/1")
    assert time.monotonic() - began < 3


class Away(http.server.BaseHTTPRequestHandler):
    """A registry whose uploads go to another one. `given`: what each was sent as a proof."""

    place = ""
    given: list[tuple[str, str]]

    def do_HEAD(self) -> None:
        self._say(404)

    def do_POST(self) -> None:
        self._say(202)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(201)

    def _say(self, code: int) -> None:
        self.given.append((self.command, self.headers.get("Authorization", "")))
        self.send_response(code)
        self.send_header("Location", f"{self.place}/upload")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_password_stays_with_its_registry_when_an_upload_goes_elsewhere() -> None:
    given: list[tuple[str, str]] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("There", (Away,), {"given": given})) as there:
        place = f"http://127.0.0.1:{there.server_port}"
        here_too = type("Here", (Away,), {"given": given, "place": place})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), here_too) as here:
            for each in (there, here):
                threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True).start()
            Registry(f"127.0.0.1:{here.server_port}", ("bot", "s3cret")).put_blob("http-echo/one", sha256(b"x"), b"x")
            here.shutdown()
        there.shutdown()
    proof = "Basic " + base64.b64encode(b"bot:s3cret").decode()
    assert given == [("HEAD", proof), ("POST", proof), ("PUT", "")]


def test_bytes_that_are_not_those_of_the_digest_are_refused_and_not_kept(
    host: str, store: Store, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    registry, image = Registry(host), an_image(store, b"will be altered")
    push(store, registry, NAME, "2", image)
    (data,) = [
        path
        for folder in tmp_path_factory.getbasetemp().glob("registry[0-9]*")
        for path in folder.rglob(f"blobs/sha256/*/{image.layers[0].sha256}/data")
    ]
    data.write_bytes(b"will be Altered")
    other = Store.open(tmp_path / "other")
    with pytest.raises(RegistryError, match="is not what its digest says"):
        pull(other, registry, NAME, image.digest)
    assert not other.blobs.has(image.layers[0].sha256)


# --- signatures, in cosign's format -----------------------------------------------------------------------------------

ADA, EVE = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
KEYS = {"ada.pub": pem(ADA), "garbage.pub": b"no key"}


def signed(host: str, store: Store, text: bytes, **how: object) -> str:
    """Push an image, sign it, and ask whose signature it carries."""
    image = an_image(store, text)
    push(store, Registry(host), NAME, "signed", image)
    sign(host, NAME, image.digest, **({"key": ADA} | how))  # type: ignore[arg-type]
    return verify_signature(Registry(host), NAME, image.digest, KEYS)


def test_a_signature_by_a_key_of_the_fleet_repo_counts(host: str, store: Store) -> None:
    assert signed(host, store, b"good") == "ada.pub"
    young = ed25519.Ed25519PrivateKey.generate()
    image = an_image(store, b"good too")
    push(store, Registry(host), NAME, "ed", image)
    sign(host, NAME, image.digest, young)
    assert verify_signature(Registry(host), NAME, image.digest, {"young.pub": pem(young)}) == "young.pub"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"key": EVE}, "signed by none of the keys"),
        ({"says": "0" * 64}, "speaks of another image"),
        ({"kind": "something else"}, "speaks of another image"),
        ({"spoil": True}, "signed by none of the keys"),
        ({"media_type": "text/plain"}, "a signature of an unknown kind: 'text/plain'"),
    ],
)
def test_refused_signatures(host: str, store: Store, how: dict[str, object], said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        signed(host, store, said.encode(), **how)


def test_an_unsigned_image_is_refused(host: str, store: Store) -> None:
    image = an_image(store, b"unsigned")
    push(store, Registry(host), NAME, "unsigned", image)
    with pytest.raises(RegistryError, match="is not signed"):
        verify_signature(Registry(host), NAME, image.digest, KEYS)


# --- what a fleet takes -----------------------------------------------------------------------------------------------


def a_box(name: str, how: str) -> Box:
    app = App("net", "boot/compose/net", how, {"services": {"hlr": {"image": name}}}, {"hlr": name})
    return Box("a", "vm", Spec("", ""), apps=(app,))


def test_an_app_that_docker_pulls_itself_needs_a_signature_and_the_registry_is_asked_once(
    host: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = DictTree({"keys/cosign/ada.pub": pem(ADA).decode()})
    image = an_image(store, b"pulled by docker")
    push(store, Registry(host), NAME, "3", image)
    images = Images(Settings(registry=host), store)
    box = a_box(f"{NAME}@sha256:{image.digest}", "registry")
    assert "is not signed" in images.of([box], {}, tree).missing["boot/compose/net"].message
    sign(host, NAME, image.digest, ADA)
    pulled = images.of([box], {}, tree)
    assert pulled.mirror == host and [each.digest for each in pulled.images.values()] == [image.digest]
    monkeypatch.setattr(Registry, "_ask", lambda *_, **__: pytest.fail("asked again"))
    assert images.of([box], {}, tree) == pulled


def test_an_imported_oci_layout_needs_no_registry(store: Store, tmp_path: Path) -> None:
    image = an_image(Store.open(tmp_path / "made"), b"from a stick")
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in (image.manifest, image.config, b"from a stick"):
        (blobs / sha256(data)).write_bytes(data)
    entry = {"mediaType": MANIFEST, "digest": f"sha256:{image.digest}", "size": len(image.manifest)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "hlr"}
    (tmp_path / "layout" / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    images = Images(Settings(), store)
    (taken,) = import_images(images, store, str(tmp_path / "layout")).images
    assert taken.digest == image.digest
    box = a_box(f"hlr@sha256:{image.digest}", "staged")
    assert list(images.of([box], {}, DictTree({})).images.values()) == [image]
    with pytest.raises(RegistryError, match="no registry is named"):
        images.image(f"hlr@sha256:{'0' * 64}")


def test_a_tag_means_nothing_that_its_own_repository_does_not_have(host: str, store: Store) -> None:
    """Whoever may sign images.lock alone may write any digest there: that of somebody else's image is here, too."""
    registry, image = Registry(host), an_image(store, b"of hlr alone")
    push(store, registry, NAME, "3", image)
    push(store, registry, "web/nginx", "1", an_image(store, b"of nginx"))
    elsewhere = Elsewhere(Settings(), store)
    assert elsewhere.image(f"{host}/{NAME}:3@sha256:{image.digest}") == image
    with pytest.raises(RegistryError, match=f"GET web/nginx/manifests/sha256:{image.digest}: 404"):
        elsewhere.image(f"{host}/web/nginx:1@sha256:{image.digest}")
    assert elsewhere.image(f"{host}/web/nginx@sha256:{image.digest}") == image, "a person wrote this digest"
    push(store, registry, "mirror/hlr", "3", image)
    away = Elsewhere(Settings(registry=f"127.0.0.1:{free_port()}"), store)
    assert elsewhere.image(f"{host}/mirror/hlr:3@sha256:{image.digest}") == image
    for name in (NAME, "mirror/hlr"):
        assert away.image(f"{host}/{name}:3@sha256:{image.digest}") == image, "both are known now"
    old = f"{host}/other/hlr:3@sha256:{image.digest}"
    with pytest.raises(RegistryError, match="is unreachable"):
        away.image(old)
    store.notes.put(AppImages({old: ()}))
    assert away.image(old) == image, "it deployed before origins were remembered"


def test_pkg_push_publishes_under_the_linuxkit_tag(
    host: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "fleet"
    for name in ("pkg/gsm/hlr", "pkg/other"):
        (fleet / name).mkdir(parents=True)
        (fleet / name / "build.yml").write_text(f"org: osmocom\nimage: {name[-3:]}\n")
        (fleet / name / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(BuildError, match="pkg/gsm/hlr is not built"):
        pkg.push(["pkg/gsm"], host, fleet, state=store.paths.root)
    package = load_packages(FolderTree(fleet), 1, "linux/amd64", [])["pkg/gsm/hlr"]
    store.builds.save_image(Image(package.tag, package.key, {}, (store.blobs.put(b"hlr").sha256,)))
    pkg.push(["pkg/gsm"], host, fleet, state=store.paths.root)
    repository, _, tag = package.tag.partition(":")
    listed = requests.get(f"http://{host}/v2/{repository}/tags/list", timeout=10).json()
    assert listed["tags"] == [tag]
    assert f"{host}/osmocom/hlr@sha256:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "host", "repository"),
    [
        ("nginx@sha256:1", "", "nginx"),
        ("library/nginx:1@sha256:1", "", "library/nginx"),
        ("web.example:5000/a/b@sha256:1", "web.example:5000", "a/b"),
        ("localhost/a@sha256:1", "localhost", "a"),
    ],
)
def test_references(text: str, host: str, repository: str) -> None:
    assert Reference.parse(text) == Reference(host, repository, "1")


def test_credentials_come_from_a_file_and_stand_in_no_error(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    encoded = base64.b64encode(b"ada:very secret").decode()
    file.write_text(json.dumps({"auths": {"registry.example": {"auth": encoded}}}))
    assert credentials(file, "registry.example") == ("ada", "very secret")
    assert credentials(file, "other.example") is None
    registry = Registry(f"127.0.0.1:{free_port()}", ("ada", "very secret"))
    with pytest.raises(RegistryError) as caught:
        registry.has(NAME, "manifests/1")
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"
    file.write_text("garbage")
    with pytest.raises(RegistryError, match="not a file with `auths`"):
        credentials(file, "registry.example")


class Sender(http.server.BaseHTTPRequestHandler):
    """A registry that sends whoever asks elsewhere: before it asks for a token, after that, and from its token server.
    `heard`: what each request proved, by the port that it came to."""

    code, elsewhere, asks, realm = 307, "", False, ""
    heard: list[tuple[int, str]]

    def do_GET(self) -> None:
        port, given = self.server.server_port, self.headers.get("Authorization", "")  # type: ignore[attr-defined]
        self.heard.append((port, given))
        if port == self.server.first and self.asks and not given.startswith("Bearer"):  # type: ignore[attr-defined]
            if self.path.startswith("/v2/token"):
                self._say(200, b'{"token": "secret-token"}')
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Bearer realm="{self.realm}",service="x"')
        elif port == self.server.first:  # type: ignore[attr-defined]
            self.send_response(self.code)
            self.send_header("Location", f"{self.elsewhere}{self.path}")
        else:
            self._say(200, b'{"token": "of another"}')
            return
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _say_elsewhere(self, address: str) -> None:
        self.send_response(self.code)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _say(self, code: int, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def two() -> Iterator[tuple[type[Sender], int, int]]:
    """A handler of its own, the registry's port and another one."""
    handler = type("Handler", (Sender,), {"heard": []})
    with ExitStack() as stack:
        servers = [stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) for _ in range(2)]
        for server in servers:
            server.first = servers[0].server_port  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
        yield handler, servers[0].server_port, servers[1].server_port


ENOUGH = 64 << 20
"""Bytes: a registry that could send so many could send any number."""


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("asks", [False, True], ids=["password", "token"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_neither_password_nor_token_go_along_a_registry_s_redirect(
    two: tuple[type[Sender], int, int], code: int, asks: bool, host: str
) -> None:
    """To another port, and to another name of the same machine."""
    handler, first, second = two
    handler.code, handler.asks, handler.elsewhere = code, asks, f"http://{host}:{second}"
    handler.realm = f"http://127.0.0.1:{first}/v2/token"
    registry = Registry(f"127.0.0.1:{first}", ("ada", "pass"))
    with suppress(RegistryError):
        registry.document(NAME, "manifests/1")
    proven = [given for port, given in handler.heard if port == first and given]
    assert ("Bearer secret-token" if asks else "Basic") in "".join(proven), "the registry itself has it"
    assert [given for port, given in handler.heard if port == second] == [""]


@pytest.mark.parametrize(
    "kind", ["its token server", "the place of an upload", "who lets nobody in", "what is not there"]
)
def test_an_answer_without_end_is_not_read_to_its_end(two: tuple[type[Sender], int, int], kind: str) -> None:
    """Of a registry that sends as fast as it can; what was taken is counted there."""
    handler, first, _ = two
    sent = [0]

    def flood(self: Sender, code: int) -> None:
        self.send_response(code)
        self.send_header("WWW-Authenticate", f'Bearer realm="http://127.0.0.1:{first}/v2/token",service="x"')
        self.send_header("Location", "/v2/x")
        self.end_headers()
        with suppress(OSError):
            while sent[0] < ENOUGH:
                sent[0] += self.wfile.write(b" " * (1 << 16))

    def get(self: Sender) -> None:
        if "token" in self.path:
            flood(self, 200 if kind == "its token server" else 403)
        else:
            flood(self, 404 if kind == "what is not there" else 401)

    handler.do_GET = get  # type: ignore[method-assign]
    handler.do_HEAD = lambda self: self._say(404, b"")  # type: ignore[attr-defined]
    handler.do_POST = lambda self: flood(self, 202)  # type: ignore[attr-defined]
    handler.do_PUT = lambda self: flood(self, 201)  # type: ignore[attr-defined]
    registry = Registry(f"127.0.0.1:{first}", ("ada", "pass"))
    if kind == "the place of an upload":
        registry.put_blob(NAME, "0" * 64, b"x")
    else:
        with pytest.raises(RegistryError):
            registry.document(NAME, "manifests/1")
    assert sent[0] < ENOUGH


def test_a_token_server_that_sends_us_elsewhere_or_is_named_in_clear_gets_nothing(
    two: tuple[type[Sender], int, int],
) -> None:
    handler, first, second = two
    handler.asks, handler.elsewhere = True, f"http://127.0.0.1:{second}"
    for realm in (f"http://127.0.0.1:{second}/v2/token", f"http://127.0.0.1:{first}@127.0.0.1:{second}/v2/"):
        handler.realm = realm
        with pytest.raises(RegistryError, match="lets nobody in like this"):
            Registry(f"127.0.0.1:{first}", ("ada", "pass")).document(NAME, "manifests/1")
    assert [given for port, given in handler.heard if port == second] == []


ADDRESSES = [
    "http://[", "http://[::1", "http://127.0.0.1:port/", "http://.example/", "http://a..b/", "http://\xff\xfe/", "//",
    "",
    f"http://{'a' * 300}/", "http://host:99999/", "file:///etc/passwd", "ftp://127.0.0.1/x", "http+unix://%2Frun%2Fx/y",
    "data:text/plain,x", "http://[v1.x]/", "http:x",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none_is_told_in_words_wherever_a_registry_names_it(
    two: tuple[type[Sender], int, int], address: str
) -> None:
    """In a redirect, as the rest of a list, as the place of an upload, and as its token server."""
    handler, first, _ = two
    registry = Registry(f"127.0.0.1:{first}")

    def listed(self: Sender) -> None:
        self.send_response(200)
        self.send_header("Link", f'<{address}>; rel="next"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def placed(self: Sender) -> None:
        self.send_response(202 if self.command == "POST" else 404)
        self.send_header("Location" if address else "Nothing", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    handler.do_GET = lambda self: Sender._say_elsewhere(self, address)  # type: ignore[method-assign]
    with pytest.raises(RegistryError):
        registry.document(NAME, "manifests/1")
    handler.do_GET = listed  # type: ignore[method-assign]
    with suppress(RegistryError):  # some of them lead to a path of the same server
        registry.page(f"{NAME}/referrers/x", ())
    handler.do_HEAD = handler.do_POST = handler.do_PUT = placed  # type: ignore[attr-defined]
    with pytest.raises(RegistryError):
        registry.put_blob(NAME, "0" * 64, b"x")


def test_no_redirect_leads_from_https_to_http(
    two: tuple[type[Sender], int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, _, second = two
    authority = Authority()
    authority.server("127.0.0.2", tmp_path / "server.pem")
    (tmp_path / "ca.pem").write_text(authority.pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with http.server.ThreadingHTTPServer(("127.0.0.2", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.first = server.server_port  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        registry = Registry(f"127.0.0.2:{server.server_port}", ("ada", "pass"))
        for scheme in ("http", "HTTP"):
            handler.elsewhere = f"{scheme}://127.0.0.1:{second}"
            with pytest.raises(RegistryError, match="from https to http"):
                registry.document(NAME, "manifests/1")
        server.shutdown()
    assert [port for port, _ in handler.heard if port == second] == [], "nothing was asked in clear"
