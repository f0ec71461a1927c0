"""Release tags: which of the remote's tags is the one to deploy. Pure.

Rules: the name matches the policy's pattern and ends with a semantic version (`versions`); the highest comes first; one
lower than the deployed one, or of its version, is never taken; a tag that was deployed once stays what it was.
`approved/NAME/WHO` are further signed tags on the commit of NAME, for thresholds.
"""

import fnmatch
from collections.abc import Container, Mapping

from gitops.errors import STAYS, Reason, SourceError
from gitops.model import Revision
from gitops.source.trust.objects import Signed
from gitops.source.versions import deployed_version, preference, version

MAX_BARE = 20
"""So many tags that are no objects are named."""


def fits(name: str, pattern: str) -> bool:
    """Whether a tag is a release's: what approves of one is none, whatever the pattern."""
    return fnmatch.fnmatchcase(name, pattern) and not name.startswith("approved/")


def eligible(
    names: Mapping[str, str], pattern: str, last: Revision | None, annotated: Container[str] = ()
) -> list[str]:
    """The tags that may deploy, the best first; the deployed one, if it is still there, is the last. Tags that are not
    `annotated` are tried too, to be named, but only a few of them.

    Raises:
        SourceError: there is none, or only lower ones.
    """
    matching = {name: version(name) for name in names if fits(name, pattern)}
    if last and last.ref in matching:
        matching[last.ref] = deployed_version(last.ref)
    versions = {name: number for name, number in matching.items() if number is not None}
    if not versions:
        raise SourceError(
            f"the remote has no release tag like {pattern!r}",
            hint=f"tag one, with a version as v1.0.0; {STAYS}",
            reason=Reason.no_release,
        )
    deployed = deployed_version(last.ref) if last and fnmatch.fnmatchcase(last.ref, pattern) else None
    same = last.ref if last else ""
    higher = [name for name, number in versions.items() if deployed is None or number > deployed or name == same]
    if not higher and last:
        highest = max(versions, key=lambda name: (versions[name], name))
        hint = f"{STAYS}; tag a higher version"
        raise SourceError(
            f"{highest} is no higher than the deployed {last.ref}", hint=hint, reason=Reason.lower_version
        )
    higher.sort(key=lambda name: (versions[name], preference(name)), reverse=True)
    # A server says of each annotated tag what it leads to; the others are refused, so a few of them are named.
    bare = {*[name for name in higher if name not in annotated][MAX_BARE:]}
    return [name for name in higher if name not in bare]


def moved(names: Mapping[str, str], deployed: Mapping[str, str]) -> dict[str, SourceError]:
    """The tags that name another object than when they were deployed, with their refusals. `deployed`: the object of
    each tag that was."""
    return {name: _moved(name) for name, identity in deployed.items() if names.get(name, identity) != identity}


def _moved(name: str) -> SourceError:
    hint = f"{STAYS}; a release never changes: tag a new version"
    return SourceError(f"tag {name!r} was moved after it was deployed", hint=hint, reason=Reason.moved_tag)


def check_tag(name: str, tag: Signed) -> str:
    """The commit that an annotated tag names.

    Raises:
        SourceError: it says another name (somebody's signed tag, replayed), or names no commit.
    """
    own, kind = tag.headers.get("tag", ""), tag.headers.get("type", "")
    if own != name:
        hint = f"{STAYS}; somebody offers a signed tag under another name"
        raise SourceError(f"tag {name!r} is the tag {own!r}, renamed", hint=hint, reason=Reason.renamed_tag)
    if kind == "tag":
        raise SourceError(f"tag {name!r} names another tag", hint=f"tag the commit; {STAYS}", reason=Reason.nested_tag)
    if kind != "commit":
        raise SourceError(f"tag {name!r} names a {kind}", hint=f"tag a commit; {STAYS}", reason=Reason.tag_of_no_commit)
    return tag.headers["object"]


def approvals(peeled: Mapping[str, str], name: str, commit: str) -> list[str]:
    """The further tags that vouch for a release (or a commit): approved/NAME/WHO, on the same commit."""
    return sorted(tag for tag, target in peeled.items() if tag.startswith(f"approved/{name}/") and target == commit)
