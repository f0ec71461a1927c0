"""Which commit may follow the last deployed one, and by whose word. Pure.

History only descends: a branch that was moved back, rewritten or replaced is an alarm, never an order. The old policy
and the old keys judge the new commit, policy and keys included; a policy that was replaced does not come back. The one
way out is outside of the repository: whoever runs the controller raises `epoch` in its settings, knowingly.

    accept(last, new, descends=True, related=True, raised=False)   -> nothing, or SourceError
    judging(policy of `last`, policy of `new`, ...)                -> the policy that judges `new`
    check_rules(rules, changed paths, signers)                     -> nothing, or SourceError
    check_limits(limits, changed paths, signers)                   -> nothing, or SourceError
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from gitops.errors import STAYS, Reason, SourceError
from gitops.model import Entry, PathRule, Policy, Revision, Sign, canonical, sha256
from gitops.model.paths.globs import glob


def accept(last: Revision | None, new: Revision, *, descends: bool, raised: bool, related: bool = True) -> None:
    """`descends`: `last` is an ancestor of `new`, or the same; `related`: they share some ancestor. `raised`: the
    settings' epoch rose since `last`.

    Raises:
        SourceError: `new` may not be deployed; the hint says how to go on.
    """
    if last is None or last.commit == new.commit:
        return
    if not descends and not raised:
        raise SourceError(
            f"{new} does not descend from the deployed {last}: its history was rewritten or replaced",
            hint=f"{STAYS}; push a descendant, or raise `epoch` in toweros.toml to accept the new history",
            reason=Reason.not_descending if related else Reason.replaced_repository,
        )
    if new.sequence <= last.sequence:
        raise SourceError(
            f"{new} has sequence {new.sequence}, and the boxes already have {last.sequence}",
            hint=f"{STAYS}; raise `epoch` in toweros.toml by {last.sequence - new.sequence + 1} or more",
            reason=Reason.lower_sequence,
        )


def judging(old: Policy | None, new: Policy, *, first_signers: bool) -> Policy:
    """The policy of the deployed commit; no unsigned commit can switch signatures off, or on.

    Before the first deployment nothing in the repository is trusted: with `first_signers` (the settings name some) the
    first commit or tag must be signed, whatever it says itself.
    """
    if old is None:
        asked = first_signers and new.sign is Sign.none
        return replace(new, sign=Sign.tag if new.tags else Sign.head, rules=()) if asked else replace(new, rules=())
    if old.sign is Sign.none and new.sign is not Sign.none:
        return replace(old, sign=Sign.tag if old.tags else Sign.head, rules=())
    return old


def check_threshold(policy: Policy, ref: str, signers: Iterable[str], people: Mapping[str, str]) -> None:
    """`people`: the person of each name. Raises SourceError when too few of them signed the commit or a tag of it."""
    names = sorted({people.get(name, name) for name in signers})
    if len(names) < policy.threshold:
        who = ", ".join(names) or "nobody"
        raise SourceError(
            f"{ref} is signed by {len(names)} of {policy.threshold} people: {who}",
            hint=f"let others sign the same commit: git tag -s approved/{ref}/NAME; {STAYS}",
            reason=Reason.threshold_not_met,
        )


def check_rules(rules: Sequence[PathRule], changed: Iterable[str] | None, signers: Iterable[str], name: str) -> None:
    """Every rule that a changed path falls under needs one of its people. `changed` is None where there is nothing to
    compare with: then everything is new. `name` is what they signed.

    Raises:
        SourceError: one has none.
    """
    paths, people = sorted(changed or ()), frozenset(signers)
    for rule in rules:
        touched = next((path for path in paths if any(glob(pattern).fullmatch(path) for pattern in rule.paths)), None)
        touched = rule.paths[0] if changed is None else touched
        if touched and not people & set(rule.signers):
            raise SourceError(
                f"{name} changes {touched}, which needs one of {', '.join(rule.signers)}; "
                f"signed by {', '.join(sorted(people)) or 'nobody'}",
                hint=f"let one of them sign it; {STAYS}",
                reason=Reason.rule_not_met,
            )


TRUST = ("fleet.yaml", "keys")
"""What says whom to trust: no limit is wide enough for a change of it, whatever its globs say."""


def check_limits(limits: Sequence[PathRule], changed: Iterable[str] | None, signers: Iterable[str], name: str) -> None:
    """What a limited signer signed changes nothing but what one of their limits names. `changed` is None where there is
    nothing to compare with: then everything is new.

    Raises:
        SourceError: it changes more.
    """
    for signer in sorted(set(signers)):
        own = [pattern for limit in limits if signer in limit.signers for pattern in limit.paths]
        if not own:
            continue
        paths = ["everything"] if changed is None else sorted(changed)
        beyond = next((path for path in paths if changed is None or not _within(own, path)), None)
        if beyond:
            raise SourceError(
                f"{name} changes {beyond}, and {signer} may sign for {', '.join(own)} alone",
                hint=f"let somebody else sign it; {STAYS}",
                reason=Reason.beyond_limit,
            )


def _within(patterns: Iterable[str], path: str) -> bool:
    """A limit means files: a folder that is called like one does not take along what is below it."""
    trust = path.split("/", maxsplit=1)[0] in TRUST
    return not trust and any(glob(pattern, below=False).fullmatch(path) for pattern in patterns)


def changed_paths(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> set[str]:
    """Paths whose content, mode or existence differs."""
    return {path for path in {*old, *new} if _fact(old.get(path)) != _fact(new.get(path))}


def _fact(entry: Entry | None) -> tuple[int, str] | None:
    return (entry.mode, entry.id) if entry else None


def policy_state(policy: Policy, entries: Mapping[str, Entry]) -> str:
    """The name of a state of trust: SHA-256 over who must sign what, and the keys."""
    keys = {path: entry.id for path, entry in entries.items() if path.startswith("keys/")}
    return sha256(canonical({"keys": keys, "source": source_part(policy)}))


def source_part(policy: Policy) -> dict[str, object]:
    """A policy's part on sources, as JSON."""
    rules = [{"paths": list(rule.paths), "signers": list(rule.signers)} for rule in policy.rules]
    values = {"branch": policy.branch, "tags": policy.tags, "sign": policy.sign, "threshold": policy.threshold}
    limits = [{"paths": list(limit.paths), "signers": list(limit.signers)} for limit in policy.limits]
    return values | {"rules": rules} | ({"limits": limits} if limits else {})  # a state keeps the name that it has


def policy_of(row: Mapping[str, object]) -> Policy:
    """What `source_part` said, as a policy. Members of a newer controller are dropped.

    Raises:
        ValueError: `sign` is a mode that this controller does not have: nothing can be judged by it.
    """
    rules, limits = row.get("rules") or [], row.get("limits") or []
    assert isinstance(rules, list) and isinstance(limits, list)
    values = {name: row[name] for name in ("branch", "tags", "threshold") if name in row}
    values |= {"sign": Sign(str(row["sign"]))} if "sign" in row else {}
    typed = [tuple(PathRule(tuple(rule["paths"]), tuple(rule["signers"])) for rule in each) for each in (rules, limits)]
    return replace(Policy(rules=typed[0], limits=typed[1]), **values)  # type: ignore[arg-type]


def only_removes(old: Policy, new: Policy, gone: Collection[str]) -> bool:
    """Whether a policy differs in nothing but people who are gone from it: a rule of theirs alone may go with them."""
    struck = replace(old, rules=_without(old.rules, gone), limits=_without(old.limits, gone))
    return source_part(new) in (source_part(old), source_part(struck))


def _without(rules: Sequence[PathRule], gone: Collection[str]) -> tuple[PathRule, ...]:
    left = (PathRule(each.paths, tuple(name for name in each.signers if name not in gone)) for each in rules)
    return tuple(rule for rule in left if rule.signers)


def check_rollback(old: Policy | None, state: str, states: Sequence[str], *, removes: bool = False) -> None:
    """`states`: every state of trust that was deployed, the present one last. A key that was withdrawn stays so.
    `removes`: nothing comes back, for people are only taken out.

    Raises:
        SourceError: a former state comes back.
    """
    if old and old.sign is not Sign.none and state in states[:-1] and state != states[-1] and not removes:
        raise SourceError(
            "the policy and keys are those of an older state, which was replaced",
            hint=f"{STAYS}; write the new policy out in another way, or raise `epoch` in toweros.toml",
            reason=Reason.policy_rollback,
        )
