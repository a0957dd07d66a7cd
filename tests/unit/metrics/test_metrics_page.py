"""The page of metrics tells what is declared."""

from stellwerk.metrics.declarations import haproxy, redis, system
from stellwerk.metrics.model import Metric, Source
from stellwerk.metrics.registry import METRICS, Registry
from stellwerk.metrics.units import Unit
from stellwerk.settings.root import Settings
from tests.markdown import part_in
from tests.unit.metrics.metrics_page import PAGE, TABLES, shipped, tables


def row(page: str, metric: Metric) -> list[str]:
    """The cells of a metric."""
    section = page.partition(f"## {metric.source.value}\n")[2].partition("\n## ")[0]
    (line,) = [one for one in section.splitlines() if one.startswith(f"| `{metric.name}` |")]
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_the_page_is_what_the_declarations_and_the_shipped_settings_say() -> None:
    """To be mended by `python -m tests.unit.metrics.metrics_page`."""
    assert part_in(PAGE.read_text(), TABLES) == tables(shipped())


def test_every_metric_has_a_row() -> None:
    page = tables(Registry(Settings()))
    assert all(row(page, metric)[-2] == metric.help for metric in METRICS)


def test_a_row_says_how_values_are_judged() -> None:
    page = tables(Registry(Settings()))
    assert row(page, system.CPU)[1:8] == ["%", "gauge", "", "40", "80", "95", "upper"]
    assert row(page, redis.HIT_RATE)[3:8] == ["port", "85", "70", "50", "lower"]
    assert row(page, redis.AVAILABILITY)[4:8] == ["yes", "", "no", "lower"]
    requests = row(page, haproxy.REQUESTS)
    assert (requests[2], requests[4]) == ("counter", "`requests`")
    assert requests[-1] == "`stellwerk_haproxy_requests_total`"


def test_a_text_cannot_break_the_table() -> None:
    odd = Metric(Source.SYSTEM, "odd", Unit.NUMBER, "One | or the other.")
    page = tables(Registry(Settings()), [odd])
    assert "One \\| or the other." in page
    assert len(page.splitlines()) == 5
