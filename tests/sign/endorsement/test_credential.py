"""A TPM proves whose it is (swtpm), for one machine's key and no other."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from toweros_agent.tpm.asking import TpmError

from gitops.errors import SignError
from gitops.sign.endorsement import credential
from tests.kit.soft_tpm import SoftTpm, a_tpm

KEY, OTHER = "ab" * 32, "cd" * 32
SECRET = b"s" * 32


@pytest.fixture(scope="module")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SoftTpm, SoftTpm]]:
    folder: Path = tmp_path_factory.mktemp("tpms")
    with a_tpm(folder / "one") as one, a_tpm(folder / "two") as two:
        yield one, two


def areas(tpm: SoftTpm, key: str = KEY) -> tuple[bytes, bytes]:
    data = tpm.asked().who(credential.policy(key))
    (length,) = struct.unpack_from(">H", data)
    return data[2 : 2 + length], data[4 + length :]


def test_the_tpm_that_is_asked_opens_it_in_every_boot(tpms: tuple[SoftTpm, SoftTpm]) -> None:
    one, _ = tpms
    ek, bound = areas(one)
    sealed = credential.seal(ek, bound, KEY, SECRET)
    assert SECRET not in sealed
    one.stop()
    one.start()
    assert one.asked().prove(credential.policy(KEY), sealed) == SECRET
    assert areas(one) == (ek, bound), "and is the same one"
    assert len(credential.endorsement(ek)) == 64


def test_another_tpm_does_not_nor_this_one_for_another_machines_key(tpms: tuple[SoftTpm, SoftTpm]) -> None:
    """Who carries a credential from his own machine to the real TPM gets nothing out of it."""
    one, two = tpms
    (ek, bound), (_, others) = areas(one), areas(one, OTHER)
    sealed = credential.seal(ek, bound, KEY, SECRET)
    with pytest.raises(TpmError, match="refuses"):
        two.asked().prove(credential.policy(KEY), sealed)
    with pytest.raises(TpmError, match="refuses"):
        one.asked().prove(credential.policy(OTHER), sealed)
    with pytest.raises(SignError):
        credential.seal(ek, others, KEY, SECRET)


def test_what_is_no_endorsement_key_gets_none(tpms: tuple[SoftTpm, SoftTpm]) -> None:
    ek, bound = areas(tpms[0])
    for wrong in (b"", ek[:-1], ek + b"\0", bound, ek[:-32] + bytes(32), b"\1" + ek[1:]):
        with pytest.raises(SignError):
            credential.seal(wrong, bound, KEY, SECRET)
        with pytest.raises(SignError):
            credential.endorsement(wrong)
