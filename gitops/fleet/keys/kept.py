"""What `keys/` must not have, and must be readable: private keys, and who is believed to build.

In: the tree. Out: mistakes. Pure.

    problems += [*private_keys(tree), *unread_builders(tree)]
"""

from gitops.errors import DocumentError, Problem
from gitops.fleet.system_files import BUILDER_JSON
from gitops.model import Builders, Tree


def private_keys(tree: Tree) -> list[Problem]:
    """Whoever reads the repository has what is in it."""
    paths = (path for path in tree.entries() if path.startswith("keys/") and b"PRIVATE KEY" in tree.read(path))
    hint = "remove it, and make a new one: this one is known to all readers"
    return [Problem(path, 1, 1, "a private key in the fleet repo", hint) for path in paths]


def unread_builders(tree: Tree) -> list[Problem]:
    """A box that cannot read whom to believe believes nobody."""
    try:
        if BUILDER_JSON in tree.entries():
            Builders.parse(tree.read(BUILDER_JSON))
    except DocumentError as error:
        return [Problem(BUILDER_JSON, 1, 1, error.message, "copy builder.json of the controller's keys folder")]
    return []
