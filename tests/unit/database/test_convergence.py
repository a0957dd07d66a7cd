"""Whether a value is in force is judged by its meaning, and what hinders it is named."""

import pytest

from stellwerk.database.convergence import Obstacle, differences, pending_restart, same_value
from stellwerk.database.databases import DatabaseContents
from stellwerk.database.state import FileSetting, ServerSetting, ServerState

DROP_IN = "/etc/postgresql/15/main/conf.d/50-stellwerk.conf"
AUTO = "/var/lib/postgresql/15/main/postgresql.auto.conf"


def setting(
    name: str = "x",
    value: str = "1",
    unit: str | None = None,
    kind: str = "string",
    *,
    source: str = "configuration file",
    file: str | None = DROP_IN,
    pending: bool = False,
) -> ServerSetting:
    return ServerSetting(name, value, unit, kind, "sighup", source, file, pending)


def server(*settings: ServerSetting, files: tuple[FileSetting, ...] = ()) -> ServerState:
    by_name = {each.name: each for each in settings}
    return ServerState(150018, "postgres", {}, {}, DatabaseContents(), by_name, files, ())


@pytest.mark.parametrize(
    ("desired", "present"),
    [
        ("256MB", setting(value="32768", unit="8kB", kind="integer")),
        ("15min", setting(value="900", unit="s", kind="integer")),
        ("0.90", setting(value="0.9", kind="real")),
        ("yes", setting(value="on", kind="bool")),
        ("LZ4", setting(value="lz4", kind="enum")),
        ("a, b", setting(value="a, b")),
    ],
)
def test_the_same_value_in_other_words_is_in_force(desired: str, present: ServerSetting) -> None:
    assert same_value(desired, present)


@pytest.mark.parametrize(
    ("desired", "present"),
    [
        ("257MB", setting(value="32768", unit="8kB", kind="integer")),
        ("16MB", setting(value="900", unit="s", kind="integer")),
        ("off", setting(value="on", kind="bool")),
        ("a,b", setting(value="a, b")),
    ],
)
def test_another_value_is_not_in_force(desired: str, present: ServerSetting) -> None:
    assert not same_value(desired, present)


def test_nothing_differs_where_all_is_in_force() -> None:
    assert differences({"x": "1"}, server(setting()), DROP_IN) == ()


@pytest.mark.parametrize(
    ("present", "obstacle"),
    [
        (None, Obstacle.RELOAD),
        (setting(value="2"), Obstacle.RELOAD),
        (setting(value="2", file=None, pending=True), Obstacle.RESTART),
        (setting(value="2", source="command line", file=None), Obstacle.SHADOWED),
        (setting(value="2", source="default", file=None), Obstacle.RELOAD),
    ],
)
def test_what_keeps_a_value_out_is_named(present: ServerSetting | None, obstacle: Obstacle) -> None:
    state = server() if present is None else server(present)
    (difference,) = differences({"x": "1"}, state, DROP_IN)
    assert difference.obstacle is obstacle


def test_a_value_overridden_by_alter_system_is_reported_with_its_file() -> None:
    lines = (
        FileSetting(DROP_IN, 1, "x", "1", False, None),
        FileSetting(AUTO, 3, "x", "2", True, None),
    )
    state = server(setting(value="2", file=AUTO), files=lines)
    (difference,) = differences({"x": "1"}, state, DROP_IN)
    assert (difference.obstacle, difference.source_file) == (Obstacle.SHADOWED, AUTO)


def test_parameters_that_wait_for_a_restart_are_listed_by_name() -> None:
    state = server(setting("b", pending=True), setting("c"), setting("a", pending=True))
    assert pending_restart(state) == ("a", "b")
