"""What `stellwerk database tune` says of a running server."""

import json
from collections.abc import Iterator

import pytest

from stellwerk.database.configuration import render
from stellwerk.database.quantities import GIBIBYTE, MEBIBYTE
from stellwerk.database.review import (
    ReviewError,
    Row,
    ServerView,
    Standing,
    document,
    parse_view,
    review,
    review_script,
    warnings,
)
from stellwerk.database.review_text import review_text
from stellwerk.database.tuning import HostResources, Tuning, TuningInputs, tune
from stellwerk.database.wal import ENOUGH_HISTORY_SECONDS, WalHistory
from stellwerk.database.wishes import host_resources, tuning_inputs
from stellwerk.settings import Settings
from stellwerk.terminal.paint import Paint
from tests.unit.database.postgres_server import Binaries, Server, running

PLAIN = Paint(coloured=False)


@pytest.fixture(scope="module")
def own_server(binaries: Binaries) -> Iterator[Server]:
    """A server of this module's own, as its configuration is changed."""
    with running(binaries) as started:
        yield started


def tuning(binaries: Binaries, **wishes: int) -> Tuning:
    inputs = TuningInputs(version=binaries.major_version, **wishes)  # type: ignore[arg-type]
    return tune(HostResources(2 * GIBIBYTE, 2), inputs)


def looked_at(server: Server, wanted: Tuning) -> ServerView:
    return parse_view(server.psql(review_script(wanted.names)))


def rows_of(server: Server, wanted: Tuning) -> dict[str, Row]:
    drop_in = str(server.data / "drop_in.conf")
    found = review(wanted, wanted, looked_at(server, wanted), drop_in)
    return {row.recommended.name: row for row in found}


@pytest.mark.programs
def test_each_setting_says_what_it_still_takes(own_server: Server) -> None:
    wanted = tuning(own_server.binaries)
    drop_in = own_server.data / "drop_in.conf"
    rows = rows_of(own_server, wanted)
    assert rows["work_mem"].standing is Standing.DEPLOY
    assert (rows["work_mem"].configured, rows["work_mem"].in_force) == (None, "4MB")
    assert rows["seq_page_cost"].standing is Standing.IN_FORCE

    drop_in.write_text(render(wanted, {}))
    rows = rows_of(own_server, wanted)
    assert rows["checkpoint_timeout"].configured == wanted.value("checkpoint_timeout")
    assert rows["work_mem"].standing is Standing.RELOAD
    assert rows["shared_buffers"].standing is Standing.RESTART
    assert rows["shared_buffers"].after_restart == wanted.value("shared_buffers")

    own_server.psql("ALTER SYSTEM SET work_mem = '1MB'")
    rows = rows_of(own_server, wanted)
    assert rows["work_mem"].standing is Standing.SHADOWED
    assert rows["work_mem"].after_restart == "1MB"
    (warning,) = warnings(rows.values(), str(drop_in))
    assert "ALTER SYSTEM RESET work_mem" in warning


@pytest.mark.programs
def test_the_server_tells_how_much_log_it_wrote(own_server: Server) -> None:
    before = looked_at(own_server, tuning(own_server.binaries)).wal_written_bytes
    own_server.psql("CREATE TABLE written AS SELECT generate_series(1, 20000)")
    own_server.psql("SELECT pg_stat_force_next_flush()")
    history = looked_at(own_server, tuning(own_server.binaries)).wal_history(GIBIBYTE)
    assert history.written_bytes > before
    assert history.seconds >= 1


def rows_without_a_server(wanted: Tuning, deployed: Tuning) -> tuple[Row, ...]:
    answer = {
        "version": 150018,
        "data_directory": "/var/lib/postgresql/15/main",
        "wal_bytes": 0,
        "wal_seconds": 1.0,
        "shown": {one.name: "x" * 40 for one in wanted.settings},
        "settings": [
            {
                **dict.fromkeys(("unit", "source_file")),
                "name": one.name,
                "setting": "another",
                "type": "string",
                "context": "sighup",
                "source": "default",
                "pending_restart": False,
            }
            for one in wanted.settings
        ],
        "file_settings": [],
    }
    return review(wanted, deployed, parse_view(json.dumps(answer)), "/drop_in.conf")


def test_text_has_80_columns_and_a_reason_for_each_setting() -> None:
    wanted = tune(HostResources(16 * GIBIBYTE, 4), TuningInputs())
    rows = rows_without_a_server(wanted, wanted)
    lines = review_text(rows, wanted, ["a warning"], explain=True, paint=PLAIN)
    assert max(map(len, lines)) <= 80
    said = " ".join(" ".join(lines).split())
    for one in wanted.settings:
        assert one.reason in said
    share = 100 * wanted.worst_case_share_of_ram
    assert f"{share:.1f} % of the 16384 MB of RAM" in said


def test_a_document_has_reason_and_source() -> None:
    wanted = tune(HostResources(GIBIBYTE, 1), TuningInputs())
    row = rows_without_a_server(wanted, wanted)[0]
    assert document(row)["reason"] == wanted.settings[0].reason
    assert document(row)["standing"] == "takes a deploy"


def test_a_measured_size_of_the_log_waits_for_the_settings() -> None:
    history = WalHistory(int(864_000 * MEBIBYTE), ENOUGH_HISTORY_SECONDS, 1000 * GIBIBYTE)
    settings = Settings()
    host = host_resources(settings, 16 * GIBIBYTE, 4)

    def tuned(wal: WalHistory | None) -> Tuning:
        return tune(host, tuning_inputs(settings, version=15, other_memory_bytes=0, wal=wal))

    rows = rows_without_a_server(tuned(history), tuned(None))
    waiting = {row.recommended.name for row in rows if row.standing is Standing.SETTINGS}
    assert waiting == {"min_wal_size", "max_wal_size"}


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(ReviewError, match="cannot be read"):
        parse_view("psql: hello")
