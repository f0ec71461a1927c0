"""The alerts and the dashboard speak of metrics that there are, and of the words that these have."""

import json
import re
import shutil
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
PROMTOOL = shutil.which("promtool")


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


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed")
def test_promtool_agrees(metrics: str) -> None:
    done = subprocess.run([str(PROMTOOL), "check", "rules", ALERTS], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=metrics, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
