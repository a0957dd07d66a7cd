"""Prometheus' and Alertmanager's own checkers, from Debian's packages."""

import pytest

from tests.unit.metrics.prometheus.checkers import Checker, checker


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    return checker("prometheus", "promtool", tmp_path_factory.mktemp("prometheus"))


@pytest.fixture(scope="session")
def amtool(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    folder = tmp_path_factory.mktemp("alertmanager")
    return checker("prometheus-alertmanager", "amtool", folder)
