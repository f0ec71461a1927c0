"""The JSON of Debian's security tracker. Pure.

    {"openssl": {"CVE-2026-1": {"description": "...", "releases": {"trixie": {"status": "resolved", "fixed_version": ...

In: one source package's part of it. Out: an advisory per vulnerability and release that it may affect. Rules:

- `resolved` with `fixed_version` "0" was never affected; `open` and `undetermined` are affected in every version;
- `urgency` is the severity, where it is one; `end-of-life`, and `nodsa` with its reason, are what the team decided;
- a release that we know no number of is left out, and nothing is known of it then.
"""

from typing import Any

from gitops.model import Advisory, Affected, Decision, Ecosystem, Severity
from gitops.security.feeds.entries import Entries, Unread, mapping, text, title
from gitops.security.feeds.severity import of_words

RELEASES = {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15"}
NEVER = "0"


def advisories(source: str, vulnerabilities: Any) -> Entries:
    """What the tracker says of one source package."""
    try:
        text(source, "the package's name")
        entries = mapping(vulnerabilities, "the package's part")
    except ValueError as error:
        yield Unread(str(source)[:100], str(error))
        return
    for name, entry in entries.items():
        try:
            yield from _entry(source, name, entry)
        except ValueError as error:
            yield Unread(f"{source} {name}"[:100], str(error))


def _entry(source: str, name: str, entry: Any) -> list[Advisory]:
    text(name, "the vulnerability's name", 60)
    releases = mapping(mapping(entry, "the entry").get("releases"), "releases")
    about = title(entry.get("description"))
    made = [_advisory(source, name, about, RELEASES[each], row) for each, row in releases.items() if each in RELEASES]
    return [each for each in made if each is not None]


def _advisory(source: str, name: str, about: str, number: str, row: Any) -> Advisory | None:
    status, urgency = text(mapping(row, "the release").get("status"), "status"), text(row.get("urgency", ""), "urgency")
    if status not in ("resolved", "open", "undetermined"):
        raise ValueError(f"status {status}")
    fixed = text(row.get("fixed_version"), "fixed_version") if status == "resolved" else ""
    if fixed == NEVER:
        return None
    severity = Severity.unknown if urgency == Decision.end_of_life else of_words(urgency)
    return Advisory(
        id=name,
        ecosystem=Ecosystem.debian,
        distribution=f"debian:{number}",
        source=source,
        severity=severity,
        ranges=(Affected(fixed=fixed),),
        title=about,
        decision=_decision(urgency, row),
    )


def _decision(urgency: str, row: dict[str, Any]) -> Decision:
    if urgency == Decision.end_of_life:
        return Decision.end_of_life
    reason = row.get("nodsa_reason")
    if reason in (Decision.ignored.value, Decision.postponed.value):
        return Decision(reason)
    return Decision.no_dsa if "nodsa" in row else Decision.none
