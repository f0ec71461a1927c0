"""A plan says who restarts, what stops meanwhile, and what goes over a site's link."""

from collections.abc import Mapping

from gitops.model import Revision
from gitops.review.markdown import markdown
from gitops.review.text import render
from gitops.workflows.preview import Question, preview
from tests.kit.fleets import TREE

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)
HELLO = {"pkg/hello/file": "other\n"}


def told(change: Mapping[str, str], **before: str) -> tuple[str, ...]:
    base = TREE.with_files(before)
    summary = preview(Question((OLD, base), (NEW, base.with_files(change))), None)
    text, comment = render(summary), markdown(summary)
    assert all(line in text for line in summary.effects)
    assert ("restarts, and what goes over which link" in comment) == bool(summary.effects)
    return summary.effects


def test_boxes_that_run_the_same_are_one_line_with_what_stops_there() -> None:
    (line,) = told(HELLO)
    assert line == "3 boxes: one, three, two restart once; meanwhile stop: services hello, sshd"


def test_a_change_that_makes_no_release_restarts_nobody() -> None:
    assert told({"roles/vm.yaml": 'boot: [boot/a.yml]\nfreeze: "ada: the fair"\n'}) == ()


def test_a_sites_link_carries_all_of_it_or_each_part_once_where_the_site_has_a_server() -> None:
    def site(noc: str) -> Mapping[str, str]:
        return {f"boxes/{box}.yaml": f"role: vm\nsite: n-1\n{noc}" for box in ("one", "two", "three")}

    def bytes_of(lines: tuple[str, ...]) -> float:
        (line,) = (each for each in lines if "the link of site n-1" in each)
        assert line.endswith("for 3 boxes")
        return float(line.split("at most ")[1].split()[0])

    plain = bytes_of(told(HELLO, **site("")))
    assert bytes_of(told(HELLO, **site("noc: http://192.0.2.1:8080\n"))) < plain / 2
