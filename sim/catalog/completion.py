"""The sub-command `completion`: a script by which a shell completes commands, flags and the names of what is shipped.

tyro writes the script from the same dataclasses that it parses. For the script alone, fields that take shipped names are turned
into choices, and words such as those after `list` into sub-commands, because tyro completes these.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from tyro.conf import Positional

from adaptive_mbrl.cli import COMMANDS, GROUPS, parse_with, union_of
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import CompletionOptions
from sim.catalog.entries import names_of
from sim.paths import known_configs

_LISTS = {"robot": "robots", "scenario": "scenarios", "checkpoint": "checkpoints", "multitask": "checkpoints"}
_FOLDERS = {"suite": "suites", "config": "train"}
_AFTER_COMMAND = {("train-baseline", "config"): "baselines", ("data import", "config"): None}
_FILES_TOO = """
# where no name fits, files are completed
_adaptive_mbrl_or_files() {
  _tyro_adaptive_mbrl "$@"
  if [[ ${#COMPREPLY[@]} -eq 1 && -z ${COMPREPLY[0]} ]]; then COMPREPLY=(); fi
}
complete -o default -F _adaptive_mbrl_or_files adaptive-mbrl
"""


def completion(options: CompletionOptions) -> None:
    """Print the script of a shell."""
    print(script_for(options.shell), end="")


def script_for(shell: str) -> str:
    """The script.

    Args:
        shell: bash, zsh, fish or tcsh.

    Raises:
        ConfigError: the shell needs a package that is not installed.
    """
    groups, commands = dict(GROUPS), []
    for command in COMMANDS:
        members = list(_members(command.name, command.options))
        if len(members) > 1:
            groups[command.name] = (command.options.__doc__ or "").partition("\n")[0]
        commands += members
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            parse_with(union_of(commands, groups, brief=True), ["--tyro-print-completion", shell])
    except ImportError as error:
        raise ConfigError(f"completion for {shell} needs the package 'shtab'; pip install 'adaptive-mbrl[tcsh]'") from error
    return printed.getvalue() + (_FILES_TOO if shell == "bash" else "")


def _members(name: str, options: type) -> Iterator[tuple[str, type]]:
    """A command as the script knows it: itself, or one sub-command for each word that its positional argument may be."""
    annotated = typing.get_type_hints(options, include_extras=True)
    words = next((name for name, hint in annotated.items() if _is_word(hint)), None)
    fields = []
    for field in dataclasses.fields(options):
        names = _names_for(name, field.name)
        if names:
            # without a default: None is none of the choices
            fields.append((field.name, Literal[names], dataclasses.field()))
        elif field.name != words:
            fields.append((field.name, annotated[field.name], _default_of(field)))
    plain = dataclasses.make_dataclass(options.__name__, fields, kw_only=True)
    plain.__doc__ = options.__doc__
    if words is None:
        yield name, plain
        return
    for word in typing.get_args(typing.get_args(annotated[words])[0]):
        # a union cannot hold the same class twice
        yield f"{name} {word}", types.new_class(f"{options.__name__}_{word}", (plain,))


def _is_word(hint: Any) -> bool:
    """Whether a field of this type is a positional word, one of a few."""
    kind, *marks = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
    return marks == [*typing.get_args(Positional[str])[1:]] and typing.get_origin(kind) is Literal


def _names_for(command: str, field: str) -> tuple[str, ...]:
    """The shipped names that a flag takes; none if it takes no names."""
    if field in _LISTS:
        return tuple(names_of(_LISTS[field]))
    folder = _AFTER_COMMAND.get((command, field), _FOLDERS.get(field))
    return known_configs(folder) if folder else ()


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=field.default_factory)
    return dataclasses.field(default=field.default)
