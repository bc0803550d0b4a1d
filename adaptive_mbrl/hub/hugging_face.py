"""Repositories of the Hugging Face Hub, by its own client, which knows the user's token, the cache and working offline."""

from __future__ import annotations

import shutil
import sys
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


def fetch_repository(repository: Repository, folder: Path) -> None:
    """Write the files of a checkpoint into an empty folder; without a network they come from the client's cache.

    Raises:
        CheckpointError: there is no such repository or revision, it is neither reachable nor in the cache, or it holds something
            else than a checkpoint.
    """
    hub = _client()
    with _one_line(repository):
        is_there = _checked(hub, repository)
        snapshot = hub.snapshot_download(
            repository.name, revision=repository.revision, allow_patterns=list(LIMITS), local_files_only=not is_there
        )
    # of a repository without any such file the client makes no folder
    for path in sorted(Path(snapshot).glob("*")):
        require_file(path.name, path.stat().st_size, f"hf://{repository.name}")
        shutil.copyfile(path, folder / path.name)


def _client() -> Any:
    hub = extra_package("huggingface_hub", "hub")
    if not sys.stderr.isatty():
        extra_package("huggingface_hub.utils", "hub").disable_progress_bars()
    return hub


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


def push_repository(repository: Repository, folder: Path, *, private: bool) -> str:
    """Make the files of a folder the newest revision of a repository, which is made if it is missing.

    Args:
        repository: the repository, without a revision.
        folder: the files; those of a checkpoint that are not in it are deleted in the repository.
        private: whether a new repository can be seen by its owner only.

    Returns:
        The address of what was pushed.
    """
    hub = _client()
    with _one_line(repository):
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
def _one_line(repository: Repository) -> Iterator[None]:
    """Turn what the client raises into an error of ours, in one line."""
    try:
        yield
    except Exception as error:
        reason = _reason(repository, error)
        if reason is None:
            raise
        raise CheckpointError(f"hf://{repository.name}: {reason}") from error


def _reason(repository: Repository, error: Exception) -> str | None:
    """What went wrong, in words; None for an error that is not about the Hub."""
    errors: Any = extra_package("huggingface_hub.errors", "hub")
    if isinstance(error, errors.RevisionNotFoundError):
        return f"has no revision '{repository.revision}'"
    if isinstance(error, errors.GatedRepoError | errors.RepositoryNotFoundError):
        return "no such repository, or it is not open to you; who may see it logs in with 'hf auth login'"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "the Hub cannot be reached, and this revision is not in the cache"
    if isinstance(error, errors.HfHubHTTPError):
        said = error.server_message or str(error).partition("\n")[0]
        return f"the Hub refused: {said}"
    if isinstance(error, errors.HFValidationError):
        return str(error)
    return f"the Hub cannot be reached: {error}" if _is_unreachable(error) else None


def _is_unreachable(error: Exception) -> bool:
    """Whether the client works offline, or its HTTP library, which differs between its versions, did not get through."""
    return any(kind.__name__ in ("TransportError", "ConnectionError", "Timeout") for kind in type(error).__mro__)
