"""Prometheus' and Alertmanager's own checkers, from Debian's packages."""

import pytest

from tests.unit.metrics.prometheus.checkers import Checker, checker


@pytest.fixture
def promtool() -> Checker:
    return checker("prometheus", "promtool")


@pytest.fixture
def amtool() -> Checker:
    return checker("prometheus-alertmanager", "amtool")
