"""`toweros --help` follows an operator's day, and has every verb once."""

import re
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gitops.cli.main import application, verbs
from gitops.cli.showing.groups import GROUPS, OTHERS


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", ["toweros", "--help"])
    return CliRunner().invoke(application(), ["--help"], env={"COLUMNS": "160", "NO_COLOR": "1"}).stdout


def test_every_verb_is_below_one_heading_and_none_is_missing(shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["toweros"])
    grouped = [verb for each in GROUPS.values() for verb in each]
    assert len(grouped) == len({*grouped}), "each once"
    assert {*grouped} == {*verbs()} == {*get_command(application()).commands}  # type: ignore[attr-defined]
    assert OTHERS not in shown


def test_headings_and_verbs_stand_in_the_order_of_a_day(shown: str) -> None:
    found = re.findall(r"^(?:╭─ (.+?) ─|│ ([a-z]+) {2,}[A-Z])", shown, re.M)
    expected = [("Options", "")]
    for heading, names in GROUPS.items():
        expected += [(heading, ""), *(("", name) for name in names)]
    assert found == expected
