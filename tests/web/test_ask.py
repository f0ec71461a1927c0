"""No server keeps us longer than it may, makes us read what nobody asked for, or is sent what is not for it."""

import time
from pathlib import Path

import pytest

from gitops.web.ask import Bounds, TooSlowError, WebError, ask
from tests.kit.servers import DRIPPING, Detour, Plain, files, to_file

BOUNDS = Bounds(connect=1, silence=0.4, longest=0.4, largest=1000)


def save(url: str, target: Path, bounds: Bounds = BOUNDS) -> int:
    with ask(url, bounds) as answer:
        return answer.save(target)


@pytest.mark.parametrize("kind", DRIPPING)
def test_what_never_ends_and_is_never_silent_is_cut(tmp_path: Path, kind: str) -> None:
    began = time.monotonic()
    with files(tmp_path, DRIPPING[kind]) as (url, _), pytest.raises(TooSlowError):
        save(url, tmp_path / "got")
    assert time.monotonic() - began < 2


def test_a_redirect_is_followed_and_its_body_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/a").write_text("found")
    with files(tmp_path, Detour) as (url, asked):
        assert save(f"{url}a", tmp_path / "got") == 5
    assert asked == ["/a", "/there/a"] and (tmp_path / "got").read_text() == "found"


def test_no_more_is_read_than_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (8 << 20))
    with files(tmp_path) as (url, _):
        assert 1000 < save(f"{url}a", tmp_path / "got", BOUNDS) <= 1000 + (1 << 20)


class _Lost(Plain):
    """Sends everybody to an address that is none."""

    def do_GET(self) -> None:  # noqa: N802
        self.send_response(302)
        self.send_header("Location", "http://[")
        self.end_headers()


@pytest.mark.parametrize("kind", ["a file", "nowhere"])
def test_a_redirect_leads_to_other_servers_alone(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("mine")
    handler = to_file(tmp_path / "secret") if kind == "a file" else _Lost
    with files(tmp_path, handler) as (url, _), pytest.raises(WebError):
        save(url, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_no_password_of_a_netrc_is_sent_to_where_a_redirect_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[str | None] = []

    class Handler(Detour):
        def do_GET(self) -> None:  # noqa: N802
            heads.append(self.headers.get("Authorization"))
            super().do_GET()

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with files(tmp_path, Handler) as (url, _), ask(f"{url}a", BOUNDS):
        assert heads == [None, None]
