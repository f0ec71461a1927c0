"""A policy that asks for signatures where nobody is listed who could give one.

In: fleet.yaml, the policy, and whom the controller's settings name. Out: the mistake, at `sign:`. Rules: a repo without
keys of its own leaves people to the settings (`allowed_signers`, `openpgp_keys`), so a fleet repo that is looked at
without them is complete by its own `keys/` alone; what is wrong with keys that are listed is told by `signers`.

    nobody(tree, Sign.head, elsewhere=False)      # Problem("fleet.yaml", 3, 9, "`sign: head` asks for signatures ..")
"""

from gitops.errors import Problem
from gitops.fleet.documents.yaml import Document, read
from gitops.fleet.keys.files import ALLOWED, Keys
from gitops.model import Sign, Tree

FLEET = "fleet.yaml"


def nobody(tree: Tree, sign: Sign, *, elsewhere: bool) -> Problem | None:
    """`elsewhere`: the settings name somebody whose signature would count."""
    keys = Keys.of(tree)
    if sign is Sign.none or elsewhere or keys.names() or keys.open:
        return None
    document = read(tree.read(FLEET), FLEET, []) or Document(FLEET)
    message = f"`sign: {sign}` asks for signatures, and keys/ lists nobody who could sign"
    hint = (
        f"list who may deploy in {ALLOWED}: docs/policy.md, Turn it on (where the controller's settings name the keys, "
        "validate with them: --config toweros.toml)"
    )
    return document.problem(("source", "sign"), message, hint)
