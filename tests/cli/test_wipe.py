"""`toweros box wipe`: one commit that ends one machine, and what keeps it from being an accident."""

from pathlib import Path

import pytest
from typer.testing import Result

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.model.machines.wiping import Wipe
from gitops.source.working_folder import fleet_in
from gitops.workflows.enrolment import desk as keys
from tests.kit.console import git
from tests.kit.fleet_desk import FleetDesk

KEYS = {"a": "aa" * 32, "b": "bb" * 32, "c": "cc" * 32}


class Desk(FleetDesk):
    """Its boxes have keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name, key in KEYS.items():
            self.store.boxes.enroll(name, key)

    def wipe(self, *words: str, typed: str = "") -> Result:
        return self.run("box", "wipe", *words, "--who", "ada", typed=typed)

    def ordered(self) -> dict[str, Wipe]:
        boxes = load_fleet(fleet_in(self.repo)).boxes
        return {name: box.wipe for name, box in boxes.items() if box.wipe}

    def refusal(self, *words: str, typed: str = "") -> str:
        return self.refused("box", "wipe", *words, "--who", "ada", typed=typed)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_order_is_one_commit_that_names_the_key_and_the_plan_says_it_in_words_of_its_own(
    desk: Desk,
) -> None:
    done = desk.wipe("a", "--why", "sold", typed="a\n")
    assert done.exit_code == 0 and "git push" in done.stderr and "nothing brings them back" in done.stderr
    assert git(desk.repo, "log", "-1", "--format=%s", "--name-only") == "boxes/a: wiped\n\nboxes/a.yaml"
    assert desk.ordered() == {"a": Wipe(KEYS["a"], "ada: sold")}
    plan = desk.run("plan", "--base", "HEAD~1", "--head", "HEAD").stdout
    assert "WIPED, for good" in plan and "!! a: ada: sold" in plan and "1 box TO WIPE" in plan
    assert "WIPED" not in desk.run("plan", "--base", "HEAD", "--head", "HEAD").stdout, "it was said once"
    assert "**WIPED, for good" in desk.run("plan", "--base", "HEAD~1", "--head", "HEAD", "-o", "markdown").stdout
    git(desk.repo, "revert", "--no-edit", "HEAD")
    assert desk.ordered() == {}


def test_what_was_revoked_or_is_named_by_its_key_can_be_ordered_as_well(desk: Desk) -> None:
    """A stolen machine: its key counts no more, and it obeys when it looks for an update."""
    keys.revoke(desk.store, "a")
    assert desk.wipe("a", "--why", "stolen", "--yes").exit_code == 0
    assert desk.ordered()["a"].key == KEYS["a"]
    assert desk.wipe("b", "--why", "old board", "--yes", "--key", "ee" * 32).exit_code == 0
    assert desk.ordered()["b"].key == "ee" * 32
    assert desk.wipe("b", "--why", "the other one", "--yes").exit_code == 0, "the later one counts"
    assert desk.ordered()["b"].key == KEYS["b"]


def test_without_the_name_typed_nothing_is_ordered(desk: Desk) -> None:
    for typed in ("", "\n", "y\n", "b\n"):
        assert "nothing is ordered" in desk.refusal("a", "--why", "sold", typed=typed)
    assert "a reason is missing" in desk.refusal("a", "--why", " ", "--yes")
    assert "no machine is z" in desk.refusal("z", "--why", "sold", "--yes")
    desk.store.boxes.enroll("z", "dd" * 32)
    assert "there is no boxes/z.yaml" in desk.refusal("z", "--why", "sold", "--yes")


def test_an_order_that_is_there_already_is_no_second_commit(desk: Desk) -> None:
    """It ended in Git's own "nothing to commit", as an error of ours."""
    assert desk.wipe("a", "--why", "sold", "--yes").exit_code == 0
    head = git(desk.repo, "rev-parse", "HEAD")
    assert "boxes/a.yaml orders that already" in desk.refusal("a", "--why", "sold", "--yes")
    assert git(desk.repo, "rev-parse", "HEAD") == head


def test_a_whole_role_cannot_be_wiped_by_accident(desk: Desk) -> None:
    """Neither by its file, nor the fleet's, nor by one block in every box's, nor by order after order."""
    block = f'wipe: {{key: "{"ee" * 32}", why: "ada: oh"}}\n'

    def mistakes(*paths: str) -> str:
        for path in paths:
            file = desk.repo / path
            file.write_text(file.read_text() + block)
        with pytest.raises(FleetError) as caught:
            load_fleet(fleet_in(desk.repo))
        git(desk.repo, "checkout", "-q", ".")
        return "\n".join(map(str, caught.value.problems))

    (role,) = {box.role for box in load_fleet(fleet_in(desk.repo)).boxes.values()}
    assert "wipe" in mistakes(f"roles/{role}.yaml") and "wipe" in mistakes("fleet.yaml")
    said = mistakes("boxes/a.yaml", "boxes/b.yaml")
    assert "boxes/b.yaml" in said and "this key is to be wiped as a already" in said
    names = sorted(path.stem for path in (desk.repo / "boxes").glob("*.yaml"))
    for name in names[:-1]:
        assert desk.wipe(name, "--why", "sold", "--yes").exit_code == 0
    result = desk.wipe(names[-1], "--why", "sold", "--yes")
    assert result.exit_code == 1 and f"every box of the role {role} would be wiped" in str(result.exception)
    assert [*desk.ordered()] == names[:-1]
    for name in names[:-1]:
        git(desk.repo, "rm", "-q", f"boxes/{name}.yaml")
    git(desk.repo, "commit", "-q", "-m", "gone")
    assert desk.wipe(names[-1], "--why", "sold", "--yes").exit_code == 0, "the last one of a role, alone"
