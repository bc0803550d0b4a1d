"""What is wrong with the words of a command line, in one line that names the flag and what is allowed."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import EXIT_MISTAKE, ConfigError

_HELP = ("-h", "--help")
_FRAME = re.compile(r"[╭╮╰╯│─]+")
_QUOTED_AT_END = re.compile(r"['\"]([^'\"]*)['\"]$")
_TYPES: Mapping[Any, str] = {int: "a whole number", float: "a number", bool: "True or False"}


def require_known(arguments: Sequence[str], options: Mapping[str, type], groups: Mapping[str, str]) -> str:
    """Refuse a misspelt command or flag, and a flag that is given twice; everything else is left to the parser.

    Args:
        arguments: the words of the command line.
        options: dataclass of the flags of each command, by its name.
        groups: the words that begin the names of several commands.

    Returns:
        The name of the command; an empty text where only help is asked for.

    Raises:
        ConfigError: there is no such command, or it has no such flag.
    """
    first_words = [*dict.fromkeys(name.partition(" ")[0] for name in options)]
    if not arguments:
        raise ConfigError(f"no command given; commands: {', '.join(first_words)}; 'adaptive-mbrl --help' explains them")
    if arguments[0].startswith("-"):
        if arguments[0] not in _HELP and not arguments[0].startswith("--tyro-"):
            raise ConfigError(f"unknown flag '{arguments[0]}' before a command; allowed there: --help, --version")
        return ""
    _require_one_of("command", arguments[0], first_words)
    name, *words = arguments
    if name in groups:
        if words and words[0] in _HELP:
            return ""
        inner = [n.partition(" ")[2] for n in options if n.startswith(f"{name} ")]
        if not words:
            raise ConfigError(
                f"no command of {name} given; commands: {', '.join(inner)}; 'adaptive-mbrl {name} --help' explains them"
            )
        _require_one_of(f"command of {name}", words[0], inner)
        name, words = f"{name} {words[0]}", words[1:]
    _require_flags(name, words, options[name])
    return name


def _require_one_of(what: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise ConfigError(f"unknown {what} '{word}'{did_you_mean(word, known)}; commands: {', '.join(known)}")


def _require_flags(name: str, words: Sequence[str], options: type) -> None:
    # what is on by default can only be switched off
    flags = [f"--{'no-' * (field.default is True)}{field.name}".replace("_", "-") for field in dataclasses.fields(options)]
    allowed = {*flags, "--help"}
    seen = set()
    for word in words:
        flag = word.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in allowed:
            raise ConfigError(f"unknown flag '{word}' of {name}{did_you_mean(flag, flags)}; flags: {', '.join(flags)}")
        if flag in allowed and flag in seen:
            # the parser would keep the last one and drop the others without a word
            raise ConfigError(f"{flag} is given twice; give {_once(flag, options)}")
        seen.add(flag)


def _once(flag: str, options: type) -> str:
    """How a flag that was given twice is meant to be given."""
    takes_several = any(
        flag == f"--{field.name.replace('_', '-')}" and "tuple[" in str(field.type) for field in dataclasses.fields(options)
    )
    example = "a=1 b=2" if flag == "--set" else "A B"
    return f"all values behind one: {flag} {example}" if takes_several else "it once"


@contextlib.contextmanager
def in_one_line(command: str) -> Iterator[None]:
    """Turn what the parser has to say about wrong values into one `ConfigError`, instead of a frame of many lines.

    Args:
        command: name of the command.
    """
    box = io.StringIO()
    try:
        with _hook(command), contextlib.redirect_stderr(box):
            yield
    except SystemExit as end:
        if end.code != EXIT_MISTAKE:
            raise
        # a release of the parser that has no such hook, or a mistake that the hook does not know
        raise ConfigError(" ".join(_FRAME.sub(" ", box.getvalue()).split())) from None


def _hook(command: str) -> contextlib.AbstractContextManager[None]:
    """Have the parser tell its mistakes as data; this is a part of tyro that its releases may change."""
    try:
        from tyro._errors import on_parse_error
    except ImportError:
        return contextlib.nullcontext()

    def tell(event: Any) -> None:
        line = _LINES.get(type(event).__name__, lambda *_: None)(event, command)
        if line is not None:
            raise ConfigError(line)

    return on_parse_error(tell)


def _missing(event: Any, command: str) -> str | None:
    wanted = [context.arg for context in event.missing_arguments]
    several = "are" if len(wanted) > 1 else "is"
    names = " and ".join(_name(arg) for arg in wanted)
    return f"{command}: {names} {several} missing; give {' '.join(_usage(arg) for arg in wanted)}"


def _wrong_choice(event: Any, command: str) -> str | None:
    hint = did_you_mean(event.value, event.choices)
    return f"{_name(event.argument)}: got '{event.value}'{hint}; allowed: {', '.join(event.choices)}"


def _no_value(event: Any, command: str) -> str | None:
    return f"{_name(event.argument)}: no value behind it; allowed: {_allowed(event.argument)}"


def _wrong_type(event: Any, command: str) -> str | None:
    if event.argument is None:
        return None
    quoted = _QUOTED_AT_END.search(event.message)
    got = f"got '{quoted[1]}'" if quoted else event.message
    return f"{_name(event.argument)}: {got}; allowed: {_allowed(event.argument)}"


def _unexpected(event: Any, command: str) -> str | None:
    return f"{command}: unexpected '{event.tokens[0]}'; 'adaptive-mbrl {command} --help' shows what it takes"


_LINES: Mapping[str, Callable[[Any, str], str | None]] = {
    "MissingArgs": _missing,
    "InvalidChoice": _wrong_choice,
    "BadValue": _no_value,
    "InstantiationFailure": _wrong_type,
    "UnrecognizedArgs": _unexpected,
}
"""The line for each event of the parser, by the name of its class."""


def _name(argument: Any) -> str:
    """How a user calls an argument: its flag, or the word that stands for a positional one."""
    return _word(argument) if argument.is_positional() else str(argument.lowered.name_or_flags[-1])


def _word(argument: Any) -> str:
    return str(argument.field.intern_name).upper()


def _usage(argument: Any) -> str:
    if argument.is_positional():
        return _word(argument)
    return f"{_name(argument)} {argument.lowered.metavar}"


def _allowed(argument: Any) -> str:
    if argument.lowered.choices is not None:
        return ", ".join(argument.lowered.choices)
    kind = argument.field.type_stripped
    kinds = [kind, *getattr(kind, "__args__", ())]
    return next((_TYPES[k] for k in kinds if k in _TYPES), str(argument.lowered.metavar))
