"""What is said under a pull request and on the commit that deploys: once, in place, by whose word."""

from dataclasses import replace

import pytest

from gitops.errors import FleetError, ForgeError, Problem
from gitops.review.nouns import Ruling, Verdict
from gitops.workflows.reviews.reviewer import PER_ROUND, Deployment
from tests.kit.desk import ONE, TWO, Desk, Notes, summary
from tests.simulators.forge import Fault, Forge

# --- a pull request ---------------------------------------------------------------------------------------------------


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


# --- who may have a fork built ----------------------------------------------------------------------------------------


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


# --- the deployment ---------------------------------------------------------------------------------------------------


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
