"""Whose SSH keys may log in to a box is the newest commit's word, also where the box is made of an earlier one.

In: the fleet of an earlier commit, and the newest one. Out: the earlier one, with `keys/authorized_keys` of now in each
box's files: whoever was taken out of that file is let in nowhere, whatever a pin or a floor names. Pure.

    of_now(earlier, newest).boxes["site-7"].files
"""

from dataclasses import replace

from gitops.model import Fleet

PATH = "etc/ssh/authorized_keys"


def logins(fleet: Fleet) -> str:
    """What the file says: the same on all boxes of a commit."""
    files = (file for box in fleet.boxes.values() for file in box.files)
    return next((str(file["contents"]) for file in files if file["path"] == PATH), "")


def of_now(earlier: Fleet, newest: Fleet) -> Fleet:
    """The same object where both say the same."""
    said = logins(newest)
    if said == logins(earlier):
        return earlier
    boxes = {
        name: replace(
            box, files=tuple({**file, "contents": said} if file["path"] == PATH else file for file in box.files)
        )
        for name, box in earlier.boxes.items()
    }
    return replace(earlier, boxes=boxes)
