"""Every reason for refusing has a name, and docs/policy.md says what to do about it."""

import re
from pathlib import Path

from gitops.errors import Reason

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_policy_page_explains_every_reason_and_no_other() -> None:
    table = (CHECKOUT / "docs/policy.md").read_text().partition("| reason |")[2].partition("\n\n")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    explained = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(explained) == sorted(Reason)


def test_every_reason_is_given_somewhere() -> None:
    text = "".join(path.read_text() for path in (CHECKOUT / "gitops/source").rglob("*.py"))
    assert [reason for reason in Reason if f"Reason.{reason.name}" not in text] == []
