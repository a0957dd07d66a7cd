"""Runs a Python file of the user's and finds the lines its literal keys stand on."""

import ast
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from stellwerk.settings.errors import SettingsError
from stellwerk.settings.schema import KeyPath


@dataclass(frozen=True)
class PythonFile:
    """The variables a file sets, in order, without what it imports or keeps to itself (_name)."""

    path: Path
    variables: dict[str, Any]
    lines: dict[KeyPath, int]
    tree: ast.Module


def read(path: Path) -> PythonFile:
    """Run the file at `path`. SettingsError names file and line of what went wrong in it."""
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: cannot be read: {_reason(error)}"]) from None
    try:
        tree = ast.parse(source, filename=str(path))
        code = compile(tree, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SettingsError([f"{path}{line}: not valid Python: {message}"]) from None
    imported = set(_imported(tree))
    variables = {
        name: value
        for name, value in _run(code, path).items()
        if not name.startswith("_") and name not in imported
    }
    return PythonFile(path, variables, dict(_lines(tree)), tree)


def literal_lines(value: ast.expr, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """Yield the line of every key that stands literally in `value`, as a path below `path`."""
    for key, line, below in _literal_items(value):
        yield (*path, key), line
        yield from literal_lines(below, (*path, key))


def _run(code: CodeType, path: Path) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__file__": str(path), "__name__": path.stem}
    try:
        exec(code, namespace)  # noqa: S102 - inventory and group_data are the user's own programs
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f":{f.lineno}" for f in reversed(frames) if f.filename == str(path)), "")
        sentence = f"{path}{line}: {type(error).__name__}: {_reason(error)}"
    else:
        return namespace
    raise SettingsError([sentence])


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else "no message"


def _imported(tree: ast.Module) -> Iterator[str]:
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                yield alias.asname or alias.name.split(".")[0]


def _lines(tree: ast.Module) -> Iterator[tuple[KeyPath, int]]:
    for statement in tree.body:
        for target, value in _assignments(statement):
            path = _target_path(target)
            if path:
                yield path, statement.lineno
                yield from literal_lines(value, path)


def _assignments(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield target, statement.value
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign) and statement.value is not None:
        yield statement.target, statement.value


def _target_path(target: ast.expr) -> KeyPath:
    """Return the path of `name` or `name["key"]["key"]`; empty for anything else."""
    if isinstance(target, ast.Name):
        return (target.id,)
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        above = _target_path(target.value)
        return (*above, str(target.slice.value)) if above else ()
    return ()


def _literal_items(value: ast.expr) -> Iterator[tuple[str, int, ast.expr]]:
    if isinstance(value, ast.Dict):
        for key, below in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, key.lineno, below
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        for keyword in value.keywords if value.func.id == "dict" else []:
            if keyword.arg is not None:
                yield keyword.arg, keyword.lineno, keyword.value
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        yield from _literal_items(value.left)
        yield from _literal_items(value.right)
