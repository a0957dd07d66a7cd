"""What a backtest found: as a table and as JSON. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

from stellwerk.scaling.forecast.backtest import Verdict
from stellwerk.terminal.columns import Cell, Column, laid_out
from stellwerk.terminal.paint import Paint, Tone

_AS_NOW = "as now"


def table(verdicts: Sequence[Verdict], bound: float, paint: Paint) -> list[str]:
    """The lines of a table, a stretch of time ahead each column: the error of each forecaster, then
    what they make together.
    """
    columns = [Column("ERROR (WAPE)"), *(Column(one.name.upper(), right=True) for one in verdicts)]
    names = dict.fromkeys(name for one in verdicts for name in one.errors)
    rows = [_row(name, verdicts, _error(name)) for name in names]
    rows += [
        _row("weighted mean", verdicts, lambda one: _percent(one.quality.error), Tone.STRONG),
        _row(f"{100 * bound:g} % bound held", verdicts, lambda one: _percent(one.quality.coverage)),
        _row("bound / mean", verdicts, lambda one: _times(one.quality.headroom)),
        _row("forecasts", verdicts, lambda one: f"{one.quality.forecasts:,}"),
        _row("acted on", verdicts, lambda one: _percent(one.acted_on)),
    ]
    return laid_out(columns, rows, 80, paint)


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The figures for programs. Errors, coverage and shares are parts of 1."""
    return {
        one.name: {
            "error": one.quality.error,
            "error_as_now": one.quality.error_as_now,
            "errors": dict(one.errors),
            "coverage": one.quality.coverage,
            "bound_by_mean": one.quality.headroom,
            "forecasts": one.quality.forecasts,
            "acted_on": one.acted_on,
        }
        for one in verdicts
    }


def _row(
    name: str,
    verdicts: Sequence[Verdict],
    figure: Callable[[Verdict], str],
    tone: Tone = Tone.NONE,
) -> list[Cell]:
    return [Cell(name, tone), *(Cell(figure(one), tone) for one in verdicts)]


def _error(name: str) -> Callable[[Verdict], str]:
    """Its error; what stays as it is has one also where it is no forecaster."""
    return lambda one: _percent(
        one.quality.error_as_now if name == _AS_NOW else one.errors.get(name)
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _times(factor: float | None) -> str:
    return "-" if factor is None else f"{factor:.2f} ×"
