"""Repositories of the Hugging Face Hub, by its own client, which knows the user's token, the cache and working offline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.hub.layout import LIMITS, require_file
from adaptive_mbrl.hub.places import Repository

_OF_THE_HUB = (".gitattributes", ".gitignore")
"""Files that the Hub itself puts into a repository; they are not downloaded."""


def fetch(repository: Repository, folder: Path) -> None:
    """Write the files of a checkpoint into an empty folder; without a network they come from the client's cache.

    Raises:
        CheckpointError: there is no such repository or revision, it is neither reachable nor in the cache, or it holds something
            else than a checkpoint.
    """
    hub = extra_package("huggingface_hub", "hub")
    with _one_line(hub, repository):
        is_there = _checked(hub, repository)
        snapshot = hub.snapshot_download(
            repository.name, revision=repository.revision, allow_patterns=list(LIMITS), local_files_only=not is_there
        )
    for path in Path(snapshot).iterdir():
        require_file(path.name, path.stat().st_size, f"hf://{repository.name}")
        shutil.copyfile(path, folder / path.name)


def _checked(hub: Any, repository: Repository) -> bool:
    """Refuse what is no checkpoint before anything is downloaded.

    Returns:
        False if the Hub cannot be reached, so that only the cache is left.
    """
    try:
        about = hub.HfApi().model_info(repository.name, revision=repository.revision, files_metadata=True)
    except Exception as error:
        if _is_unreachable(error):
            return False
        raise
    for file in about.siblings:
        if file.rfilename not in _OF_THE_HUB:
            require_file(file.rfilename, file.size or 0, f"hf://{repository.name}")
    return True


def push(repository: Repository, folder: Path, *, private: bool) -> str:
    """Make the files of a folder the newest revision of a repository, which is made if it is missing.

    Args:
        repository: the repository, without a revision.
        folder: the files; those of a checkpoint that are not in it are deleted in the repository.
        private: whether a new repository can be seen by its owner only.

    Returns:
        The address of what was pushed.
    """
    hub = extra_package("huggingface_hub", "hub")
    with _one_line(hub, repository):
        api = hub.HfApi()
        api.create_repo(repository.name, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository.name,
            folder_path=folder,
            allow_patterns=list(LIMITS),
            delete_patterns=list(LIMITS),
            commit_message="A checkpoint of adaptive-mbrl",
        )
    return str(commit.commit_url)


@contextmanager
def _one_line(hub: Any, repository: Repository) -> Iterator[None]:
    """Turn what the client raises into an error of ours, with the first line of its message."""
    try:
        yield
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CheckpointError(f"hf://{repository.name}: {reason}") from error
    except Exception as error:
        if not _is_unreachable(error):
            raise
        raise CheckpointError(f"hf://{repository.name}: the Hub cannot be reached: {error}") from error


def _is_unreachable(error: Exception) -> bool:
    """Whether the client works offline, or its HTTP library, which differs between its versions, did not get through."""
    return any(kind.__name__ in ("TransportError", "ConnectionError", "Timeout") for kind in type(error).__mro__)
