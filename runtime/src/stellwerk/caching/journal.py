"""A journal of pending writes on the local disk: what was acknowledged survives kill -9.

Records are appended to segment files and synced in groups: all that arrive while the disk is busy
are synced together next. A segment is removed once all of its records were applied. One process
at a time may have a journal open; one that is gone leaves it to whoever opens it next.

    record: length 4 | CRC 4 | content      content: MessagePack of a Record

Beside them a small file says up to which number everything was applied. It is written after the
database's commit and never synced, so it may say too little and never too much.
"""

import asyncio
import fcntl
import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4
from zlib import crc32

import msgspec

from stellwerk.caching.errors import JournalError, JournalInUseError

SEGMENT_BYTES: Final = 8 * 1024**2
"""Size after which a segment is closed and the next begun."""

_FRAME = struct.Struct("<II")
_IDENTITY: Final = "identity"
_APPLIED: Final = "applied"
_APPLIED_DIGITS: Final = 20
_ASIDE: Final = "set-aside.journal"


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A pending write: its number, the layer, its key, its fields, and the value sealed."""

    sequence: int
    layer: str
    key: str
    fields: bytes
    envelope: bytes
    error: str = ""
    """Why it was set aside, where it was."""


@dataclass
class _Segment:
    path: Path
    last: int = 0
    size: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


@dataclass
class Journal:
    """An open journal; make it with `opened`."""

    folder: Path
    identity: UUID
    recovered: list[Record]
    """What was in it when it was opened, oldest first, but for what is known to be applied."""
    synced: Callable[[Record], None]
    """Called for each record that the disk has, in their order, before append returns."""
    _lock: int
    _applied: int
    _segments: list[_Segment]
    _next: int
    _file: int = -1
    _unsynced: deque[tuple[Record, asyncio.Future[None]]] = field(default_factory=deque)
    _syncing: asyncio.Task[None] | None = None

    async def append(self, layer: str, key: str, fields: bytes, envelope: bytes) -> Record:
        """Note a write; when this returns the disk has it. Raises JournalError where it has not."""
        record = Record(self._next, layer, key, fields, envelope)
        self._next += 1
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsynced.append((record, done))
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync())
        await asyncio.shield(done)
        return record

    def forget(self, sequence: int) -> None:
        """Everything up to this number was applied: free the segments that are done with."""
        os.pwrite(self._applied, b"%0*d" % (_APPLIED_DIGITS, sequence), 0)
        while len(self._segments) > 1 and self._segments[0].last <= sequence:
            self._segments.pop(0).path.unlink(missing_ok=True)

    def retire(self) -> None:
        """Everything was applied and nothing will be appended: free the disk.

        Numbers begin anew then, so the identity under which the database knows the old ones goes
        as well. It outlives the records and not the mark, whenever the power fails.
        """
        os.fsync(self._applied)
        while self._segments:
            self._segments.pop().path.unlink()
        for name in (_IDENTITY, _APPLIED):
            _sync_folder(self.folder)
            (self.folder / name).unlink()

    async def set_aside(self, record: Record, error: str) -> None:
        """Keep a write that cannot be applied, for a person to look at."""
        await asyncio.to_thread(
            _append, self.folder / _ASIDE, _framed(msgspec.structs.replace(record, error=error))
        )

    async def close(self) -> None:
        """Sync what is under way and let others have the journal."""
        if self._syncing is not None:
            await self._syncing
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        os.close(self._applied)
        os.close(self._lock)

    async def _sync(self) -> None:
        while self._unsynced:
            group = list(self._unsynced)
            self._unsynced.clear()
            try:
                await asyncio.to_thread(self._write, [record for record, _ in group])
            except OSError as error:
                self._fail(group, error)
                continue
            for record, done in group:
                self.synced(record)
                if not done.done():
                    done.set_result(None)
        self._syncing = None

    def _fail(self, group: list[tuple[Record, asyncio.Future[None]]], error: OSError) -> None:
        failure = f"The journal in {self.folder} cannot be written: {error.strerror}."
        for _, done in group:
            if not done.done():
                done.set_exception(JournalError(failure))

    def _write(self, group: Sequence[Record]) -> None:
        last = group[-1].sequence
        if self._file < 0 or self._segments[-1].size >= SEGMENT_BYTES:
            self._begin_segment(last)
        segment = self._segments[-1]
        data = b"".join(map(_framed, group))
        try:
            _write_all(self._file, data)
            os.fdatasync(self._file)
        except OSError:
            # What is behind the last whole record is not acknowledged; no record may follow it.
            os.ftruncate(self._file, segment.size)
            os.lseek(self._file, segment.size, os.SEEK_SET)
            raise
        segment.size += len(data)
        segment.last = last

    def _begin_segment(self, sequence: int) -> None:
        if self._file >= 0:
            os.close(self._file)
        path = self.folder / f"{sequence:020}.journal"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _sync_folder(self.folder)
        self._segments.append(_Segment(path))


def opened(folder: Path, synced: Callable[[Record], None] = lambda _: None) -> Journal:
    """The journal in a folder, with what it holds; a new one where there is none.

    `synced` is called for each record that the disk has, in their order.

    Raises JournalInUseError where another process has it open, and JournalError where a record
    that is not its last was damaged: nothing is applied out of order, and a person has to look.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise JournalInUseError(f"The journal in {folder} is used by another process.") from None
    try:
        applied = _applied(folder)
        segments, records = _recovered(folder)
        identity = _identity(folder)
        mark = os.open(folder / _APPLIED, os.O_WRONLY | os.O_CREAT, 0o600)
    except BaseException:
        os.close(lock)
        raise
    last = max([applied, *(segment.last for segment in segments)])
    left = [record for record in records if record.sequence > applied]
    return Journal(folder, identity, left, synced, lock, mark, segments, last + 1)


def has_segments(folder: Path) -> bool:
    """Whether a folder has a journal that was not retired."""
    return bool(_segments_in(folder))


def set_aside_in(folder: Path) -> list[Record]:
    """The writes that were set aside, with the reason."""
    path = folder / _ASIDE
    return _whole(path.read_bytes())[0] if path.exists() else []


def _recovered(folder: Path) -> tuple[list[_Segment], list[Record]]:
    paths = _segments_in(folder)
    segments, records = [], []
    for path in paths:
        data = path.read_bytes()
        found, size = _whole(data)
        if size < len(data) and path == paths[-1] and not _goes_on(data, size):
            os.truncate(path, size)  # it was being written when the process ended
        elif size < len(data):
            raise JournalError(
                f"The journal file {path} is damaged after {len(found)} records: move it away, and"
                " apply what it holds by hand."
            )
        # Segments are named after the last record of their first group, which may be cut off.
        last = max(int(path.stem), found[-1].sequence if found else 0)
        segments.append(_Segment(path, last, size))
        records.extend(found)
    return segments, records


def _segments_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.journal") if path.name != _ASIDE)


def _whole(data: bytes) -> tuple[list[Record], int]:
    """The whole records, and where they end: what was being written then is none."""
    found, at = [], 0
    while (content := _content(data, at)) is not None:
        try:
            found.append(_decoder.decode(content))
        except msgspec.MsgspecError:
            break
        at += _FRAME.size + len(content)
    return found, at


def _content(data: bytes, at: int) -> bytes | None:
    """The content of the record that begins here; None where there is no whole one."""
    if at + _FRAME.size > len(data):
        return None
    length, checksum = _FRAME.unpack_from(data, at)
    content = data[at + _FRAME.size : at + _FRAME.size + length]
    # Zeros, which a loss of power may leave, are no record, though their checksum is right.
    is_whole = 0 < length == len(content) and crc32(content) == checksum
    return content if is_whole else None


def _goes_on(data: bytes, at: int) -> bool:
    """Whether a whole record follows the one here, so that this one was whole once, too."""
    if at + _FRAME.size > len(data):
        return False
    length, _ = _FRAME.unpack_from(data, at)
    return _content(data, at + _FRAME.size + length) is not None


def _applied(folder: Path) -> int:
    """Up to which number everything is known to be applied."""
    path = folder / _APPLIED
    text = path.read_text("ascii", "replace") if path.exists() else ""
    return int(text) if len(text) == _APPLIED_DIGITS and text.isdecimal() else 0


def _framed(record: Record) -> bytes:
    content = _encoder.encode(record)
    return _FRAME.pack(len(content), crc32(content)) + content


def _identity(folder: Path) -> UUID:
    """What the database knows the journal by; made once."""
    path = folder / _IDENTITY
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        _append(draft, str(uuid4()).encode())
        draft.rename(path)
        _sync_folder(folder)
    return UUID(path.read_text())


def _append(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
