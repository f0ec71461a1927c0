"""A NOC builds again what its origin offers: the same, or an alarm that names box, layer and file."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitops.noc import trust
from gitops.noc.showing.state import Outcome
from tests.kit.console import toweros
from tests.kit.people import People
from tests.kit.proving import Bad, Witnessed, witnessed
from tests.kit.site import HELLO, Site


@pytest.fixture
def seen(site: Site, tmp_path: Path) -> Iterator[Witnessed]:
    """The origin offers what Git says."""
    site.run()
    with witnessed(site, tmp_path / "noc") as made:
        yield made


def test_what_is_offered_is_built_again_and_is_the_same_and_not_built_twice(seen: Witnessed) -> None:
    proof = seen.proof()
    assert (proof.outcome, proof.whole) == (Outcome.SAME, True), proof.says
    assert proof.says.startswith("15 parts are what main@sha1:")
    assert {*seen.built} == {f"pkg/{n}" for n in ("toolbox", "initrd", "bootloader", "kernel", "init", "hello")}
    assert seen.noc.state().words(0) == "up to date"
    seen.noc = seen.start()
    assert seen.proof() == proof and len(seen.built) == 6
    seen.origin.commit(HELLO)
    seen.origin.run()
    again = seen.proof()
    assert again.outcome is Outcome.SAME and again.key != proof.key
    assert seen.built[6:] == ["pkg/hello"], "what our store has is not built again"


def test_an_origin_that_signs_other_content_is_an_alarm_everywhere(seen: Witnessed) -> None:
    seen.proof()
    seen.origin.commit(HELLO)
    seen.publish(Bad)
    proof = seen.proof()
    assert proof.outcome is Outcome.DIFFERENT
    assert [part.partition(":")[0] for part in proof.parts] == [
        *("root layer 3", "content", "release.json", "addon.efi", "target's content")
    ]
    assert "root layer 3: from byte 0 on" in proof.says
    state = seen.noc.state()
    assert state.words(0).startswith("ALARM: the origin offers what Git does not say: a: 5 parts differ")
    with seen.noc.serving() as url:
        import requests

        assert "ALARM" in requests.get(url, timeout=20).text
        said = requests.get(f"{url}/api/v1/noc", timeout=20).json()
        assert said["proofs"]["a"]["outcome"] == "different" and len(said["proofs"]["a"]["parts"]) == 5
        assert "toweros_noc_boxes_different 1.0" in requests.get(f"{url}/metrics", timeout=20).text
    assert seen.start().state().proofs["a"] == proof, "an alarm outlives a restart"


def test_a_builder_of_the_noc_that_gives_other_bytes_is_the_same_alarm(seen: Witnessed) -> None:
    seen.builder = Bad
    proof = seen.proof()
    assert proof.outcome is Outcome.DIFFERENT and proof.parts[0] == "root layer 3: from byte 0 on"


def test_a_commit_that_the_fleet_repo_does_not_lead_to_is_refused_and_not_built(seen: Witnessed) -> None:
    unpushed = seen.origin.remote.commit("nobody's", push=False)
    seen.claim(unpushed)
    proof = seen.proof()
    assert proof.outcome is Outcome.REFUSED and f"does not lead to commit {unpushed}" in proof.says
    assert seen.built == [] and "ALARM" in seen.noc.state().words(0)


def test_a_commit_that_nobody_signed_is_refused_though_it_is_on_the_branch(
    site: Site, people: People, tmp_path: Path
) -> None:
    (tmp_path / "signers").write_text(people.allowed("ada"))
    site.commit({"keys/allowed_signers": people.allowed("ada")}, f"-S{people.key('ada')}")
    site.commit({"fleet.yaml": "source: {branch: main, sign: head}\n"}, f"-S{people.key('ada')}")
    site.settings = site.settings.model_copy(update={"allowed_signers": tmp_path / "signers"})
    site.run()
    with witnessed(site, tmp_path / "noc", repo={"allowed_signers": tmp_path / "signers"}) as seen:
        assert seen.proof().outcome is Outcome.SAME
        first = site.remote.git("rev-parse", "HEAD")
        site.commit({"README.md": "ada signed this\n"}, f"-S{people.key('ada')}")
        seen.claim(site.remote.git("rev-parse", "HEAD"))
        seen.proof()
        seen.claim(first)
        assert "target's sequence" not in str(seen.proof().parts), "an older one is judged by the first keys"
        site.commit({"README.md": "nobody signed this\n"})
        seen.claim(site.remote.git("rev-parse", "HEAD"))
        proof = seen.proof()
        assert proof.outcome is Outcome.REFUSED and "is unsigned" in proof.says


def test_a_fleet_repo_that_is_away_or_a_package_that_does_not_build_proves_nothing_and_is_no_alarm(
    seen: Witnessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitops.noc.proving.prover.AGAIN", 0.0)
    place = seen.origin.remote.bare
    place.rename(place.with_name("gone"))
    assert seen.proof().outcome is Outcome.FAILED
    place.with_name("gone").rename(place)
    bench = seen._bench()
    bench._builder.fail = "pkg/hello"  # type: ignore[attr-defined]
    assert seen.noc.prover
    seen.noc.prover._bench = bench
    proof = seen.proof()
    assert (proof.outcome, proof.says) == (Outcome.FAILED, "pkg/hello: no")
    assert seen.noc.state().words(0) == "up to date"
    bench._builder.fail = ""  # type: ignore[attr-defined]
    assert seen.proof().outcome is Outcome.SAME


def test_a_noc_that_builds_fetches_no_layer_that_it_could_build(site: Site, tmp_path: Path) -> None:
    site.run()
    with witnessed(site, tmp_path / "noc", build=True) as seen:
        state = seen.noc.once()
        assert state.boxes["a"] == "its release is being built here"
        assert seen.noc.copy.metadata.read("timestamp.json") is None
        asked = list[str]()
        bring = seen.noc.origin.bring
        seen.noc.origin.bring = lambda name, part, most: (asked.append(name), bring(name, part, most))[1]  # type: ignore[method-assign, assignment, return-value]
        assert seen.proof().outcome is Outcome.SAME
        state = seen.noc.once()
        assert state.boxes["a"] == "" and seen.noc.copy.metadata.read("timestamp.json")
        assert not [name for name in asked if name.startswith("layers/")]
        site.commit(HELLO)
        seen.publish(Bad)
        assert seen.proof().outcome is Outcome.DIFFERENT
        seen.noc.once()
        assert len([name for name in asked if name.startswith("layers/")]) == 1, "boxes believe what is signed"
        assert "root layer 3: from byte 0 on" in seen.proof().says


def test_the_verb_fails_when_anything_differs_and_says_what_it_lacks(
    seen: Witnessed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitops.noc.site.Bench.of", lambda settings: seen._bench())
    config = tmp_path / "noc.toml"
    config.write_text(f'repository = "{seen.origin.remote.bare}"\n')
    root = seen.origin.settings.keys / "root.json"
    words = ["noc", "--origin", seen.url, "--root", root, "--state", tmp_path / "noc"]
    refused = toweros(*words, "--prove")
    assert refused.exit_code == 1 and "without the fleet repo" in str(refused.exception)
    nobody = toweros(*words, "--prove", "--repo", config)
    assert nobody.exit_code == 1 and "no box is known here" in str(nobody.exception)
    words += ["--prove", "--repo", config, "--box", "a", "-o", "json"]
    good = toweros(*words)
    assert good.exit_code == 0, good.output
    seen.origin.commit(HELLO)
    seen.publish(Bad)
    bad = toweros(*words)
    assert bad.exit_code == 1 and "a: not proven to be what Git says" in str(bad.exception)
    assert '"outcome": "different"' in bad.stdout and "root layer 3" in bad.stdout


def test_a_box_that_is_none_any_more_has_no_proof(seen: Witnessed, tmp_path: Path) -> None:
    assert seen.proof()
    seen.origin.commit({"boxes/a.yaml": None})
    seen.origin.run()
    seen.noc.once()
    assert seen.noc.state().proofs == {}


def test_damaged_proofs_are_made_again(seen: Witnessed) -> None:
    seen.proof()
    file = seen.folder / "proofs.json"
    assert json.loads(file.read_bytes())["a"]["outcome"] == "same"
    file.write_bytes(b"[")
    seen.noc = seen.start()
    assert seen.noc.state().proofs == {} and seen.proof().outcome is Outcome.SAME


@pytest.mark.parametrize("stated", [{}, *({"revision": f"main@sha1:{each}"} for each in ("é" * 40, "../" * 13 + "x"))])
def test_an_origin_that_names_no_commit_is_an_alarm_and_not_merely_unproven(
    seen: Witnessed, stated: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = trust.Trusted.look

    def silent(self: trust.Trusted, *words: Any) -> trust.Offers:
        offers = said(self, *words)
        more = {box: each | stated if stated else {} for box, each in offers.stated.items()}
        return replace(offers, stated=more)

    monkeypatch.setattr(trust.Trusted, "look", silent)
    proof = seen.proof()
    assert proof.outcome is Outcome.REFUSED and "commit" in proof.says and not seen.built


def test_what_ends_one_round_of_the_builder_ends_no_other_one(seen: Witnessed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes may wait for it."""
    prover = seen.noc.prover
    assert prover
    rounds = list[int]()

    def work() -> None:
        rounds.append(1)
        prover._news.set()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(prover, "work", work)
    with prover.working():
        prover._news.set()
        for _ in range(200):
            if len(rounds) > 2:
                break
            time.sleep(0.05)
    assert len(rounds) > 2
