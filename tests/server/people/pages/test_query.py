"""Parameters have bounds; what is wrong with them is said by name, and costs nothing more."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.server.people.documents import QueryError
from gitops.server.people.page import QUERIES
from gitops.server.people.pages.activity import ACTIVITY
from gitops.server.people.pages.query import LONGEST, MOST_PAGES, MOST_PER, Query
from gitops.server.people.pages.rows import FLEET

WRONG = {
    "x=1": "there is no parameter 'x'",
    "health=Fine": "the parameter health is one of Healthy",
    "held=maybe": "held is one of yes, no",
    "sort=DROP": "sort is one of trouble",
    "page=0": "page is a number from 1",
    "page=-1": "page is a number from 1",
    "page=1e3": "page is a number",
    "page=١": "page is a number",
    f"page={MOST_PAGES + 1}": "page is a number",
    f"per={MOST_PER + 1}": f"per is a number from 1 to {MOST_PER}",
    "page=" + "9" * 1500: "page is a number",
    "q=" + "a" * 201: "q has at most 200 characters",
    "q=a%00b": "q has control characters",
    "q=%0a": "q has control characters",
    "q=%c2%85": "q has control characters",
    "q=%ff": "not NAME=VALUE",
    "q": "not NAME=VALUE",
    "q=a&q=b": "the parameter q comes twice",
    "q=" + "a" * LONGEST: "more than",
    "&".join(["q=a"] * 60): "not NAME=VALUE",
    "refresh=1": "refresh is a number from 10",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:20])
def test_what_a_parameter_cannot_be_is_named(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        FLEET.read(text)
    assert WRONG[text] in caught.value.message and len(caught.value.message) < 400


def test_equal_views_have_one_text_and_what_says_nothing_is_left_out() -> None:
    same = ["page=2&health=Missing", "health=Missing&page=2", "q=&health=Missing&page=2&sort=trouble&per=50"]
    assert {FLEET.read(text).text for text in same} == {"health=Missing&page=2"}
    assert FLEET.read("").text == FLEET.read("page=1&per=50&sort=trouble&q=").text == ""


def test_another_order_begins_with_the_first_part_and_keeps_the_filters() -> None:
    view = FLEET.read("site=mast%207&page=9")
    assert view.link(sort="-seen") == "/?site=mast+7&sort=-seen"
    assert view.link(page=10) == "/?site=mast+7&page=10"
    assert FLEET.read("page=2").link() == "/"
    assert ACTIVITY.read("before=7").link(before=3) == "/activity?before=3"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(QUERIES.values())), st.text(max_size=200))
def test_any_text_is_a_view_or_an_error(query: Query, text: str) -> None:
    try:
        view = query.read(text)
    except QueryError:
        return
    assert query.read(view.text) == view
