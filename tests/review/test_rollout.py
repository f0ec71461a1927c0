"""A plan says in which order boxes go, and what becomes of holds and windows, which change no release."""

from collections.abc import Mapping

import pytest

from gitops.model import Revision
from gitops.review.markdown import markdown
from gitops.review.nouns import Summary, Verdict
from gitops.review.text import render
from gitops.workflows.preview import Question, preview
from tests.kit.fleets import TREE

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)
CAREFUL = """source: {branch: main}
rollout:
  waves: [{name: lab, boxes: [two], soak: 90 minutes, missing: 5%}]
  max_unavailable: {fleet: 50%, site: 1}
  never_together: [site]
windows: ["mon-thu 01:00-05:00"]
timezone: Europe/Berlin
"""
HELLO = {"pkg/hello/file": "other\n"}


def review(change: Mapping[str, str]) -> Summary:
    return preview(Question((OLD, TREE), (NEW, TREE.with_files(change)), Verdict()), None)


def test_boxes_that_get_a_release_are_told_in_their_order() -> None:
    text = render(review({"fleet.yaml": CAREFUL, **HELLO}))
    assert "wave lab: two; then 90 minutes; stops at more than 0 failed, 5% Missing, 0 Degraded\n" in text
    assert "wave rest: 2 boxes: one, three\n" in text
    assert "away at once: at most 50% of the fleet, 1 of a site\n" in text
    assert "never two of one site\n" in text
    assert "only mon-thu 01:00-05:00 (Europe/Berlin): 3 boxes: one, three, two" in text
    assert "fleet.yaml changes rollout" in text


def test_a_fleet_without_rules_says_nothing_of_them() -> None:
    summary = review(HELLO)
    assert summary.rollout == summary.steering == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"fleet.yaml": 'source: {branch: main}\nsuspended: "ada: audit"\n'},
         "suspended: 3 boxes: one, three, two: nothing -> ada: audit"),
        ({"roles/vm.yaml": 'boot: [boot/a.yml]\nfreeze: "ada: the fair"\n'},
         "freeze: 3 boxes: one, three, two: nothing -> ada: the fair"),
        ({"boxes/two.yaml": 'role: vm\nnetwork: {dhcp: true}\nwindows: ["sun 01:00-05:00"]\n'},
         "windows: two: nothing -> sun 01:00-05:00"),
        ({"boxes/two.yaml": 'role: vm\nnetwork: {dhcp: true}\nmoratoria: ["2026-12-20..2027-01-03: Christmas"]\n'},
         "moratoria: two: nothing -> 2026-12-20..2027-01-03: Christmas"),
        ({"boxes/two.yaml": "role: vm\nnetwork: {dhcp: true}\ntimezone: Asia/Kathmandu\n"},
         "timezone: two: UTC -> Asia/Kathmandu"),
        ({"boxes/two.yaml": "role: vm\nnetwork: {dhcp: true}\nveto: none\n"}, "veto: two: 2 hours -> none"),
    ],
)  # fmt: skip
def test_what_steers_boxes_is_no_release_and_not_no_change(change: Mapping[str, str], line: str) -> None:
    summary = review(change)
    assert summary.empty and line in summary.steering
    assert line in render(summary) and render(summary).endswith("No box gets another release.")
    assert line in markdown(summary) and "**No box gets another release.**" in markdown(summary)


def test_another_probation_is_told_beside_the_release_that_it_is() -> None:
    summary = review({"fleet.yaml": "source: {branch: main}\nhealth: {probation: 300}\n"})
    assert summary.steering == ("probation: 3 boxes: one, three, two: 120 s -> 300 s",)
    assert "Boxes are steered:" in render(summary)


def test_what_becomes_of_the_rules_is_said_wave_by_wave() -> None:
    more = CAREFUL.replace("soak: 90 minutes", "soak: 2 days").replace("site: 1}", "site: 2}")
    more = more.replace("missing: 5%}]", "missing: 5%}, {name: rest-of-us}]")
    base = TREE.with_files({"fleet.yaml": CAREFUL})
    summary = preview(Question((OLD, base), (NEW, base.with_files({"fleet.yaml": more})), Verdict()), None)
    assert summary.policy == (
        "rollout: wave lab: soak: 5400 -> 172800",
        "rollout: wave rest-of-us: new",
        "rollout: max_unavailable: fleet 50%, site 1 -> fleet 50%, site 2",
    )
    summary = preview(Question((OLD, base), (NEW, TREE), Verdict()), None)
    assert "rollout: wave lab: gone" in summary.policy and "rollout: never_together: site -> nothing" in summary.policy
