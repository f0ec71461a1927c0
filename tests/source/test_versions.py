"""Release tags are semantic versions and nothing that looks like one, and no tag loses without a word."""

import pytest

from gitops.errors import SourceError
from gitops.source.versions import LONGEST, SHOWN, alarms, next_patch, preference, version
from tests.kit.trust import Story, tags

__all__ = ["tags"]


def reasons(story: Story) -> list[str]:
    return sorted(str(alarm.reason) for alarm in story.source.alarms if isinstance(alarm, SourceError))


def test_versions_sort_as_semver_says() -> None:
    """The order of semver.org, 11, and then some."""
    order = ["v1.0.0-0", "v1.0.0-2", "v1.0.0-10", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta"]
    order += ["v1.0.0-beta", "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0", "v1.0.1", "v1.2.0"]
    order += ["site-2.0.0", "release/v10.0.0", f"v10.0.1-{'9' * 200}", "v999999999.0.0"]
    numbers = [version(name) for name in order]
    assert None not in numbers and len(set(numbers)) == len(numbers)
    assert sorted(numbers) == numbers  # type: ignore[type-var]
    for folder in ("gsm900", "5g", "fleet2", "v9.9.9"):
        assert version(f"{folder}/v1.2.0") == version("v1.2.0")
        assert next_patch(f"{folder}/v1.2.0") == f"{folder}/v1.2.1"
    assert version("v1.0.0+build.5") == version("v1.0.0+007") == version("v1.0.0")
    assert sorted(["v1.0.0+a", "v1.0.0", "v1.0.0+b"], key=preference)[-1] == "v1.0.0"


@pytest.mark.parametrize(
    "name",
    [
        *("v1.3.0-fix_20240506", "v1.3.0-fix_2024.5.6", "docs-2024-05-06", "latest", "v1", "v1.2", "v1.2.3.4", "v-1"),
        *("v01.2.3", "v1.02.3", "v1.2.3-01", "v1.2.3-", "v1.2.3-a..b", "v1.2.3+", "v1.2.3+a+b", "v1.2.3 ", "v1.2.3\n"),
        *("v1.2.3-rc_1", "v1-2.0.0", "v9999999999.0.0", "v١.٢.٣", "v1.2.3-é", f"v1.0.0-{'9' * 5000}"),
        "",
    ],
)
def test_what_only_looks_like_a_version_is_none(name: str) -> None:
    assert version(name) is None


def test_the_next_patch_of_what_is_deployed() -> None:
    names = ["v1.2.3", "v1.2.3-rc.1", "site-1.2.3+b7", "v1.2", "v1"]
    assert [*map(next_patch, names)] == ["v1.2.4", "v1.2.3", "site-1.2.4", "v1.2.1", "v1.0.1"]
    with pytest.raises(SourceError, match="no version"):
        next_patch("main")


def test_a_date_behind_a_word_outranks_no_release(tags: Story) -> None:
    """It is signed, and the name was read as version 20240506: every later release would have been lower."""
    tags.commit("fix")
    tags.tag("v1.3.0-fix_20240506")
    assert tags.deploy() == "v1.0.0"
    assert reasons(tags) == ["NoVersion"]
    assert "v1.3.0-fix_20240506" in str(tags.source.alarms[0])
    tags.tag("v1.3.0")
    assert tags.deploy() == "v1.3.0"


def test_build_metadata_brings_no_other_commit_to_the_boxes(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.0.0+build.7")
    assert tags.deploy() == "v1.0.0" and reasons(tags) == ["SameVersion"]
    assert tags.started().poll().ref == "v1.0.0"
    tags.tag("v1.1.0+first")
    assert tags.deploy() == "v1.1.0+first"
    tags.commit("three")
    tags.tag("v1.1.0")
    assert tags.deploy() == "v1.1.0+first", "the plain name comes too late"
    assert reasons(tags) == ["SameVersion"]


def test_two_names_of_one_version_come_to_one_everywhere(tags: Story) -> None:
    """The plain name; the other one on the same commit loses nothing, one on another commit is told."""
    tags.commit("two")
    tags.tag("v1.1.0+a")
    tags.commit("three")
    tags.tag("v1.1.0")
    tags.tag("v1.1.0+z")
    for source in (tags.source, tags.started()):
        revision = source.poll()
        assert revision.ref == "v1.1.0"
        (alarm,) = source.alarms
        assert isinstance(alarm, SourceError) and alarm.reason == "SameVersion" and "v1.1.0+a:" in alarm.message
    assert [tags.deploy() for _ in range(3)] == ["v1.1.0"] * 3, "it settles"


def test_one_whose_plain_name_is_unsigned_deploys_by_the_other(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.1.0", by="")
    tags.tag("v1.1.0+b")
    assert tags.deploy() == "v1.1.0+b" and reasons(tags) == ["Unsigned"]


def test_a_release_that_was_numbered_too_low_is_told(tags: Story) -> None:
    tags.commit("two")
    tags.tag("v1.2.0")
    assert tags.deploy() == "v1.2.0" and reasons(tags) == [], "v1.0.0 is an ancestor: an old release, no lost one"
    tags.commit("three")
    tags.tag("v1.1.0")
    assert tags.deploy() == "v1.2.0" and reasons(tags) == ["LowerVersion"]


def test_what_deployed_when_two_numbers_were_enough_is_still_known(
    tags: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags.commit("two")
    tags.tag("v1.1")
    with monkeypatch.context() as before:
        before.setattr("gitops.source.trust.releases.version", lambda name: version(f"{name}.0") or version(name))
        before.setattr("gitops.source.named_commits.version", lambda name: version(f"{name}.0") or version(name))
        assert tags.deploy() == "v1.1"
    tags.commit("three")
    tags.tag("v1.0.5")
    assert tags.started().poll().ref == "v1.1"
    tags.tag("v1.1.1")
    assert tags.started().poll().ref == "v1.1.1"


def test_the_ends_of_what_is_read_and_shown() -> None:
    longest = "v1.0.0-" + "a" * (LONGEST - 7)
    assert version(longest) and version(longest + "a") is None
    assert version("releases/1.2.3") == version("v1.2.3")
    names = [f"t{number}" for number in range(SHOWN)]
    assert [str(each).count(" more") for each in alarms("v*", names, (), ())] == [0]
    assert "and 1 more" in str(alarms("v*", [*names, "u"], (), ())[0])
