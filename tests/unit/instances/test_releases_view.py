"""The releases of services as people and programs get them."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.instances.releases_view import document, kept, table
from stellwerk.instances.store import GenerationRow
from stellwerk.terminal.paint import Paint
from tests.unit.instances.views import CORE, NEW, NOW, OLD, cluster, digits, instance, names

PLAIN = Paint(False)
ROWS = [
    GenerationRow(CORE, OLD, "1.0-aa", NOW - timedelta(days=20)),
    GenerationRow(CORE, NEW, "2.0-bb", NOW - timedelta(hours=2)),
]


def test_the_newest_is_first_and_says_what_runs_it_and_what_is_current() -> None:
    snapshot = cluster(instance(8101), instance(8102)).snapshot
    heading, service, newest, older = table(kept(snapshot, ROWS, [CORE]), NOW, 80, PLAIN)
    assert heading.split() == ["RELEASE", "GENERATION", "AGE", "IS", "INSTANCES"]
    assert service == CORE
    assert newest.split() == ["2.0-bb", "9bc01d2e", "2h", "-"]
    assert older.split() == ["1.0-aa", "3f2a91c7", "20d", "current,", "stable", "8101,", "8102"]


def test_programs_get_the_same() -> None:
    snapshot = cluster(instance(8101)).snapshot
    newest, older = (json.loads(json.dumps(document(row))) for row in kept(snapshot, ROWS, [CORE]))
    assert newest["instances"] == []
    assert older["instances"] == [f"{CORE}@8101"]
    assert older["current"] is older["stable"] is True


def test_nothing_deployed_is_said() -> None:
    assert table([], NOW, 80, PLAIN) == ["No release has been deployed yet."]


@given(
    st.lists(st.tuples(digits, st.text(max_size=60) | names), max_size=6, unique_by=lambda x: x[0])
)
def test_any_list_fits_80_columns(rows: list[tuple[str, str]]) -> None:
    snapshot = cluster(*(instance(8100 + n) for n in range(40))).snapshot
    known = [GenerationRow(CORE, generation, release, NOW) for generation, release in rows]
    known.append(GenerationRow(CORE, OLD, "x" * 90, NOW))
    lines = table(kept(snapshot, known, [CORE]), NOW, 80, PLAIN)
    assert max(map(len, lines)) <= 80
