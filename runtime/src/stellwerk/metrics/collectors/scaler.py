"""The scaler by the figures that it leaves for this host's monitor."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stellwerk.metrics.collectors.collector import Found, Samples, SubjectCollector, Trouble
from stellwerk.metrics.declarations import auto_scaling as metrics
from stellwerk.metrics.model import Sample, Source
from stellwerk.metrics.reading import Gap, State

FROZEN_SECONDS: Final = 30.0
"""It writes every few seconds, whether the ledger is there or not."""

_LEADS: Final = "leads"
_AWAY: Final = "away"


class ScalerCollector(SubjectCollector):
    """The scaler of this host. `clock` is monotonic, and the same for all processes of a host."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(Source.AUTO_SCALING, "scaler", metrics.AVAILABILITY.series())
        self._file = file
        self._clock = clock
        self._all = Samples()
        self._services: dict[str, Samples] = {}
        self._resources: dict[str, Samples] = {}

    async def collect(self) -> Found:
        try:
            written: Any = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Trouble(State.DOWN, "the scaler does not run") from None
        except OSError as error:
            raise Trouble(
                State.REFUSED, f"{self._file} cannot be read: {error.strerror or error}"
            ) from None
        silence = self._clock() - written["alive_at"]
        if silence > FROZEN_SECONDS:
            raise Trouble(State.FROZEN, f"the scaler has said nothing for {silence:.0f} s")
        if written["standing"] == _AWAY:
            gap = Gap(State.DOWN, "the scaler does not reach the ledger, so that nothing is known")
            return Found(gaps=(gap,))
        leads = written["standing"] == _LEADS
        samples = self._all.of([(metrics.LEADS, float(leads))])
        return Found([*samples, *(self._of_the_cluster(written) if leads else ())])

    def _of_the_cluster(self, written: Mapping[str, Any]) -> Iterator[Sample]:
        services: Mapping[str, Mapping[str, float]] = written["services"]
        yield from self._all.of(
            (
                (metrics.DECISIONS, written["decisions"]),
                (metrics.ACTIVE, sum(one["serving"] for one in services.values())),
            )
        )
        for name, share in written["utilization"].items():
            known = self._resources.setdefault(name, Samples(resource=name))
            yield from known.of([(metrics.UTILIZATION, share)])
        for name, one in services.items():
            known = self._services.setdefault(name, Samples(name, scaled_service=name))
            yield from known.of(
                (
                    (metrics.CHANGES, one["changes"]),
                    (metrics.DESIRED, one["desired"]),
                    (metrics.SERVING, one["serving"]),
                    (metrics.MINIMUM, one["minimum"]),
                    (metrics.MAXIMUM, one["maximum"]),
                    (metrics.EMERGENCY, one["emergency"]),
                )
            )
