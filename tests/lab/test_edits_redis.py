"""Redis and Sentinel of Debian 12 under edits, on three hosts: no write is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.editing import Editor
from tests.lab.proving import prove
from tests.lab.redis_cluster import RedisCluster
from tests.lab.rows import rows
from tests.lab.steps import REDIS_STEPS

pytestmark = pytest.mark.lab

NO_SERVICES = 0  # requests per second


@pytest.fixture(scope="module")
def editor(caches: RedisCluster) -> Iterator[Editor]:
    """Applies the edits, and takes them back at the end."""
    yield Editor(caches.platform)
    caches.platform.deploy()


@pytest.mark.parametrize("step", rows(REDIS_STEPS, "Redis restarted"))
def test_an_edit_reaches_exactly_what_it_concerns_and_no_write_is_lost(
    editor: Editor, tmp_path: Path, step: str
) -> None:
    prove(editor, tmp_path, NO_SERVICES, REDIS_STEPS[step])
