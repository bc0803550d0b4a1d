"""Files and folders are old or new, never half: after an exception and after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.storage import (
    atomic_folder,
    remove_leftovers,
    write_bytes_atomically,
    write_new_bytes_atomically,
    write_text_atomically,
)

# writes a second version and kills itself, as kill -9 would, before the n-th line that it runs here or in storage.py
WRITER = """
import os, signal, sys
from pathlib import Path
from adaptive_mbrl import storage
root, lines_left = Path(sys.argv[1]), int(sys.argv[2])

def trace(frame, event, _):
    global lines_left
    if frame.f_code.co_filename not in (storage.__file__, "<string>"):
        return None
    lines_left -= event == "line"
    if lines_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return trace

def write():
    storage.write_bytes_atomically(root / "file", b"new" * 1000)
    with storage.atomic_folder(root / "folder") as folder:
        for part in "ab":
            (folder / part).write_bytes(b"new")

sys.settrace(trace)
write()
"""


class Fault(Exception):
    """Injected."""


@given(contents=st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
def test_the_last_write_is_read(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]):
    folder = tmp_path_factory.mktemp("storage")

    for content in contents:
        write_bytes_atomically(folder / "deep" / "er" / "file", content)

    assert (folder / "deep" / "er" / "file").read_bytes() == contents[-1]
    assert os.listdir(folder / "deep" / "er") == ["file"]


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_is_stored_as_utf8_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.mktemp("storage") / "file"

    write_text_atomically(path, text)

    assert path.read_bytes() == text.encode("utf-8")


def test_a_written_file_is_readable_by_others(tmp_path: Path):
    write_bytes_atomically(tmp_path / "file", b"x")

    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
@given(old=st.binary(max_size=100), new=st.binary(max_size=100))
def test_a_fault_while_writing_keeps_the_old_content(tmp_path_factory: pytest.TempPathFactory, step: str, old: bytes, new: bytes):
    path = tmp_path_factory.mktemp("storage") / "file"
    write_bytes_atomically(path, old)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, step, raise_fault)
        with pytest.raises(Fault):
            write_bytes_atomically(path, new)

    assert path.read_bytes() == old
    assert os.listdir(path.parent) == ["file"]


def raise_fault(*_: object) -> None:
    raise Fault


def fill(path: Path, text: str, fault: type[BaseException] | None = None) -> None:
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text(text)
        if fault:
            raise fault


def test_a_folder_appears_when_the_block_ends(tmp_path: Path):
    path = tmp_path / "deep" / "folder"

    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("1")
        assert not path.exists()

    assert (path / "a").read_text() == "1"
    assert os.listdir(path.parent) == ["folder"]
    assert path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [Fault, KeyboardInterrupt])
def test_a_fault_while_filling_a_folder_leaves_nothing(tmp_path: Path, error: type[BaseException]):
    with pytest.raises(error):
        fill(tmp_path / "folder", "1", fault=error)

    assert os.listdir(tmp_path) == []


def test_a_full_folder_is_not_overwritten(tmp_path: Path):
    fill(tmp_path / "folder", "old")

    with pytest.raises(OSError, match="not empty"):
        fill(tmp_path / "folder", "new")

    assert (tmp_path / "folder" / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


def test_a_kill_at_any_line_never_leaves_half_a_file_or_folder(tmp_path: Path):
    kills = 0
    finished = False
    while not finished:
        root = tmp_path / str(kills)
        write_bytes_atomically(root / "file", b"old" * 1000)

        result = subprocess.run([sys.executable, "-c", WRITER, str(root), str(kills + 1)], capture_output=True, text=True)

        assert (root / "file").read_bytes() in (b"old" * 1000, b"new" * 1000)
        if (root / "folder").exists():
            assert {p.name: p.read_bytes() for p in (root / "folder").iterdir()} == {"a": b"new", "b": b"new"}
        remove_leftovers(root)
        assert set(os.listdir(root)) <= {"file", "folder"}
        finished = result.returncode == 0
        assert finished or result.returncode == -signal.SIGKILL, result.stderr
        kills += not finished

    assert kills > 10
    assert (root / "file").read_bytes() == b"new" * 1000
    assert sorted(os.listdir(root)) == ["file", "folder"]


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with hard links, and one without."""
    if not request.param:

        def refuse(*_: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("links")
def test_a_new_file_replaces_none(tmp_path: Path):
    assert write_new_bytes_atomically(tmp_path / "file", b"first")
    assert not write_new_bytes_atomically(tmp_path / "file", b"second")

    assert (tmp_path / "file").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.usefixtures("links")
def test_of_many_writers_of_a_new_file_one_wins(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: write_new_bytes_atomically(tmp_path / "file", bytes([i])), range(32)))

    assert sum(won) == 1
    assert (tmp_path / "file").read_bytes() == bytes([won.index(True)])
