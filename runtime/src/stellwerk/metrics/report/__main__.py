"""Builds one report: what it is about comes in on standard input, it goes out as JSON or
as a page.
"""

import json
import os
import pickle
import sys
from typing import Final

from stellwerk.metrics.history.errors import HistoryError
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.build import build
from stellwerk.metrics.report.document import document
from stellwerk.metrics.report.page import page
from stellwerk.metrics.report.process import Form, Order

_NICE: Final = 10  # collections come first


def main() -> None:
    """Read the order of our own parent, and answer it."""
    os.nice(_NICE)
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - it comes from our own parent
    try:
        report = build(
            order.question,
            order.folder,
            Registry(order.settings),
            order.host,
            order.until,
            order.settings.monitoring.interval_seconds,
        )
    except HistoryError as error:
        sys.exit(str(error))
    if order.form is Form.PAGE:
        text = page(report, order.question)
    else:
        text = json.dumps(document(report), allow_nan=False)
    sys.stdout.buffer.write(text.encode())


if __name__ == "__main__":
    main()
