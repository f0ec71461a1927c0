"""`security:` in fleet.yaml: what it means, and what is told of its mistakes."""

from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_policy
from gitops.model import Severity
from gitops.model.updates.patching import Grouping, How, Patching, Window
from gitops.model.updates.when import When
from tests.kit.fleets import repo

WHOLE = """\
security:
  cron: "30 2 * * 1-5"
  timezone: Europe/Berlin
  jitter: 20 minutes
  how: pull-request
  group: all
  severities: [critical, high]
  packages: {allow: ["*"], leave: ["postgresql-*"]}
  kernel: {every: saturday at 03:00}
  soak: {low: 7 days, unknown: 3600}
  merge: [critical]
"""


def test_without_the_section_nothing_is_looked_for(tmp_path: Path) -> None:
    assert load_policy(repo(tmp_path)).security is None


def test_an_empty_section_has_defaults(tmp_path: Path) -> None:
    assert load_policy(repo(tmp_path, **{"fleet.yaml": "security: {}\n"})).security == Patching()


def test_the_whole_section_is_read(tmp_path: Path) -> None:
    said = load_policy(repo(tmp_path, **{"fleet.yaml": WHOLE})).security
    assert said
    kernel = When("saturday at 03:00", "", "Europe/Berlin", 1200)
    assert said.windows() == {Window.packages: When("", "30 2 * * 1-5", "Europe/Berlin", 1200), Window.kernel: kernel}
    assert (said.how, said.group, said.leave) == (How.pull_request, Grouping.all, ("postgresql-*",))
    assert said.severities == (Severity.critical, Severity.high) and said.merge == (Severity.critical,)
    assert (said.soak_of(Severity.low), said.soak_of(Severity.unknown), said.soak_of(Severity.high)) == (
        604800,
        3600,
        0,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{every: dya at 02:30}", "fleet.yaml:1:19: `security.every`"),
        ('{cron: "61 * * * *"}', "cron line"),
        ('{every: day, cron: "0 2 * * *"}', "either `every` or `cron`"),
        ("{timezone: Europe/Berlyn}", "no time zone"),
        ("{jitter: 20 minuets}", "a duration such as `20 minutes`"),
        ("{jitter: 2 days}", "less than or equal to 86400"),
        ("{how: mail}", "'pull-request'"),
        ("{severities: [severe]}", "'critical'"),
        ("{soak: {severe: 1}}", "'critical'"),
        ("{packages: {deny: [x]}}", "unknown key `deny`; known: allow, leave"),
        ("{packages: {allow: []}}", "at least 1"),
        ("{how: commit, merge: [high]}", "`merge` goes with"),
        ("{kernel: {jitter: 60}}", "`kernel` needs"),
        ("{kernel: {group: all}}", "unknown key"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FleetError) as caught:
        load_policy(repo(tmp_path, **{"fleet.yaml": f"security: {text}\n"}))
    assert str(caught.value).startswith("fleet.yaml:1:") and said in str(caught.value)


@pytest.mark.parametrize("path", ["keys/packages.lock", "fleet.yaml", "keys"])
def test_a_limit_that_gives_trust_away_is_a_mistake(tmp_path: Path, path: str) -> None:
    source = f"source: {{sign: head, limits: [{{paths: [{path}], signers: [bot]}}]}}\n"
    with pytest.raises(FleetError, match="cannot give away"):
        load_policy(repo(tmp_path, **{"fleet.yaml": source}))
