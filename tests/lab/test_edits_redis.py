"""Redis and Sentinel under edits, under load: exactly the named units restart, no write is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.editing import Editor
from tests.lab.edits import REDIS, Edit
from tests.lab.redis_cluster import RedisCluster
from tests.lab.redis_traffic import Traffic

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def editor(caches: RedisCluster) -> Iterator[Editor]:
    """Applies the edits, and takes them back at the end."""
    yield Editor(caches.platform)
    caches.platform.deploy()


@pytest.fixture
def traffic(caches: RedisCluster, tmp_path: Path) -> Iterator[Traffic]:
    """A client that writes and reads while the test runs."""
    with caches.traffic(tmp_path) as found:
        yield found


@pytest.mark.parametrize("edit", REDIS, ids=lambda edit: edit.name)
def test_an_edit_reaches_exactly_what_it_concerns(
    caches: RedisCluster,
    editor: Editor,
    traffic: Traffic,
    edit: Edit,
    record_property: Callable[[str, object], None],
) -> None:
    applied = editor.apply(edit)
    assert applied.restarts == edit.restarts
    assert applied.reloads == edit.reloads
    assert editor.not_in_force(edit) == {}
    caches.wait_for_writes(traffic)
    notes = traffic.finish()
    if not edit.fails_over:
        assert notes.failed == 0, notes.errors
    assert notes.acknowledged <= caches.stored()
    assert editor.run_again() == 0
    for name, figure in (
        ("changed operations", applied.changed_operations),
        ("restarts", len(applied.restarts)),
        ("seconds", round(applied.seconds, 1)),
        ("failed requests", notes.failed),
        ("longest time without a write", round(notes.longest_gap, 2)),
    ):
        record_property(name, figure)
