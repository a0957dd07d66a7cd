"""Claims about what people are told of alerts."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.alerts.evaluation import Watches, alerts, evaluate
from stellwerk.metrics.alerts.silences import Silence
from stellwerk.metrics.alerts.telling import Kind, Knowledge, News, Timing, message, tell
from stellwerk.metrics.model import Series, Status
from tests.unit.metrics.alerts.examples import (
    CPU,
    HIT_RATE,
    INTERVAL,
    MEMORY,
    REDIS_UP,
    REGISTRY,
    START,
    rules,
)

TIMING = Timing(group=30, repeat=3600)


class People:
    """Those who are told: what they heard, and when."""

    def __init__(self, timing: Timing = TIMING, **settings: object) -> None:
        self.rules = rules(for_seconds=0, down_seconds=0, recovery_seconds=0, **settings)
        self.timing = timing
        self.watches: Watches = {}
        self.knowledge = Knowledge()
        self.silences: tuple[Silence, ...] = ()
        self.at = START
        self.heard: list[tuple[float, tuple[News, ...]]] = []

    def collect(self, values: dict[Series, float]) -> None:
        self.at += INTERVAL
        found = evaluate(self.rules, self.watches, values.items(), self.at, 900)
        self.watches = found.watches
        telling = tell(
            self.knowledge,
            alerts(found.watches),
            found.changes,
            self.silences,
            self.at,
            timing=self.timing,
            thresholds=REGISTRY.thresholds,
        )
        self.knowledge = telling.knowledge
        if telling.news:
            self.heard.append((self.at - START, telling.news))

    def collect_all(self, series: Series, values: Sequence[float]) -> None:
        for value in values:
            self.collect({series: value})

    @property
    def kinds(self) -> list[list[Kind]]:
        return [[one.kind for one in news] for _, news in self.heard]


def test_an_alert_is_told_once_and_so_is_its_end() -> None:
    people = People()
    people.collect_all(REDIS_UP, [0] * 20 + [1] * 20)
    assert people.kinds == [[Kind.NEW], [Kind.OVER]]
    assert [news[0].sentence for _, news in people.heard] == [
        "redis 6379 is down",
        "redis 6379 is up again",
    ]


def test_alerts_of_the_same_moment_are_one_message() -> None:
    people = People()
    people.collect({REDIS_UP: 0})
    people.collect({REDIS_UP: 0, CPU: 99, MEMORY: 99})
    people.collect({REDIS_UP: 0, CPU: 99, MEMORY: 99})
    assert [at for at, _ in people.heard] == [45]
    ((_, news),) = people.heard
    told = message(news, people.at, "cache-1")
    assert told.headline == "3 alerts: 3 new"
    assert told.severity == "critical"
    assert "new: system: cpu_percent is 99 %, critical from 95 %" in told.lines


def test_what_came_and_went_before_anybody_was_told_is_not_told() -> None:
    people = People()
    people.collect_all(REDIS_UP, [1, 0, 1] * 10)
    assert people.heard == []


def test_an_alert_that_flickers_while_it_is_known_is_no_news() -> None:
    people = People()
    people.collect_all(REDIS_UP, [0] * 5 + [1, 0] * 20)
    assert people.kinds == [[Kind.NEW]]


def test_a_lasting_alert_is_repeated_at_its_interval_with_its_age() -> None:
    people = People()
    people.collect_all(REDIS_UP, [0] * 600)  # two and a half hours
    assert people.kinds == [[Kind.NEW], [Kind.LASTING], [Kind.LASTING]]
    assert people.heard[1][1][0].sentence == "redis 6379 is down, for 1h now"


def test_an_alert_that_gets_worse_is_told_again_one_that_eases_is_not() -> None:
    people = People()
    people.collect_all(CPU, [85] * 10 + [99] * 10 + [85] * 10 + [99] * 10 + [10] * 10)
    assert people.kinds == [[Kind.NEW], [Kind.WORSE], [Kind.OVER]]


def test_an_alert_that_is_not_measured_any_more_is_not_called_in_order() -> None:
    people = People()
    people.collect_all(HIT_RATE, [10] * 5)
    for _ in range(70):
        people.collect({})
    assert people.kinds == [[Kind.NEW], [Kind.OVER]]
    assert "is not measured any more" in people.heard[1][1][0].sentence


def _silence(until: float, **patterns: str) -> Silence:
    return Silence(1, START + until, "ops", "maintenance", **patterns)


def test_a_silenced_alert_is_not_told_and_others_are() -> None:
    people = People()
    people.silences = (_silence(10**6, metric="redis.*"),)
    for _ in range(10):
        people.collect({REDIS_UP: 0, CPU: 99})
    assert [one.key for _, news in people.heard for one in news] == [CPU.key]


def test_an_alert_that_lasts_longer_than_its_silence_is_told_then() -> None:
    people = People()
    people.silences = (_silence(600, service="redis"),)
    people.collect_all(REDIS_UP, [0] * 60)
    assert [at for at, _ in people.heard] == [630]


def test_the_end_of_a_silenced_alert_is_not_told_and_its_return_is_new() -> None:
    people = People()
    people.collect_all(REDIS_UP, [0] * 5)
    people.silences = (_silence(600, subject="6379"),)
    people.collect_all(REDIS_UP, [1] * 40 + [0] * 5)
    assert people.kinds == [[Kind.NEW], [Kind.NEW]]


_HOURS = st.lists(
    st.dictionaries(
        st.sampled_from([CPU, MEMORY, REDIS_UP]), st.sampled_from([0.0, 1.0, 85.0, 99.0])
    ),
    max_size=150,
)


@given(_HOURS)
def test_whatever_happens_nobody_is_told_twice_or_of_an_end_without_a_beginning(
    collections: list[dict[Series, float]],
) -> None:
    people = People()
    for values in collections:
        people.collect(values)
    known: dict[str, Status] = {}
    for _, news in people.heard:
        assert len({one.key for one in news}) == len(news)
        for one in news:
            if one.kind is Kind.NEW:
                assert one.key not in known
            elif one.kind is Kind.OVER:
                assert one.key in known
            elif one.kind is Kind.WORSE:
                assert one.severity.rank > known[one.key].rank
            if one.kind is Kind.OVER:
                del known[one.key]
            else:
                known[one.key] = one.severity
    assert known == {key: told.severity for key, told in people.knowledge.told.items()}


@given(_HOURS)
def test_whatever_happens_messages_are_as_far_apart_as_news_is_gathered(
    collections: list[dict[Series, float]],
) -> None:
    people = People()
    for values in collections:
        people.collect(values)
    moments = [at for at, _ in people.heard]
    assert all(later - earlier > TIMING.group for earlier, later in pairwise(moments))


@given(_HOURS)
def test_once_all_has_been_quiet_for_the_grouping_time_people_know_what_is_so(
    collections: list[dict[Series, float]],
) -> None:
    people = People()
    for values in collections:
        people.collect(values)
    last = dict(collections[-1]) if collections else {}
    for _ in range(4):
        people.collect(last)
    assert people.knowledge.told.keys() == alerts(people.watches).keys()
