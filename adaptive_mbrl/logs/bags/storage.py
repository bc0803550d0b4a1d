"""A bag that is open for reading, by rosbags: its topics, and its messages as bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from adaptive_mbrl.errors import ConfigError, reason_of
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.logs.bags.cut_mcap import is_complete, open_cut
from adaptive_mbrl.logs.bags.files import STORAGE, has_metadata, storage_files

ALLOWED = "allowed: messages of ROS 2 in CDR, as 'ros2 bag record' writes them"


class Storage:
    """The messages of a bag; a context manager.

    Args:
        path: the bag's folder, or one of its files.

    Attributes:
        connections: the topics, as rosbags describes them; a bag of several files has the same ones for each.
        was_cut: whether the recording was cut off; then all whole messages are read.

    Raises:
        ConfigError: there is no bag, it cannot be read, or rosbags is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.was_cut = path, False
        self._rosbag2 = extra_package("rosbags.rosbag2", "logs")
        with ExitStack() as stack:
            self._readers = [self._opened(file, stack) for file in self._files()]
            self._stack = stack.pop_all()
        self.connections: list[Any] = [c for reader in self._readers for c in reader.connections]

    @property
    def begin(self) -> int | None:
        """Time of the first message of all since the epoch [ns], from the bag's index; None where it has no message."""
        begins = [int(reader.metadata.start_time) for reader in self._readers if reader.metadata.message_count]
        return min(begins, default=None)

    def messages(self, topics: Collection[str]) -> Iterator[tuple[Any, int, bytes]]:
        """All messages of some topics, in any order: connection, time of arrival since the epoch [ns], and bytes.

        Raises:
            ConfigError: the bag is damaged.
        """
        for reader in self._readers:
            connections = [c for c in reader.connections if c.topic in topics]
            messages = iter(reader.messages(connections)) if connections else iter(())
            while True:
                try:
                    message = next(messages)
                except StopIteration:
                    break
                except Exception as error:
                    raise self._unreadable(error) from error
                yield message

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _files(self) -> list[Path]:
        """The bag itself, or the files in it if its metadata are missing, or the end of one of them."""
        if not self.path.exists():
            raise ConfigError(f"{self.path}: no such bag")
        files = storage_files(self.path)
        if not files:
            raise ConfigError(f"{self.path}: not a rosbag2 (it has no metadata.yaml, .mcap or .db3 file)")
        if not self.path.is_dir() or (has_metadata(self.path) and not any(map(_is_cut, files))):
            return [self.path]
        self.was_cut = True
        return files

    def _opened(self, path: Path, stack: ExitStack) -> Any:
        """A reader of a file, or of a folder with metadata, that the stack closes."""
        mcap, sqlite = (extra_package(f"rosbags.rosbag2.storage_{name}", "logs") for name in ("mcap", "sqlite3"))
        try:
            if path.is_dir():
                reader = self._rosbag2.Reader(path).storage
            elif path.suffix.lower() in STORAGE:
                reader = {".mcap": mcap.McapReader, ".db3": sqlite.Sqlite3Reader}[path.suffix.lower()](path)
            else:
                raise ConfigError(f"{path}: not a bag; allowed: a rosbag2 folder, and files that end in {', '.join(STORAGE)}")
            if _is_cut(path):
                self.was_cut, reader.bio = True, open_cut(path)
                stack.callback(reader.bio.close)
                reader._open()
            else:
                reader.open()
                stack.callback(reader.close)
        except ConfigError:
            raise
        except Exception as error:
            # a damaged file can fail in any way
            raise self._unreadable(error) from error
        for part in getattr(reader, "storages", [reader]):
            if isinstance(part, mcap.McapReader) and not part.chunks:
                # messages may come in any order, which rosbags refuses for a file without an index
                part.messages = part.messages_scan
        return reader

    def _unreadable(self, error: Exception) -> ConfigError:
        reason = reason_of(error)
        if isinstance(error, KeyError) or reason.startswith(("Profile", "Serialization format")):
            # how rosbags says that it does not know the encoding
            return ConfigError(f"{self.path}: not a recording of ROS 2 ({reason}); {ALLOWED}")
        return ConfigError(f"{self.path}: the bag cannot be read ({reason}); 'ros2 bag reindex' or 'mcap recover' may restore it")


def _is_cut(path: Path) -> bool:
    try:
        return path.suffix.lower() == ".mcap" and not is_complete(path)
    except OSError:
        return False  # opening it says what is wrong
