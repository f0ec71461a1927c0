"""Whom a box with `remote:` lets in, and to what: the files of its release.

In: a box, keys/ssh_user_ca.pub. Out: files. Pure. Rules: what the agent asks before it dials, and by what sshd lets in
whom it brought (sshd_config(5), AuthorizedPrincipalsFile), are of one release; a box that allows logs runs nothing else
for a certificate, whatever that says.

    entrance(box, "ssh-ed25519 AAAA...")["etc/toweros/remote/principals"]      # "restrict,pty site-7"
"""

from gitops.model import Box
from gitops.model.access.remote import ALLOWS, LOGS_COMMAND, Kind, allows

USER_CA = "keys/ssh_user_ca.pub"


def entrance(box: Box, authority: str) -> dict[str, str]:
    """Path -> text; nothing where nobody is let in."""
    if not allows(box.remote, Kind.logs):
        return {}
    folder = ALLOWS.rpartition("/")[0]
    options = "restrict,pty" if allows(box.remote, Kind.shell) else f'restrict,command="{LOGS_COMMAND}"'
    return {
        ALLOWS: f"{box.remote}\n",
        f"{folder}/authority.pub": authority,
        f"{folder}/principals": f"{options} {box.name}\n",
    }
