"""Whoever copies a command out of a document has one that exists, with the options that it has."""

import itertools
import re
import shlex
import sys
from collections.abc import Sequence

import pytest
import typer
from toweros_agent import box as on_the_box
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from gitops.cli.main import application
from tests.kit.docs import CHECKOUT, alternatives, commands, documents


@pytest.fixture
def toweros(monkeypatch: pytest.MonkeyPatch) -> TyperGroup:
    monkeypatch.setattr(sys, "argv", ["toweros"])  # every verb
    group = get_command(application())
    assert isinstance(group, TyperGroup)
    return group


def mistake(group: TyperGroup, words: Sequence[str], *, whole: bool) -> str:
    """Why the application would refuse these words; empty when it takes them. Nothing runs."""
    command, left, context = group, list(words), None
    try:
        while isinstance(command, TyperGroup) and (left or whole):
            context = command.make_context("toweros", left, parent=context)
            rest = [*context._protected_args, *context.args]
            if not rest and command.invoke_without_command:
                return ""
            _, command, left = command.resolve_command(context, rest)
        if not isinstance(command, TyperGroup):
            command.make_context("toweros", left, parent=context)
    except typer.Exit:
        return ""
    except TyperException as error:
        placeholder = any(word.isupper() for word in words)
        left_open = ("MissingParameter", "BadParameter") if placeholder else ("MissingParameter",)
        return "" if type(error).__name__ in left_open and not whole else str(error) or "a verb is missing"
    return ""


def test_every_command_of_the_documents_exists(toweros: TyperGroup) -> None:
    calls = [call for path in documents() for call in commands(path, "toweros") if call.words[:1] != ("@",)]
    wrong = [
        f"{call.where}: toweros {shlex.join(call.words)}: {why}"
        for call in calls
        if (why := mistake(toweros, call.words, whole=call.whole))
    ]
    assert wrong == []
    assert len(calls) > 50


def test_every_command_that_a_message_or_a_page_names_exists(toweros: TyperGroup) -> None:
    """A hint at three in the morning is a document too."""
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}: {why}"
        for path in (CHECKOUT / "gitops").rglob("*.*")
        if path.suffix in (".py", ".html")
        for text in [path.read_text()]
        for match in re.finditer(r"`toweros ([^`{]*)", text)
        for words in itertools.product(*map(alternatives, match[1].split()))
        if (why := mistake(toweros, words, whole=False))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("events --boxx demo-1", "No such option"),
        ("evnets", "No such command"),
        ("box erase demo-1", "No such command"),
        ("plan -o yml", "is not one of"),
        ("suspend demo-1", "Missing"),
        ("run now", "unexpected extra argument"),
        ("box", "a verb is missing"),
    ],
)
def test_a_command_that_does_not_exist_is_seen(toweros: TyperGroup, line: str, why: str) -> None:
    assert why in mistake(toweros, line.split(), whole=True)


def test_every_command_of_the_box_exists() -> None:
    calls = [call for path in documents() for call in commands(path, "ctr") if "toweros-box" in call.words]
    named = {call.words[call.words.index("toweros-box") + 1] for call in calls}
    assert named and named <= set(on_the_box.COMMANDS)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (CHECKOUT / "Makefile").read_text(), re.M))
    calls = [call for path in documents() for call in commands(path, "make")]
    assert [f"{call.where}: make {' '.join(call.words)}" for call in calls if not set(call.words) <= targets] == []
    assert len(calls) > 5


def test_a_block_and_a_sentence_are_taken_apart() -> None:
    page = CHECKOUT / "docs" / "operations.md"
    found = commands(page, "toweros")
    assert any(call.whole and call.words == ("events", "BOX") for call in found)
    assert any(not call.whole and call.words == ("status", "BOX") for call in found)
