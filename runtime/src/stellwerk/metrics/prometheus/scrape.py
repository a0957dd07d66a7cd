"""The configurations of Prometheus and Alertmanager for a cluster. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stellwerk.metrics.prometheus.rules import JOB
from stellwerk.metrics.registry import METRICS
from stellwerk.settings.root import Settings

RULES_FILE: Final = "stellwerk.rules.yml"
TOKEN_FILE: Final = "stellwerk.token"  # noqa: S105 - the name of a file
"""Both beside prometheus.yml."""
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Target:
    """A monitor to scrape."""

    host: str
    address: str
    port: int


def prometheus(
    targets: Sequence[Target], own: Settings, *, host: str, authority: str | None = None
) -> dict[str, Any]:
    """prometheus.yml, ready for YAML, of a host with these settings: it scrapes all targets.

    + authority: with TLS between hosts, the file of whom the host trusts
    """
    settings = own.monitoring
    interval = f"{settings.interval_seconds}s"
    manager = f"{_LOOPBACK}:{settings.prometheus.alertmanager_port}"
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [RULES_FILE],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
        "scrape_configs": [
            {
                "job_name": JOB,
                # Series of instances have a label `instance` of their own.
                "honor_labels": True,
                "authorization": {"credentials_file": TOKEN_FILE},
                **({"tls_config": {"ca_file": authority}} if authority else {}),
                "static_configs": [
                    _static(one, is_here=one.host == host, tls=authority is not None)
                    for one in targets
                ],
            }
        ],
    }


def _static(target: Target, *, is_here: bool, tls: bool) -> dict[str, Any]:
    address = _LOOPBACK if is_here else target.address
    named = f"[{address}]" if ":" in address else address
    # A monitor speaks TLS with others, and plainly with programs of its own host.
    scheme = {"__scheme__": "https"} if tls and not is_here else {}
    return {"targets": [f"{named}:{target.port}"], "labels": {"host": target.host, **scheme}}


def alertmanager() -> Mapping[str, Any]:
    """alertmanager.yml, ready for YAML: it shows alerts and tells nobody."""
    return {
        "route": {
            "receiver": "nobody",
            "group_by": ["host", "alertname"],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["alertname", "host", "service", *_labels()],
            }
        ],
        "receivers": [{"name": "nobody"}],
    }


def _labels() -> list[str]:
    """All that tells series of one metric apart."""
    return sorted({name for one in METRICS for name in (*one.labels, *one.optional_labels)})
