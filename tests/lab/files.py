"""Writing files so that a kill leaves either the old or the new one."""

from pathlib import Path


def write(path: Path, content: str, mode: int = 0o644) -> None:
    """Write a text file with the given mode, making its folder where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(content, encoding="utf-8")
    partial.chmod(mode)
    partial.rename(path)
