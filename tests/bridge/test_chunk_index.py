"""The index of a recording's chunks is on disk until the recording ends, and is complete then."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest

from robot_bridge.bags import recorder as recorder_module
from robot_bridge.bags.chunk_index import ChunkIndex
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recorder import BagRecorder
from robot_bridge.middleware.messages import String


def entry(number: int) -> BytesIO:
    made = BytesIO()
    made.write(bytes([number % 256]) * 250)
    return made


def test_entries_come_back_in_their_order_and_at_their_ends(tmp_path: Path):
    index = ChunkIndex(tmp_path)
    for number in range(3):
        index.append(entry(number))

    assert len(index) == 3
    assert [(e.getvalue(), e.tell()) for e in index] == [(entry(i).getvalue(), 250) for i in range(3)]
    assert not list(tmp_path.iterdir()), "the file has no name"
    index.close()


def test_a_day_of_entries_takes_no_memory(tmp_path: Path):
    index = ChunkIndex(tmp_path)
    index.append(entry(0))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(86_400):
            index.append(entry(number))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        index.close()

    assert after - before < 100_000


def test_a_recording_of_many_chunks_has_an_index_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorder_module, "SYNC_EVERY", 0.0)
    recorder = BagRecorder(tmp_path / "bag")
    record = recorder.topic("/words", String, reliable=True)
    for number in range(50):
        record(String(str(number)), float(number))
    recorder.close()

    assert recorder.problems == ""
    with Bag(tmp_path / "bag") as bag:
        assert not bag.was_cut
        # a whole recording is read by its index alone
        said = [message for _, _, message in bag.messages({"/words": String})]
    assert said == [String(str(number)) for number in range(50)]
