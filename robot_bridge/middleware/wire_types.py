"""Numbers as ROS 2 messages hold them: how many bits, and whether there is a sign.

Python has one type of integer and one of float; the annotations say which one goes over the wire. Names are those of ROS 2's
messages of a single number, which is why they are in a module of their own.
"""

from __future__ import annotations

from typing import Annotated

Int8 = Annotated[int, "int8"]
UInt8 = Annotated[int, "uint8"]
Byte = Annotated[int, "byte"]
"""Eight bits; ROS 2 tells it from `uint8` by name."""
Int16 = Annotated[int, "int16"]
UInt16 = Annotated[int, "uint16"]
Int32 = Annotated[int, "int32"]
UInt32 = Annotated[int, "uint32"]
Int64 = Annotated[int, "int64"]
UInt64 = Annotated[int, "uint64"]
Float32 = Annotated[float, "float32"]
Float64 = Annotated[float, "float64"]
