"""security/vex/NAME.yaml: what the fleet's people say of vulnerabilities, in OpenVEX's words (OpenVEX 0.2.0).

In: a tree. Out: `VexStatement`s; mistakes as `Problem`s. Rules: each has an author and a last day, so that no excuse
outlives its reason; `not_affected` needs one of OpenVEX's justifications; no release is made of it.

    statements:
    - vulnerability: CVE-2026-1234
      packages: [openssl]
      status: not_affected
      justification: vulnerable_code_not_in_execute_path
      author: ada@example.org
      until: "2027-03-01"
"""

from datetime import date
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gitops.errors import Problem
from gitops.fleet.documents import yaml
from gitops.fleet.documents.partial import partly
from gitops.fleet.documents.strict import Strict
from gitops.model import Json, Tree, VexStatement, VexStatus

FOLDER = "security/vex/"
JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
LINE = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\n\r\t]+$")]


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError('a day such as "2027-03-01" is expected') from None


def _justification(word: str) -> str:
    if word not in JUSTIFICATIONS:
        raise ValueError(f"one of {', '.join(JUSTIFICATIONS)} is expected")
    return word


class StatementRules(Strict):
    """One statement."""

    vulnerability: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9:._-]{2,99}$")]
    status: Annotated[VexStatus, Field(strict=False)]
    author: LINE
    until: Annotated[str, AfterValidator(_day)] = Field(description="The last day on which it counts.")
    packages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]{0,100}$")], ...] = Field(
        default=(), max_length=100, description="Source packages, or Python's; of all, when there are none."
    )
    justification: Annotated[str, AfterValidator(_justification)] = ""
    note: LINE | None = None

    @model_validator(mode="after")
    def _justified(self) -> "StatementRules":
        if (self.status is VexStatus.not_affected) != bool(self.justification):
            raise ValueError("`justification` goes with `status: not_affected`, and is needed there")
        return self


class VexFile(Strict):
    """security/vex/NAME.yaml."""

    STAND_IN: ClassVar[Json] = {"statements": []}

    statements: tuple[StatementRules, ...] = Field(max_length=1000)


def load_statements(tree: Tree, problems: list[Problem]) -> tuple[VexStatement, ...]:
    """Every statement of every file."""
    found: list[VexStatement] = []
    for path in sorted(path for path in tree.entries() if path.startswith(FOLDER)):
        if not path.endswith((".yaml", ".yml")):
            problems.append(
                Problem(path, 1, 1, "not the name of a file that belongs here", f"name it {FOLDER}NAME.yaml")
            )
            continue
        document = yaml.read(tree.read(path), path, problems)
        found += map(_statement, partly(document, VexFile, problems).content.statements) if document else ()
    return tuple(found)


def _statement(rules: StatementRules) -> VexStatement:
    return VexStatement(
        vulnerability=rules.vulnerability,
        status=rules.status,
        author=rules.author,
        until=rules.until,
        packages=rules.packages,
        justification=rules.justification,
        note=rules.note or "",
    )
