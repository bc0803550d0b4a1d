"""Log files of each format are read as the same table, and a file that is none is one line."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.cells import numbers
from adaptive_mbrl.logs.tables import read_table
from tests.core.cart_logs import write_csv

COLUMNS = {"t": np.arange(4.0), "x": np.array([1.5, np.nan, -2.0, 0.25]), "floor": np.array(["ice", "", "mud", "mud"])}
POSE = np.arange(12.0).reshape(4, 3)
WANTED = {"t": "time.column", "x": "obs[0]", "floor": "tags.columns[0]"}


def write(path: Path) -> Path:
    """The columns in the format that the file's name asks for."""
    name = path.name
    if name.endswith((".csv", ".tsv")):
        return write_csv(path, COLUMNS, "\t" if name.endswith(".tsv") else ",")
    if name.endswith(".gz"):
        plain = write_csv(path.with_suffix(""), COLUMNS)
        path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    elif name.endswith(".npz"):
        np.savez(path, **COLUMNS, pose=POSE)
    elif name.endswith(".parquet"):
        pyarrow = pytest.importorskip("pyarrow", reason="needs the extra logs")
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra logs")
        texts = [cell or None for cell in COLUMNS["floor"].tolist()]
        parquet.write_table(pyarrow.table({**COLUMNS, "floor": texts, "pose": POSE.tolist()}), path)
    else:
        h5py = pytest.importorskip("h5py", reason="needs the extra logs")
        with h5py.File(path, "w") as file:
            file.update({"t": COLUMNS["t"], "robot/x": COLUMNS["x"], "robot/pose": POSE})
            file["floor"] = COLUMNS["floor"].tolist()
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "npz", "parquet", "h5", "hdf5"])
def test_each_format_gives_the_same_table(tmp_path: Path, ending: str):
    path = write(tmp_path / f"log.{ending}")
    prefix = "robot/" if ending in ("h5", "hdf5") else ""

    table = read_table(path, {"t": "", f"{prefix}x": "", "floor": ""}).columns

    assert list(table) == ["t", f"{prefix}x", "floor"]
    np.testing.assert_array_equal(table["t"], COLUMNS["t"])
    np.testing.assert_array_equal(numbers(table[f"{prefix}x"], "x"), COLUMNS["x"])
    assert table["floor"].tolist() == ["ice", "", "mud", "mud"]


@pytest.mark.parametrize("ending", ["npz", "parquet", "h5"])
def test_columns_of_an_array(tmp_path: Path, ending: str):
    path = write(tmp_path / f"log.{ending}")
    base = "robot/pose" if ending == "h5" else "pose"

    table = read_table(path, {f"{base}[0]": "", f"{base}.2": ""}).columns

    assert [column.tolist() for column in table.values()] == [POSE[:, 0].tolist(), POSE[:, 2].tolist()]
    for name in (base, f"{base}[3]"):
        with pytest.raises(ConfigError, match=r"has the shape \(4, 3\); allowed: '.*pose\[0\]' to '.*pose\[2\]'"):
            read_table(path, {name: "obs[0]"})


def test_texts_as_programs_write_them(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_text('\ufefft; x ;floor\r\n0; 1e-3;"a;b"\r\n\r\n1;;c\r\n2', encoding="utf-8")

    table = read_table(path, WANTED).columns

    assert table["t"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(table["x"], [0.001, np.nan, np.nan])
    assert table["floor"].tolist() == ["a;b", "c", ""]


def test_of_a_text_only_the_wanted_columns_are_kept(tmp_path: Path):
    path = tmp_path / "log.csv"
    row = ",".join(["0.123456"] * 50) + "\n"
    path.write_text(",".join(f"c{i}" for i in range(50)) + "\n" + row * 10_000)

    tracemalloc.start()
    try:
        table = read_table(path, {"c7": "", "c40": ""}).columns
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert {name: len(column) for name, column in table.items()} == {"c7": 10_000, "c40": 10_000}
    # a cell is 9 bytes on disk, and would be 57 as a text of Python's
    assert peak < path.stat().st_size


def test_a_column_may_say_late_that_it_has_texts(tmp_path: Path):
    path = write_csv(
        tmp_path / "log.csv", {"x": [1] * 2000 + ["?"], "t": [""] * 2000 + ["2024-05-31"], "floor": [7] * 2000 + ["ice"]}
    )

    table = read_table(path, WANTED, ["floor"]).columns

    assert table["floor"].tolist() == ["7"] * 2000 + ["ice"]
    assert table["t"].tolist() == [""] * 2000 + ["2024-05-31"]
    with pytest.raises(ConfigError, match="column 'x', row 2001: '\\?' is no number"):
        numbers(table["x"], "x")


def test_a_date_is_no_number_of_python(tmp_path: Path):
    path = write_csv(tmp_path / "log.csv", {"x": ["2024_05_31"]})

    with pytest.raises(ConfigError, match="column 'x', row 1: '2024_05_31' is no number"):
        numbers(read_table(path, {"x": ""}).columns["x"], "x")


def test_integers_of_which_some_are_missing_keep_their_digits(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra logs")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra logs")
    ids = [20240531142233123, None, 20240531142233125]
    pose = [None, [1.0, 2.0], [3.0, 4.0]]
    parquet.write_table(pyarrow.table({"id": ids, "x": [1, None, 3], "pose": pose}), tmp_path / "a.parquet")

    table = read_table(tmp_path / "a.parquet", {"id": "", "x": "", "pose[1]": ""}, ["id"]).columns

    assert table["id"].tolist() == ["20240531142233123", "", "20240531142233125"]
    np.testing.assert_array_equal(table["x"], [1, np.nan, 3])
    np.testing.assert_array_equal(table["pose[1]"], [np.nan, 2, 4])


def test_texts_in_bytes_are_texts(tmp_path: Path):
    np.savez(tmp_path / "a.npz", floor=np.array(["Grüße".encode(), b""]), x=np.array([b"1.5", b""]), bad=np.array([b"\xff"] * 2))

    table = read_table(tmp_path / "a.npz", {"floor": "", "x": ""}).columns

    assert table["floor"].tolist() == ["Grüße", ""]
    np.testing.assert_array_equal(numbers(table["x"], "x"), [1.5, np.nan])
    with pytest.raises(ConfigError, match=r"a\.npz: cannot be read"):
        read_table(tmp_path / "a.npz", {"bad": ""})


@pytest.mark.parametrize("dtype", ["complex128", "V4", [("a", "f4"), ("b", "f4")]])
def test_what_is_neither_number_text_nor_date_is_refused(tmp_path: Path, dtype: str | list):
    np.savez(tmp_path / "a.npz", x=np.zeros(4, dtype=dtype))

    with pytest.raises(ConfigError, match=r"a\.npz: column 'x' has the type .*; allowed: numbers, texts, truth values, dates"):
        read_table(tmp_path / "a.npz", {"x": ""}, ["x"])


def test_truth_values_and_numbers_that_are_not_finite():
    assert numbers(np.array([True, False]), "ended").tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(numbers(np.array([1.0, np.inf, -np.inf]), "x"), [1.0, np.nan, np.nan])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "it is empty; a first line with the names"),
        ("a.csv", b"t,x,x,floor\n", "its first line has the name 'x' twice"),
        ("a.csv", b"t,x,floor\n0,1,a\n0,1,a,9\n", "line 3 has 4 cells, and the first line 3 names"),
        ("a.csv", b"t,xx,floor\n", r"no column 'x' \(key 'obs\[0\]'\).*; columns: floor, t, xx"),
        ("a.csv", b"t,x,floor\n0,1,\xdc\n", "it is no text in UTF-8; allowed: UTF-8 only, so convert it"),
        ("a.csv", "t,x,floor\n0,1,a\n".encode("utf-16"), "it is no text in UTF-8; allowed: UTF-8 only, so convert it"),
        ("a.csv", "t,x,floor\n0,1,a\n".encode("utf-16-le"), "it is no text in UTF-8; allowed: UTF-8 only, so convert it"),
        ("a.csv.gz", gzip.compress(b"t,x,floor\n" * 99, mtime=0)[:-6], "cannot be read, it may be damaged"),
        ("a.npz", b"PK\x03\x04 and then nothing", "it is no NPZ archive of plain arrays"),
        ("a.npz", b"t,x,floor\n0,1,a\n", "it is no NPZ archive of plain arrays"),
        ("a.parquet", b"PAR1", "cannot be read, it may be damaged"),
        ("a.h5", b"\x89HDF\r\n", "cannot be read, it may be damaged"),
        ("a.xlsx", b"", r"not a log file; allowed: names that end in \.csv, "),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, message: str):
    for ending, package in ((".parquet", "pyarrow"), (".h5", "h5py")):
        if name.endswith(ending):
            pytest.importorskip(package, reason="needs the extra logs")
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigError, match=message) as error:
        read_table(tmp_path / name, WANTED)
    assert str(error.value).startswith(f"{tmp_path / name}: ")


def test_arrays_of_different_lengths_and_of_objects_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", t=np.arange(4.0), x=np.arange(3.0), o=np.array([{}], dtype=object))

    with pytest.raises(ConfigError, match="'t' has 4 rows and 'x' 3; allowed: columns of one length"):
        read_table(tmp_path / "a.npz", {"t": "", "x": ""})
    with pytest.raises(ConfigError, match="'o' is an array of Python objects; allowed: arrays of numbers, texts or dates"):
        read_table(tmp_path / "a.npz", {"o": ""})


def test_lines_with_too_few_cells_are_counted(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text('t,x,floor\n0,1,"a\nb"\n\n1,2\n2,3,a\n3\n')

    table = read_table(path, WANTED)

    assert table.lines is not None
    assert table.lines.tolist() == [2, 5, 6, 7]
    assert table.notes == (
        "2 lines, the first of them line 5, have fewer cells than the first line has names (3); those that are missing count as "
        "empty",
    )
    path.write_text("t,x,floor\n0,1\n")
    assert read_table(path, WANTED).notes[0].startswith("line 2 has fewer cells than the first line has names (3)")


def test_cells_that_are_not_finite_are_counted_and_empty_ones_are_not(tmp_path: Path):
    values = {"t": [0, 1, 2, 3], "x": ["1", "inf", "", "-Infinity"], "floor": ["nan", "ice", "", "ice"]}
    wanted = {"t": "", "x": ""}
    said = ("cells that are not finite (nan, inf) count as empty: 2 of 'x'",)

    assert read_table(write_csv(tmp_path / "a.csv", values), WANTED, ["floor"]).notes == said
    np.savez(tmp_path / "a.npz", t=np.arange(4), x=np.array([1, np.nan, 2, np.inf], np.float32))
    assert read_table(tmp_path / "a.npz", wanted).notes == said
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra logs")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra logs")
    parquet.write_table(pyarrow.table({"t": [0, 1, 2, 3], "x": [1.0, None, np.nan, np.inf]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", wanted).notes == said


def test_a_decimal_comma_is_told_and_where_it_stands_in_the_file(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("t;x\n\n0;1.0\n0,1;1.0\n")

    table = read_table(path, {"t": "", "x": ""})

    with pytest.raises(ConfigError, match="column 't', line 4: '0,1' is no number; use a decimal point"):
        numbers(table.columns["t"], "t", table.lines)


@pytest.mark.parametrize(("ending", "package"), [("parquet", "pyarrow"), ("h5", "h5py")])
def test_without_the_extra_logs_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, package: str):
    for name in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"a.{ending}").touch()

    with pytest.raises(ConfigError, match=rf"package '{package}' is not installed; pip install 'adaptive-mbrl\[logs\]'"):
        read_table(tmp_path / f"a.{ending}", WANTED)
