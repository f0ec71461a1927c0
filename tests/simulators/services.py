"""What runs on a box without a machine: containerd, Docker and the loopback network, as one answers to the agent."""

from dataclasses import dataclass, field

from toweros_agent.health.counters import Counters


@dataclass
class Services:
    """Pid and status of services and user containers, and the HTTP status of every page."""

    running: dict[str, tuple[int, str]] = field(default_factory=dict)
    status: int = 200
    docker: dict[str, tuple[int, str]] = field(default_factory=dict)
    answering: dict[str, bool] = field(default_factory=dict)
    counted: dict[str, Counters] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def answers(self) -> dict[str, bool]:
        return self.answering

    def counters(self) -> dict[str, Counters]:
        return self.counted

    def end(self, name: str) -> bool:
        self.ended.append(name)
        return True

    def tasks(self) -> dict[str, tuple[int, str]]:
        return self.running

    def containers(self) -> dict[str, tuple[int, str]]:
        return self.docker

    def get(self, url: str, timeout: float) -> tuple[int, bytes]:
        return self.status, b"ok"
