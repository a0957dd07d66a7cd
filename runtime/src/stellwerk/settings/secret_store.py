"""Reads the secrets from secrets.yaml or a command, and completes the file with generated ones."""

import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stellwerk.settings import private_files, schema
from stellwerk.settings.errors import SettingsError
from stellwerk.settings.layers import ABSENT, Layer
from stellwerk.settings.schema import KeyPath
from stellwerk.settings.types import Secret

FILE_NAME = "secrets.yaml"
GENERATED_BYTES = 32
_HEADER = (
    "# Secrets of the cluster. Keep this file private (mode 0600) and out of version control.\n"
)


def read_file(path: Path) -> Layer:
    """Read secrets.yaml, or nothing where it is absent. SettingsError where others may read it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise SettingsError(
                    [f"{path}: others may read or change it; run: chmod 600 {path}"]
                )
            return _parse(str(path), file.read())
    except FileNotFoundError:
        return Layer(str(path), {}, secret=True)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError([f"{path}: cannot be read: {reason}"]) from None


def read_command(command: Sequence[str], folder: Path) -> Layer:
    """Run `command` in `folder` and read the secrets it prints. Its errors go to the terminal."""
    name = f"secrets.command ({command[0]})"
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise SettingsError([f"{name}: cannot be run: {error.strerror}"]) from None
    if done.returncode != 0:
        raise SettingsError([f"{name}: failed with exit code {done.returncode}"])
    try:
        return _parse(name, done.stdout.decode())
    except UnicodeDecodeError:
        raise SettingsError([f"{name}: printed something that is not UTF-8 text"]) from None


def missing(layer: Layer) -> tuple[KeyPath, ...]:
    """Return the paths of the secrets a cluster needs that `layer` does not give."""
    return tuple(path for path in schema.secret_paths() if not _given(layer.get(path)))


def complete(path: Path) -> Layer:
    """Generate what is missing in secrets.yaml, keep it there with mode 0600, and read it.

    Two runs at a time get the same secrets: the later one finds those of the earlier.
    """
    with private_files.locked(path.parent):
        present = read_file(path)
        wanted = missing(present)
        if wanted:
            values = _plain(present.values)
            for secret_path in wanted:
                _put(values, secret_path, secrets.token_urlsafe(GENERATED_BYTES))
            private_files.write(path, _HEADER + yaml.safe_dump(values, sort_keys=False))
        return read_file(path)


def _parse(source: str, text: str) -> Layer:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Its own message quotes the text, which is full of secrets.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise SettingsError([f"{source}{line}: is not valid YAML"]) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise SettingsError([f"{source}: expected keys and values"])
    return Layer(source, _hidden(values), dict(_lines(node, ())), secret=True)


def _hidden(value: Any) -> Any:
    """Return the values with every text as a secret, so that none is printed by accident."""
    if isinstance(value, dict):
        return {key: _hidden(below) for key, below in value.items()}
    return Secret(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(below) for key, below in value.items()}
    if isinstance(value, Secret):
        return value.get_secret_value() if value.given else ""
    return value


def _given(value: Any) -> bool:
    return value.given if isinstance(value, Secret) else value is not ABSENT and value is not None


def _lines(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        below = (*path, str(key.value))
        yield below, key.start_mark.line + 1
        yield from _lines(value, below)


def _put(values: dict[str, Any], path: Iterable[str], value: str) -> None:
    *above, last = path
    for key in above:
        below = values.get(key)
        values[key] = below if isinstance(below, dict) else {}
        values = values[key]
    values[last] = value
