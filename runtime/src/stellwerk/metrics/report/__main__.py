"""Builds one report: what it is about comes in on standard input, it goes out as JSON or
as a page.
"""

import asyncio
import json
import os
import pickle
import sys
from dataclasses import replace
from typing import Final

from stellwerk.metrics.history.errors import HistoryError
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.build import build, merged
from stellwerk.metrics.report.document import document
from stellwerk.metrics.report.model import Report
from stellwerk.metrics.report.page import page
from stellwerk.metrics.report.process import Form, Order, ReportError

_NICE: Final = 10  # collections come first
_MONITOR_SECONDS: Final = 20
"""Time each monitor of the cluster has: who asked for the whole waits no longer than 30 s."""


def main() -> None:
    """Read the order of our own parent, and answer it."""
    os.nice(_NICE)
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - it comes from our own parent
    try:
        report = _of_cluster(order) if order.question.cluster else _of_host(order)
    except (HistoryError, ReportError) as error:
        sys.exit(str(error))
    if order.form is Form.PAGE:
        text = page(report, order.question)
    else:
        text = json.dumps(document(report), allow_nan=False)
    sys.stdout.buffer.write(text.encode())


def _of_host(order: Order) -> Report:
    settings = order.host.settings
    return build(
        order.question,
        order.folder,
        Registry(settings),
        order.host.name,
        order.until,
        settings.monitoring.interval_seconds,
    )


def _of_cluster(order: Order) -> Report:
    # To load an HTTP client takes as long as to build a report, which most are without.
    from stellwerk.metrics.monitors import Monitors
    from stellwerk.metrics.report.gathering import gathered
    from stellwerk.settings.errors import SettingsError

    host, token = order.host, order.host.settings.monitoring.token
    monitors = Monitors(host, token.get_secret_value() if token.given else None)
    question = replace(order.question, cluster=False)
    asking = gathered(monitors, host.members, question, _MONITOR_SECONDS)
    try:
        reports, problems = asyncio.run(asking)
    except SettingsError as error:
        raise ReportError(str(error)) from None
    if not reports:
        raise ReportError("; ".join(f"{one.host}: {one.sentence}" for one in problems))
    return merged(reports, problems)


if __name__ == "__main__":
    main()
