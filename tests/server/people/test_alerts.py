"""The alerts and the dashboard speak of metrics that there are, and of the words that these have."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from gitops.model import Health, Sync
from gitops.rollout.status import BoxStatus, FleetStatus
from gitops.server import create_app
from gitops.server.people.metrics import exposition
from gitops.server.people.placed import MOST
from gitops.settings import Settings
from gitops.store.notes.documents import Status
from tests.kit.published import kit

CONTRIB = Path(__file__).resolve().parents[3] / "contrib"
ALERTS, DASHBOARD = CONTRIB / "prometheus" / "alerts.yml", CONTRIB / "grafana" / "dashboard.json"
TOLD = CONTRIB / "prometheus" / "alerts.test.yml"


@pytest.fixture
def metrics(tmp_path: Path) -> str:
    return TestClient(create_app(kit(tmp_path).store, Settings())).get("/metrics").text


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions() -> dict[str, str]:
    """Of alerts and panels, by their names."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = {f"{panel['title']} {each['refId']}": each["expr"] for panel in panels for each in panel["targets"]}
    return {rule["alert"]: rule["expr"] for rule in rules()} | shown


def test_every_metric_of_alerts_and_dashboard_is_one_that_is_there(metrics: str) -> None:
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)", metrics, re.M))
    there = {*kinds} | {f"{name}_{part}" for name in kinds if kinds[name] == "summary" for part in ("sum", "count")}
    for name, expression in expressions().items():
        assert (used := set(re.findall(r"\btoweros_\w+", expression))) and used <= there, name


def test_every_word_that_is_asked_for_is_one_that_a_box_can_be() -> None:
    for name, expression in expressions().items():
        for label, words in re.findall(r'(health|sync)=~?"([^"]*)"', expression):
            assert set(words.split("|")) <= set(Health if label == "health" else Sync), name


def test_every_alert_says_who_is_woken_and_what_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket") and len(rule["annotations"]["summary"]) > 10
        assert re.fullmatch("Toweros[A-Za-z]+", rule["alert"])


def test_metrics_are_named_as_prometheus_wants(metrics: str) -> None:
    for family in text_string_to_metric_families(metrics):
        assert family.documentation and not re.search("(milli|micro)seconds|[a-z]_(count|sum|bucket)$", family.name)
        assert not family.name.endswith("_total") or family.type == "counter"
    assert 'toweros_build_info{version="' in metrics


def promtool(*words: str | Path, said: str | None = None) -> str:
    """What it says, as it ends well."""
    done = subprocess.run(["promtool", *words], input=said, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_agrees(metrics: str) -> None:
    promtool("check", "metrics", said=metrics)
    assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", ALERTS)


def test_each_alert_fires_after_its_time_and_not_before() -> None:
    """By Prometheus' own engine; the second of its stories has every trouble, each over just before its time."""
    assert "SUCCESS" in promtool("test", "rules", TOLD)
    troubled, _ = yaml.safe_load(TOLD.read_text())["tests"]
    fires = [row["labels"] for each in troubled["promql_expr_test"] for row in each["exp_samples"]]
    assert {re.findall(r'"(\w+)"', labels)[0] for labels in fires} == {rule["alert"] for rule in rules()}


def test_a_repo_of_ten_thousand_sites_does_not_fill_the_monitor() -> None:
    row = BoxStatus("", Sync.SYNCED, Health.HEALTHY, "", "", 1, "idle", 1, 1)
    boxes = [
        BoxStatus(**row.__dict__ | {"box": f"b-{at}", "role": "vm", "site": f"s-{at}" if at > 500 else "home"})
        for at in range(3000)
    ]
    text = exposition(FleetStatus(tuple(boxes), Status())).decode()
    series = re.findall(r'^toweros_placed_boxes{health="Healthy",role="(.*)",site="(.*)"} (.*)$', text, re.M)
    assert len(series) == MOST + 1 and ("vm", "home", "501.0") in series
    assert sum(float(number) for *_, number in series) == 3000, "nobody is lost"
    assert ("other", "other") in {(role, site) for role, site, _ in series}
