"""What a report is to be about, also as the query of a request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlencode

PERIODS: Final = {"1h": 3600, "24h": 86400, "7d": 7 * 86400}
"""What reports are made over, in seconds."""
USUAL_PERIOD: Final = "24h"
PATH: Final = "/api/report"
"""Where a monitor answers them in JSON."""
PAGE_PATH: Final = "/report"
"""Where it answers them as a page."""


class QuestionError(ValueError):
    """There is no such report; the message is one sentence."""


@dataclass(frozen=True)
class Question:
    """What a report is to be about."""

    period: str = USUAL_PERIOD
    """One of PERIODS."""
    service: str | None = None
    """Only this one, and all of its series."""
    everything: bool = False
    """Also series that have neither thresholds nor a baseline."""
    cluster: bool = False
    """Of all hosts, which a monitor on a host in `monitors` asks."""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        """What the query of a request asks for. Raises QuestionError."""
        unknown = query.keys() - {"period", "service", "all", "cluster"}
        if unknown:
            raise QuestionError(
                f"{min(unknown)}: unknown; there are period, service, all and cluster."
            )
        period = query.get("period", USUAL_PERIOD)
        if period not in PERIODS:
            raise QuestionError(f"period {period}: expected one of {', '.join(PERIODS)}.")
        everything, cluster = (query.get(name, "0") not in ("0", "") for name in ("all", "cluster"))
        return cls(period, query.get("service"), everything, cluster)

    @property
    def query(self) -> str:
        """The same as the query of a request."""
        service = {} if self.service is None else {"service": self.service}
        cluster = {"cluster": 1} if self.cluster else {}
        return urlencode({"period": self.period, **service, "all": int(self.everything), **cluster})
