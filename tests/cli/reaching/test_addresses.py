"""Where a box says that it is: an address, and nothing that ssh or this machine would take for something else."""

import socket
import time
from pathlib import Path

import pytest

from gitops.cli.reaching import login
from gitops.cli.reaching.addresses import MOST, answering, usable
from gitops.errors import TowerosError
from gitops.rollout.status import BoxStatus, box_status
from gitops.settings import Settings
from gitops.store import Store
from tests.kit.told import Told, tell

LIES = ["-oProxyCommand=reboot", "127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "fe80::1%eth0", "169.254.1.1",
        "::ffff:127.0.0.1", "root@192.0.2.1", "gw.example", "", None, 7, {"a": 1}, "192.0.2.7;reboot"]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=map(str, LIES))
def test_a_box_sends_nobody_to_this_machine_nor_to_an_option(lie: object) -> None:
    assert usable([lie, "192.0.2.7/24", "2001:db8::7"]) == ["192.0.2.7", "2001:db8::7"]


def test_so_many_addresses_and_no_more_are_looked_at() -> None:
    assert len(usable(f"192.0.2.{number}" for number in range(200))) == MOST


def test_of_several_the_one_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answering(["127.0.0.2", "127.0.0.1"], port) == "127.0.0.1"
    assert answering(["127.0.0.1"], port) == ""


def test_who_named_no_address_is_sent_where_the_box_said_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path)
    tell(store, [Told("gw")], int(time.time()))
    with pytest.raises(TowerosError, match="no address of gw is known"):
        login.login(Settings(state=tmp_path), "gw", None, "")
    said = ("127.0.0.1", "192.0.2.7")
    monkeypatch.setattr(login, "box_status", lambda *words: _Saying(box_status(*words), said))
    assert login.login(Settings(state=tmp_path), "gw", None, "")[-1] == "root@192.0.2.7"
    assert login.login(Settings(state=tmp_path), "gw", None, "192.0.2.9")[-1] == "root@192.0.2.9"


class _Saying:
    """A box's status, of an agent that says where it is."""

    def __init__(self, status: BoxStatus | None, addresses: tuple[str, ...]) -> None:
        self.status, self.addresses = status, addresses
