"""A box gets a new key, and Git still names the one before: whoever has that machine would be the box again.

In: the deployed files, a box, its new key (hex). Out: what people must commit, in a sentence; empty: nothing. Rules:
`hardware: {key: ..}` of boxes/NAME.yaml alone counts; a file that cannot be read is told by `validate`.

    outdated(tree, "site-9", key)      # "boxes/site-9.yaml:3 still names the key 3b6a27bc..: ..."
"""

from gitops.fleet.documents.yaml import load
from gitops.model import Tree
from gitops.sign.box import fingerprint
from gitops.store import Store
from gitops.store.notes.box_keys import BoxKeys


def outdated(tree: Tree, name: str, key: str) -> str:
    """What Git says of the key of before, and the fix."""
    path = f"boxes/{name}.yaml"
    document = load(tree.read(path), path, []) if path in tree.entries() else None
    said = document.value.get("hardware") if document and isinstance(document.value, dict) else None
    before = said.get("key") if isinstance(said, dict) else None
    if document is None or not isinstance(before, str) or before == key:
        return ""
    line = document.mark(("hardware", "key"))[0]
    return (
        f"{path}:{line} still names the key {fingerprint_of(before)}: the machine with it would be {name} again; "
        f'commit `hardware: {{key: "{key}"}}` there, or take `hardware` out'
    )


def fingerprint_of(key: str) -> str:
    """Of a key as Git has it, which may be none."""
    try:
        return fingerprint(key)
    except ValueError:
        return key[:16]


def key_of(store: Store, name: str) -> str:
    """The key (hex) that was made last for a box; empty: it has none."""
    row, keys = store.boxes.row(name), store.notes.get(BoxKeys, name) or BoxKeys()
    return keys.coming or (row.public_key if row else "")
