"""The event store's units on the host in `databases`: its schema, its indexes and its views."""

from pathlib import Path

from deploys.components import credentials
from deploys.components.base import HEADER
from deploys.engine.render import render
from deploys.engine.resources import Activation, Check, ConfigSet, File
from stellwerk.eventstore.migrations import LATEST
from stellwerk.settings import Settings
from stellwerk.settings.cluster import ClusterHost

UNITS = "/etc/systemd/system"
SCHEMA, INDEXES, VIEWS = "stellwerk-event-store", "stellwerk-indexes", "stellwerk-views"
DAY_SECONDS = 86_400
# An index build waits 15 minutes for older transactions, and takes its own time after that.
SCHEMA_TIMEOUT_SECONDS = 7200
TABLES_TIMEOUT_SECONDS = 100  # before the run gives up waiting


def has_store(declared: ClusterHost) -> bool:
    return "databases" in declared.groups


def has_views(declared: ClusterHost) -> bool:
    return has_store(declared) and bool(declared.settings.database.views)


def configs(declared: ClusterHost) -> tuple[ConfigSet, ...]:
    """In order: the schema is there before views are refreshed."""
    schema = (_schema(declared.settings),) if has_store(declared) else ()
    views = (_views(declared.settings),) if has_views(declared) else ()
    return schema + views


def checks(declared: ClusterHost) -> tuple[Check, ...]:
    """The timers run."""
    return tuple(
        {"kind": "unit", "unit": config.activation.unit or ""} for config in configs(declared)
    )


def _schema(settings: Settings) -> ConfigSet:
    """A run waits for tables and rights. Indexes follow in the background, as a build may take long
    and wait for others' transactions; the timer repairs all of it every day.
    """
    schema = f"{SCHEMA}.service"
    return ConfigSet(
        "event-store",
        files=(
            _service(settings, schema, "schema --tables", "Tables and rights of the event store"),
            _service(settings, f"{INDEXES}.service", "schema", "Repairs the event store"),
            _timer(f"{INDEXES}.timer", "Repairs the event store", DAY_SECONDS),
        ),
        activation=Activation(
            unit=f"{INDEXES}.timer",
            how="restart",
            daemon_reload=True,
            commands=(("systemctl", "start", "--wait", schema),),
        ),
    )


def _views(settings: Settings) -> ConfigSet:
    """One timer for all views: it refreshes those whose own interval has passed."""
    shortest = min(view.refresh_interval_seconds for view in settings.database.views.values())
    name = "Refreshes materialized views"
    return ConfigSet(
        "views",
        files=(
            _service(settings, f"{VIEWS}.service", "refresh", name),
            _timer(f"{VIEWS}.timer", name, shortest),
        ),
        activation=Activation(unit=f"{VIEWS}.timer", how="restart", daemon_reload=True),
    )


def _service(settings: Settings, unit: str, command: str, description: str) -> File:
    views = settings.database.views.values()
    limits = {
        "schema --tables": TABLES_TIMEOUT_SECONDS,
        "schema": SCHEMA_TIMEOUT_SECONDS,
        "refresh": 30 + sum(view.refresh_timeout_seconds for view in views),
    }
    text = render(
        "services/event-store.j2",
        header=HEADER,
        settings=settings,
        version=LATEST,
        command=command,
        description=description,
        credential=credentials.path("postgresql.owner"),
        timeout_seconds=limits[command],
    )
    return File(str(Path(UNITS) / unit), text)


def _timer(unit: str, description: str, interval_seconds: int) -> File:
    text = render(
        "services/timer.j2",
        header=HEADER,
        description=description,
        interval_seconds=interval_seconds,
    )
    return File(f"{UNITS}/{unit}", text)
