"""A `Summary` as a terminal shows it, and the phrases that other renderings share. Pure.

Packages:
  + pkg/hello: pkg/hello/www/index.html changed

Boxes:
  ~ 7 boxes: demo-1, demo-2, demo-3, demo-4 and 3 more: services, about 20.5 kB to fetch, fits: pkg/hello changed

Plan: 1 package to build, 1 layer to assemble, 7 boxes to update, 0 to remove.
"""

from collections.abc import Sequence

from gitops.model import Action
from gitops.review.nouns import Group, Ruling, Summary, Version, Vulnerability

SHOWN = 4
"""Names on one line when boxes change alike."""
ADVISORIES = 20
"""Advisories that a terminal names; `-o json` has them all."""
SIGNS = {Action.BUILD: "+", Action.CREATE: "+", Action.UPDATE: "~", Action.REMOVE: "-"}
NOTHING = "No changes."
NO_RELEASE = "No box gets another release."
WIPES = "WIPED, for good: keys and data are destroyed, and nothing brings them back"


def render(summary: Summary) -> str:
    """The whole plan as text."""
    policy = section("Policy", policy_lines(summary))
    wipes = section(WIPES, wipe_lines(summary))
    warnings = section("Warnings", [f"  ! {each}" for each in summary.warnings])
    steering = section("Boxes are steered", [f"  ~ {each}" for each in summary.steering])
    if summary.empty:
        quiet = summary.verdict.state == Ruling.ACCEPTED and not summary.policy
        end = NO_RELEASE if summary.steering else NOTHING
        return "\n\n".join([*filter(None, ("" if quiet else policy, steering, warnings)), end])
    builds = [f"  + {step.subject}: {step.reason}" for step in summary.builds]
    versions = [f"  ~ {version(each)}" for each in summary.versions]
    boxes = [f"  {box_line(summary, each)}" for each in summary.groups]
    parts = [wipes, section("Packages", builds), section("Boxes", boxes)]
    parts += [section("Meanwhile", [f"  {each}" for each in summary.effects])]
    parts += [section("Rollout", [f"  {each}" for each in summary.rollout]), steering]
    parts += [section("Versions", versions), section("Security", security_lines(summary)), policy, warnings]
    return "\n\n".join(
        [*filter(None, parts), f"{sizes_note(summary)}\nDigest: sha256:{summary.digest}", headline(summary)]
    )


def section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *lines]) if lines else ""


def headline(summary: Summary) -> str:
    """`Plan: 2 packages to build, 1 layer to assemble, 14 boxes to update, 0 to remove.`"""
    parts = [f"{count(len(summary.builds), 'package')} to build", f"{count(summary.made, 'layer')} to assemble"]
    created = summary.count(Action.CREATE)
    parts += [f"{count(created, 'box', 'es')} to create"] if created else []
    parts.append(f"{count(summary.count(Action.UPDATE), 'box', 'es')} to update")
    wiped = f", {count(len(summary.wipes), 'box', 'es')} TO WIPE" if summary.wipes else ""
    return f"Plan: {', '.join(parts)}, {summary.count(Action.REMOVE)} to remove{wiped}."


def wipe_lines(summary: Summary) -> list[str]:
    return [f"  !! {each}" for each in summary.wipes]


def box_line(summary: Summary, group: Group) -> str:
    counted = f"{len(group.boxes)} boxes: " if len(group.boxes) > 1 else ""
    details = [str(group.change), *size_words(summary, group)] if group.action != Action.REMOVE else []
    what = f"{', '.join(details)}: " if details else ""
    return f"{SIGNS[group.action]} {counted}{names(group.boxes)}: {what}{group.reason}"


def size_words(summary: Summary, group: Group) -> list[str]:
    """Bytes to fetch and whether they fit, in words; nothing for boxes that go."""
    if group.action == Action.REMOVE:
        return []
    fits = {True: "fits", False: f"DOES NOT FIT ({group.short})", None: "fit unknown"}[group.fits]
    return [f"{'' if summary.exact else 'about '}{fetched(group)} to fetch", fits]


def fetched(group: Group) -> str:
    least, most = (size(number) for number in group.fetch)
    return least if least == most else f"{least} to {most}"


def names(boxes: Sequence[str], shown: int = SHOWN) -> str:
    more = f" and {len(boxes) - shown} more" if len(boxes) > shown else ""
    return f"{', '.join(boxes[:shown])}{more}"


def version(each: Version) -> str:
    change = f"{each.old or 'new'} -> {each.new or 'gone'}"
    return f"{each.name} {change} ({names(each.packages)})"


def vulnerability(each: Vulnerability) -> str:
    """`CVE-2026-1 (high): openssl 3.5.7-1 -> 3.5.9-1 (pkg/base)`."""
    change = f"{each.old or 'new'} -> {each.new or 'gone'}"
    return f"{each.advisory} ({each.severity}): {each.source} {change} ({names(each.packages)})"


def security_lines(summary: Summary) -> list[str]:
    """Which advisories the plan fixes and brings in, and why there may be more."""
    change = summary.security
    lines = [f"fixes {vulnerability(each)}" for each in change.fixes[:ADVISORIES]]
    lines += [f"and fixes {len(change.fixes) - ADVISORIES} more"] if len(change.fixes) > ADVISORIES else []
    lines += [f"BRINGS IN {vulnerability(each)}" for each in change.brings[:ADVISORIES]]
    lines += [f"and BRINGS IN {len(change.brings) - ADVISORIES} more"] if len(change.brings) > ADVISORIES else []
    return [f"  {line}" for line in (*lines, *(f"not known: {each}" for each in change.unknown))]


def policy_lines(summary: Summary) -> list[str]:
    """What the policy says of the revision, what becomes of the policy, and who is held."""
    lines = [str(summary.verdict)] if summary.verdict.state != Ruling.UNCHECKED else []
    lines += [f"fleet.yaml changes {each}" for each in summary.policy]
    lines += [f"held, stay as they are: {names(summary.held)}"] if summary.held else []
    return [f"  {line}" for line in lines]


def sizes_note(summary: Summary) -> str:
    """How much the numbers are worth."""
    if summary.exact:
        return "Sizes: measured, as the boxes would fetch them."
    of = "the store's layers and the locks" if summary.stateful else "the locks, without the controller's state"
    return f"Sizes: estimates from {of}, at most; `toweros plan --build` measures them."


def size(number: int) -> str:
    """`20.5 kB`: decimal units, as on the wire."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"
