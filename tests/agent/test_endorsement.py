"""A machine whose TPM Git lists: the TPM proves itself, and nobody says it in its place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent.joining.endorsement import Endorsement
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.tpm.asking import Tpm

from tests.kit.newcomers import Newcomer, Place, started
from tests.kit.soft_tpm import SoftTpm, a_liar, a_tpm
from tests.simulators.box import drive

NAME = "site-9"


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SoftTpm, SoftTpm]]:
    folder: Path = tmp_path_factory.mktemp("chips")
    with a_tpm(folder / "one") as one, a_tpm(folder / "two") as two:
        yield one, two


def asking(machine: Newcomer, tpm: Tpm, times: int = 3) -> Agent:
    """The agent of a machine with this TPM, after it has asked some times."""
    agent = started(machine)
    agent.joining._tpm = tpm
    drive(agent, State.IDLE)
    for _ in range(times):
        agent.step()
    return agent


def test_a_machine_whose_tpm_git_lists_is_adopted_by_itself(place: Place, chips: tuple[SoftTpm, SoftTpm]) -> None:
    place.publish(NAME, 5)
    first = place.machine("first")
    asking(first, chips[0].asked())
    listed = place.waiting()[first.public].ek
    assert len(listed) == 64, "proven, and shown to whoever wants to list it"
    place.says(NAME, ek=listed)
    other = place.machine("other")
    asking(other, chips[1].asked())
    assert place.waiting()[other.public].ek not in ("", listed)
    assert place.round() == {first.public: NAME}
    anew = place.machine("anew")
    asking(anew, chips[0].asked())
    assert place.round() == {first.public: NAME} and "which has another key" in place.told("Refused")[0]


def test_who_says_anothers_endorsement_key_proves_nothing(place: Place, chips: tuple[SoftTpm, SoftTpm]) -> None:
    """A liar sends the public halves of the listed TPM, with his own key; and carries our question to the real one."""
    place.publish(NAME, 5)
    real, liar = place.machine("real"), place.machine("liar")
    genuine = asking(real, chips[0].asked())
    place.says(NAME, ek=place.waiting()[real.public].ek)
    agent = started(liar)
    drive(agent, State.IDLE)
    said = agent.joining.hardware
    theirs = genuine.joining.hardware
    for stolen in (
        {"ek": theirs["ek"], "bound": theirs["bound"]},
        {**theirs},
        {"ek": theirs["ek"], "bound": Endorsement(chips[1].asked(), liar.public).words("")["bound"]},
        {"ek": theirs["ek"], "bound": Endorsement(chips[0].asked(), liar.public).words("")["bound"], "proof": "0" * 64},
    ):
        agent.joining._hardware = {**said, **stolen}
        agent.send_report()
        assert place.waiting()[liar.public].ek == ""
    question = agent.http.challenge
    assert question, "of the last one, as that could be his TPM"
    carried = Endorsement(chips[0].asked(), real.public)
    assert "proof" not in carried.words(question), "the real machine's TPM opens it for its own key alone"
    assert liar.public not in place.round()


def test_a_tpm_that_is_away_hangs_or_lies_costs_the_proof_alone(place: Place, tmp_path: Path) -> None:
    for number, answer in enumerate((b"", b"\x80", b"\x80\x01\0\0\0\x0a\0\0\0\0", b"x" * 4096)):
        with a_liar(tmp_path, lambda _, said=answer: said, patience=0.5) as tpm:  # type: ignore[misc]
            machine = place.machine(f"new-{number}")
            agent = asking(machine, tpm, 1)
            assert place.waiting()[machine.public].ek == "" and agent.joining.hardware["serial"] == "7XK2Q13"
        (tmp_path / "liar").unlink()
    machine = place.machine("none")
    asking(machine, Tpm(Path("/dev/no-such-tpm")), 1)
    assert place.waiting()[machine.public].ek == ""
