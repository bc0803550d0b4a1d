"""The sub-command `validate`: which of some YAML files are right, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import did_you_mean, read_mapping
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError, NotYamlError
from adaptive_mbrl.file_kinds import FILE_KINDS, FileKind
from adaptive_mbrl.options import ValidateOptions

_ENDINGS = (".yaml", ".yml")


def validate(options: ValidateOptions) -> None:
    """Print one line for each file.

    Raises:
        ConfigError: some files are wrong.
    """
    kind = next((kind for kind in FILE_KINDS if kind.name == options.kind), None)
    checked = wrong = 0
    for path in options.files:
        for file in _files_in(path):
            found = kind or kind_of(file)
            if found is None and path.is_dir() and _is_yaml(file):
                print(f"not ours  {file}")
                continue
            checked += 1
            problem = _problem(file, found)
            wrong += problem is not None
            print(f"ok {found.name:<14}{file}" if found is not None and problem is None else f"error: {problem}", flush=True)
    if wrong:
        raise ConfigError(f"{wrong} of {checked} files {'is' if wrong == 1 else 'are'} wrong")
    if not checked:
        raise ConfigError(
            f"{', '.join(map(str, options.files))}: no YAML file of ours; 'adaptive-mbrl validate --help' lists the kinds"
        )


def kind_of(path: Path) -> FileKind | None:
    """The kind of a file, by its keys, and where these fit several kinds by its folder; None if it is none of ours.

    A file that cannot be read has no keys; only its folder tells then what it was meant to be. A Python file is a robot.
    """
    if path.suffix == ".py":
        return next(kind for kind in FILE_KINDS if kind.name == "environment")
    folders = path.absolute().parent.parts
    by_folder = [kind for kind in FILE_KINDS if kind.folder in folders]
    try:
        content = read_mapping(path)
    except ConfigError:
        return next(iter(by_folder), None)
    ranked = [(_fit(kind, content), kind in by_folder, -i) for i, kind in enumerate(FILE_KINDS)]
    (fit, _), _, number = max(ranked)
    return FILE_KINDS[-number] if fit > 0.5 else None


def _is_yaml(path: Path) -> bool:
    try:
        read_mapping(path)
    except NotYamlError:
        return False
    except ConfigError:
        # a list, or nothing at all, is a YAML file of somebody else; what is no YAML may have been meant to be one of ours
        return True
    return True


def _fit(kind: FileKind, content: Iterable[Any]) -> tuple[float, int]:
    """How well a kind fits a file: the share of its keys that the kind knows, nearly right ones by half, and the missing keys."""
    names = [str(name) for name in content]
    record = kind.describe()
    known = {key.name for key in record.keys}
    known_or_near = sum(1.0 if name in known else 0.5 * bool(did_you_mean(name, known)) for name in names)
    is_variant = record.instead is not None and record.instead in names
    missing = sum(key.required and key.name not in names for key in record.keys if not is_variant)
    return known_or_near / max(len(names), 1), -missing


def _files_in(path: Path) -> Iterator[Path]:
    """A file itself, or the YAML files in a folder."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.suffix in _ENDINGS and file.is_file())
    else:
        yield path


def _problem(path: Path, kind: FileKind | None) -> str | None:
    """What is wrong with a file, in one line; None if it is right."""
    try:
        if kind is None:
            content = read_mapping(path)
            raise ConfigError(
                f"{path}: which kind of file is this? its keys are {', '.join(map(str, content))}; "
                f"give --kind: {', '.join(kind.name for kind in FILE_KINDS)}"
            )
        kind.check(path)
    except AdaptiveMBRLError as error:
        line = " ".join(str(error).split())
        return line if str(path) in line else f"{path}: {line}"
    return None
