"""How a box is told to people: by what is so now, and by the last thing that went wrong."""

import pytest

from gitops.model import BoxState, Failure, Health, Verdict, Version
from gitops.rollout.status import BoxStatus

OLD, NEW = Version("r7", "c7", "main", 7), Version("r8", "c8", "main", 8)
EARLY = Failure(8, "r8", Verdict.INDETERMINATE, "its tries are used up", 5, "panic")
LATE = Failure(8, "r8", Verdict.FAILED, "hello: 500", 9, "cannot bind")


@pytest.mark.parametrize("failures", [(EARLY, LATE), (LATE, EARLY)])
def test_of_all_that_a_box_went_back_from_the_last_is_told(failures: tuple[Failure, ...]) -> None:
    state = BoxState("a", 1, 0, NEW, running=OLD, received=50, reported=Health.HEALTHY, failures=failures)
    told = BoxStatus.of(state, 60)
    assert (told.fell_back, told.fell_back_log) == ("release 8: failed: hello: 500", "cannot bind")


def test_what_a_box_went_back_from_is_told_until_it_runs_what_it_shall() -> None:
    state = BoxState("a", 1, 0, NEW, running=NEW, received=50, reported=Health.HEALTHY, failures=(EARLY,))
    assert BoxStatus.of(state, 60).fell_back == ""
