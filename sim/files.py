"""What the YAML files of the simulation may hold, where their dataclasses alone do not say all of it."""

from __future__ import annotations

from dataclasses import replace

from adaptive_mbrl.schema import Key, Record, Shape, describe
from adaptive_mbrl.schema.shapes import Either, Row, Scalar, Sequence, Table
from sim.robot.config import RobotConfig
from sim.scenarios.change import ALLOWED, Change
from sim.scenarios.distribution import ChangeDistribution, Part, SplitFile
from sim.scenarios.draws import FORMS
from sim.scenarios.loading import ScenarioFile

_NUMBER, _NAMES = Scalar("number"), Sequence(Scalar("text"))


def robot() -> Record:
    """The file of a robot; a variant needs only the keys in which it differs."""
    return replace(describe(RobotConfig, name="robot"), instead="extends")


def scenario() -> Record:
    """The file of a single scenario."""
    at = Key("at", Scalar("whole number", low=0), "The control step before which the change is made.", required=True)
    scheduled = replace(_change(), name="ScheduledChange", keys=(at, *_change().keys))
    return describe(ScenarioFile, {(ScenarioFile, "changes"): Sequence(scheduled)}, name="scenario")


def split() -> Record:
    """The file of a split."""
    alternatives = Sequence(_drawn_change())
    return describe(
        SplitFile,
        {
            (Part, "initial"): alternatives,
            (ChangeDistribution, "alternatives"): alternatives,
            (ChangeDistribution, "at"): Either((Scalar("whole number", low=0), _range_of("steps", 0), _fraction())),
            (ChangeDistribution, "times"): Either((Scalar("whole number", low=1), _range_of("times", 1))),
        },
        name="split",
    )


def _change() -> Record:
    """A change with the ranges of its numbers."""
    record = describe(Change)
    # an environment's own parameters have limits of their own, which its file gives
    limited = (replace(key, shape=_limited(key.shape, *ALLOWED.get(key.name, (None, None)))) for key in record.keys)
    return replace(record, keys=tuple(limited))


def _limited(shape: Shape, low: float | None, high: float | None) -> Shape:
    match shape:
        case Scalar():
            return Scalar(shape.type, low, high)
        case Table():
            return Table(_limited(shape.item, low, high))
        case Row():
            return Row(tuple(_limited(item, low, high) for item in shape.items))
        case Either():
            return Either(tuple(_limited(option, low, high) for option in shape.options))
        case _:
            return shape


def _drawn_change() -> Record:
    """A change whose values may be drawn, as `sim.scenarios.draws` says."""
    weight = Key("weight", Scalar("number", low=0), "How much more often than the others it is drawn; 1 by default.", default=1.0)
    record = _change()
    drawn = (replace(key, shape=Either((*_options(_drawn(key.shape)), *_forms_for_names()))) for key in record.keys)
    return replace(record, name="DrawnChange", keys=(weight, *drawn))


def _options(shape: Shape) -> tuple[Shape, ...]:
    return shape.options if isinstance(shape, Either) else (shape,)


def _drawn(shape: Shape) -> Shape:
    match shape:
        case Scalar():
            return Either((shape, *_forms()))
        case Table():
            return Table(_drawn(shape.item), excluded=tuple(FORMS))
        case Row():
            return Either((Row(tuple(_drawn(item) for item in shape.items)), _choice()))
        case Either():
            return Either(tuple(option for one in shape.options for option in _options(_drawn(one))))
        case _:
            return shape


def _forms() -> tuple[Shape, ...]:
    uniform = Key("uniform", Row((_NUMBER, _NUMBER)), "The ends of the range.", required=True)
    return (Record("Range", "A number from a range, each one equally likely.", (uniform,)), _choice())


def _choice() -> Record:
    values = Key("choice", Sequence(Scalar("anything")), "The values; each may be drawn itself.", required=True)
    return Record("Choice", "One of several values, each one equally likely.", (values,))


def _forms_for_names() -> tuple[Shape, ...]:
    drawn = Either((_NUMBER, *_forms()))
    value = Key("value", Either((*drawn.options, Sequence(drawn))), "The value.", required=True)
    inverse = Key("inverse", _NAMES, "Names that get 1 / value.", default=[])

    def names(form: str) -> Key:
        return Key(form, _NAMES, "The names.", required=True)

    return (
        Record("OneOf", "A value for one name, drawn at random.", (names("one_of"), value)),
        Record("Each", "A value for every name, each with a draw of its own.", (names("each"), value)),
        Record("Same", "The same value for every name.", (names("same"), value, inverse)),
    )


def _range_of(what: str, low: int) -> Record:
    whole = Scalar("whole number", low=low)
    ends = Key("uniform", Row((whole, whole)), f"The smallest and the largest number of {what}.", required=True)
    return Record(f"RangeOf{what.capitalize()}", f"A number of {what}, each one equally likely.", (ends,))


def _fraction() -> Record:
    share = Scalar("number", low=0, high=1)
    ends = Key("fraction", Row((share, share)), "The first and the last share of the episode's steps.", required=True)
    return Record("RangeOfFractions", "A step within a share of the episode.", (ends,))
