"""Starts of boxes by the network, as the update server counts them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HandedOut:
    """When a start was handed out (Unix seconds), and the boot of which the box had spoken last by then."""

    time: int
    boot_id: str = ""
