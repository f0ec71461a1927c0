"""An act on several boxes is about those that its words fit, and never about everybody by mistake."""

import pytest

from gitops.errors import TowerosError
from gitops.rollout.choosing.named import nearest
from gitops.rollout.choosing.several import Several
from gitops.store.notes.directory import Place

PLACES = {
    "a": Place("relay", "depot", {"ring": "1"}),
    "b": Place("relay", "mast", {"ring": "2"}),
    "c": Place("core", "depot", {"ring": "1"}),
    "d": Place("core", ""),
}


@pytest.mark.parametrize(
    ("meant", "names", "words"),
    [
        (Several(sites=("depot",)), "ac", "site=depot"),
        (Several(roles=("relay", "core"), sites=("depot", "-")), "acd", "role=relay role=core site=depot site=-"),
        (Several(labels=(("ring", "1"),), roles=("core",)), "c", "role=core ring=1"),
    ],
)
def test_of_several_words_of_a_kind_one_fits_and_of_every_kind(meant: Several, names: str, words: str) -> None:
    assert meant.of(PLACES) == [*names] and meant.words == words


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        (Several(), "no box is meant"),
        (Several(sites=("depto",)), "no box has the site depto"),
        (Several(roles=("relay", "rely")), "no box has the role rely"),
        (Several(labels=(("ring", "3"),)), "no box is meant by ring=3"),
        (Several(roles=("core",), sites=("mast",)), "no box is meant by role=core site=mast"),
    ],
)
def test_words_that_fit_nobody_mean_nobody_and_are_told(meant: Several, said: str) -> None:
    with pytest.raises(TowerosError, match=said):
        meant.of(PLACES)


def test_a_name_that_nobody_has_is_told_with_the_nearest_or_with_those_that_there_are() -> None:
    assert nearest("Depto", ["depot", "mast"]) == "is depot meant?"
    assert nearest("x", ["b", "a"]) == "there are: a, b"
    assert nearest("zzz", map(str, range(12))).endswith(" and 4 more")
    assert nearest("x", [""]) == "there are none yet"
