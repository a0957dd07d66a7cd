"""A plan's look at a host: contents of the files it asks for, checks that do not wait."""

import base64
from pathlib import Path

import pytest

from deploys.host import checks, look


def test_contents_are_given_and_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    plain, link, large = tmp_path / "plain", tmp_path / "link", tmp_path / "large"
    plain.write_bytes(b"\xff text")
    link.symlink_to(plain)
    large.write_bytes(b"x" * (look.LARGEST_BYTES + 1))
    paths = [str(path) for path in (plain, link, large, tmp_path, tmp_path / "missing")]
    found = look.look({"paths": paths, "checks": [], "seconds": 0})["contents"]
    assert base64.b64decode(found[str(plain)]) == b"\xff text"
    assert [found[path] for path in paths[1:]] == [None] * 4


def test_checks_are_given_the_time_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def failures(_: list[checks.Check], seconds: float) -> list[dict[str, str]]:
        asked.append(seconds)
        return []

    monkeypatch.setattr(checks, "all_failures", failures)
    look.look({"paths": [], "checks": [], "seconds": 2})
    assert asked == [2]
