"""Where boxes find copies of what the update server serves: `copies` of fleet, role and box.

copies: [https://cdn.example/fleet, oci+https://registry.example/toweros/fleet]
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from gitops.model.keys import EVERYWHERE, Key

COPIES_DROP_IN = "etc/toweros/agent.d/61-copies.toml"
"""What the agent reads; one that does not know the key leaves this file out alone."""
PATTERN = r"^(oci\+)?https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?$"
Copy = Annotated[str, StringConstraints(max_length=300, pattern=PATTERN)]
"""`oci+https://HOST/REPOSITORY`: in a registry."""
HELP = "Places that have what the server serves (`publish` of the settings), asked before it."
Copies = Annotated[
    Annotated[tuple[Copy, ...], Field(max_length=8)] | None, Key(HELP, EVERYWHERE, word="copies", writes=COPIES_DROP_IN)
]
