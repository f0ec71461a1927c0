"""Who may do what: of any grants, at any site."""

from hypothesis import given
from hypothesis import strategies as st

from gitops.model.access.person import EVERYWHERE, RANK, Grant, Person, Role, may
from gitops.server.people.guard.viewer import Viewer

SITES = st.sampled_from(["north", "south", "north-1"])
GRANTS = st.lists(st.builds(Grant, st.sampled_from(Role), SITES | st.just(EVERYWHERE)), max_size=5).map(tuple)
PEOPLE = GRANTS.map(lambda grants: Person("ada", grants))


@given(PEOPLE, st.sampled_from(Role), SITES)
def test_a_grant_for_a_site_counts_there_alone(person: Person, needs: Role, site: str) -> None:
    others = Person("ada", tuple(grant for grant in person.grants if grant.site not in (site, EVERYWHERE)))
    assert not may(others, needs, site)
    assert may(person, needs, site) == any(
        RANK[grant.role] >= RANK[needs] for grant in person.grants if grant.site in (site, EVERYWHERE)
    )


@given(PEOPLE, st.sampled_from(Role), SITES | st.just(EVERYWHERE))
def test_who_may_more_may_less_and_who_may_everywhere_may_anywhere(person: Person, needs: Role, site: str) -> None:
    if may(person, needs, site):
        assert all(may(person, weaker, site) for weaker in Role if RANK[weaker] <= RANK[needs])
    if may(person, needs):
        assert may(person, needs, site)


@given(PEOPLE, GRANTS, st.sampled_from(Role), SITES | st.just(EVERYWHERE))
def test_another_grant_takes_nothing_away(person: Person, more: tuple[Grant, ...], needs: Role, site: str) -> None:
    assert may(Person("ada", person.grants + more), needs, site) or not may(person, needs, site)


@given(PEOPLE, SITES)
def test_a_page_shows_what_may_be_seen(person: Person, site: str) -> None:
    viewer = Viewer(person)
    assert viewer.sees(site) == may(person, Role.viewer, site)
    assert viewer.sees("") == viewer.whole == may(person, Role.viewer), "what is of no site is of the whole fleet"
    assert viewer.nameless == Viewer(Person("grace", person.grants[::-1])).nameless, "one answer for who sees the same"


def test_nobody_may_anything_without_a_grant() -> None:
    assert not any(may(Person("ada"), role, site) for role in Role for site in (EVERYWHERE, "north", ""))
