"""The settings of a running server beside those recommended for its host. Pure.

Asking the server is `local_server`'s work, showing the answer `review_text`'s.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final

from stellwerk.database.convergence import same_value
from stellwerk.database.quantities import in_base_unit
from stellwerk.database.quoting import quote_literal
from stellwerk.database.setting import Setting
from stellwerk.database.state import FileSetting, ServerSetting
from stellwerk.database.tuning import Tuning
from stellwerk.database.wal import WalHistory

AUTOMATIC_FILE: Final = "postgresql.auto.conf"
"""What ALTER SYSTEM writes; the server reads it last, so it wins over every other file."""

_RESTARTING_CONTEXT: Final = "postmaster"


class ReviewError(ValueError):
    """An answer that is not that of `review_script`."""


class Standing(StrEnum):
    """How a setting stands to what is recommended."""

    IN_FORCE = "in force"
    SETTINGS = "takes a change of the settings"
    DEPLOY = "takes a deploy"
    RELOAD = "takes a reload"
    RESTART = "takes a restart"
    SHADOWED = "is overridden"
    UNKNOWN = "is unknown to this server"


@dataclass(frozen=True)
class ServerView:
    """What the server says of some settings; `shown` has their values with units."""

    major_version: int
    data_directory: str
    settings: Mapping[str, ServerSetting]
    shown: Mapping[str, str]
    file_settings: tuple[FileSetting, ...]
    wal_written_bytes: int
    wal_seconds: float

    def wal_history(self, free_bytes: int) -> WalHistory:
        """What was written of the log since its statistics were last reset."""
        return WalHistory(self.wal_written_bytes, self.wal_seconds, free_bytes)


@dataclass(frozen=True)
class Row:
    """One setting: what is recommended, what our file says, what is in force and would be.

    `after_restart` is the value that the next start takes; `file` names where that comes from, and
    None where nothing sets it. A value that means what is recommended is written as that is.
    """

    recommended: Setting
    configured: str | None
    in_force: str | None
    after_restart: str | None
    file: str | None
    standing: Standing


def review_script(names: Iterable[str]) -> str:
    """The text for psql that prints one JSON document about the settings of these names."""
    listed = ", ".join(quote_literal(name) for name in sorted(names))
    return _SCRIPT.format(names=listed or "NULL")


def parse_view(document: str) -> ServerView:
    """Read the answer of `review_script`. Raises ReviewError."""
    try:
        answer = json.loads(document)
        return ServerView(
            major_version=int(answer["version"]) // 10_000,
            data_directory=answer["data_directory"],
            settings={one["name"]: ServerSetting(**one) for one in answer["settings"]},
            shown=answer["shown"] or {},
            file_settings=tuple(FileSetting(**one) for one in answer["file_settings"]),
            wal_written_bytes=int(answer["wal_bytes"]),
            wal_seconds=float(answer["wal_seconds"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReviewError(
            f"PostgreSQL's answer about its settings cannot be read ({type(error).__name__}): "
            "check that psql prints nothing else."
        ) from None


def review(tuning: Tuning, deployed: Tuning, view: ServerView, drop_in: str) -> tuple[Row, ...]:
    """A row for each setting of the tuning, in its order.

    `drop_in` is the file that deploys write, and `deployed` what they would write in it as the
    settings are. What a file says is what the server reads in it now, before a reload.
    """
    return tuple(
        _row(setting, deployed.value(setting.name), view, drop_in) for setting in tuning.settings
    )


def warnings(rows: Iterable[Row], drop_in: str) -> Iterator[str]:
    """A sentence for each setting of ours that another file overrides."""
    for row in rows:
        if row.file is None or row.configured is None or row.file == drop_in:
            continue
        name = row.recommended.name
        if PurePath(row.file).name == AUTOMATIC_FILE:
            yield (
                f"{name}: ALTER SYSTEM set {row.after_restart} in {row.file}, which wins over the "
                f"{row.configured} of {drop_in}: take it back with ALTER SYSTEM RESET {name}."
            )
        else:
            yield (
                f"{name}: {row.file} sets {row.after_restart} and wins over the {row.configured} "
                f"of {drop_in}: take that line out."
            )


def document(row: Row) -> dict[str, Any]:
    """A row for programs."""
    setting = row.recommended
    return {
        "name": setting.name,
        "recommended": setting.value,
        "reason": setting.reason,
        "source": setting.source.value,
        "configured": row.configured,
        "in_force": row.in_force,
        "after_restart": row.after_restart,
        "file": row.file,
        "standing": row.standing.value,
    }


def _row(setting: Setting, deployed: str, view: ServerView, drop_in: str) -> Row:
    present = view.settings.get(setting.name)
    lines = [one for one in view.file_settings if one.name == setting.name]
    ours = next((one.setting for one in reversed(lines) if one.source_file == drop_in), None)
    last = lines[-1] if lines else None
    shown = view.shown.get(setting.name)
    # What no file sets stays as it is: at its default, or at what the command line gave.
    after = shown if last is None else last.setting
    return Row(
        setting,
        configured=_as_recommended(ours, setting, present),
        in_force=_as_recommended(shown, setting, present),
        after_restart=_as_recommended(after, setting, present),
        file=None if last is None else last.source_file,
        standing=_standing(setting, deployed, present, ours, last, drop_in),
    )


def _standing(
    setting: Setting,
    deployed: str,
    present: ServerSetting | None,
    ours: str | None,
    last: FileSetting | None,
    drop_in: str,
) -> Standing:
    if present is None:
        return Standing.UNKNOWN
    if same_value(setting.value, present):
        return Standing.IN_FORCE
    if setting.value != deployed:
        return Standing.SETTINGS
    if ours is None or not _same_text(ours, setting.value, present):
        return Standing.DEPLOY
    if last is not None and last.source_file != drop_in:
        return Standing.SHADOWED
    return Standing.RESTART if present.context == _RESTARTING_CONTEXT else Standing.RELOAD


def _as_recommended(
    text: str | None, setting: Setting, present: ServerSetting | None
) -> str | None:
    same = text is not None and present is not None and _same_text(text, setting.value, present)
    return setting.value if same else text


def _same_text(first: str, second: str, like: ServerSetting) -> bool:
    """Whether two texts of a configuration mean the same value."""
    if first == second:
        return True
    try:
        as_present = ServerSetting(**{**vars(like), "setting": _in_base(first, like)})
    except ValueError:
        return False
    return same_value(second, as_present)


def _in_base(text: str, like: ServerSetting) -> str:
    if like.type not in ("integer", "real"):
        return text
    return repr(in_base_unit(text, like.unit))


_SCRIPT: Final = """\
SELECT json_build_object(
  'version', current_setting('server_version_num')::integer,
  'data_directory', current_setting('data_directory'),
  'wal_bytes', (SELECT wal_bytes FROM pg_catalog.pg_stat_wal),
  'wal_seconds', (
    SELECT greatest(1, extract(epoch FROM now() - coalesce(stats_reset, now())))
    FROM pg_catalog.pg_stat_wal),
  'shown', (
    SELECT json_object_agg(name, pg_catalog.current_setting(name))
    FROM pg_catalog.pg_settings WHERE name IN ({names})),
  'settings', (
    SELECT coalesce(json_agg(json_build_object(
      'name', name, 'setting', setting, 'unit', unit, 'type', vartype, 'context', context,
      'source', source, 'source_file', sourcefile, 'pending_restart', pending_restart)), '[]')
    FROM pg_catalog.pg_settings WHERE name IN ({names})),
  'file_settings', (
    SELECT coalesce(json_agg(json_build_object(
      'source_file', sourcefile, 'line', sourceline, 'name', lower(name), 'setting', setting,
      'applied', applied, 'error', error) ORDER BY seqno), '[]')
    FROM pg_catalog.pg_file_settings WHERE lower(name) IN ({names})));
"""
