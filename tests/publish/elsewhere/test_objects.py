"""A store of objects with S3's API: moto's server, in a process of its own; and stores that misbehave in one way."""

import http.server
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from gitops.errors import PublishError
from gitops.publish.elsewhere import objects
from gitops.publish.elsewhere.kinds import kind_of
from gitops.publish.elsewhere.objects import Objects
from gitops.settings.places import PublishTo
from tests.kit.elsewhere import Copies, Origin, s3
from tests.kit.nocs import release, settle
from tests.kit.servers import silent

SECRET, KEY = "a-secret-nobody-shall-read", "AKIANOBODYSHALLREAD"
LAYER = "layers/" + "ab" * 32


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    file = tmp_path / "credentials"
    file.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    return file


def place(endpoint: str, credentials: Path, to: str = "s3://boxes/fleet") -> Objects:
    return Objects.of(PublishTo(name="cdn", to=to, endpoint=endpoint.rstrip("/"), credentials_file=credentials))


def test_a_box_takes_all_from_a_bucket_and_reports_to_the_server(
    tmp_path: Path, origin: Origin, credentials: Path
) -> None:
    with s3(tmp_path / "s3") as url:
        requests.put(f"{url}/boxes", timeout=20)
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::boxes/*"}
        requests.put(f"{url}/boxes?policy", json={"Version": "2012-10-17", "Statement": [allowed]}, timeout=20)
        copies = Copies(origin, place(url, credentials))
        assert copies.once().put and copies.once().put == 0
        copies.again()
        assert copies.once().put == 0, "another process finds what is there"
        assert settle(origin.box(tmp_path / "box", f"{url}/boxes/fleet")).boot.sequence == 8
        assert origin.reported() == 8 and origin.content() == []
        heads = {path: requests.head(f"{url}/boxes/fleet/{path}", timeout=20).headers for path in copies.place.listed()}
        assert {(kind_of(path), each["content-type"], each["cache-control"]) for path, each in heads.items()} == {
            (kind, kind.type, kind.cache) for path in heads if (kind := kind_of(path))
        }
        stamp = f"{url}/boxes/fleet/metadata/timestamp.json"
        asked = requests.get(
            stamp, headers={"If-None-Match": requests.head(stamp, timeout=20).headers["etag"]}, timeout=20
        )
        assert asked.status_code == 304
        lost = next(path for path in heads if path.endswith(".zst"))
        requests.delete(f"{url}/boxes/fleet/{lost}", timeout=20)
        requests.put(stamp, b"{}", timeout=20)
        mended = copies.once(later=3600).mended
        assert mended == (f"{lost} was gone", "metadata/timestamp.json was another one") and copies.once().mended == ()
        origin.offer(release(9, b"three"))
        assert copies.once().put and copies.place.read("metadata/timestamp.json", 1 << 16) == origin.tree.stamps()[
            "metadata/timestamp.json"
        ]  # fmt: skip


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A store that says the same to everybody, and everything that it heard of them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = f"<Error><Code>No</Code><Message>{self.headers}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "it refuses us (403)"), (503, "it answers 503"), (507, "it answers 507"), (404, "there is no such bucket")],
)
def test_what_a_store_answers_is_said_in_our_words_and_without_a_secret(
    status: int, words: str, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "TRIES", 1)
    with answering(status) as url:
        there = place(url, credentials)
        for work in (lambda: there.put(LAYER, b"x", kind_of(LAYER)), there.listed):  # type: ignore[arg-type]
            with pytest.raises(PublishError) as caught:
                work()
            said = f"{caught.value.hint} {''.join(traceback.format_exception(caught.value))}"
            assert words in said and "cdn" in said
            assert SECRET not in said and KEY not in said and "Signature" not in said


def test_a_store_that_hangs_is_given_up(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "TRIES", 1)
    monkeypatch.setattr(objects, "REQUEST", timedelta(seconds=0.2))
    monkeypatch.setattr(objects, "ALL_TRIES", timedelta(seconds=1))
    with silent() as url, pytest.raises(PublishError, match="cdn: it does not answer in time"):
        place(url, credentials).put(LAYER, b"x", kind_of(LAYER))  # type: ignore[arg-type]
    with pytest.raises(PublishError, match="cdn: it cannot be reached"):
        place("http://127.0.0.1:9", credentials).listed()


def test_credentials_that_cannot_be_read_are_named_by_their_file_alone(credentials: Path) -> None:
    for text in (f"aws_secret_access_key = {SECRET}", f"[default]\n{SECRET}", "", f"[default]\n[default]\n{SECRET}"):
        credentials.write_text(text)
        with pytest.raises(PublishError, match="no credentials can be read there") as caught:
            place("http://127.0.0.1:9", credentials).listed()
        assert SECRET not in f"{caught.value.hint} {''.join(traceback.format_exception(caught.value))}"
