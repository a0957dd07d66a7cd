"""Any reports there can be."""

from hypothesis import strategies as st

from stellwerk.metrics.model import Bound, Series, Thresholds
from stellwerk.metrics.registry import QUANTILES, metric
from stellwerk.metrics.report.figures import Figures
from stellwerk.metrics.report.model import Durations, Line, Problem, Report
from tests.unit.metrics.report.examples import NOON, histogram

MARKUP = "</td><script>alert(1)</script><img src=x onerror='a\"b'>&amp;"
"""A name that steers a browser which takes it for a part of the page."""

_FIGURES = st.floats(-1e12, 1e12).map(lambda value: float(f"{value:.6g}"))
_MAYBE = st.none() | _FIGURES


# Made once: hypothesis spends longer on making a strategy than on an example of it.
_SHARES = st.sampled_from(list(QUANTILES))
_KEYS = st.sampled_from(["system.cpu_percent", "own.lag_ms", "service.request_ms"])
_INSTANCES = st.text(max_size=40) | st.just(MARKUP)
_HOSTS = st.sampled_from(["", "db-1", "app-1"])
_SERVICES = st.sampled_from(["shop", "a service | odd", MARKUP])
_OUTLINES = st.builds(
    Figures, st.integers(1, 10**6), _MAYBE, _FIGURES, _FIGURES, _FIGURES, _FIGURES
)
_THRESHOLDS = st.builds(Thresholds, _MAYBE, _MAYBE, _MAYBE, st.sampled_from(Bound))
_COURSES = st.just(()) | st.tuples(_MAYBE, _FIGURES, _MAYBE)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    key = draw(_KEYS)
    share = draw(_SHARES) if key == "service.request_ms" else None
    return Line(
        draw(_HOSTS),
        Series(metric(key), draw(_SERVICES), (("instance", draw(_INSTANCES)),)),
        draw(_THRESHOLDS),
        draw(_OUTLINES),
        draw(_MAYBE),
        draw(_FIGURES),
        share,
        Durations(histogram(1, 2), histogram(3), histogram()) if share else None,
        draw(_COURSES),
    )


_LINES = lines()


def reports(hosts: int) -> st.SearchStrategy[Report]:
    """Reports on so many hosts, with any names and figures."""
    names = ["db-1", "app-1"][:hosts]
    problems = st.builds(Problem, st.just("app-2"), st.text() | st.just(MARKUP))
    return st.builds(
        lambda found, unread: Report(
            names, "24h", NOON, 20, sorted(found, key=lambda one: one.series.service), unread
        ),
        st.lists(_LINES, max_size=5),
        st.lists(problems, max_size=1),
    )
