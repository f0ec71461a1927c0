"""Bundles beside an image, as cosign 3 writes them: which counts, and why another does not."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.errors import RegistryError
from gitops.lab.hardware import free_port
from gitops.oci.cosign import UnsignedError, verify_signature
from gitops.oci.registry import Registry
from gitops.oci.signatures.bundle import pae, signer_of
from gitops.oci.signatures.referrers import MAX_BUNDLES, MAX_PAGES, MAX_SIZE
from gitops.oci.trust import whose
from tests.kit.bundles import (
    IN_TOTO,
    SIGN,
    Key,
    Lists,
    attach,
    bundle,
    envelope,
    list_by_tag,
    listed_by_tag,
    material,
    of_bytes,
    signed,
    statement,
)
from tests.kit.registry import Pushed, image, sign
from tests.simulators.registry import DockerRegistry

NAME = "web/nginx"
ADA, EVE = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
OTHER = "0" * 64


def public(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


KEYS = {"garbage.pub": b"no key", "ada.pub": public(ADA)}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry: it has no referrers API."""
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as server:
        yield server.address


@pytest.fixture
def digest(host: str) -> str:
    """Of an image that nobody signed yet."""
    return Pushed(host).push(NAME, "1", random.randbytes(16)).removeprefix("sha256:")


def judged(data: bytes, digest: str = "a" * 64, keys: dict[str, bytes] = KEYS) -> str:
    return signer_of(data, digest, keys, lambda: pytest.fail("nobody asked for the manifest"))


# --- what counts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "how"),
    [
        (ADA, {}),
        (ec.generate_private_key(ec.SECP384R1()), {"algorithm": hashes.SHA384()}),
        (ec.generate_private_key(ec.SECP384R1()), {}),
        (ec.generate_private_key(ec.SECP521R1()), {"algorithm": hashes.SHA512()}),
        (ed25519.Ed25519PrivateKey.generate(), {}),
        (rsa.generate_private_key(65537, 2048), {}),
    ],
    ids=["P-256", "P-384", "P-384 by SHA-256", "P-521", "Ed25519", "RSA"],
)
def test_a_bundle_counts_by_every_kind_of_key(key: Key, how: dict[str, Any]) -> None:
    made = bundle("a" * 64, key, dsseEnvelope=envelope(statement("a" * 64), key, **how))
    assert judged(made, keys={"eve.pub": public(EVE), "k.pub": public(key)}) == "k.pub"
    with pytest.raises(ValueError, match="signed by none of the keys"):
        judged(made, keys={"eve.pub": public(EVE)})


def test_what_is_signed_is_type_and_payload_with_their_lengths() -> None:
    """The protocol's own example (secure-systems-lab/dsse, protocol.md, "Test Vectors")."""
    said = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae(b"http://example.com/HelloWorld", b"hello world") == said


def test_a_bundle_is_found_by_the_tag_of_a_registry_without_the_api_and_by_the_api_of_another(
    host: str, digest: str
) -> None:
    with pytest.raises(UnsignedError, match=r"is not signed$"):
        verify_signature(Registry(host), NAME, digest, KEYS)
    attached = attach(host, NAME, digest, bundle(digest, ADA), listed=False)
    with Lists(host, [attached]) as other:
        assert verify_signature(Registry(other.address), NAME, digest, KEYS) == "ada.pub"
    with pytest.raises(UnsignedError):
        verify_signature(Registry(host), NAME, digest, KEYS)
    attach(host, NAME, digest, bundle(digest, ADA))
    assert verify_signature(Registry(host), NAME, digest, KEYS) == "ada.pub"


def test_lists_of_older_writers_and_later_parts_of_a_list_are_read(host: str, digest: str) -> None:
    attach(host, NAME, digest, bundle(digest, ADA))
    (entry,) = listed_by_tag(host, NAME, digest)
    for kind in ({}, {"artifactType": "application/vnd.oci.empty.v1+json"}):
        list_by_tag(host, NAME, digest, [{key: entry[key] for key in ("mediaType", "digest", "size")} | kind])
        assert verify_signature(Registry(host), NAME, digest, KEYS) == "ada.pub"
    last = entry["digest"].removeprefix("sha256:")
    with Lists(host, [f"{number:064x}" for number in range(5)] + [last], part=2) as other:
        assert verify_signature(Registry(other.address), NAME, digest, KEYS) == "ada.pub"
        assert len(other.asked) == 3


def test_one_good_signature_is_enough_whatever_lies_beside_it(host: str, digest: str) -> None:
    """Junk under cosign's tag, junk bundles, one that is listed and gone; the good one last."""
    sign(host, NAME, digest, EVE)
    for junk in (b"garbage", b"{}", bundle(digest, EVE), bundle(OTHER, ADA)):
        attach(host, NAME, digest, junk)
    junk_too = [entry["digest"].removeprefix("sha256:") for entry in listed_by_tag(host, NAME, digest)]
    attached = attach(host, NAME, digest, bundle(digest, ADA), listed=False)
    with Lists(host, [OTHER, "no digest", *junk_too, attached]) as other:
        assert verify_signature(Registry(other.address), NAME, digest, KEYS) == "ada.pub"
    with Lists(host, [OTHER, "no digest", *junk_too]) as other, pytest.raises(RegistryError) as caught:
        verify_signature(Registry(other.address), NAME, digest, KEYS)
    for said in ("signed by none", "speaks of another image", "a bundle is no JSON", "unknown kind: None", "404"):
        assert said in caught.value.message


def test_the_old_way_counts_beside_bundles_of_nobody(host: str, digest: str) -> None:
    attach(host, NAME, digest, bundle(digest, EVE))
    sign(host, NAME, digest, ADA)
    assert verify_signature(Registry(host), NAME, digest, KEYS) == "ada.pub"


def test_a_bundle_of_the_index_or_of_the_image_in_it(host: str, digest: str) -> None:
    index = Pushed(host).index(NAME, "all", amd64=f"sha256:{digest}").removeprefix("sha256:")
    pair = (index, digest)
    with pytest.raises(RegistryError, match="is not signed"):
        whose(Registry(host), NAME, pair, KEYS)
    attach(host, NAME, index, bundle(digest, ADA))
    with pytest.raises(RegistryError, match=f"{index}: the signature of ada.pub speaks of another image"):
        whose(Registry(host), NAME, pair, KEYS)
    attach(host, NAME, digest, bundle(digest, ADA))
    assert whose(Registry(host), NAME, pair, KEYS) == "ada.pub"
    attach(host, NAME, index, bundle(index, ADA))
    assert whose(Registry(host), NAME, pair, KEYS) == "ada.pub"


def test_a_signature_of_the_manifest_s_own_bytes_counts(host: str) -> None:
    keys: list[Key] = [ADA, ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)]
    for number, key in enumerate(keys):
        layer = b"of its own bytes %d" % number
        digest = Pushed(host).push(NAME, "own", layer).removeprefix("sha256:")
        attach(host, NAME, digest, of_bytes(digest, image(layer)[0], key))
        assert verify_signature(Registry(host), NAME, digest, {"k.pub": public(key)}) == "k.pub"
        with pytest.raises(RegistryError, match="signed by none"):
            verify_signature(Registry(host), NAME, digest, {"eve.pub": public(EVE)})


# --- what does not ----------------------------------------------------------------------------------------------------

A = "a" * 64
GOOD = json.loads(bundle(A, ADA))
CERTIFICATE = {"certificate": {"rawBytes": "MIIC"}}
CHAIN = {"x509CertificateChain": {"certificates": [{"rawBytes": "MIIC"}]}}


def of(payload: bytes, kind: str = IN_TOTO, *keys: Key) -> dict[str, Any]:
    return {"dsseEnvelope": envelope(payload, *(keys or (ADA,)), kind=kind)}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (of(statement(OTHER)), "the signature of ada.pub speaks of another image"),
        (of(statement(A), IN_TOTO, EVE), "signed by none of the keys in keys/cosign/"),
        (of(statement(A), "application/json"), "a payload of type 'application/json'"),
        (of(statement(A), IN_TOTO, ADA, EVE), "an envelope with 2 signatures, not one"),
        (of(statement(A), IN_TOTO, EVE, ADA), "an envelope with 2 signatures, not one"),
        ({"dsseEnvelope": GOOD["dsseEnvelope"] | {"signatures": []}}, "an envelope with 0 signatures"),
        ({"dsseEnvelope": GOOD["dsseEnvelope"] | {"signatures": None}}, "an envelope with no signatures"),
        ({"dsseEnvelope": GOOD["dsseEnvelope"] | {"signatures": ["x"]}}, "a signature is missing, or no object"),
        ({"dsseEnvelope": GOOD["dsseEnvelope"] | {"signatures": [{"sig": "*"}]}}, "`sig` is no base64"),
        ({"dsseEnvelope": GOOD["dsseEnvelope"] | {"payload": "é"}}, "`payload` is no base64"),
        ({"dsseEnvelope": GOOD["dsseEnvelope"] | {"payload": "e30="}}, "signed by none"),
        ({"dsseEnvelope": None}, "the dsseEnvelope of a bundle is missing"),
        ({"messageSignature": {"signature": "x"}}, "a bundle with two contents"),
        (of(statement(A, "https://slsa.dev/provenance/v1")), "is no signature of an image, but 'https://slsa.dev/"),
        (of(statement(A, SIGN, "https://in-toto.io/Statement/v0.1")), "a statement of an unknown kind"),
        (of(b"[]"), "a statement is missing, or no object"),
        (of(b"not JSON"), "a statement is no JSON"),
        (of(b"[" * 100_000), "a statement is no JSON"),
        (of(statement(A).replace(b'"sha256"', b'"sha512"')), "speaks of another image"),
        (of(statement(A).replace(b'[{"digest"', b'[7, {"name"')), "speaks of another image"),
        ({"verificationMaterial": CERTIFICATE}, "keyless"),
        ({"verificationMaterial": CHAIN}, "keyless"),
        ({"verificationMaterial": None}, "the verificationMaterial of a bundle is missing"),
        ({"mediaType": "application/vnd.dev.sigstore.bundle.v9+json"}, "a bundle of an unknown kind: 'application/vnd"),
        ({"mediaType": ["x"] * 1000}, "a bundle of an unknown kind"),
    ],
)
def test_what_does_not_count_and_why(members: dict[str, Any], said: str) -> None:
    assert judged(bundle(A, ADA)) == "ada.pub"
    with pytest.raises(ValueError) as caught:
        judged(bundle(A, ADA, **members))
    assert said in str(caught.value) and len(str(caught.value)) < 300


def test_a_signature_of_bytes_is_of_these_bytes() -> None:
    manifest = image(b"x")[0]
    other = of_bytes(OTHER, manifest, ADA)
    with pytest.raises(ValueError, match="speaks of another image"):
        judged(other)
    with pytest.raises(ValueError, match="not by SHA2_256"):
        judged(of_bytes(A, manifest, ADA, "SHA2_512"))
    with pytest.raises(ValueError, match="signed by none"):
        signer_of(of_bytes(A, manifest, ADA), A, KEYS, lambda: b"the manifest whose digest it is")


def test_a_signature_is_for_one_purpose() -> None:
    """What ada signed as the payload of a `.sig` tag, or plainly, is no envelope's signature."""
    plain = base64.b64encode(signed(ADA, statement(A))).decode()
    with pytest.raises(ValueError, match="signed by none"):
        judged(bundle(A, ADA, dsseEnvelope=GOOD["dsseEnvelope"] | {"signatures": [{"sig": plain}]}))


def test_hints_choose_no_key_and_logs_are_not_asked() -> None:
    lying = material(EVE) | {"tlogEntries": [{"logIndex": "1"}], "timestampVerificationData": {}}
    signature = GOOD["dsseEnvelope"]["signatures"][0] | {"keyid": "eve"}
    said = GOOD["dsseEnvelope"] | {"signatures": [signature]}
    assert judged(bundle(A, ADA, verificationMaterial=lying, dsseEnvelope=said)) == "ada.pub"


def test_both_alphabets_of_base64_are_read() -> None:
    said = GOOD["dsseEnvelope"]
    (signature,) = said["signatures"]
    other = signature["sig"].replace("+", "-").replace("/", "_").rstrip("=")
    payload = said["payload"].replace("+", "-").replace("/", "_").rstrip("=")
    assert judged(bundle(A, ADA, dsseEnvelope=said | {"payload": payload, "signatures": [{"sig": other}]})) == "ada.pub"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature"]), JSON)
def test_whatever_stands_in_a_bundle_it_is_refused_by_name_or_counts(member: str, value: object) -> None:
    try:
        assert signer_of(bundle(A, ADA, **{member: value}), A, KEYS, lambda: b"x") == "ada.pub"
    except ValueError as error:
        assert str(error)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ValueError, match="a bundle"):
        judged(data)


# --- registries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        (404, "application/json", b"{}"),
        (400, "text/plain", b""),
        (405, "text/plain", b"no"),
        (403, "text/plain", b"no"),
        (200, "text/html; charset=utf-8", b"<html>welcome</html>"),
        (200, "application/json", b'{"manifests": []}'),
        (200, "application/vnd.oci.image.index.v1+json", b"<html>"),
        (200, "application/vnd.oci.image.index.v1+json", b'{"manifests": {}}'),
    ],
)
def test_a_registry_without_the_api_or_with_something_else_there_is_asked_by_the_tag(
    host: str, digest: str, other: tuple[int, str, bytes]
) -> None:
    with Lists(host, other=other) as there:
        with pytest.raises(UnsignedError) as caught:
            verify_signature(Registry(there.address), NAME, digest, KEYS)
        assert ("(" in caught.value.message) == (other[0] == 200), "what is odd about it is told"
        attach(host, NAME, digest, bundle(digest, ADA))
        assert verify_signature(Registry(there.address), NAME, digest, KEYS) == "ada.pub"


def test_a_registry_that_is_away_or_ill_says_nothing_about_signatures(host: str, digest: str) -> None:
    with Lists(host, other=(502, "text/plain", b"")) as there, pytest.raises(RegistryError) as caught:
        verify_signature(Registry(there.address), NAME, digest, KEYS)
    assert caught.value.transient
    with pytest.raises(RegistryError, match="is unreachable") as caught:
        verify_signature(Registry(f"127.0.0.1:{free_port()}"), NAME, digest, KEYS)
    assert caught.value.transient


def test_a_list_without_end_and_one_that_leads_elsewhere(host: str, digest: str) -> None:
    endless = [f"{number:064x}" for number in range(1000)]
    with Lists(host, endless, part=1) as there:
        with pytest.raises(RegistryError, match="404"):
            verify_signature(Registry(there.address), NAME, digest, KEYS)
        assert len(there.asked) == MAX_PAGES
    with Lists(host, endless) as there, pytest.raises(RegistryError) as caught:
        verify_signature(Registry(there.address), NAME, digest, KEYS)
    assert f"it has 800 bundles, of which {MAX_BUNDLES} are looked at" in caught.value.message
    assert len([path for path in there.passed if "/manifests/sha256:" in path]) == MAX_BUNDLES
    with Lists(host, link="http://127.0.0.2:1/v2/x") as there:
        with pytest.raises(UnsignedError, match="a list goes on at another place"):
            verify_signature(Registry(there.address), NAME, digest, KEYS)


def odd(host: str, digest: str, data: bytes, **how: Any) -> str:
    attach(host, NAME, digest, data, **how)
    with pytest.raises(RegistryError) as caught:
        verify_signature(Registry(host), NAME, digest, KEYS)
    return caught.value.message


def test_manifests_that_hold_no_bundle_and_a_bundle_that_is_too_large(host: str, digest: str) -> None:
    assert "holds no bundle, but 'text/plain'" in odd(host, digest, b"x", layer="text/plain")
    assert f"a bundle of more than {MAX_SIZE} bytes" in odd(host, digest, bytes(MAX_SIZE + 1))
    assert "keyless" in odd(host, digest, bundle(digest, ADA, verificationMaterial=CERTIFICATE))
