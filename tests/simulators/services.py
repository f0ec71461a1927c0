"""What runs on a box without a machine: containerd, Docker and the loopback network, as one answers to the agent."""

from dataclasses import dataclass, field


@dataclass
class Services:
    """Pid and status of services and user containers, and the HTTP status of every page."""

    running: dict[str, tuple[int, str]] = field(default_factory=dict)
    status: int = 200
    docker: dict[str, tuple[int, str]] = field(default_factory=dict)

    def tasks(self) -> dict[str, tuple[int, str]]:
        return self.running

    def containers(self) -> dict[str, tuple[int, str]]:
        return self.docker

    def get(self, url: str, timeout: float) -> tuple[int, bytes]:
        return self.status, b"ok"
