"""What a scaler leaves for the monitor of its host: a small file, written anew at every look.

Who leads has the figures of the cluster in it. Nothing waits for the monitor, nor does it need the
ledger.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from stellwerk.scaling.limits import utilization
from stellwerk.scaling.scaler.judging import Rulebook, Verdict

FIGURES: Final = "figures.json"
"""The file, in the scaler's folder in /run; the monitor looks for it there."""

_logger: Final = logging.getLogger(__name__)


class Standing(StrEnum):
    """What a scaler does."""

    LEADS = "leads"
    STANDS_BY = "stands by"
    AWAY = "away"
    """It does not reach the ledger."""


class Figures:
    """Counts since the scaler's start, and what was judged last. `clock` is monotonic."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._decisions = 0
        self._changes: Counter[str] = Counter()
        self._judged: dict[str, Any] = {}

    def judged(
        self, rulebook: Rulebook, verdicts: Collection[Verdict], changed: Collection[Verdict]
    ) -> None:
        """Take in one judgement over all services; `changed` are those whose numbers it wrote."""
        self._decisions += len(verdicts)
        self._changes.update(one.judged.service for one in changed)
        wanted = {one.judged.service: one.judged.after for one in verdicts}
        self._judged = {
            "utilization": utilization(wanted, rulebook.surroundings.sizes, rulebook.limits),
            "services": {one.judged.service: self._service(one) for one in verdicts},
        }

    def write(self, standing: Standing) -> None:
        """Say that the scaler lives, and what it knows. A disk that is full stops no scaler."""
        written: Mapping[str, Any] = {"standing": standing, "alive_at": self._clock()}
        if standing is Standing.LEADS:
            written = {
                **written,
                "decisions": self._decisions,
                "utilization": {},
                "services": {},
                **self._judged,
            }
        fresh = self._file.with_name(f".{self._file.name}.new")
        try:
            fresh.write_text(json.dumps(written), encoding="utf-8")
            fresh.chmod(0o644)  # for the monitor, which is another user
            fresh.replace(self._file)
        except OSError as error:
            _logger.warning("%s cannot be written: %s", self._file, error.strerror or error)

    def _service(self, verdict: Verdict) -> Mapping[str, float]:
        judged = verdict.judged
        minimum, maximum = judged.bounds
        return {
            "desired": judged.after,
            "serving": verdict.decision.serving,
            "minimum": minimum,
            "maximum": maximum,
            "emergency": float(verdict.decision.in_emergency),
            "changes": self._changes[judged.service],
        }
