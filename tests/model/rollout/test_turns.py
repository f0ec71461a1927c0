"""For how long a veto holds, in Git's words; and what a box said of its turn, in people's."""

import pytest

from gitops.model.rollout.turns import BoxTurn, seconds


@pytest.mark.parametrize(
    ("text", "length"), [("2 hours", 7200), ("1 minute", 60), ("90 seconds", 90), ("7 days", 604_800), ("none", 0)]
)
def test_a_veto_is_a_duration(text: str, length: int) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize(
    "text", ["", "8 days", "2 weeks", "2h", "-1 hours", "two hours", "9999999 seconds", "2 hours\n"]
)
def test_any_other_text_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"`2 hours` .at most 7 days., or `none`, is expected"):
        seconds(text)


def test_what_a_box_said_is_told_with_its_reason_and_its_end() -> None:
    held = BoxTurn(4, True, "held", 9, "held off: a call", 1_795_000_000, 300)
    assert str(held) == "held (release 9): held off: a call, until 2026-11-18 11:06 UTC"
    assert str(BoxTurn(4, True, "staged", 9)) == "staged (release 9)" and str(BoxTurn(4, True)) == ""
