"""What a YAML file may hold, read off the dataclasses that it is loaded into: JSON Schemas for editors, and references in words.

`describe` walks a dataclass into a tree of `shapes`; `json_schema` and `words` are two ways to write the tree down.
`adaptive_mbrl/file_kinds.py` lists the kinds of files that there are.
"""

from adaptive_mbrl.schema.describe import Replaced, describe
from adaptive_mbrl.schema.json_schema import json_schema
from adaptive_mbrl.schema.shapes import Key, Record, Shape, records_of
from adaptive_mbrl.schema.words import default_in_words, type_in_words

__all__ = [
    "Key",
    "Record",
    "Replaced",
    "Shape",
    "default_in_words",
    "describe",
    "json_schema",
    "records_of",
    "type_in_words",
]
