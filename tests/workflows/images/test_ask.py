"""What registries say of tags: honest ones, and each way of being none."""

import http.server
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gitops.errors import RegistryError
from gitops.fleet.images.tracked import Tracked
from gitops.lab.hardware import free_port
from gitops.model import canonical, sha256
from gitops.oci.image import MAX_IMAGE
from gitops.oci.registry import MAX_DOCUMENT, Registry
from gitops.oci.trust import Trust
from gitops.settings import Settings
from gitops.workflows.images import ask
from gitops.workflows.images.ask import Answer, Registries
from tests.kit.registry import INDEX, Pushed, image, pem, sign
from tests.kit.servers import silent
from tests.simulators.registry import DockerRegistry

ADA, EVE = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
TRUST = Trust({"ada.pub": pem(ADA)}, ("*/free/*",))
OLD = f"sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as server:
        yield server.address


def asked(name: str, trust: Trust = Trust({}), registry: str = "", tag: str = "1") -> tuple[Registries, Answer]:
    registries = Registries(Settings(registry=registry), trust)
    (answer,) = registries.ask([Tracked(name, tag)], {f"{name}:{tag}": OLD})
    return registries, answer


def judged(name: str, trust: Trust = Trust({}), registry: str = "") -> str:
    registries, answer = asked(name, trust, registry)
    assert answer.moved, answer
    return registries.judge(answer)


def test_a_tag_that_moved_is_told_from_one_that_stands_and_one_that_is_gone(host: str) -> None:
    digest = Pushed(host).push("web/nginx", "1")
    name = f"{host}/web/nginx"
    (moved,) = Registries(Settings(), TRUST).ask([Tracked(name, "1"), Tracked(name, "1", OLD)], {f"{name}:1": digest})
    assert moved.moved and moved.found == digest and set(moved.now) == {digest, OLD}
    (stands,) = Registries(Settings(), TRUST).ask([Tracked(name, "1")], {f"{name}:1": digest})
    assert not stands.moved and stands.found == digest
    _, gone = asked(name, tag="2")
    assert not gone.found and gone.known and "no such tag any more" in gone.why
    _, mirrored = asked("web/nginx", registry=host)
    assert mirrored.found == digest
    _, nowhere = asked("web/nginx")
    assert not nowhere.known and "no registry is named" in nowhere.why


def test_where_there_are_keys_one_of_them_signed_the_image_or_its_index(host: str) -> None:
    there, name = Pushed(host), f"{host}/sig/app"
    one = there.push("sig/app", "1", b"one")
    assert judged(name) == "", "no keys, no signatures"
    with pytest.raises(RegistryError, match="is not signed"):
        judged(name, TRUST)
    sign(host, "sig/app", one.removeprefix("sha256:"), EVE)
    with pytest.raises(RegistryError, match="signed by none of the keys"):
        judged(name, TRUST)
    sign(host, "sig/app", one.removeprefix("sha256:"), ADA)
    assert judged(name, TRUST) == "ada.pub"
    index = there.index("sig/app", "1", amd64=there.push("sig/app", "x", b"two"))
    sign(host, "sig/app", index.removeprefix("sha256:"), ADA)
    assert judged(name, TRUST) == "ada.pub"
    there.push("free/app", "1", b"three")
    assert judged(f"{host}/free/app", TRUST) == "", "the fleet repo says that nobody signs it"


def test_what_boxes_pull_by_themselves_is_signed_under_the_digest_that_docker_asks_for(host: str) -> None:
    there, name = Pushed(host), f"{host}/free/pulled"
    inside = there.push("free/pulled", "x", b"pulled")
    index = there.index("free/pulled", "1", amd64=inside)
    sign(host, "free/pulled", index.removeprefix("sha256:"), ADA)
    registries = Registries(Settings(), TRUST, {f"{name}:1@{OLD}"})
    (answer,) = registries.ask([Tracked(name, "1")], {f"{name}:1": OLD})
    with pytest.raises(RegistryError, match="is not signed"):
        registries.judge(answer)
    sign(host, "free/pulled", inside.removeprefix("sha256:"), ADA)
    assert registries.judge(answer) == "ada.pub"


def test_an_image_for_other_machines_is_refused(host: str) -> None:
    there = Pushed(host)
    other = there.push("arm/app", "1", b"arm", architecture="arm64")
    with pytest.raises(RegistryError, match="an image for linux/arm64, not for linux/amd64"):
        judged(f"{host}/arm/app")
    there.index("arm/app", "1", arm64=other)
    with pytest.raises(RegistryError, match="has no image for linux/amd64"):
        judged(f"{host}/arm/app")


# --- registries that are none -----------------------------------------------------------------------------------------

MADE, CONFIG = image(b"layer")
HEX = sha256(MADE)


@contextmanager
def played(answers: Mapping[str, tuple[int, bytes]], said: str = f"sha256:{HEX}", drip: float = 0.0) -> Iterator[str]:
    """A registry that has these manifests and blobs by their last word, and says this digest of every tag."""
    count: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        asked = count

        def do_GET(self) -> None:
            self.asked.append(self.path)
            status, body = answers.get(self.path.rpartition("/")[2].removeprefix("sha256:"), (404, b""))
            self.send_response(status)
            if said:
                self.send_header("Docker-Content-Digest", said)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            for at in range(0, len(body), 1 if drip else len(body)):
                self.wfile.write(body[at : at + 1] if drip else body)
                self.wfile.flush()
                time.sleep(drip)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


GOOD = {"1": (200, MADE), HEX: (200, MADE), sha256(CONFIG): (200, CONFIG)}
HUGE = canonical(
    {
        "config": {"digest": f"sha256:{sha256(CONFIG)}"},
        "layers": [{"digest": f"sha256:{'1' * 64}", "size": MAX_IMAGE + 1}],
    }
)


def sized(*sizes: str) -> bytes:
    layers = ", ".join(f'{{"digest": "sha256:{"1" * 64}", "size": {size}}}' for size in sizes)
    return f'{{"config": {{"digest": "sha256:{sha256(CONFIG)}"}}, "layers": [{layers}]}}'.encode()


DEEP = b'{"a":' * 100_000
BIG, NEGATIVE, UNSIGNED = sized("1e999"), sized(str(100 << 30), str(-100 << 30)), b'{"layers": 5}'
NO_INDEX = canonical({"mediaType": INDEX, "manifests": ["x"]})


@pytest.mark.parametrize(
    ("answers", "said", "reason"),
    [
        (GOOD, f"sha256:{HEX}", ""),
        (GOOD, "", ""),
        (GOOD | {HEX: (200, b"{}")}, f"sha256:{HEX}", "is not what its digest says"),
        (GOOD | {sha256(CONFIG): (200, b"{}")}, f"sha256:{HEX}", "is not what its digest says"),
        (GOOD | {HEX: (200, b"x" * (MAX_DOCUMENT + 1))}, f"sha256:{HEX}", f"more than {MAX_DOCUMENT} bytes"),
        (GOOD | {sha256(HUGE): (200, HUGE)}, f"sha256:{sha256(HUGE)}", f"more than {MAX_IMAGE}"),
        (GOOD | {sha256(NO_INDEX): (200, NO_INDEX)}, f"sha256:{sha256(NO_INDEX)}", "has an index that is none"),
        (GOOD | {sha256(DEEP): (200, DEEP)}, f"sha256:{sha256(DEEP)}", "is no JSON"),
        (GOOD | {sha256(BIG): (200, BIG)}, f"sha256:{sha256(BIG)}", "is no image"),
        (GOOD | {sha256(NEGATIVE): (200, NEGATIVE)}, f"sha256:{sha256(NEGATIVE)}", "is no image"),
        (GOOD | {HEX: (404, b"")}, f"sha256:{HEX}", "404"),
        ({sha256(b"[]"): (200, b"[]"), "1": (200, b"[]")}, f"sha256:{sha256(b'[]')}", "no manifest"),
    ],
    ids=[
        *("honest", "says no digest", "other bytes", "other config", "endless", "huge", "no index"),
        *("deep", "infinite", "negative", "gone", "empty"),
    ],
)  # fmt: skip
def test_a_digest_is_believed_when_its_bytes_are_there(
    answers: Mapping[str, tuple[int, bytes]], said: str, reason: str
) -> None:
    with played(answers, said) as host:
        registries, answer = asked(f"{host}/a")
        assert answer.moved
        if not reason:
            assert registries.judge(answer) == ""
            return
        with pytest.raises(RegistryError, match=reason) as caught:
            registries.judge(answer)
        assert not caught.value.transient, "it is refused, not waited for"


def test_a_signature_that_is_none_signs_nothing() -> None:
    for manifest in (UNSIGNED, DEEP):
        with played(GOOD | {f"sha256-{HEX}.sig": (200, manifest)}) as host:
            registries, answer = asked(f"{host}/a", TRUST)
            with pytest.raises(RegistryError, match="its signature is empty"):
                registries.judge(answer)


def test_an_answer_that_breaks_our_code_is_that_registry_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RecursionError("too deep")

    with played(GOOD) as host:
        registries, answer = asked(f"{host}/a")
        monkeypatch.setattr(registries, "_judge", broken)
        with pytest.raises(RegistryError, match=f"{host} answers what nobody can read: RecursionError") as caught:
            registries.judge(answer)
        assert not caught.value.transient
        monkeypatch.setattr(Registry, "digest", broken)
        _, unread = asked(f"{host}/a")
    assert not unread.found and not unread.known and "RecursionError" in unread.why


@pytest.mark.parametrize("said", ["sha256:xyz", "../../etc/passwd"])
def test_what_is_no_digest_is_none(said: str) -> None:
    with played(GOOD, said) as host:
        _, answer = asked(f"{host}/a")
        assert not answer.found and "is no SHA-256 digest" in answer.why


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_registry_that_does_not_say_is_not_one_that_has_no_such_tag(status: int) -> None:
    with played({"1": (status, b"")}) as host:
        _, answer = asked(f"{host}/a")
    assert not answer.found and not answer.known
    assert str(status) in answer.why or "lets nobody in" in answer.why


def test_a_registry_that_is_away_or_silent_is_not_waited_for_with_each_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "ANSWER", 0.3)
    away = f"127.0.0.1:{free_port()}"
    with silent() as url:
        dead = url.removeprefix("http://").rstrip("/")
        began = time.monotonic()
        wanted = [Tracked(f"{host}/{name}", "1") for host in (away, dead) for name in "abcde"]
        answers = Registries(Settings(), TRUST).ask(wanted, {})
        assert time.monotonic() - began < 1.2, "one is asked once, the other for a second tag"
    assert len(answers) == 10 and not any(answer.known or answer.found for answer in answers)
    assert {answer.why for answer in answers if answer.name.startswith(dead)} == {
        f"{dead} gives no answer within 0.3 seconds"
    }


def test_bytes_that_come_one_by_one_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "JUDGE", 0.3)
    with played(GOOD, drip=0.05) as host:
        registries, answer = asked(f"{host}/a")
        with pytest.raises(RegistryError, match=r"no answer within 0\.3 seconds") as caught:
            registries.judge(answer)
        assert caught.value.transient


def test_there_is_an_end_to_the_time_of_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "LOOK", -1)
    with played(GOOD) as host:
        _, answer = asked(f"{host}/a")
    assert not answer.known and "not asked" in answer.why


def test_one_repository_that_lets_nobody_in_says_nothing_of_the_others_of_its_host() -> None:
    with played({"secret": (403, b""), **GOOD}) as host:
        wanted = [Tracked(f"{host}/a", "secret"), Tracked(f"{host}/b", "1")]
        denied, other = Registries(Settings(), Trust({})).ask(wanted, {})
    assert not denied.found and not denied.known and "403" in denied.why
    assert other.found == f"sha256:{HEX}"
