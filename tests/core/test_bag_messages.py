"""Messages are read from their bytes by their definitions, as rosbags reads them, and what is no message is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.cdr import decoder
from adaptive_mbrl.logs.bags.definitions import types_of
from adaptive_mbrl.logs.bags.storage import Storage
from adaptive_mbrl.logs.bags.table import read_bag
from tests.core.bag_logs import STORE, joint_state, mcap_file, stamped_vector, write_bag

TYPES = sorted(STORE.fielddefs)


def random_value(kind: str, about: Any, rng: np.random.Generator, store: Any = STORE) -> Any:
    """A random value of a field, as rosbags takes it."""
    if kind == "NAME":
        return random_message(about, rng, store)
    if kind == "BASE" and about[0] == "string":
        return "é" * int(rng.integers(4))
    if kind == "BASE":
        value = random_numbers(about[0], 1, rng)[0].item()
        return bool(value) if about[0] == "bool" else value
    (inner, inner_about), size = about
    num = size if kind == "ARRAY" else int(rng.integers(4))
    if inner.name == "BASE" and inner_about[0] != "string":
        return random_numbers(inner_about[0], num, rng)
    return [random_value(inner.name, inner_about, rng, store) for _ in range(num)]


def random_numbers(base: str, num: int, rng: np.random.Generator) -> np.ndarray:
    dtype = np.dtype({"bool": "bool", "byte": "uint8", "char": "uint8"}.get(base, base))
    if dtype.kind == "f":
        return rng.normal(size=num).astype(dtype)
    return rng.integers(0, 2 if dtype.kind == "b" else 100, size=num).astype(dtype)


def random_message(name: str, rng: np.random.Generator, store: Any = STORE) -> Any:
    fields = {field: random_value(kind.name, about, rng, store) for field, (kind, about) in store.fielddefs[name][1]}
    return store.types[name](**fields)


def plain(message: Any) -> Any:
    """A message of rosbags as dictionaries and lists."""
    if hasattr(message, "__msgtype__"):
        return {name: plain(getattr(message, name)) for name, _ in STORE.fielddefs[message.__msgtype__][1]}
    if isinstance(message, dict):
        return {name: plain(value) for name, value in message.items()}
    if isinstance(message, np.ndarray | list):
        return [plain(entry) for entry in list(message)]
    return message.item() if isinstance(message, np.generic) else message


@pytest.mark.parametrize("little", [True, False], ids=["little", "big"])
def test_each_type_of_ros_2_is_read_as_rosbags_reads_it(little: bool):
    rng, types = np.random.default_rng(0), types_of([])
    for name in TYPES:
        decode = decoder(name, types)
        for _ in range(5):
            message = random_message(name, rng)
            raw = bytes(STORE.serialize_cdr(message, name, little_endian=little))
            assert plain(decode(raw)) == plain(STORE.deserialize_cdr(raw, name)), name


@pytest.mark.parametrize("raw", [b"", b"\0\1\0\0", b"\0\2\0\0" + b"\0" * 80, b"\0\1\0\0" + b"\xff" * 80], ids=range(4))
def test_bytes_that_are_no_message_are_refused(raw: bytes):
    with pytest.raises(ConfigError, match=r"no CDR|a message is no sensor_msgs/msg/JointState"):
        decoder("sensor_msgs/msg/JointState", types_of([]))(raw)


def test_a_message_that_ends_too_early_is_refused():
    raw = bytes(STORE.serialize_cdr(joint_state(1.0, ["a", "b"], [1.0, 2.0]), "sensor_msgs/msg/JointState"))
    decode = decoder("sensor_msgs/msg/JointState", types_of([]))
    for length in range(len(raw) - 8):  # what is left out at the end may be empty lists
        with pytest.raises(ConfigError, match=r"no CDR|a message is no"):
            decode(raw[:length])


# --- definitions in the bag ---------------------------------------------------------------------------------------------------

LEG = "bool down\nfloat32 load\nlab_msgs/Foot[2] feet\n"
FOOT = 'uint8 LEFT=0\nstring name "heel"\nint16 force\n'


@pytest.fixture
def lab_store() -> Any:
    """A type store that knows the messages of a lab."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(LEG, "lab_msgs/msg/Leg") | get_types_from_msg(FOOT, "lab_msgs/msg/Foot"))
    return store


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_messages_of_the_labs_own_are_read_by_the_definitions_in_the_bag(tmp_path: Path, lab_store: Any, storage: str):
    leg, foot = lab_store.types["lab_msgs/msg/Leg"], lab_store.types["lab_msgs/msg/Foot"]
    sent = [("/leg", 0.1 * k, leg(k > 1, 0.1 * k, [foot("heel", k), foot("toe", -k)])) for k in range(3)]
    bag = write_bag(tmp_path / "bag", sent, storage, lab_store)

    names = ("/leg.down", "/leg.load", "/leg.feet[1].force", "/leg.feet[toe].force")
    with pytest.raises(ConfigError, match=r"no list of names"):
        read_bag(bag, dict.fromkeys(names, "obs[0]"))
    table = read_bag(bag, dict.fromkeys(names[:3], "obs[0]"), as_written=["/leg.down", "/leg.load"])

    assert table.columns["/leg.down"].tolist() == ["0", "0", "1"]
    assert table.columns["/leg.load"].tolist() == ["0.0", "0.1", "0.2"]  # and not 0.10000000149
    assert table.columns["/leg.feet[1].force"].tolist() == [0.0, -1.0, -2.0]


def test_numbers_that_are_not_finite_are_counted(tmp_path: Path):
    sent = [("/push", 0.1 * k, stamped_vector(0.1 * k, x)) for k, x in enumerate([1.0, np.inf, 2.0, np.nan, 3.0])]
    bag = write_bag(tmp_path / "bag", sent)

    notes = read_bag(bag, {"/push.vector.x": "obs[0]", "/push.vector.y": "obs[1]"}).notes

    assert notes == ("numbers that are not finite (nan, inf) count as missing: 2 of '/push.vector.x'",)


def test_definitions_in_idl_are_read(tmp_path: Path, lab_store: Any):
    """The same bytes; the schema is rewritten to the form in which `ros2 bag record` stores types that are defined in IDL."""
    leg, foot = lab_store.types["lab_msgs/msg/Leg"], lab_store.types["lab_msgs/msg/Foot"]
    raw = bytes(lab_store.serialize_cdr(leg(True, 2.5, [foot("heel", 7), foot("toe", 8)]), "lab_msgs/msg/Leg"))
    line = "=" * 80 + "\n"
    idl = (
        f"{line}IDL: lab_msgs/msg/Leg\nmodule lab_msgs {{ module msg {{ typedef lab_msgs::msg::Foot lab_msgs__msg__Foot__2[2];\n"
        "struct Leg { boolean down; float load; lab_msgs__msg__Foot__2 feet; }; }; };\n"
        f"{line}IDL: lab_msgs/msg/Foot\nmodule lab_msgs {{ module msg {{ struct Foot {{ string name; int16 force; }}; }}; }};\n"
    )

    class Connection:
        topic, msgtype = "/leg", "lab_msgs/msg/Leg"

    from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

    Connection.msgdef = MessageDefinition(MessageDefinitionFormat.IDL, idl)  # type: ignore[attr-defined]
    types = types_of([Connection])

    assert decoder("lab_msgs/msg/Leg", types)(raw) == {
        "down": True,
        "load": 2.5,
        "feet": [{"name": "heel", "force": 7}, {"name": "toe", "force": 8}],
    }


def test_no_code_is_made_of_a_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab_store: Any):
    import builtins

    leg, foot = lab_store.types["lab_msgs/msg/Leg"], lab_store.types["lab_msgs/msg/Foot"]
    bag = write_bag(tmp_path / "bag", [("/leg", 0.0, leg(True, 1.0, [foot("a", 1), foot("b", 2)]))], store=lab_store)
    read_bag(bag, {"/leg.load": "obs[0]"})  # modules are loaded by then
    used: list[str] = []
    monkeypatch.setattr(builtins, "exec", lambda *arguments: used.append("exec"))
    monkeypatch.setattr(builtins, "eval", lambda *arguments: used.append("eval"))

    assert read_bag(bag, {"/leg.load": "obs[0]"}).columns["/leg.load"].tolist() == [1.0]
    assert used == []


def test_a_type_that_nobody_defines_is_one_line(tmp_path: Path, lab_store: Any):
    """Bags before ROS 2 Iron hold no definitions in SQLite."""
    import apsw

    leg, foot = lab_store.types["lab_msgs/msg/Leg"], lab_store.types["lab_msgs/msg/Foot"]
    bag = write_bag(tmp_path / "bag", [("/leg", 0.0, leg(True, 1.0, [foot("a", 1), foot("b", 2)]))], "sqlite3", lab_store)
    database = apsw.Connection(str(bag / "bag.db3"))
    database.execute("DELETE FROM message_definitions")
    database.close()

    with pytest.raises(ConfigError, match=r"no definition of lab_msgs/msg/Leg, neither in the bag nor among ROS 2's common"):
        read_bag(bag, {"/leg.load": "obs[0]"})


def test_other_encodings_are_named(tmp_path: Path):
    file = mcap_file(tmp_path / "a.mcap", [("/joints", 0.0, joint_state(0.0, ["a"], [1.0]))])
    content = file.read_bytes()
    file.write_bytes(content.replace(b"ros2msg", b"jschema"))
    with pytest.raises(ConfigError, match=r"not a recording of ROS 2 \('jschema'\); allowed: messages of ROS 2 in CDR"):
        Storage(file)
    file.write_bytes(content.replace(b"\4\0\0\0ros2", b"\4\0\0\0ros1", 1))
    with pytest.raises(ConfigError, match=r"not a recording of ROS 2 \(Profile is not ros2.\)"):
        Storage(file)
