"""The files of an episode store: flat arrays of many episodes one after another; large ones are mapped instead of read.

A shard is one safetensors file. Its tensors are `obs` (rows, obs_dim), T + 1 rows for an episode of T steps, `action`
(steps, action_dim) and `reward` (steps,), float32, and `steps` (E,), int64, the T of each of the E episodes. Where some episodes
have measured stamps, these are in `stamps`, float64, T + 1 of each of them. Its metadata are the index: the tags of each episode,
facts about the batch, the schema's version, and a hash of all content. Opening a shard reads the metadata and `steps` only; a
page of the rest is read when somebody looks at it.

A shard without stamps is written in schema 2, which had none, so that equal content has equal hashes. Shards of schema 1 have one
tensor `i.obs`, `i.action` and `i.reward` for each episode i, and no hash. They can still be read.
"""

from __future__ import annotations

import functools
import hashlib
import json
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import CheckpointError

SCHEMA_VERSION = 3
_SCHEMA_WITHOUT_STAMPS = 2
READ_BELOW = 1 << 20
"""Files with fewer bytes are read at once; a mapping costs a descriptor, and a store may have thousands of small files."""
_FIELDS = ("obs", "action", "reward")
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}

Header = dict[str, str]
Tensors = dict[str, np.ndarray]


def shard_bytes(episodes: Sequence[Episode], about: dict[str, Any]) -> bytes:
    """The content of a file that holds these episodes and facts about them that JSON can hold."""
    return save_tensors(*_encoded(episodes, about))


def hash_of(episodes: Sequence[Episode], about: dict[str, Any]) -> str:
    """The hash of a shard of these episodes; equal content has equal hashes."""
    return _encoded(episodes, about)[1]["sha256"]


def read_shard(path: Path, batch: int = 0) -> tuple[list[Episode], dict[str, Any]]:
    """The episodes of a file, and the facts about them. The arrays of a large file stay on disk, and cannot be written to.

    Args:
        path: the file.
        batch: its number in the store, which the episodes say.

    Raises:
        CheckpointError: the file is not complete, or no shard.
    """
    tensors, header = _mapped(path)
    with _damage_named(path):
        if int(header.get("schema", 1)) > SCHEMA_VERSION:
            known = f"schema {header['schema']}; known: up to {SCHEMA_VERSION}"
            raise CheckpointError(f"{path}: written by a newer version of adaptive-mbrl ({known})")
        if "schema" not in header:
            return _read_schema_1(tensors, header, batch)
        return _episodes(tensors, json.loads(header["episodes"]), batch), json.loads(header["about"])


def written_hash(path: Path) -> str | None:
    """The hash that a shard was written with; None for one of schema 1."""
    return _mapped(path)[1].get("sha256")


def check_shard(path: Path) -> None:
    """Read all of a shard, and compare it with the hash that it was written with.

    Raises:
        CheckpointError: it is damaged, or is not what was written.
    """
    read_shard(path)
    tensors, header = _mapped(path)
    if "schema" not in header:
        return
    written = header.pop("sha256", None)
    if _hash(tensors, header) != written:
        raise CheckpointError(f"{path}: damaged episode file: its content is not what was written (another hash)")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path}: damaged episode file: {error}") from error


def _encoded(episodes: Sequence[Episode], about: dict[str, Any]) -> tuple[Tensors, Header]:
    tensors: Tensors = {"steps": np.array([len(e) for e in episodes], dtype=np.int64)}
    if episodes:
        tensors |= {name: np.concatenate([getattr(e, name) for e in episodes]).astype(np.float32) for name in _FIELDS}
    facts: list[dict[str, Any]] = [{"tags": e.tags, "history": e.history, "ended": e.ended} for e in episodes]
    schema = _SCHEMA_WITHOUT_STAMPS
    if stamps := [e.stamps for e in episodes if e.stamps is not None]:
        schema = SCHEMA_VERSION
        tensors["stamps"] = np.concatenate(stamps).astype(np.float64)
        facts = [{**of, "stamped": e.stamps is not None} for of, e in zip(facts, episodes, strict=True)]
    header = {"schema": str(schema), "about": json.dumps(about), "episodes": json.dumps(facts)}
    return tensors, {**header, "sha256": _hash(tensors, header)}


def _hash(tensors: Tensors, header: Header) -> str:
    digest = hashlib.sha256()
    for name in sorted(header):
        digest.update(f"{name}={header[name]}\n".encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def _mapped(path: Path) -> tuple[Tensors, Header]:
    """The tensors of a safetensors file as views of its content, and its metadata."""
    content = _content(path)
    size = len(content)
    with _damage_named(path):
        if size < 8:
            raise ValueError("it is empty")
        begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
        if begin > size:
            raise ValueError("it ends within its header")
        entries = json.loads(content[8:begin].tobytes())
        header = entries.pop("__metadata__")
        if not isinstance(header, dict):
            raise ValueError("its metadata are no texts")
        end = begin + max((e["data_offsets"][1] for e in entries.values()), default=0)
        if end != size:
            raise ValueError(f"it has {size} bytes; {end} were written")
        return {name: _view(content, begin, entry) for name, entry in entries.items()}, header


def _content(path: Path) -> np.ndarray:
    """The bytes of a file, as uint8."""
    if path.stat().st_size < READ_BELOW:
        return np.fromfile(path, np.uint8)
    _allow_many_files()
    try:
        return np.memmap(path, np.uint8, mode="r")
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be mapped: {error.strerror}; allowed: fewer files, or a higher 'ulimit -n'"
        ) from error


@functools.cache
def _allow_many_files() -> None:
    """Each mapped file keeps a descriptor; a shell allows 1024 at first, and this process may have as many as it is permitted."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _view(content: np.ndarray, begin: int, entry: dict[str, Any]) -> np.ndarray:
    low, high = entry["data_offsets"]
    flat = np.asarray(content[begin + low : begin + high])
    return flat.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _episodes(tensors: Tensors, index: Sequence[dict[str, Any]], batch: int) -> list[Episode]:
    lengths = tensors["steps"].tolist()
    if len(lengths) != len(index):
        raise ValueError(f"{len(index)} episodes in its index, {len(lengths)} in its arrays")
    if lengths:
        sizes = {name: len(tensors[name]) - (len(lengths) if name == "obs" else 0) for name in _FIELDS}
        if min(lengths) < 0 or set(sizes.values()) != {sum(lengths)}:
            raise ValueError(f"its episodes have {sum(lengths)} steps, its arrays {sizes}")
        if any(not 0 <= facts["history"] <= length for facts, length in zip(index, lengths, strict=True)):
            raise ValueError("an episode has a longer history than steps")
    stamps = _stamps(tensors, index, lengths)
    found, at = [], 0
    for number, (length, facts) in enumerate(zip(lengths, index, strict=True)):
        rows = slice(at, at + length)
        obs = tensors["obs"][at + number : at + number + length + 1]
        own = {name: value for name, value in facts.items() if name != "stamped"}
        found.append(Episode(obs, tensors["action"][rows], tensors["reward"][rows], **own, batch=batch, stamps=stamps[number]))
        at += length
    return found


def _stamps(tensors: Tensors, index: Sequence[dict[str, Any]], lengths: Sequence[int]) -> list[np.ndarray | None]:
    """The stamps of each episode."""
    sizes = [length + 1 if facts.get("stamped") else 0 for facts, length in zip(index, lengths, strict=True)]
    if sum(sizes) != len(tensors.get("stamps", ())):
        raise ValueError(f"its episodes have {sum(sizes)} stamps, its array {len(tensors.get('stamps', ()))}")
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    return [tensors["stamps"][end - size : end] if size else None for size, end in zip(sizes, ends, strict=True)]


def _read_schema_1(tensors: Tensors, header: Header, batch: int) -> tuple[list[Episode], dict[str, Any]]:
    about = json.loads(header.pop("about"))
    episodes = [
        Episode(tensors[f"{i}.obs"], tensors[f"{i}.action"], tensors[f"{i}.reward"], **json.loads(header[str(i)]), batch=batch)
        for i in range(len(header))
    ]
    return episodes, about
