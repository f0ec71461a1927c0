"""What the fleet's people say of vulnerabilities: whole statements only, and nothing that a box is made of."""

from pathlib import Path

import pytest

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.model import VexStatement, VexStatus
from gitops.plan import box_keys
from tests.kit.fleets import repo

GOOD = """\
statements:
- vulnerability: CVE-2026-1234
  packages: [openssl]
  status: not_affected
  justification: vulnerable_code_not_in_execute_path
  author: ada@example.org
  until: "2027-03-01"
- {vulnerability: GHSA-x, status: under_investigation, author: ben, until: "2026-12-24", note: looking}
"""


def test_statements_are_read_and_change_no_box(tmp_path: Path) -> None:
    plain, stated = load_fleet(repo(tmp_path)), load_fleet(repo(tmp_path, **{"security/vex/a.yaml": GOOD}))
    assert stated.statements == (
        VexStatement(
            "CVE-2026-1234",
            VexStatus.not_affected,
            "ada@example.org",
            "2027-03-01",
            ("openssl",),
            "vulnerable_code_not_in_execute_path",
        ),
        VexStatement("GHSA-x", VexStatus.under_investigation, "ben", "2026-12-24", note="looking"),
    )
    assert box_keys(plain) == box_keys(stated)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  author: ada@example.org\n", "", "security/vex/a.yaml:2:3: `author` is missing"),
        ("not_affected", "harmless", "security/vex/a.yaml:4:11:"),
        ("vulnerable_code_not_in_execute_path", "trust_me", "security/vex/a.yaml:5:18:"),
        ("  justification: vulnerable_code_not_in_execute_path\n", "", "`justification` goes with"),
        ('"2027-03-01"', '"some day"', "security/vex/a.yaml:7:10:"),
        ("packages", "package", "unknown key `package`; did you mean `packages`"),
        ("statements", "statement", "did you mean `statements`"),
    ],
)
def test_a_mistake_has_its_place_and_its_fix(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(FleetError) as caught:
        load_fleet(repo(tmp_path, **{"security/vex/a.yaml": GOOD.replace(old, new)}))
    assert words in str(caught.value), caught.value


def test_another_file_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"security/vex/a\.json:1:1: not the name"):
        load_fleet(repo(tmp_path, **{"security/vex/a.json": "{}"}))
