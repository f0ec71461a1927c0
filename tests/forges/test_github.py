"""Stories of the forge: what is said under a pull request and on the commit that deploys, and on a bad day."""

import functools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import FleetError, ForgeError, Problem, SettingsError
from gitops.forges import http
from gitops.forges.forge import Pull, State, Status
from gitops.forges.github import HEADERS, GitHub
from gitops.forges.http import Api
from gitops.forges.token import TOKEN, reader
from gitops.model import Action, Json
from gitops.review.nouns import Change, Group, Ruling, Summary, Verdict
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.reviews.reviewer import MEMORY, PER_ROUND, Deployment, Reviewer
from gitops.workflows.reviews.rounds import Reviews
from tests.kit.fleets import TREE
from tests.kit.remote import Remote
from tests.kit.site import Site
from tests.simulators.forge import REPOSITORY, Fault, Forge, forge

TOKEN_TEXT = "secret-token"
ONE, TWO = "1" * 40, "2" * 40


class Notes:
    """A memory that forgets at the test's end."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}

    def value(self, name: str) -> Json | None:
        return json.loads(self.documents[name]) if name in self.documents else None

    def set_value(self, name: str, value: Json | None) -> None:
        self.documents[name] = json.dumps(value)


@dataclass
class Desk:
    """A reviewer before a forge, with a clock of its own and a planner that says what it is told."""

    hub: Forge
    now: float = 1_790_000_000.0
    token: str = TOKEN_TEXT
    notes: Notes = field(default_factory=Notes)
    planned: list[tuple[int, bool]] = field(default_factory=list)
    answers: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.api = Api(self.hub.url, lambda: self.token, HEADERS, lambda: self.now)
        self.github = GitHub(REPOSITORY, self.api)
        self.reviewer = Reviewer(self.github, self._plan, self.notes, "https://status.example/")

    def round(self, deployment: Deployment | None = None) -> None:
        self.reviewer.round("main", deployment)

    def _plan(self, pull: Pull, build: bool) -> Summary:
        self.planned.append((pull.number, build))
        answer = self.answers.get(pull.number, summary())
        if isinstance(answer, BaseException):
            raise answer
        return replace(answer, exact=build) if isinstance(answer, Summary) else summary()


def summary(reason: str = "pkg/hello changed") -> Summary:
    group = Group(("one", "two"), Action.UPDATE, Change.services, reason, (1000, 1000), True)
    return Summary("main@sha1:" + "a" * 40, "topic@sha1:" + "b" * 40, (), (group,), digest="cd" * 32)


@pytest.fixture
def hub() -> Iterator[Forge]:
    with forge() as running:
        yield running


@pytest.fixture
def desk(hub: Forge) -> Desk:
    return Desk(hub)


# --- a pull request --------------------------------------------------------------------------------------------------


def test_a_pull_request_gets_one_comment_and_a_status(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    desk.round()
    assert len(hub.ours(7)) == 1 and hub.ours(7)[0].startswith("<!-- toweros:plan -->\n### TowerOS plan")
    assert hub.state(ONE, "toweros/plan") == (
        "success",
        "Plan: 0 packages to build, 0 layers to assemble, 2 boxes to update, 0 to remove.",
    )
    assert hub.statuses[0]["target_url"] == "https://status.example/"


def test_only_pull_requests_to_the_branch_that_deploys_are_planned(desk: Desk, hub: Forge) -> None:
    hub.pull(1, ONE, base="experiments")
    hub.pull(2, TWO)
    desk.round()
    assert desk.planned == [(2, False)]
    desk.reviewer.round("", None)
    assert desk.planned == [(2, False), (1, False)]


def test_a_second_round_says_nothing_and_costs_no_quota(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    desk.round()
    desk.round()  # our own comment is news, but nobody asked for a build
    spent, said = hub.remaining, len(hub.requests)
    desk.round()
    assert hub.remaining == spent and [r.code for r in hub.requests[said:]] == [304]
    assert desk.planned == [(7, False)]


def test_a_new_head_edits_the_comment_in_place(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    desk.round()
    hub.push(7, TWO)
    desk.answers[7] = summary("pkg/sshd changed")
    desk.round()
    assert len(hub.ours(7)) == 1 and "pkg/sshd changed" in hub.ours(7)[0]
    assert hub.state(TWO, "toweros/plan") is not None


def test_a_restarted_controller_finds_its_comment_by_marker_and_author(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    desk.round()
    hub.say(7, "eve", "<!-- toweros:plan -->\n### TowerOS plan\n**No changes.**")
    desk.notes = Notes()
    desk.answers[7] = summary("pkg/sshd changed")
    desk.restart()
    desk.round()
    assert len(hub.ours(7)) == 1 and "pkg/sshd changed" in hub.ours(7)[0]
    assert sum("No changes" in c["body"] for c in hub.comments.values()) == 1, "somebody else's is left alone"


def test_a_marker_that_somebody_planted_first_takes_nothing_from_us(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE, fork=True)
    hub.say(7, "eve", "<!-- toweros:plan -->")
    desk.round()
    assert len(hub.ours(7)) == 1


def test_a_deleted_comment_is_made_again(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    desk.round()
    hub.comments.clear()
    hub.push(7, TWO)
    desk.answers[7] = summary("pkg/sshd changed")
    with pytest.raises(ForgeError, match="404"):
        desk.round()
    desk.round()
    assert len(hub.ours(7)) == 1


def test_comments_beyond_the_first_page_are_found(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE)
    for number in range(25):
        hub.say(7, "ada", f"words {number}")
    desk.round()
    hub.page, desk.notes = 10, Notes()
    desk.restart()
    desk.answers[7] = summary("pkg/sshd changed")
    desk.round()
    assert len(hub.ours(7)) == 1
    assert any("page=3" in asked for asked in hub.asked("GET"))


def test_many_pull_requests_are_served_a_few_a_round_and_none_is_starved(desk: Desk, hub: Forge) -> None:
    hub.page = 5
    for number in range(1, 13):
        hub.pull(number, f"{number:040x}")
    for number in range(1, PER_ROUND + 1):
        hub.faults.append(Fault(422, message="locked", path=f"/issues/{number}/comments"))
    with pytest.raises(ForgeError, match="422"):
        desk.round()
    assert len(desk.planned) <= PER_ROUND
    for _ in range(3):
        desk.round()
    assert all(len(hub.ours(number)) == 1 for number in range(1, 13))


def test_mistakes_are_said_under_the_pull_request_and_the_next_one_has_its_turn(desk: Desk, hub: Forge) -> None:
    hub.pull(1, ONE)
    hub.pull(2, TWO)
    desk.answers[1] = FleetError([Problem("roles/vm.yaml", 3, 1, "unknown key `bot`", "did you mean `boot`?")])
    desk.round()
    assert "roles/vm.yaml:3:1: unknown key 'bot'; did you mean 'boot'?" in hub.ours(1)[0]
    assert hub.state(ONE, "toweros/plan") == ("failure", "1 mistake in the fleet repo")
    assert hub.state(TWO, "toweros/plan") is not None


def test_an_unsigned_head_is_told_and_fails_nothing_for_the_merge_is_what_deploys(desk: Desk, hub: Forge) -> None:
    hub.pull(1, ONE, fork=True)
    desk.answers[1] = replace(summary(), verdict=Verdict(Ruling.REFUSED, "Unsigned", f"commit {ONE} is unsigned"))
    desk.round()
    assert f"- Policy: `refused; Unsigned: commit {ONE} is unsigned`" in hub.ours(1)[0]
    assert "whoever makes it signs it" in hub.ours(1)[0]
    assert (hub.state(ONE, "toweros/plan") or ("",))[0] == "success"


def test_ten_thousand_mistakes_fit_one_comment(desk: Desk, hub: Forge) -> None:
    hub.pull(1, ONE)
    desk.answers[1] = FleetError([Problem(f"boxes/{n}.yaml", 1, 1, "x" * 200) for n in range(10_000)])
    desk.round()
    assert 60_000 < len(hub.ours(1)[0]) <= 65_536


# --- who may have a fork built ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "text", "built"),
    [
        ("ada", f"/toweros build {ONE}", True),
        ("ben", f"looks good\r\n/toweros build {ONE}\r\n", True),
        ("eve", f"/toweros build {ONE}", False),
        ("mallory", f"/toweros build {ONE}", False),
        ("../../user", f"/toweros build {ONE}", False),
        ("ada", "/toweros build", False),
        ("ada", f"/toweros build {ONE[:12]}", False),
        ("ada", f"/toweros build {TWO}", False),
        ("ada", f"> /toweros build {ONE}", False),
    ],
)
def test_a_fork_is_built_only_when_a_maintainer_names_its_very_commit(
    desk: Desk, hub: Forge, login: str, text: str, built: bool
) -> None:
    hub.pull(7, ONE, fork=True)
    hub.say(7, login, text)
    desk.round()
    assert desk.planned == [(7, built)]


def test_a_word_that_comes_later_builds_and_a_later_push_takes_it_back(desk: Desk, hub: Forge) -> None:
    hub.pull(7, ONE, fork=True)
    desk.round()
    assert f"`/toweros build {ONE}`" in hub.ours(7)[0]
    hub.say(7, "ada", f"/toweros build {ONE}")
    desk.round()
    hub.push(7, TWO)
    desk.round()
    assert desk.planned == [(7, False), (7, True), (7, False)]


# --- the deployment --------------------------------------------------------------------------------------------------


def test_the_rollout_is_told_on_the_commit_as_it_goes(desk: Desk, hub: Forge) -> None:
    for deployment, said in (
        (Deployment(ONE, 0, 14), ("pending", "0/14 boxes healthy")),
        (Deployment(ONE, 12, 14), ("pending", "12/14 boxes healthy")),
        (Deployment(ONE, 12, 14), ("pending", "12/14 boxes healthy")),
        (Deployment(ONE, 14, 14, held=1), ("success", "14/14 boxes healthy, 1 held")),
        (Deployment(TWO, 3, 14, ("a", "b")), ("failure", "3/14 boxes healthy; a and 1 more went back")),
        (Deployment(TWO, 0, 0, error="pkg/x: no\u2028" + "y" * 300), ("failure", "pkg/x: no")),
    ):
        desk.round(deployment)
        assert hub.state(deployment.commit, "toweros/deploy") == said
    assert len(hub.statuses) == 5, "what was said is not said again"


def test_a_commit_that_was_overtaken_does_not_stay_pending(desk: Desk, hub: Forge) -> None:
    desk.round(Deployment(ONE, 3, 14))
    desk.round(Deployment(TWO, 3, 14))
    assert hub.state(ONE, "toweros/deploy") == ("error", f"superseded by {TWO[:12]}")
    desk.round(Deployment(TWO, 14, 14))
    desk.round(Deployment("3" * 40, 0, 14))
    assert hub.state(TWO, "toweros/deploy") == ("success", "14/14 boxes healthy")


def test_a_round_that_is_killed_repeats_nothing_that_was_finished(desk: Desk, hub: Forge) -> None:
    hub.pull(1, ONE)
    hub.pull(2, TWO)
    desk.answers[2] = KeyboardInterrupt()
    notes = Notes()
    desk.notes = notes
    desk.restart()
    with pytest.raises(KeyboardInterrupt):
        desk.round()
    del desk.answers[2]
    desk.restart()
    desk.round()
    assert desk.planned == [(1, False), (2, False), (2, False)]
    assert [len(hub.ours(number)) for number in (1, 2)] == [1, 1]


def test_a_forge_without_a_repository_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert Reviews.of(Settings(), store) is None
    with pytest.raises(SettingsError, match="forge_repository"):
        Reviews.of(Settings(forge="github"), store)


# --- a bad day -------------------------------------------------------------------------------------------------------


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


# --- the token -------------------------------------------------------------------------------------------------------


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


# --- with a real repository ------------------------------------------------------------------------------------------


@pytest.fixture
def reviews(tmp_path: Path, hub: Forge) -> tuple[Reviews, Store, Remote]:
    remote = Remote(tmp_path)
    for path in TREE.entries():
        place = remote.work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(TREE.read(path))
    remote.git("add", "-A")
    remote.git("commit", "-q", "-m", "fleet")
    remote.git("push", "-q", "-f", "origin", "HEAD:main")
    token = tmp_path / "token"
    token.write_text(TOKEN_TEXT)
    settings = Settings(
        state=tmp_path / "state",
        repository=str(remote.bare),
        forge="github",
        forge_url=hub.url,
        forge_repository=REPOSITORY,
        forge_token_file=token,
    )
    store = Store.of(settings)
    made = Reviews.of(settings, store)
    assert made
    return made, store, remote


def push_pull(remote: Remote, number: int, change: dict[str, str]) -> str:
    """A pull request's head as GitHub keeps it; returns its commit."""
    remote.git("checkout", "-q", "-B", f"topic-{number}", "origin/main")
    for path, text in change.items():
        (remote.work / path).write_text(text)
    remote.git("add", "-A")
    remote.git("commit", "-q", "-m", "topic")
    remote.git("push", "-q", "-f", "origin", f"HEAD:refs/pull/{number}/head")
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=remote.work, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_pull_request_of_a_real_repository_is_planned_from_where_it_left(
    reviews: tuple[Reviews, Store, Remote], hub: Forge
) -> None:
    speaker, store, remote = reviews
    head = push_pull(remote, 7, {"pkg/hello/file": "new"})
    hub.pull(7, head, fork=True)
    summary = speaker.plan(Pull(7, head, "main", True, "refs/pull/7/head"), False)
    assert [step.subject for step in summary.builds] == ["pkg/hello"] and summary.count(Action.UPDATE) == 3
    assert summary.verdict.state == Ruling.ACCEPTED and not summary.exact
    bad = push_pull(remote, 8, {"boxes/one.yaml": "rol: vm\n"})
    hub.pull(8, bad)
    fleet, revision = _fleet_and_revision(remote)
    speaker.round(fleet, revision)
    assert "pkg/hello/file changed" in hub.ours(7)[0] and "unknown key 'rol'" in hub.ours(8)[0]
    assert hub.state(revision.commit, "toweros/deploy") == ("pending", "0/3 boxes healthy")
    assert "error" not in (store.notes.value(MEMORY) or {})
    assert store.events.latest() == []


def test_a_forge_that_is_away_is_an_event_once_and_the_round_returns(
    reviews: tuple[Reviews, Store, Remote], hub: Forge
) -> None:
    speaker, store, remote = reviews
    fleet, revision = _fleet_and_revision(remote)
    hub.faults.append(Fault(503))
    for _ in range(3):
        speaker.round(fleet, revision)
    assert [(event.type, event.reason) for event in store.events.latest()] == [("Warning", "Forge")]
    assert "503" in (store.notes.value(MEMORY) or {})["error"] and len(hub.requests) == 1
    assert TOKEN_TEXT not in str(store.events.latest()) + str(store.notes.value(MEMORY))
    start = time.monotonic()
    speaker.start(fleet, revision)
    assert time.monotonic() - start < 0.5


def _fleet_and_revision(remote: Remote) -> tuple[Any, Any]:
    from gitops.fleet import load_fleet
    from gitops.source.clone.commits import LocalClone

    clone = LocalClone(remote.bare)
    revision = clone.revision("main")
    return load_fleet(clone.tree(revision)), revision


# --- beside the loop -------------------------------------------------------------------------------------------------


def run_until(site: Site, hub: Forge, done: Callable[[Store], bool]) -> None:
    """Let the loop run until something holds, or fail."""
    controller, store, _ = site.start()
    stop = threading.Event()
    loop = threading.Thread(target=controller.run_forever, args=(stop,), daemon=True)
    loop.start()
    end = time.monotonic() + 30
    while time.monotonic() < end and not done(store):
        time.sleep(0.05)
    stop.set()
    loop.join(30)
    assert done(store), (hub.asked(), hub.statuses)


def follow(site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, TOKEN_TEXT)
    words = {"forge": "github", "forge_url": hub.url, "forge_repository": REPOSITORY, "poll": 1}
    site.settings = site.settings.model_copy(update=words)


def test_a_merge_is_pending_until_every_box_is_healthy(site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(site, hub, monkeypatch)
    commit = site.remote.git("rev-parse", "HEAD")
    said = functools.partial(hub.state, commit, "toweros/deploy")
    run_until(site, hub, lambda _: said() == ("pending", "0/3 boxes healthy"))
    site.report("a")
    site.report("b")
    run_until(site, hub, lambda _: said() == ("pending", "2/3 boxes healthy"))
    site.report("c")
    run_until(site, hub, lambda _: said() == ("success", "3/3 boxes healthy"))
    site.commit({"pkg/hello/file": "hello 2\n"})
    commit = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda _: hub.state(commit, "toweros/deploy") == ("pending", "0/3 boxes healthy"))
    site.report("a", failed=True)
    run_until(site, hub, lambda _: (hub.state(commit, "toweros/deploy") or ("",))[0] == "failure")


def test_a_commit_that_cannot_be_carried_out_fails_there(
    site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(site, hub, monkeypatch)
    good = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda _: hub.state(good, "toweros/deploy") is not None)
    site.commit({"boxes/a.yaml": "rol: vm\n"})
    commit = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda _: (hub.state(commit, "toweros/deploy") or ("",))[0] == "failure")


@pytest.mark.parametrize("fault", [Fault(delay=20.0), Fault(500), Fault(200, raw=b"{")], ids=["hangs", "fails", "lies"])
def test_a_forge_in_trouble_holds_up_no_deployment(
    site: Site, hub: Forge, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    follow(site, hub, monkeypatch)
    hub.faults += [replace(fault) for _ in range(50)]
    run_until(site, hub, lambda store: sum(bool(each.published.release) for each in store.states.all()) == 3)
    site.commit({"pkg/hello/file": "hello 2\n"})
    commit = site.remote.git("rev-parse", "HEAD")
    run_until(site, hub, lambda store: any(commit in each.published.revision for each in store.states.all()))
