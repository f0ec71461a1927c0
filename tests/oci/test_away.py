"""How a registry fails us, and what that says of the other images on its host."""

import socket
from collections.abc import Callable

import pytest

from gitops.errors import RegistryError
from gitops.lab.hardware import free_port
from gitops.oci import registry as module
from gitops.oci.away import SILENCES, Away, AwayError, SilentError
from gitops.oci.registry import Registry
from gitops.oci.within import within
from tests.simulators.rude import Rude, dropped_in_the_body, silent

NOWHERE = free_port()


def hung_up(_: socket.socket) -> None:
    """No answer at all."""


def broken(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def sent_to_nowhere(connection: socket.socket) -> None:
    place = f"http://127.0.0.1:{NOWHERE}/x".encode()
    connection.sendall(b"HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n")


@pytest.mark.parametrize("manner", [hung_up, broken, sent_to_nowhere, dropped_in_the_body])
def test_what_one_image_s_answer_does_says_nothing_of_the_others(manner: Callable[[socket.socket], None]) -> None:
    away = Away()
    with Rude(manner) as server:
        for _ in range(SILENCES + 1):
            error = failing(server.port)
            assert error.transient and not isinstance(error, AwayError | SilentError)
            away.heard("host", error)
    away.check("host")


def test_who_takes_no_connection_is_asked_once() -> None:
    away = Away()
    away.heard("host", failing(free_port()))
    with pytest.raises(AwayError):
        away.check("host")
    away.check("other")


def test_who_is_silent_is_asked_for_one_image_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", (10, 0.2))
    away = Away()
    with Rude(silent) as server:
        away.heard("host", failing(server.port))
        away.check("host")
        away.heard("host", failing(server.port))
    with pytest.raises(SilentError, match="is unreachable: ReadTimeout"):
        away.check("host")


def test_who_takes_too_long_is_silent_too() -> None:
    with Rude(silent) as server, pytest.raises(SilentError):
        within(0.1, lambda: failing(server.port), "host")


def failing(port: int) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        Registry(f"127.0.0.1:{port}").document("x", "manifests/1")
    return caught.value
