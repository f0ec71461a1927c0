"""What is kept of strangers' requests has bounds that no stranger moves."""

from gitops.store.notes.box_keys import Asking
from gitops.workflows.enrolment.requests import AGAIN, FORGET, MOST, living, with_request

NOW = 1_790_000_000
KEYS = [f"{number:064x}" for number in range(MOST + 2)]


def test_the_first_ones_stay_while_they_ask_and_others_find_no_room() -> None:
    asking: tuple[Asking, ...] = ()
    for key in KEYS[:MOST]:
        asking = with_request(asking, key, NOW) or asking
    assert [each.key for each in asking] == KEYS[:MOST]
    assert with_request(asking, KEYS[MOST], NOW) is None
    later = NOW + FORGET - 1
    asking = with_request(asking, KEYS[0], later) or asking
    assert [(each.first, each.last) for each in asking if each.key == KEYS[0]] == [(NOW, later)]
    left = with_request(asking, KEYS[MOST], NOW + FORGET)
    assert left and [each.key for each in left] == [KEYS[0], KEYS[MOST]], "who was not heard for a day makes room"


def test_a_request_that_is_repeated_is_written_seldom() -> None:
    asking = with_request((), KEYS[0], NOW)
    assert asking and with_request(asking, KEYS[0], NOW + AGAIN - 1) is None
    assert with_request(asking, KEYS[0], NOW + AGAIN) == (Asking(KEYS[0], NOW, NOW + AGAIN),)


def test_a_clock_that_was_ahead_keeps_no_request_for_years() -> None:
    assert living((Asking(KEYS[0], NOW + 9 * FORGET, NOW + 9 * FORGET),), NOW) == ()
