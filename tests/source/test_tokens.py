"""The remote's token is for one host and port, and no text holds a part of it. Real TLS servers on the loopback."""

import base64
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pygit2
import pytest

from gitops.errors import SourceError
from gitops.source.clone.pushing import PushClone
from gitops.source.clone.remote import Access, list_heads
from gitops.source.remotes.redacting import redact

TOKEN = "s3cret/t0ken+of-ours"
GIVEN = base64.b64encode(f"git:{TOKEN}".encode()).decode()


@dataclass
class Site:
    """A TLS server. `to`: where it sends everybody; `asks`: only who has logged in. It remembers what it was sent."""

    folder: Path
    to: str = ""
    asks: bool = False
    body: bytes = b""
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                site.seen.append(given)
                if site.asks and not given:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                elif site.to:
                    self.send_response(302)
                    self.send_header("Location", site.to + self.path)
                else:
                    self.send_response(200 if site.body else 404)
                    self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
                self.send_header("Content-Length", str(0 if site.to else len(site.body)))
                self.end_headers()
                self.wfile.write(b"" if site.to else site.body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, host: str = "127.0.0.1", user: str = "") -> str:
        return f"https://{user}{host}:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(make, capture_output=True, check=True, timeout=60)
    pygit2.settings.set_ssl_cert_locations(str(tmp_path / "cert.pem"), None)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    (tmp_path / "token").write_text(TOKEN + "\n")
    return tmp_path


@pytest.fixture
def sites(certificate: Path) -> Iterator[tuple[Site, Site]]:
    """The fleet repo's server, and another one that asks everybody for a password."""
    made = Site(certificate), Site(certificate, asks=True)
    yield made
    for each in made:
        each.close()


def refused(access: Access, folder: Path) -> SourceError:
    repository = pygit2.init_repository(str(folder / "clone.git"), bare=True)
    with pytest.raises(SourceError) as caught:
        list_heads(repository, access)
    return caught.value


@pytest.mark.parametrize("logged_in", [False, True])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_token_is_not_sent_along_a_redirect(
    sites: tuple[Site, Site], tmp_path: Path, host: str, logged_in: bool
) -> None:
    """Another host, or another port of the same one; before we logged in, or after."""
    ours, other = sites
    ours.to, ours.asks = other.url(host), logged_in
    refusal = refused(Access(f"{ours.url()}/fleet.git", token_file=tmp_path / "token"), tmp_path)
    assert (refusal.reason, refusal.transient) == ("OtherHost", False)
    assert host in refusal.message and "name the new URL" in refusal.hint
    assert [given for given in other.seen if given] == []
    assert any(GIVEN in given for given in ours.seen)


def test_a_password_in_the_url_is_not_sent_along_a_redirect_either(sites: tuple[Site, Site], tmp_path: Path) -> None:
    ours, other = sites
    ours.to, ours.asks = other.url("localhost"), True
    refusal = refused(Access(f"{ours.url(user='git:s3cret@')}/fleet.git"), tmp_path)
    assert refusal.reason == "OtherHost" and "s3cret" not in f"{refusal} {refusal.hint}"
    assert [given for given in other.seen if given] == []


def test_a_push_follows_no_redirect(sites: tuple[Site, Site], tmp_path: Path) -> None:
    ours, other = sites
    ours.to = other.url("localhost")
    clone = PushClone(
        Access(f"{ours.url()}/fleet.git", token_file=tmp_path / "token"), tmp_path / "push", lambda _: b""
    )
    who = pygit2.Signature("a", "a@b", 1, 0)
    tree = clone.repository.TreeBuilder().write()
    made = str(clone.repository.create_commit(None, who, who, "x", tree, []))
    with pytest.raises(SourceError) as caught:
        clone.push("refs/heads/main", made, "")
    assert caught.value.reason == "OtherHost" and other.seen == []


def test_a_server_that_repeats_the_token_does_not_bring_it_into_a_message(certificate: Path) -> None:
    words = f"ERR {TOKEN} may not, nor may https://git:{TOKEN}@host/x".encode()
    lines = b"001e# service=git-upload-pack\n0000" + b"%04x" % (len(words) + 4) + words
    site = Site(certificate, asks=True, body=lines)
    refusal = refused(Access(f"{site.url()}/fleet.git", token_file=certificate / "token"), certificate)
    site.close()
    assert GIVEN in site.seen[-1] and "may not" in refusal.message
    assert not [part for part in ("s3cret", "t0ken") if part in f"{refusal} {refusal.hint}"]


@pytest.mark.parametrize(
    "url",
    [
        "https://bot:pw1@pw2@host/f.git",
        "https://bot:pw1/pw2@host/f.git",
        "https://pw1/pw2@host/f.git",
        "https://bot:pw1?pw2@host/f.git",
        "https://bot:pw1#pw2@host/f.git",
        "ssh://bot:pw1@host/f.git",
        "bot:pw1@host:f.git",
        "https://host/f.git?token=pw1",
        "https://host/f.git#pw1",
    ],
)
def test_no_text_shows_a_part_of_a_password(url: str, tmp_path: Path) -> None:
    shown = redact(f"cannot reach '{url}': no route")
    assert "pw" not in shown and "host" in shown and "no route" in shown
    assert "pw" not in repr(Access(url))


@pytest.mark.parametrize(
    "url", ["https://bot:pw1/pw2@host/f", "https://pw1/pw2@host/f", "bot:pw1@host:f", "ssh://h:0x/f"]
)
def test_a_url_that_would_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        Access(url).check()
    assert "pw" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    ["https://[::1]:8443/f.git", "ssh://git@[2001:db8::1]/f.git", "git@[::1]:f.git", "git@host:f.git", "/a@b/c:d@e"],
)
def test_addresses_of_ipv6_and_odd_paths_are_taken(url: str) -> None:
    Access(url).check()
    assert Access(url).ssh == (not url.startswith(("https", "/")))


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("https://u@[::1]:8443/f", "https://u@::1:8443/f", True),  # as libgit2 writes it
        ("https://[2001:db8::1]/f", "https://2001:db8::1/f", True),
        ("https://[::1]:8443/f", "https://[::1]:8443/g", True),
        ("https://[::1]:8443/f", "https://::1:8444/f", False),
        ("https://[::1]:8443/f", "https://::2:8443/f", False),
        ("https://[::1]:8443/f", "http://::1:8443/f", False),
        ("https://host/f", "https://a:b:c/f", False),
    ],
)
def test_an_address_of_ipv6_is_the_same_without_its_brackets(ours: str, theirs: str, same: bool) -> None:
    assert Access(ours).belongs(theirs) is same
