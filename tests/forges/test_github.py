"""A forge on a bad day: what it refuses, limits, cuts short or lies about; and the token that nobody may see."""

from pathlib import Path

import pytest

from gitops.errors import ForgeError
from gitops.forges import http
from gitops.forges.forge import State, Status
from gitops.forges.token import TOKEN, reader
from gitops.settings import Settings
from gitops.workflows.reviews.reviewer import Deployment
from tests.kit.desk import ONE, TOKEN_TEXT, TWO, Desk
from tests.simulators.forge import Fault, Forge, forge

# --- a bad day --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [500, 502, 503])
def test_an_error_of_the_forge_is_waited_out_ever_longer(desk: Desk, hub: Forge, code: int) -> None:
    hub.pull(7, ONE)
    hub.faults += [Fault(code), Fault(code)]
    with pytest.raises(ForgeError, match=str(code)) as first:
        desk.round()
    with pytest.raises(ForgeError, match="left alone"):
        desk.round()
    assert len(hub.requests) == 1
    desk.now += first.value.wait + 1
    with pytest.raises(ForgeError) as second:
        desk.round()
    assert second.value.wait == 2 * first.value.wait
    desk.now += second.value.wait + 1
    desk.round()
    assert len(hub.ours(7)) == 1


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1:port/", "http://a..b/", "file:///etc/passwd"])
@pytest.mark.parametrize("how", ["redirect", "next"])
def test_an_address_that_is_none_is_a_bad_day_and_no_traceback(desk: Desk, hub: Forge, address: str, how: str) -> None:
    hub.pull(7, ONE)
    link = Fault(200, {"Link": f'<{address}>; rel="next"'}, raw=b"[]")
    hub.faults.append(Fault(302, {"Location": address}) if how == "redirect" else link)
    with pytest.raises(ForgeError):
        desk.round()


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault(429, {"Retry-After": "120"}), 120),
        (Fault(403, {"Retry-After": "60"}, "You have exceeded a secondary rate limit"), 60),
        (Fault(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000300"}, "API rate limit exceeded"), 300),
        (Fault(429, {"Retry-After": "99999999"}), 3600),
        (Fault(429, {"Retry-After": "-5"}), 30),
    ],
)
def test_a_rate_limit_is_waited_out_for_as_long_as_it_says(desk: Desk, hub: Forge, fault: Fault, wait: float) -> None:
    hub.pull(7, ONE)
    hub.faults.append(fault)
    with pytest.raises(ForgeError, match="rate limit") as caught:
        desk.round()
    assert caught.value.wait == wait
    desk.now += wait - 1
    with pytest.raises(ForgeError, match="left alone"):
        desk.round()
    assert len(hub.requests) == 1
    desk.now += 2
    desk.round()
    assert len(hub.ours(7)) == 1


def test_a_rate_limit_in_the_middle_repeats_nothing_that_was_said(desk: Desk, hub: Forge) -> None:
    hub.pull(1, ONE)
    hub.pull(2, TWO)
    hub.faults.append(Fault(429, {"Retry-After": "5"}, path="/issues/2/"))
    with pytest.raises(ForgeError):
        desk.round(Deployment(ONE, 1, 1))
    desk.now += 6
    desk.round(Deployment(ONE, 1, 1))
    assert [len(hub.ours(number)) for number in (1, 2)] == [1, 1]
    assert desk.planned.count((1, False)) == 1 and len([s for s in hub.statuses if s["sha"] == ONE]) == 2


def test_a_revoked_token_is_said_and_a_new_one_counts_without_a_restart(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    hub.tokens = {"another-token": "toweros-bot"}
    with pytest.raises(ForgeError, match="401: Bad credentials") as caught:
        desk.round()
    assert "token is refused" in caught.value.hint
    desk.token, desk.now = "another-token", desk.now + 31
    desk.round()
    assert len(hub.ours(7)) == 1


def test_a_silent_forge_is_given_up_on(desk: Desk, hub: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ", 0.2)
    hub.faults.append(Fault(delay=1.0))
    with pytest.raises(ForgeError, match="ReadTimeout"):
        desk.round()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"<html>a captive portal</html>", "not JSON"),
        (b'{"message": "an object"}', "a list was expected"),
        (b'[{"number": 1}]', "head"),
        (b'[{"number": 1, "head": {"sha": "../../x", "repo": null}, "base": {}}]', "is no commit"),
        (b"[" + b" " * (http.MAX_BYTES + 1) + b"]", "ContentDecodingError"),
        (b"", "a list was expected"),
    ],
)
def test_what_is_no_answer_of_the_api_is_refused(desk: Desk, hub: Forge, raw: bytes, message: str) -> None:
    hub.faults.append(Fault(200, raw=raw))
    with pytest.raises(ForgeError, match=message):
        desk.round()


def test_the_token_goes_nowhere_else(desk: Desk, hub: Forge) -> None:
    with forge() as other:
        hub.faults.append(Fault(302, {"Location": f"{other.url}/user"}))
        with pytest.raises(ForgeError, match="302"):
            desk.round()
        hub.faults.append(Fault(200, {"Link": f'<{other.url}/x>; rel="next"'}, raw=b"[]"))
        with pytest.raises(ForgeError, match="another server"):
            desk.round()
        assert other.requests == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 500])
def test_no_message_shows_the_token(desk: Desk, hub: Forge, code: int) -> None:
    hub.faults.append(Fault(code, message=f"you said {TOKEN_TEXT}"))
    with pytest.raises(ForgeError) as caught:
        desk.round()
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert all(TOKEN_TEXT not in f"{error} {getattr(error, 'hint', '')} {vars(error)}" for error in chain if error)


def test_an_answer_that_a_dead_server_cut_short_is_waited_out() -> None:
    with forge() as hub:
        pass
    with pytest.raises(ForgeError, match="ConnectionError"):
        Desk(hub).round()


def test_a_long_description_is_cut_to_what_the_forge_takes(desk: Desk, hub: Forge) -> None:
    desk.github.status(ONE, Status("toweros/plan", State.SUCCESS, "x" * 500))
    said = hub.state(ONE, "toweros/plan")
    assert said and len(said[1]) == 140


# --- the token --------------------------------------------------------------------------------------------------------


def test_a_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    read = reader(Settings(forge_token_file=file))
    with pytest.raises(ForgeError, match="no token can be read"):
        read()
    file.write_text("one\n")
    assert read() == "one"
    file.write_text("two\n")
    assert read() == "two"
    file.write_text("a\r\nInjected: header\n")
    with pytest.raises(ForgeError, match="there is no token"):
        read()
    monkeypatch.setenv(TOKEN, "three")
    assert reader(Settings())() == "three"
    monkeypatch.delenv(TOKEN)
    with pytest.raises(ForgeError, match="there is no token"):
        reader(Settings())()


def test_settings_never_hold_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(TOKEN, TOKEN_TEXT)
    assert TOKEN_TEXT not in repr(Settings(state=tmp_path))
