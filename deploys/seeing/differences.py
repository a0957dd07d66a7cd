"""How the files of a change differ from those on the host. Pure."""

import base64
import difflib
from collections.abc import Iterator, Mapping
from itertools import islice

from deploys.engine.changes import Change
from deploys.engine.resources import Facts, File
from deploys.seeing.masking import Masking
from deploys.seeing.model import FileDifference

CONTEXT_LINES = 1
SECRET = "differs (secret)"  # noqa: S105 - said in the place of one


def paths_to_read(change: Change, facts: Facts) -> Iterator[str]:
    """The files whose content on the host is needed to show what differs; never a secret."""
    for file, present in _differing(change, facts):
        if present and "sha256" in present and not file.is_secret:
            yield file.path


def file_differences(
    change: Change, facts: Facts, contents: Mapping[str, str | None], masking: Masking
) -> tuple[FileDifference, ...]:
    """What would be done to the files of a change; `contents` are those on the host, in base64."""
    return tuple(
        _difference(file, present, contents.get(file.path), masking)
        for file, present in _differing(change, facts)
    )


def _differing(change: Change, facts: Facts) -> Iterator[tuple[File, Mapping[str, object] | None]]:
    for file in change.config.files if change.config else ():
        present = facts.get("files", {}).get(file.path)
        if present != file.as_fact() and not (file.seed and _was_installed(change, facts)):
            yield file, present


def _was_installed(change: Change, facts: Facts) -> bool:
    return bool(change.config and change.config.name in facts.get("stamps", {}))


def _difference(
    file: File, present: Mapping[str, object] | None, content: str | None, masking: Masking
) -> FileDifference:
    wanted = file.as_fact()
    if present is None:
        return FileDifference(file.path, note="new (secret)" if file.is_secret else "new")
    if present.get("sha256") == wanted["sha256"]:
        return FileDifference(file.path, note="other mode or owner")
    if file.is_secret:
        return FileDifference(file.path, note=SECRET)
    if content is None:
        return FileDifference(file.path, note="differs")
    old = base64.b64decode(content).decode(errors="replace").splitlines()
    rows = difflib.unified_diff(old, file.content.splitlines(), n=CONTEXT_LINES, lineterm="")
    without_names = islice(rows, 2, None)
    return FileDifference(file.path, tuple(_shown(row, masking) for row in without_names))


def _shown(row: str, masking: Masking) -> str:
    if row.startswith("@@"):
        return "..."
    return f"{row[:1]}{masking.line(row[1:])}"
