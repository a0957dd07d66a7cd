"""The journal of pending writes: what it acknowledged is there after any end of its process."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stellwerk.caching import journal as module
from stellwerk.caching.errors import JournalError
from stellwerk.caching.journal import Journal, Record, has_segments, opened, set_aside_in


def with_journal(folder: Path, act: Callable[[Journal], Awaitable[None]]) -> list[Record]:
    """Open the journal, act, close it; returns what it held when it was opened."""

    async def scenario() -> list[Record]:
        journal = opened(folder)
        try:
            await act(journal)
        finally:
            await journal.close()
        return journal.recovered

    return asyncio.run(scenario())


def adding(*keys: str) -> Callable[[Journal], Awaitable[None]]:
    """Appends at once."""

    async def act(journal: Journal) -> None:
        await asyncio.gather(*(journal.append("layer", key, b"f", b"value") for key in keys))

    return act


def keys(folder: Path) -> list[str]:
    """What a journal holds."""
    return [record.key for record in with_journal(folder, adding())]


def test_what_was_appended_is_there_in_order(tmp_path: Path) -> None:
    names = [str(number) for number in range(200)]
    with_journal(tmp_path, adding(*names[:100]))
    with_journal(tmp_path, adding(*names[100:]))
    assert keys(tmp_path) == names


def test_each_record_has_a_higher_number_than_all_before(tmp_path: Path) -> None:
    for _ in range(3):
        with_journal(tmp_path, adding("a", "b"))
    records = with_journal(tmp_path, adding())
    assert [record.sequence for record in records] == sorted({r.sequence for r in records})


def test_appends_at_once_are_synced_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with_journal(tmp_path, adding(*map(str, range(500))))
    assert 1 <= len(synced) <= 5


def test_a_record_cut_off_anywhere_costs_only_itself(tmp_path: Path) -> None:
    with_journal(tmp_path, adding("a", "b"))
    (segment,) = tmp_path.glob("0*.journal")
    whole = segment.read_bytes()
    length = len(whole) // 2
    for end in range(length, len(whole)):
        segment.write_bytes(whole[:end])
        assert keys(tmp_path) == ["a"]
    assert with_journal(tmp_path, adding("c"))
    assert keys(tmp_path) == ["a", "c"]


def test_damage_before_the_end_is_said_and_nothing_is_skipped(tmp_path: Path) -> None:
    with_journal(tmp_path, adding("a", "b"))
    with_journal(tmp_path, adding("c"))
    first = min(tmp_path.glob("0*.journal"))
    data = bytearray(first.read_bytes())
    data[20] ^= 1
    first.write_bytes(data)
    with pytest.raises(JournalError, match=r"damaged after 0 records"):
        opened(tmp_path)


def test_damage_in_the_last_file_is_told_from_a_record_that_was_cut_off(tmp_path: Path) -> None:
    with_journal(tmp_path, adding("a", "b"))
    (segment,) = tmp_path.glob("0*.journal")
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalError, match=r"damaged after 0 records"):
        opened(tmp_path)


def test_zeros_after_a_loss_of_power_are_no_record(tmp_path: Path) -> None:
    with_journal(tmp_path, adding("a"))
    (segment,) = tmp_path.glob("0*.journal")
    segment.write_bytes(segment.read_bytes() + bytes(4096))
    with_journal(tmp_path, adding("b"))
    assert keys(tmp_path) == ["a", "b"]


def test_what_was_applied_is_not_recovered_again(tmp_path: Path) -> None:
    async def act(journal: Journal) -> None:
        records = [await journal.append("layer", key, b"", b"") for key in "abc"]
        journal.forget(records[1].sequence)

    with_journal(tmp_path, act)
    assert keys(tmp_path) == ["c"]
    (tmp_path / "applied").write_text("torn")
    assert keys(tmp_path) == ["a", "b", "c"]


def test_a_retired_journal_leaves_nothing_and_begins_anew(tmp_path: Path) -> None:
    identities = []

    async def act(journal: Journal) -> None:
        identities.append(journal.identity)
        record = await journal.append("layer", "a", b"", b"")
        journal.forget(record.sequence)
        journal.retire()

    for _ in range(2):
        assert with_journal(tmp_path, act) == []
        assert not has_segments(tmp_path)
    assert identities[0] != identities[1]


def test_one_process_at_a_time_has_a_journal(tmp_path: Path) -> None:
    async def act(_: Journal) -> None:
        with pytest.raises(JournalError, match="another process"):
            opened(tmp_path)

    with_journal(tmp_path, act)
    with_journal(tmp_path, adding())


def test_the_identity_stays(tmp_path: Path) -> None:
    async def act(journal: Journal) -> None:
        seen.add(journal.identity)

    seen: set[object] = set()
    with_journal(tmp_path, act)
    with_journal(tmp_path, act)
    assert len(seen) == 1


def test_segments_are_removed_once_all_of_them_was_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 100)

    async def act(journal: Journal) -> None:
        last = 0
        for number in range(50):
            last = (await journal.append("layer", str(number), b"", bytes(50))).sequence
        assert len(list(tmp_path.glob("0*.journal"))) > 20
        journal.forget(last - 1)
        assert len(list(tmp_path.glob("0*.journal"))) <= 2

    with_journal(tmp_path, act)
    assert keys(tmp_path)[-1] == "49"


def test_a_disk_that_refuses_is_told_to_the_writer_and_costs_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(journal: Journal) -> None:
        await journal.append("layer", "before", b"", b"")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", _refuse)
            with pytest.raises(JournalError, match="No space left"):
                await journal.append("layer", "refused", b"", b"")
        await journal.append("layer", "after", b"", b"")

    with_journal(tmp_path, act)
    assert keys(tmp_path) == ["before", "after"]


def test_what_was_set_aside_keeps_its_reason(tmp_path: Path) -> None:
    async def act(journal: Journal) -> None:
        record = await journal.append("layer", "a", b"", b"")
        await journal.set_aside(record, "value too long")

    with_journal(tmp_path, act)
    (record,) = set_aside_in(tmp_path)
    assert (record.key, record.error) == ("a", "value too long")


def _refuse(_: int) -> None:
    raise OSError(28, "No space left on device")
