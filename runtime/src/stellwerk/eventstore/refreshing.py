"""Which views are refreshed in a run of the timer."""

from collections.abc import Mapping, Sequence

from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.session import Session
from stellwerk.eventstore.views import Refresh, due, refresh
from stellwerk.settings.database import MaterializedView
from stellwerk.settings.errors import did_you_mean


def refresh_views(
    session: Session, views: Mapping[str, MaterializedView], names: Sequence[str] = ()
) -> list[Refresh]:
    """Refresh the views of these names, or else those that are due, one after the other.

    One that fails keeps none of the others from their turn. Raises EventStoreError for a view that
    is not in the settings or not in the database.
    """
    for name in names:
        if name not in views:
            raise EventStoreError(f"{name}: no view of database.views{did_you_mean(name, views)}.")
    wanted = names or due(
        session, {name: view.refresh_interval_seconds for name, view in views.items()}
    )
    return [refresh(session, name, views[name].refresh_timeout_seconds) for name in wanted]
