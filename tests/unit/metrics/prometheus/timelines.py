"""Timelines for `promtool test rules`: a series per rule that crosses its threshold and returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stellwerk.metrics.alerts.alertmanager import alert_name
from stellwerk.metrics.model import Bound, Kind
from stellwerk.metrics.prometheus.names import exposed_name
from stellwerk.metrics.prometheus.rules import Rule

STEP = 15
"""Seconds between two samples, and between two evaluations."""
_NEARLY = 1e-6
_QUIET = 10 * STEP
"""Seconds of a value just within its threshold, before and after it is beyond."""


@dataclass(frozen=True)
class Timeline:
    """A series of one rule. Its number keeps it apart from the series of the others."""

    number: int
    rule: Rule

    @property
    def delay(self) -> int:
        """How late a rate follows its counter."""
        return self.rule.window_seconds if self.rule.metric.kind is Kind.COUNTER else 0

    @property
    def begins(self) -> int:
        """When the value reaches its threshold."""
        return _QUIET

    @property
    def ends(self) -> int:
        """When the value is first within its threshold again."""
        return self.begins + self.delay + self.rule.lasts + 4 * STEP

    @property
    def over(self) -> int:
        """When no trace of it can be left."""
        return self.ends + self.delay + self.rule.recovery + 2 * STEP

    def input_series(self) -> dict[str, str]:
        values = " ".join(f"{value:.17g}" for value in self._values())
        labels = f'host="{(*self.rule.hosts, "db-1")[0]}",case="{self.number}"'
        return {"series": f"{exposed_name(self.rule.metric)}{{{labels}}}", "values": values}

    def expectations(self) -> Iterator[dict[str, Any]]:
        """It fires when the value was beyond for so long, and clears when it was back for so long;
        never earlier.
        """
        yield self._expect(self.begins + self.rule.lasts - STEP, fires=False)
        yield self._expect(self.begins + self.delay + self.rule.lasts + STEP, fires=True)
        yield self._expect(self.ends + self.rule.recovery - STEP, fires=True)
        yield self._expect(self.over, fires=False)

    def _values(self) -> Iterator[float]:
        """At the threshold itself; what a rate adds up to is not exact, so a trace beyond it."""
        limit, is_counter = self.rule.base_limit, self.rule.metric.kind is Kind.COUNTER
        side = 1 if self.rule.bound is Bound.UPPER else -1
        trace = max(abs(limit), 1) * _NEARLY * side
        total = 0.0
        for at in range(0, self.over + STEP, STEP):
            is_beyond = self.begins <= at < self.ends
            if is_counter:
                total += (limit + (trace if is_beyond else -trace)) * STEP
                yield total
            else:
                yield limit if is_beyond else limit - trace

    def _expect(self, at: int, *, fires: bool) -> dict[str, Any]:
        labels = {
            "alertname": alert_name(self.rule.metric.key),
            "severity": self.rule.status.value,
            "case": str(self.number),
            "alertstate": "firing",
        }
        selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
        return {
            "expr": f"count(ALERTS{{{selector}}})",
            "eval_time": f"{at}s",
            "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
        }


def unit_tests(rules: Sequence[Rule], rules_file: str) -> dict[str, Any]:
    """A file for `promtool test rules` with a timeline of each rule."""
    timelines = [Timeline(number, rule) for number, rule in enumerate(rules)]
    return {
        "rule_files": [rules_file],
        "evaluation_interval": f"{STEP}s",
        "tests": [
            {
                "interval": f"{STEP}s",
                "input_series": [one.input_series() for one in timelines],
                "promql_expr_test": [step for one in timelines for step in one.expectations()],
            }
        ],
    }
