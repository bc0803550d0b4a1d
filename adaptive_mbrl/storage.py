"""Files and folders that are written atomically: a reader sees the old content or the new one, never a half."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED = ".unfinished-"
"""Prefix of the names of temporary files and folders."""


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace the file `path`: write a temporary file beside it, flush it to disk, then rename it."""
    with _temporary_file(path, content) as temporary:
        os.replace(temporary, path)


def write_new_bytes_atomically(path: Path, content: bytes) -> bool:
    """Like `write_bytes_atomically`, but never replaces a file.

    Returns:
        Whether the file was written; False if there is one already, also one that another process has just written.
    """
    with _temporary_file(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            # a file system without hard links: an empty file takes the name, and is replaced at once
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                return False
            os.replace(temporary, path)
    return True


@contextmanager
def _temporary_file(path: Path, content: bytes) -> Iterator[Path]:
    """A complete file beside `path`, flushed to disk; it is deleted at the end, unless it has been renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{_UNFINISHED}{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Like `write_bytes_atomically`, for text in UTF-8."""
    write_bytes_atomically(path, text.encode("utf-8"))


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which gets the name `path` when the block ends without an error.

    `path` must not exist yet, because a folder cannot be replaced in one step. To write version after version, give each a new
    name and then write the newest name into a file with `write_text_atomically`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{_UNFINISHED}{path.name}-"))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def temporary_name(path: Path) -> Path:
    """A name beside `path` for something that is renamed to it when it is complete; `remove_leftovers` knows it."""
    return path.parent / f"{_UNFINISHED}{path.name}-{os.getpid()}"


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed writer left unfinished; call it only for a folder that no other process is writing to."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
