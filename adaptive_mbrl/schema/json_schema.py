"""JSON Schema (draft 2020-12) of a file, for editors and for other programs."""

from __future__ import annotations

from typing import Any

from adaptive_mbrl.schema.shapes import Choice, Either, Kinds, Nothing, Record, Row, Scalar, Sequence, Shape, Table, records_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {"number": "number", "whole number": "integer", "true or false": "boolean", "text": "string", "path": "string"}


def json_schema(root: Record, title: str) -> dict[str, Any]:
    """The schema of a file.

    Every record but the file itself stands once under `$defs`. The schema knows types, keys, choices and ranges. What depends on
    several keys, or on another file, only the loader knows.

    Args:
        root: what the file holds.
        title: name of the kind of file.
    """
    schema: dict[str, Any] = {"$schema": DIALECT, "title": title, **_object(root)}
    definitions = {record.name: _object(record) for record in records_of(root) if record.name != root.name}
    return schema | ({"$defs": definitions} if definitions else {})


def _object(record: Record) -> dict[str, Any]:
    properties = {}
    for key in record.keys:
        described = _schema(key.shape) | ({"description": key.documentation} if key.documentation else {})
        properties[key.name] = described if key.required or key.default is None else described | {"default": key.default}
    required = [key.name for key in record.keys if key.required]
    schema: dict[str, Any] = {"description": record.summary, "type": "object"}
    schema |= {"properties": properties, "additionalProperties": False}
    if required and record.instead is None:
        schema["required"] = required
    elif required:
        schema["anyOf"] = [{"required": [record.instead]}, {"required": required}]
    return schema


def _schema(shape: Shape) -> dict[str, Any]:
    match shape:
        case Scalar():
            return _scalar(shape)
        case Choice():
            return {"enum": list(shape.values)}
        case Nothing():
            return {"type": "null"}
        case Sequence():
            several = {"type": "array", "items": _schema(shape.item)}
            return {"anyOf": [several, _schema(shape.item)]} if shape.alone else several
        case Row():
            items = [_schema(item) for item in shape.items]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        case Table():
            return {"type": "object", **_names(shape), "additionalProperties": _schema(shape.item)}
        case Either():
            return {"anyOf": [_schema(option) for option in shape.options]}
        case Kinds():
            return _kinds(shape)
        case Record():
            return {"$ref": f"#/$defs/{shape.name}"}


def _names(shape: Table) -> dict[str, Any]:
    if shape.names:
        return {"propertyNames": {"enum": list(shape.names)}}
    return {"propertyNames": {"not": {"enum": list(shape.excluded)}}} if shape.excluded else {}


def _scalar(shape: Scalar) -> dict[str, Any]:
    if shape.type == "anything":
        return {}
    limits = {"minimum": shape.low, "exclusiveMinimum": shape.above, "maximum": shape.high}
    return {"type": _TYPES[shape.type]} | {name: limit for name, limit in limits.items() if limit is not None}


def _kinds(shape: Kinds) -> dict[str, Any]:
    """A tag alone stands for its default settings, and so does a tag whose settings are null."""
    alone = [record.tag for record in shape.records if not record.needs_settings]
    properties = {}
    for record in shape.records:
        settings: dict[str, Any] = {"$ref": f"#/$defs/{record.name}"}
        optional = {"anyOf": [settings, {"type": "null"}]}
        properties[str(record.tag)] = (settings if record.needs_settings else optional) | {"description": record.summary}
    named = {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [*([{"enum": alone}] if alone else []), named]}
