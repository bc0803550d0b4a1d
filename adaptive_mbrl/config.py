"""Reads YAML files into frozen dataclasses and writes them back.

A dataclass is the schema of its file: an unknown key, a wrong type or a number out of range is an error that names the file, the
key and what is allowed. Nothing in a YAML file is ever executed.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import functools
import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from adaptive_mbrl.errors import ConfigError, NotYamlError
from adaptive_mbrl.storage import write_text_atomically

T = TypeVar("T")

MAX_SEED = 2**31 - 1
"""Largest seed that a user may give. Seeds that are counted up from it still fit every random generator."""


def bounded(default: Any = dataclasses.MISSING, *, low: float = -math.inf, high: float = math.inf) -> Any:
    """Declare a dataclass field whose numbers must lie in [low, high]; `from_mapping` checks it."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def load_yaml(path: str | Path, cls: type[T]) -> T:
    """Read a YAML file into the dataclass `cls`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key or value is wrong.
    """
    return from_mapping(cls, read_mapping(path), source=str(path))


def read_mapping(path: str | Path) -> Mapping[str, Any]:
    """Read a YAML file whose top level is a mapping."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        # whoever reads a file may change what it holds
        content = copy.deepcopy(_parsed(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-45
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise NotYamlError(f"{path}{line}: not valid YAML: {problem}") from error
    if not isinstance(content, Mapping):
        found = "it is empty" if content is None else f"got {type(content).__name__}"
        raise ConfigError(f"{path}: expected a mapping of keys to values, {found}")
    return content


def with_settings(content: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A copy of a file's content in which some values are replaced.

    Args:
        content: what `read_mapping` gives.
        settings: texts ``KEY=VALUE``; dots lead into nested mappings, and the value is YAML.

    Raises:
        ConfigError: a text has no ``=``, its value is not YAML, or its key leads into something that is no mapping.
    """
    changed = copy.deepcopy(dict(content))
    for setting in settings:
        key, equals, text = setting.partition("=")
        names = key.split(".")
        if not equals or not all(names):
            raise ConfigError(f"--set: got '{setting}'; expected KEY=VALUE, such as data.steps=100")
        try:
            value = copy.deepcopy(_parsed(text))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"--set: '{setting}': the value is not valid YAML") from error
        inner = changed
        for depth, name in enumerate(names[:-1], start=1):
            if inner.get(name) is None:
                # what is switched off is like what is not there
                inner[name] = {}
            elif inner[name] == names[depth]:
                # a kind may stand in the file without its settings
                inner[name] = {names[depth]: {}}
            inner = inner[name]
            if not isinstance(inner, dict):
                raise ConfigError(f"--set: '{setting}': key '{'.'.join(names[:depth])}' is {inner!r}, which has no keys")
        inner[names[-1]] = value
    return changed


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """Kept, because parsing takes long and the files of a robot and a split are asked for again and again."""
    return _StrictLoader(text).get_single_data()


class _StrictLoader(yaml.SafeLoader):
    """Reads plain YAML only, and refuses a key that a mapping has twice; PyYAML would silently drop the first one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping of the file; overrides a method of `yaml.SafeLoader`."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for i, key in enumerate(keys):
            if any(key.value == earlier.value for earlier in keys[:i]):
                raise yaml.constructor.ConstructorError(
                    problem=f"key '{key.value}' stands there twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def save_yaml(path: str | Path, config: Any) -> None:
    """Write a dataclass as YAML that `load_yaml` reads back to an equal object."""
    write_text_atomically(Path(path), yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True))


def to_mapping(config: Any) -> Any:
    """Turn a dataclass, with all dataclasses inside of it, into plain dicts, lists and scalars."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        values = {f.name: to_mapping(getattr(config, f.name)) for f in dataclasses.fields(config)}
        tag = getattr(config, "TAG", None)
        return values if tag is None else {tag: values}
    if isinstance(config, Mapping):
        return {str(k): to_mapping(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_mapping(v) for v in config]
    if isinstance(config, Path):
        return str(config)
    return config


def from_mapping(cls: type[T], values: Any, *, source: str, key: str = "") -> T:
    """Build the dataclass `cls` from plain values.

    Args:
        cls: the dataclass; its type hints are the schema.
        values: a mapping from field names to plain values, as YAML gives it.
        source: name of the file, for error messages.
        key: dotted path of `values` inside the file, for error messages.

    Raises:
        ConfigError: a key is unknown or missing, or a value is wrong.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{_where(source, key)}: expected a mapping, got {values!r}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            hint, allowed = did_you_mean(str(name), fields), ", ".join(fields)
            raise ConfigError(f"{source}: unknown key '{_join(key, str(name))}'{hint}; allowed keys: {allowed}")
    hints = _type_hints(cls)  # type: ignore[arg-type]
    kwargs = {}
    for name, field in fields.items():
        if name in values:
            path = _join(key, name)
            kwargs[name] = _convert(hints[name], values[name], source, path)
            _check_range(kwargs[name], field.metadata, source, path)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{source}: missing key '{_join(key, name)}'")
    try:
        return cls(**kwargs)
    except ConfigError as error:
        raise ConfigError(f"{_where(source, key)}: {error}") from error


_type_hints = functools.cache(typing.get_type_hints)


def _convert(hint: Any, value: Any, source: str, key: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if all(hasattr(option, "TAG") for option in _options(hint)):
        return _convert_tagged({option.TAG: option for option in _options(hint)}, value, source, key)
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type, hint), value, source=source, key=key)
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, source, key)
    if origin is Literal:
        word = "on" if value else "off"
        if isinstance(value, bool) and word in args:
            # YAML reads these words as truth values
            value = word
        if value not in args:
            raise ConfigError(
                f"{_where(source, key)}: got {value!r}{did_you_mean(str(value), args)}; allowed: {', '.join(map(str, args))}"
            )
        return value
    if origin in (tuple, list, Sequence):
        if args and not isinstance(value, list) and all(hasattr(option, "TAG") for option in _options(args[0])):
            # one entry may stand without the list
            return (_convert(args[0], value, source, key),)
        if not isinstance(value, list):
            raise ConfigError(f"{_where(source, key)}: expected a list, got {value!r}")
        if origin is tuple and args[-1] is not Ellipsis:
            if len(value) != len(args):
                raise ConfigError(f"{_where(source, key)}: expected {len(args)} values, got {len(value)}")
            return tuple(_convert(a, v, source, f"{key}[{i}]") for i, (a, v) in enumerate(zip(args, value, strict=True)))
        return tuple(_convert(args[0], v, source, f"{key}[{i}]") for i, v in enumerate(value))
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{_where(source, key)}: expected a mapping, got {value!r}")
        item = args[1] if args else Any
        return {str(k): _convert(item, v, source, _join(key, str(k))) for k, v in value.items()}
    return _convert_scalar(hint, value, source, key)


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union; what is no union is its only member."""
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)


def _convert_tagged(options: Mapping[str, type], value: Any, source: str, key: str) -> Any:
    """One of several dataclasses, named by its `TAG`: ``{tag: {settings}}``, or the tag alone for the default settings."""
    entry = {value: {}} if isinstance(value, str) else value
    allowed = ", ".join(options)
    if not isinstance(entry, Mapping) or len(entry) != 1:
        example = _example(options, value)
        raise ConfigError(
            f"{_where(source, key)}: expected one kind with its settings, such as {example}, got {value!r}; allowed: {allowed}"
        )
    (tag, settings), *_ = entry.items()
    if tag not in options:
        raise ConfigError(f"{_where(source, key)}: unknown kind '{tag}'{did_you_mean(str(tag), options)}; allowed: {allowed}")
    return from_mapping(options[tag], {} if settings is None else settings, source=source, key=_join(key, str(tag)))


def _example(options: Mapping[str, type], value: Any) -> str:
    """How an entry is written, with the kind that the author seems to have meant."""
    words = [*value, *value.values()] if isinstance(value, Mapping) else []
    meant = [tag for tag in options if tag in [word for word in words if isinstance(word, str)]]
    return f"{{{(meant or [*options])[0]}: {{}}}}"


def _convert_union(args: tuple[Any, ...], value: Any, source: str, key: str) -> Any:
    if value is None and type(None) in args:
        return None
    options = [a for a in args if a is not type(None)]
    if all(hasattr(option, "TAG") for option in options):
        return _convert_tagged({option.TAG: option for option in options}, value, source, key)
    problems = []
    for option in options:
        try:
            return _convert(option, value, source, key)
        except ConfigError as error:
            problems.append(error)
    # of all alternatives, the author most likely meant the one whose problem lies deepest in the file
    raise max(problems, key=lambda e: str(e).count(".") if isinstance(value, Mapping | list) else 0)


def _convert_scalar(hint: Any, value: Any, source: str, key: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not -sys.float_info.max <= value <= sys.float_info.max:
            raise ConfigError(f"{_where(source, key)}: expected a finite number, got {value!r}")
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3 as a text, but people mean the number
        try:
            return _convert_scalar(float, float(value), source, key)
        except ValueError:
            pass
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    expected = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", Path: "a path"}.get(
        hint, str(hint)
    )
    raise ConfigError(f"{_where(source, key)}: expected {expected}, got {value!r}")


def _check_range(value: Any, metadata: Mapping[str, Any], source: str, key: str) -> None:
    low, high = metadata.get("low", -math.inf), metadata.get("high", math.inf)
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)) and not low <= number <= high:
            raise ConfigError(f"{_where(source, key)}: {number} is out of range; allowed: {_range_text(low, high)}")


def _range_text(low: float, high: float) -> str:
    if high == math.inf:
        return f"at least {_number_text(low)}"
    if low == -math.inf:
        return f"at most {_number_text(high)}"
    return f"{_number_text(low)} to {_number_text(high)}"


def _number_text(number: float) -> str:
    # :g would round the largest seed to 2.14748e+09
    return str(number) if isinstance(number, int) else f"{number:g}"


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _where(source: str, key: str) -> str:
    return f"{source}: key '{key}'" if key else source


def did_you_mean(name: str, known: Iterable[object]) -> str:
    """The hint of an error message that names the known name nearest to an unknown one; empty if none is near."""
    close = difflib.get_close_matches(name, [str(k) for k in known], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
