"""What to write where a value is of another shape: patterns are for programs.

SHAPES[rules.LINK]       # "a link has at most 15 characters, such as `mgmt`"
"""

from gitops.fleet.network import rules
from gitops.model.fleet import CARD, SMBIOS, WHICH_DISK
from gitops.model.machines.wiping import KEY

SHAPES = {
    rules.LINK: "a link has at most 15 characters, such as `mgmt`",
    rules.BUS: "such as 0000:00:03.0: the end of `readlink /sys/class/net/CARD/device`",
    rules.DRIVER: "a kernel module's name, such as e1000e",
    rules.IN_KEYS: "put the certificate below keys/, and name it from the top of the repo: keys/ca/site.crt",
    CARD: "in lower case, such as 52:54:00:12:34:56",
    SMBIOS: "in lower case, as /sys/class/dmi/id/product_uuid has it",
    WHICH_DISK: "`largest`, `smallest`, `ask`, or a disk's name (docs/disks.md)",
    r"^https?://[^\s]+$": "http:// or https://, a host, a path",
    r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?$": "http:// or https://, a host, perhaps a port and a path",
    "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$": "lower-case letters, digits and, between them, `-`; 63 at most",
    KEY: "64 hex digits, as `toweros box wipe NAME` writes them",
}
"""By pattern."""
