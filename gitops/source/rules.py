"""Which commit may follow the last deployed one. Pure.

History only descends: a branch that was moved back, rewritten or replaced is an alarm, never an order. The one way out
is outside of the repository: whoever runs the controller raises `epoch` in its settings, knowingly.

    accept(last, new, descends=True, raised=False)   -> nothing, or SourceError
    must_sign(policy of `last`, policy of `new`, ...) -> whether `new` needs a signature
"""

from gitops.errors import SourceError
from gitops.model import Policy, Revision

KEPT = "the last good state stays"


def accept(last: Revision | None, new: Revision, *, descends: bool, raised: bool) -> None:
    """`descends`: `last` is an ancestor of `new`, or the same. `raised`: the settings' epoch rose since `last`.

    Raises:
        SourceError: `new` may not be deployed; the hint says how to go on.
    """
    if last is None or last.commit == new.commit:
        return
    if not descends and not raised:
        raise SourceError(
            f"{new} does not descend from the deployed {last}: its history was rewritten or replaced",
            hint=f"{KEPT}; push a descendant, or raise `epoch` in toweros.toml to accept the new history",
        )
    if new.sequence <= last.sequence:
        raise SourceError(
            f"{new} has sequence {new.sequence}, and the boxes already have {last.sequence}",
            hint=f"{KEPT}; raise `epoch` in toweros.toml by {last.sequence - new.sequence + 1} or more",
        )


def must_sign(old: Policy | None, new: Policy, *, first_signers: bool) -> bool:
    """The old policy counts too, so that no unsigned commit can switch signatures off.

    Before the first deployment nothing in the repository is trusted: `first_signers` (the settings name some) decides.
    """
    if old is None:
        return first_signers or new.sign == "head"
    return "head" in (old.sign, new.sign)
