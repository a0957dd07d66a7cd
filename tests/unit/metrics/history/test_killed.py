"""A writer that is killed in the middle of writing, again and again."""

import os
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest

from stellwerk.metrics.declarations import system
from stellwerk.metrics.history.reader import history
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.model import Sample

KILLS = 100
BEGIN = 1_750_000_000
SECONDS = 240  # between collections: every fifteenth one there is an hour to pack
NUMBER = system.LOAD.series()
OTHERS = [system.FILESYSTEM_USED.series(mountpoint=f"/{place}") for place in range(50)]


def write_on(folder: Path, number: int, said: int) -> NoReturn:
    """Write collections from this number on, and say the number of each once it is kept."""
    writer = HistoryWriter(folder, keep_days=10_000, most_bytes=10**10)
    while True:
        others = [Sample(one, number * place % 97) for place, one in enumerate(OTHERS)]
        writer.write(BEGIN + number * SECONDS, [Sample(NUMBER, number), *others])
        os.write(said, number.to_bytes(4, "big"))
        number += 1


@pytest.mark.programs
def test_a_killed_writer_loses_at_most_the_collection_it_was_writing(tmp_path: Path) -> None:
    chance = Random(1)
    known = 0
    for _ in range(KILLS):
        ours, theirs = os.pipe()
        process = get_context("fork").Process(target=write_on, args=(tmp_path, known + 1, theirs))
        process.start()
        os.close(theirs)
        with os.fdopen(ours, "rb") as said:
            heard = said.read(4 * chance.randint(1, 40))
            process.kill()
            process.join()
            heard += said.read()
        known = int.from_bytes(heard[-4:], "big")
        with history(tmp_path, 0, 4e9) as found:
            assert found.problems == []
            kept = list(found.points(NUMBER.key).values)
        assert kept == sorted(kept)
        assert set(kept) >= set(range(1, known + 1))
