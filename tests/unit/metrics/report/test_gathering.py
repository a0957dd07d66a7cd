"""A report on the cluster as the monitor of one host answers it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from stellwerk.metrics.report.process import ReportError, Reports
from stellwerk.metrics.report.question import Question
from stellwerk.settings.files import read_host_file
from tests.unit.instances.programs import free_ports
from tests.unit.metrics.report.test_command import Cluster

CLUSTER = Question("1h", cluster=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, free_ports(1)[0])


def reports(cluster: Cluster) -> Reports:
    """Those of db-1's monitor."""
    return Reports(read_host_file(cluster.folder / "settings.yaml"), cluster.folder / "db-1")


def test_a_report_on_the_cluster_has_all_hosts_and_names_the_missing(cluster: Cluster) -> None:
    cluster.members("db-1", "lb-1", "gone-1")
    with cluster.monitors():
        found = json.loads(asyncio.run(reports(cluster).document(CLUSTER)))
        page = asyncio.run(reports(cluster).page(replace(CLUSTER, period="7d"))).decode()
    assert found["hosts"] == ["db-1", "lb-1"]
    assert [one["host"] for one in found["problems"]] == ["gone-1"]
    assert "gone-1: its monitor does not answer" in page
    assert "?period=24h&amp;all=0&amp;cluster=1" in page


def test_a_cluster_that_does_not_answer_at_all_is_a_sentence(cluster: Cluster) -> None:
    with pytest.raises(ReportError, match=r"db-1: its monitor does not answer.*; lb-1: "):
        asyncio.run(reports(cluster).document(CLUSTER))
