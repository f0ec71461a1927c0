"""Which image a digest names: that of our machines, wherever it stands in an index; what is none is told by name."""

import json

import pytest

from gitops.errors import RegistryError
from gitops.model import Json, canonical
from gitops.oci.manifest import MAX_DEPTH, Found, find, for_us
from tests.kit.images import Made, attestation, index, made

OURS, ARM = made([b"amd64"]), made([b"arm64"], ("linux", "arm64", "v8"))
NEWER = made([b"v3"], ("linux", "amd64", "v3"))
WINDOWS = made([b"windows"], ("windows", "amd64"))
NAME = "web.example/ntp"


def found(one: Made) -> Found:
    there = {f"sha256:{made_of}": data for data in one.all_blobs() for made_of in [_hex(data)]}
    return find(lambda _, digest: there[f"sha256:{digest}"], one.digest.removeprefix("sha256:"), NAME)


def _hex(data: bytes) -> str:
    return Made(data).digest.removeprefix("sha256:")


def changed(one: Made, **members: object) -> Made:
    return Made(canonical(json.loads(one.manifest) | members), one.platform, one.blobs)


@pytest.mark.parametrize(
    "members",
    [
        (ARM, OURS),
        (attestation(OURS), ARM, OURS),
        (WINDOWS, NEWER, OURS),
        (OURS, attestation(OURS)),
        (index(ARM), index(index(ARM, OURS))),
        (ARM, index(OURS)),
    ],
    ids=["arm first", "attestation first", "newer first", "attestation last", "nested", "beside an index"],
)
def test_the_image_for_our_machines_is_taken_wherever_it_stands(members: tuple[Made, ...]) -> None:
    assert f"sha256:{found(index(*members)).image.digest}" == OURS.digest


def test_indexes_on_the_way_are_kept_the_outermost_first() -> None:
    inner = index(ARM, OURS)
    outer = index(inner)
    assert found(outer).indexes == (outer.manifest, inner.manifest) and found(OURS).indexes == ()


def test_an_image_for_newer_machines_alone_is_taken_when_somebody_names_it_itself() -> None:
    """Of an index nobody has said that their boxes have such processors: the first program would end by SIGILL."""
    with pytest.raises(RegistryError, match="for linux/amd64/v3 and later") as refused:
        found(index(ARM, NEWER))
    assert NEWER.digest in refused.value.hint
    assert f"sha256:{found(NEWER).image.digest}" == NEWER.digest


def test_the_only_image_of_an_index_that_says_no_platform_is_judged_by_its_config() -> None:
    silent = Made(OURS.manifest, (), OURS.blobs)
    assert f"sha256:{found(index(silent)).image.digest}" == OURS.digest
    with pytest.raises(RegistryError, match="is an image for linux/arm64, not for linux/amd64"):
        found(index(Made(ARM.manifest, (), ARM.blobs)))


def test_an_index_without_our_platform_says_what_is_there() -> None:
    with pytest.raises(RegistryError, match=r"has no image for linux/amd64; it has linux/arm64/v8, windows/amd64$"):
        found(index(WINDOWS, ARM, attestation(ARM)))
    with pytest.raises(RegistryError, match=r"has no image for linux/amd64$"):
        found(index())


def deep(levels: int) -> Made:
    return OURS if levels == 0 else index(deep(levels - 1))


def test_indexes_are_nested_up_to_a_bound() -> None:
    assert found(deep(MAX_DEPTH))
    with pytest.raises(RegistryError, match="nested too deep"):
        found(deep(MAX_DEPTH + 1))


def test_sizes_are_what_the_descriptor_says() -> None:
    with pytest.raises(RegistryError, match=r"its manifest has \d+ bytes, and its index says 7"):
        found(index(OURS, says={OURS.digest: {"size": 7}}))
    config = json.loads(OURS.manifest)["config"]
    with pytest.raises(RegistryError, match=r"its config has \d+ bytes, and its manifest says 1"):
        found(changed(OURS, config=config | {"size": 1}))


def layers(**members: object) -> Json:
    (layer,) = json.loads(OURS.manifest)["layers"]
    return {"layers": [layer | members]}


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
KEPT_BACK = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
SCHEMA_1 = Made(canonical({"schemaVersion": 1, "mediaType": "x", "name": "ntp", "fsLayers": [], "history": []}))
HELM = changed(OURS, config=json.loads(OURS.manifest)["config"] | {"mediaType": "application/vnd.cncf.helm.config.v1"})


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (SCHEMA_1, "Docker's first format"),
        (changed(OURS, **layers(mediaType=FOREIGN, urls=["https://web.example/layer"])), "do not give out"),
        (changed(OURS, **layers(mediaType=KEPT_BACK)), "do not give out"),
        (changed(OURS, **layers(mediaType="application/vnd.oci.image.layer.v1.tar+gzip+encrypted")), "is encrypted"),
        (changed(OURS, **layers(digest="sha512:" + "a" * 128)), "is no SHA-256 digest"),
        (changed(OURS, **layers(size=-1)), "is no size"),
        (changed(OURS, **layers(size=True)), "is no size"),
        (changed(OURS, layers="none"), "is no image"),
        (HELM, "is no image, but application/vnd.cncf.helm.config.v1"),
        (changed(OURS, layers=[*json.loads(OURS.manifest)["layers"] * 501]), "501 layers"),
        (Made(b"[]"), "is no manifest"),
        (Made(b"\xff"), "is no JSON"),
        (
            Made(canonical({"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}]})),
            "an index that is none",
        ),
        (Made(canonical({"manifests": ["x"]})), "an index that is none"),
        (Made(canonical({"manifests": [{}] * 1001})), "more than 1000"),
    ],
)
def test_what_is_no_image_is_told_by_what_it_is(image: Made, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        found(image)


def test_a_damaged_entry_for_other_machines_is_nobodys_trouble() -> None:
    broken = {"digest": "sha512:x", "platform": {"os": "linux", "architecture": "s390x"}}
    rows = [broken, *json.loads(index(OURS).manifest)["manifests"]]
    assert f"sha256:{for_us({'manifests': rows}, NAME)}" == OURS.digest


def test_indexes_that_hold_each_other_many_times_are_looked_at_once() -> None:
    """Four indexes of a thousand entries each, nobody's platform: 10^12 requests to a registry."""
    silent = {ARM.digest: {"platform": None}}
    whole, reads = index(*[ARM] * 30, says=silent), 0
    for _ in range(MAX_DEPTH - 1):
        whole = index(*[whole] * 30)
    there = _all(whole)

    def read(_: str, digest: str) -> bytes:
        nonlocal reads
        reads += 1
        assert reads < 100
        return there[digest]

    with pytest.raises(RegistryError, match="for linux/arm64, not for linux/amd64"):
        find(read, whole.digest.removeprefix("sha256:"), NAME)


def test_all_entries_of_all_indexes_are_bounded() -> None:
    many = [index(*(made([bytes([a, b])], ("linux", "arm64")) for b in range(120)), says={}) for a in range(10)]
    silent = [
        Made(canonical({**json.loads(each.manifest), "manifests": _silent(each)}), (), (), each.manifests)
        for each in many
    ]
    with pytest.raises(RegistryError, match="more than 1000 entries"):
        found(index(*silent))


def _silent(one: Made) -> list[Json]:
    rows: list[Json] = json.loads(one.manifest)["manifests"]
    return [{key: value for key, value in row.items() if key != "platform"} for row in rows]


def _all(one: Made) -> dict[str, bytes]:
    members = {each.digest: each for each in one.manifests}.values()
    own = {_hex(data): data for data in (one.manifest, *one.blobs)}
    return own | {digest: data for each in members for digest, data in _all(each).items()}
