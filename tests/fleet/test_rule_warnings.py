"""Rules on paths that protect less than they seem to are told, in `validate` and in the plan, and stop nobody."""

from pathlib import Path

import pytest

from gitops.fleet import load_fleet, rule_warnings
from gitops.model import Revision
from gitops.review.text import render
from gitops.workflows.preview import Question, preview
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.people import People
from tests.simulators.tree import DictTree

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)
ALL = "keys, fleet.yaml"


def ruled(people: People, paths: str, sign: str = "head") -> DictTree:
    rules = f"source: {{sign: {sign}, rules: [{{paths: [{paths}], signers: [ada]}}]}}\n"
    return TREE.with_files({"fleet.yaml": rules, "keys/allowed_signers": people.allowed("ada")})


@pytest.mark.parametrize("pattern", ['"Boxes/**"', '"boxes/*.yml"', "one.yaml", '"!boxes"', '"boxes/[xy]*"'])
def test_a_rule_that_covers_nothing_is_told(people: People, pattern: str) -> None:
    (said,) = rule_warnings(ruled(people, f"{ALL}, {pattern}"))
    assert f"`{pattern.strip(chr(34))}` covers no file" in said


def test_rules_that_leave_out_keys_or_policy_are_told(people: People) -> None:
    assert [said.split()[4].rstrip(":") for said in rule_warnings(ruled(people, "boxes"))] == [
        "fleet.yaml", "keys/allowed_signers"
    ]  # fmt: skip
    assert rule_warnings(ruled(people, f"{ALL}, boxes")) == []
    assert rule_warnings(ruled(people, '"**"')) == []
    assert rule_warnings(TREE) == []


def test_a_warning_is_in_the_plan_even_if_nothing_else_is(people: People) -> None:
    tree = ruled(people, "boxes")
    text = render(preview(Question((OLD, tree), (NEW, tree)), None))
    assert "leave out fleet.yaml" in text and "leave out keys/allowed_signers" in text
    assert load_fleet(tree)


def test_validate_warns_and_is_content(people: People, tmp_path: Path) -> None:
    starts = {f"pkg/{name}/Dockerfile": f'FROM scratch\nCMD ["/{name}"]\n' for name in ("hello", "sshd")}
    tree = ruled(people, '"boxes/[xy]*", keys, fleet.yaml').with_files(starts)
    for path in tree.entries():
        place = tmp_path / "fleet" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tree.read(path))
    done = toweros("validate", tmp_path / "fleet")
    assert done.exit_code == 0, done.output
    assert "`boxes/[xy]*` covers no file" in " ".join(done.stderr.split())
