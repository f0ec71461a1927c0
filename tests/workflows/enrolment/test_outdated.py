"""A new disk for a box whose file in Git names the key of before: people are told which commit to make."""

from pathlib import Path

import pytest

from gitops.store import Store
from gitops.workflows.enrolment import desk
from gitops.workflows.enrolment.outdated import key_of, outdated
from tests.simulators.tree import DictTree

OLD, NEW = "ab" * 32, "cd" * 32
FILE = "boxes/site-9.yaml"


def test_a_key_in_git_that_is_not_the_new_one_is_told_with_its_line() -> None:
    told = outdated(DictTree({FILE: f'role: vm\nhardware:\n  key: "{OLD}"\n'}), "site-9", NEW)
    assert told.startswith(f"{FILE}:3 still names the key") and f'`hardware: {{key: "{NEW}"}}`' in told


@pytest.mark.parametrize(
    "text", [f'role: vm\nhardware: {{key: "{NEW}"}}\n', "role: vm\nhardware: {serial: X1}\n", "role: [\n", "- a\n"]
)
def test_a_file_that_names_no_other_key_is_nothing_to_tell(text: str) -> None:
    assert outdated(DictTree({FILE: text}), "site-9", NEW) == "" == outdated(DictTree({}), "site-9", NEW)


def test_the_key_that_was_made_last_is_the_one_that_is_coming(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert key_of(store, "site-9") == ""
    desk.let_in(store, "site-9", OLD)
    assert key_of(store, "site-9") == OLD
    desk.let_in(store, "site-9", NEW)
    assert key_of(store, "site-9") == NEW
