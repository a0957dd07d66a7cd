"""One thing a verdict looks at: what was measured, what is asked, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"


class Group(StrEnum):
    """Why a check is made."""

    BASELINE = "baseline"
    ERRORS = "errors"
    LIMIT = "limit"
    COMPARISON = "earlier runs"


@dataclass(frozen=True)
class Check:
    """A measured figure beside the one that is asked.

    + bound: the value asked; `current` is the one of the day the baselines were taken, or the
      median of earlier runs
    + higher_is_better: whether the bound is a lower one
    + reason: why it was not judged, or what else a reader should know
    """

    group: Group
    subject: str
    statistic: str
    unit: str
    measured: float | None
    bound: float | None
    current: float | None = None
    higher_is_better: bool = False
    outcome: Outcome = Outcome.NOT_JUDGED
    reason: str = ""

    @property
    def name(self) -> str:
        """What is checked, in a few words."""
        return f"{self.subject} {self.statistic}"

    @property
    def deviation_percent(self) -> float | None:
        """How far the measured value is above the bound; negative below it."""
        if self.measured is None or not self.bound:
            return None
        return 100 * (self.measured - self.bound) / self.bound

    @property
    def _is_over_a_limit(self) -> bool:
        is_limit = self.group is Group.LIMIT and not self.higher_is_better
        return is_limit and self.outcome is Outcome.FAILED

    def sentence(self) -> str:
        """The check as a person would say it."""
        if self.measured is None:
            return f"{self.name}: {self.reason}"
        text = f"{self.name}: {figure(self.measured)} {self.unit}"
        if self.bound is not None and self._is_over_a_limit:
            return f"{text}, over the limit of {figure(self.bound)} {self.unit} {self.reason}"
        if self.bound is not None:
            asked = "at least" if self.higher_is_better else "at most"
            text += f", asked is {asked} {figure(self.bound)} {self.unit}"
        return f"{text} ({self.reason})" if self.reason else text


def judged(
    group: Group,
    subject: str,
    statistic: str,
    unit: str,
    measured: float,
    bound: float,
    *,
    current: float | None = None,
    higher_is_better: bool = False,
    reason: str = "",
) -> Check:
    """A check whose figures decide; the bound itself is good."""
    good = measured >= bound if higher_is_better else measured <= bound
    outcome = Outcome.PASSED if good else Outcome.FAILED
    return Check(
        group, subject, statistic, unit, measured, bound, current, higher_is_better, outcome, reason
    )


def clock(seconds: float) -> str:
    """A moment of a run as minutes and seconds from its start."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def figure(value: float) -> str:
    """A number with three significant digits, or all of its whole ones."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
