"""The words of a pull request that takes back what stopped a rollout. Pure.

In: what stopped, how the boxes are, what is taken back. Out: Markdown of at most `LIMIT` bytes, in which nothing that a
box or a commit says is a link, a mention or markup; whole commit ids stand bare, for forges make links of those.

    text(look, taken, revision.commit, policy)
"""

from collections.abc import Iterator

from gitops.model import BoxState, Failure, Policy, Sign, Verdict
from gitops.review.markdown import LIMIT, plain, quote
from gitops.rollout.counting.standing import How
from gitops.workflows.reverts.nouns import Look, Taken

LINES = 15
"""Last lines of a box's log."""
ROOM = 3000
"""Bytes for all that is not about single boxes."""
FOOTER = (
    "Made once, by `rollout.on_stop` (docs/rollout.md), and never merged by itself; it is closed when the rollout goes "
    "on, or when another commit deploys. Whoever merges it signs the merge."
)
EVERY = (
    "Here every commit must be signed by somebody whom the policy knows: unless `keys/allowed_signers` names "
    "toweros-security, make it a commit of your own (`git revert`)."
)


def text(look: Look, taken: Taken, revision: str, policy: Policy) -> str:
    """`revision`: the deployed commit."""
    head = [f"The rollout of {revision} stopped.", ""]
    head += [f"- {quote(what)}" for what in sorted(look.stops)[:LINES]]
    head += ["", "This takes back:", ""]
    for line in taken.lines:
        words = line.split(" ")
        head.append("- " + " ".join(word if _commit(word) else plain(word) for word in words))
    head += ["", f"{quote(' and '.join(taken.stays))} stay: they say whom to trust."] if taken.stays else []
    foot = ["", EVERY] if policy.sign is Sign.every_commit else []
    foot += ["", FOOTER, ""]
    return "\n".join([*head, "", *_boxes(look), *foot])


def _boxes(look: Look) -> Iterator[str]:
    """As many as there is room for."""
    left, boxes = LIMIT - ROOM, look.boxes
    kinds = {box: kind for stop in look.stops.values() for box, kind in stop.items()}
    for number, box in enumerate(boxes):
        lines = "\n".join(_box(look.states[box], kinds[box]))
        left -= len(lines.encode()) + 1
        if left < 0:
            yield f"- and {len(boxes) - number} more: `toweros status` names them"
            return
        yield lines


def _box(state: BoxState, kind: How) -> Iterator[str]:
    failure = _failure(state) if kind is How.FAILED else None
    why = failure.reason if failure else state.error
    yield f"- **{plain(state.name)}** {kind}{f': {quote(why)}' if why else ''}"
    for line in failure.log.splitlines()[-LINES:] if failure else ():
        yield f"  - {quote(line)}"


def _failure(state: BoxState) -> Failure | None:
    failed = [each for each in state.failures if each.verdict is Verdict.FAILED]
    of_it = [each for each in failed if each.release == state.wanted.release]
    return max(of_it or failed, key=lambda each: each.time, default=None)


def _commit(word: str) -> bool:
    return len(word) == 40 and not set(word) - set("0123456789abcdef")
