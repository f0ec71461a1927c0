"""What a forge must do for us, on GitHub, GitLab and Gitea alike: the same stories, each before its own simulator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitops.errors import ForgeError, SettingsError
from gitops.forges import http
from gitops.forges.connect import connect
from gitops.forges.forge import Forge, Pull, State, Status
from gitops.forges.gitea import Gitea
from gitops.forges.github import HEADERS, GitHub
from gitops.forges.gitlab import GitLab
from gitops.forges.http import Api
from gitops.review.markdown import marker
from gitops.settings import Settings
from gitops.workflows.reviews.reviewer import Deployment, Reviewer
from tests.kit.desk import ONE, TOKEN_TEXT, TWO, Notes, summary
from tests.simulators import forge as played
from tests.simulators import gitea, gitlab
from tests.simulators.forge import REPOSITORY, Fault

MARK = marker("plan")
KINDS: dict[str, tuple[type[played.Forge], str, Callable[[Api], Forge]]] = {
    "github": (played.Forge, "", lambda api: GitHub(REPOSITORY, api)),
    "gitlab": (gitlab.GitLab, "/api/v4", lambda api: GitLab(REPOSITORY, api)),
    "gitea": (gitea.Gitea, gitea.PREFIX, lambda api: Gitea(REPOSITORY, api)),
}


@dataclass
class Here:
    """A forge, and us before it."""

    hub: played.Forge
    forge: Forge
    name: str
    token: str = TOKEN_TEXT
    now: float = 1_790_000_000.0

    def again(self) -> None:
        """As after a restart."""
        _, path, make = KINDS[self.name]
        self.forge = make(Api(self.hub.url + path, lambda: self.token, HEADERS, lambda: self.now))

    def pull(self, number: int) -> Pull:
        return next(each for each in self.forge.pulls("") if each.number == number)


@pytest.fixture(params=KINDS)
def here(request: pytest.FixtureRequest) -> Iterator[Here]:
    with played.forge(KINDS[request.param][0]) as hub:
        made = Here(hub, None, request.param)  # type: ignore[arg-type]
        made.again()
        yield made


def test_open_pull_requests_are_listed_page_by_page_with_their_commits_ref(here: Here) -> None:
    here.hub.page = 3
    for number in range(1, 9):
        here.hub.pull(number, ONE, fork=number == 2, base="other" if number == 3 else "main")
    here.hub.pulls[3]["state"] = "closed"
    pulls = here.forge.pulls("main")
    assert [each.number for each in pulls] == [1, 2, 5, 6, 7, 8]
    assert [each.fork for each in pulls] == [False, True, False, False, False, False]
    assert {each.ref for each in pulls[:1]} == {
        "refs/merge-requests/1/head" if here.name == "gitlab" else "refs/pull/1/head"
    }
    assert all((each.head, each.branch) == (ONE, "main") for each in pulls) and len(here.forge.pulls("")) == 7


def test_one_comment_is_made_and_edited_in_place_and_a_strangers_is_none_of_ours(here: Here) -> None:
    here.hub.pull(7, ONE)
    here.hub.say(7, "eve", f"{MARK}\nforged")
    pull = here.pull(7)
    for text in ("first", "second"):
        here.forge.comment(pull, MARK, f"{MARK}\n{text}")
    here.again()
    here.forge.comment(pull, MARK, f"{MARK}\nthird")
    assert here.hub.ours(7) == [f"{MARK}\nthird"]
    assert sorted(c["body"] for c in here.hub.comments.values()) == [f"{MARK}\nforged", f"{MARK}\nthird"]
    for identity in [number for number, c in here.hub.comments.items() if c["user"]["login"] == "toweros-bot"]:
        del here.hub.comments[identity]
    with pytest.raises(ForgeError, match="404"):
        here.forge.comment(pull, MARK, f"{MARK}\nfourth")
    here.forge.comment(pull, MARK, f"{MARK}\nfourth")
    assert here.hub.ours(7) == [f"{MARK}\nfourth"], "somebody deleted it: it is made once more"


def test_a_status_is_set_again_and_again(here: Here) -> None:
    for state, words in (
        (State.PENDING, "1/3"),
        (State.PENDING, "2/3"),
        (State.SUCCESS, "3/3"),
        (State.PENDING, "2/3"),
    ):
        here.forge.status(ONE, Status("toweros/deploy", state, words, "https://status.example/"))
        assert (here.hub.state(ONE, "toweros/deploy") or ("",))[0] == state
    here.forge.status(ONE, Status("toweros/plan", State.FAILURE, "x" * 500))
    here.forge.status(TWO, Status("toweros/plan", State.ERROR, "superseded\nby another"))
    assert (here.hub.state(ONE, "toweros/plan") or ("",))[0] == "failure"
    assert here.hub.state(TWO, "toweros/plan") == ("error", "superseded")


def test_a_proposal_is_opened_once_brought_up_to_date_and_closed(here: Here) -> None:
    here.hub.branches["toweros/revert"] = ONE
    here.hub.pull(1, TWO, fork=True)["head"]["ref"] = "toweros/revert"
    assert here.forge.proposed("toweros/revert", "main") == 0, "a fork's branch of the same name is none of ours"
    number = here.forge.propose("toweros/revert", "main", "take it back", "because")
    here.again()
    assert here.forge.propose("toweros/revert", "main", "take it back", "because of more") == number
    assert here.forge.proposed("toweros/revert", "main") == number
    ours = next(p for p in here.hub.pulls if p["number"] == number)
    assert (ours["title"], ours["body"], ours["state"]) == ("take it back", "because of more", "open")
    here.forge.withdraw(number)
    here.forge.withdraw(number)
    assert ours["state"] == "closed" and here.forge.proposed("toweros/revert", "main") == number


@pytest.mark.parametrize(("login", "may"), [("ada", True), ("ben", True), ("eve", False), ("mallory", False)])
def test_only_who_may_write_has_a_pull_request_built_and_only_its_very_head(here: Here, login: str, may: bool) -> None:
    here.hub.pull(7, ONE)
    assert not here.forge.approved(here.pull(7))
    here.hub.say(7, login, f"looks good\n/toweros build {ONE}\n")
    assert here.forge.approved(here.pull(7)) is may
    here.hub.push(7, TWO)
    assert not here.forge.approved(here.pull(7))


def test_a_whole_round_writes_plan_and_rollout_once(here: Here) -> None:
    notes = Notes()
    here.hub.pull(7, ONE)
    for _ in range(3):
        reviewer = Reviewer(here.forge, lambda *_: summary(), notes, "https://status.example/")
        reviewer.round("main", Deployment(TWO, 1, 3))
        here.again()
    assert len(here.hub.ours(7)) == 1 and here.hub.state(ONE, "toweros/plan") == ("success", summary_line(here))
    assert here.hub.state(TWO, "toweros/deploy") == ("pending", "1/3 boxes healthy")
    assert sum(r.method != "GET" for r in here.hub.requests) == 3


def summary_line(here: Here) -> str:
    return (here.hub.state(ONE, "toweros/plan") or ("", ""))[1]


@pytest.mark.parametrize(
    ("fault", "message", "wait"),
    [
        (Fault(503), "503", 30),
        (Fault(429, {"Retry-After": "120"}), "rate limit", 120),
        (Fault(401, message=f"bad {TOKEN_TEXT}"), "401", 30),
        (Fault(200, raw=b"<html>a captive portal</html>"), "not JSON", 30),
        (Fault(200, raw=b'{"message": "an object"}'), "a list was expected", 0),
        (Fault(200, raw=b'[{"iid": 1, "number": 1, "sha": "../../x", "head": {"sha": "../../x"}}]'), "no commit", 0),
        (Fault(200, raw=b'[{"title": "nothing of it", "sha": "x"}]'), "has no", 0),
        (Fault(302, {"Location": "http://127.0.0.1:1/"}), "302", 0),
    ],
    ids=lambda value: "" if isinstance(value, Fault) else str(value),
)
def test_a_bad_day_is_told_and_waited_out_and_no_message_has_the_token(
    here: Here, fault: Fault, message: str, wait: float
) -> None:
    here.hub.faults.append(fault)
    with pytest.raises(ForgeError, match=message) as caught:
        here.forge.pulls("main")
    assert caught.value.wait == wait and TOKEN_TEXT not in f"{caught.value} {vars(caught.value)}"


def test_a_silent_forge_is_given_up_on(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ", 0.2)
    here.hub.faults.append(Fault(delay=0.6))
    with pytest.raises(ForgeError, match="ReadTimeout"):
        here.forge.pulls("main")


def test_the_token_goes_to_no_other_server(here: Here) -> None:
    with played.forge() as other:
        here.hub.faults.append(Fault(200, {"Link": f'<{other.url}/x>; rel="next"'}, raw=b"[]"))
        with pytest.raises(ForgeError, match="another server"):
            here.forge.pulls("main")
        here.hub.faults.append(Fault(307, {"Location": f"{other.url}/x"}))
        with pytest.raises(ForgeError, match="307"):
            here.forge.status(ONE, Status("toweros/plan", State.SUCCESS, "x"))
        assert other.requests == []


# --- GitLab alone -----------------------------------------------------------------------------------------------------


@pytest.fixture
def lab() -> Iterator[tuple[gitlab.GitLab, GitLab]]:
    with played.forge(gitlab.GitLab) as hub:
        assert isinstance(hub, gitlab.GitLab)
        yield hub, GitLab(REPOSITORY, Api(f"{hub.url}/api/v4", lambda: TOKEN_TEXT))


def test_what_gitlab_itself_writes_approves_nothing(lab: tuple[gitlab.GitLab, GitLab]) -> None:
    """A title or a commit's message can stand in a note of the system, in the name of who merged it."""
    hub, ours = lab
    hub.pull(7, ONE)
    hub.note_of_the_system(7, f"changed title to\n/toweros build {ONE}")
    hub.say(7, "gone", f"/toweros build {ONE}")
    assert not ours.approved(ours.pulls("main")[0]), "nor does a member who is blocked"


def test_a_status_that_gitlab_refuses_for_another_reason_is_told(lab: tuple[gitlab.GitLab, GitLab]) -> None:
    hub, ours = lab
    hub.faults.append(Fault(400, message="Cannot transition status via :run from :canceled"))
    with pytest.raises(ForgeError, match="Cannot transition"):
        ours.status(ONE, Status("toweros/plan", State.SUCCESS, "x"))
    hub.pull(7, ONE)["head"]["sha"] = None
    assert ours.pulls("main") == [], "its branch is gone"


# --- Gitea alone ------------------------------------------------------------------------------------------------------


def test_who_may_not_ask_for_permissions_has_nothing_built() -> None:
    with played.forge(gitea.Gitea) as hub:
        assert isinstance(hub, gitea.Gitea)
        hub.administers = False
        ours = Gitea(REPOSITORY, Api(f"{hub.url}{gitea.PREFIX}", lambda: TOKEN_TEXT))
        hub.pull(7, ONE)
        hub.say(7, "ada", f"/toweros build {ONE}")
        assert not ours.approved(ours.pulls("main")[0])


# --- which one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ({"forge": "github"}, GitHub),
        ({"forge": "gitlab", "forge_repository": "group/sub/fleet"}, GitLab),
        ({"forge": "gitea", "forge_url": "https://git.example/api/v1"}, Gitea),
        ({"forge": "forgejo", "forge_url": "https://git.example/api/v1"}, Gitea),
        ({"forge": "gitea"}, "forge_url"),
        ({"forge": "github", "forge_repository": "a/b/c"}, "OWNER/NAME"),
        ({"forge": "gitlab", "forge_repository": ""}, "forge_repository"),
    ],
)
def test_the_settings_name_one(words: dict[str, str], kind: type | str, tmp_path: Path) -> None:
    settings = Settings(**{"state": tmp_path, "forge_repository": REPOSITORY} | words)  # type: ignore[arg-type]
    if isinstance(kind, str):
        with pytest.raises(SettingsError, match=kind):
            connect(settings)
    else:
        assert type(connect(settings)) is kind
    assert connect(Settings(state=tmp_path)) is None
