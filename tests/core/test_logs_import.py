"""From a folder of logs to a store of episodes and a checkpoint: each file once, a damaged one skipped, what was dropped told."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.store_lock import store_lock
from adaptive_mbrl.data.stored_objective import load_objective
from adaptive_mbrl.training.config import read_train_config
from adaptive_mbrl.training.from_episodes import train_from_episodes
from tests.core.cart_logs import CART, DT, cart_log, write_csv

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "logs"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a lab: two logs in a folder, and their YAML file."""
    monkeypatch.chdir(tmp_path)
    Path("logs/monday").mkdir(parents=True)
    for number, path in enumerate(("logs/a.csv", "logs/monday/b.csv")):
        write_csv(Path(path), cart_log(DT * np.arange(10 + number), np.ones(10 + number)))
    Path("logs.yaml").write_text(yaml.safe_dump(CART))
    return tmp_path


def run(*files: str, config: str = "logs.yaml") -> int:
    return cli.main(["data", "import", *files, "--config", config, "--out", "episodes"])


def test_a_folder_becomes_a_batch_per_file(lab: Path, capsys: pytest.CaptureFixture[str]):
    assert run("logs") == 0

    store = EpisodeStore.open(Path("episodes"))
    assert [(len(e), e.tags["file"], e.tags["source"]) for e in store.episodes] == [(9, "a.csv", "log"), (10, "b.csv", "log")]
    assert [about["log"]["file"] for about in store.abouts] == ["a.csv", "b.csv"]
    printed = capsys.readouterr().out
    assert "logs/monday/b.csv\n" in printed
    assert "10 of 10 control steps kept" in printed
    assert printed.endswith("episodes: 2 episodes, 19 steps\n")


def test_a_file_is_imported_once_whatever_its_name(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("copy.csv").write_bytes(Path("logs/a.csv").read_bytes())
    assert run("logs", "copy.csv") == 0
    assert run("logs") == 0

    assert len(EpisodeStore.open(Path("episodes")).episodes) == 2
    assert capsys.readouterr().out.count(": imported already") == 3


def test_the_same_file_by_another_mapping_is_refused(lab: Path, capsys: pytest.CaptureFixture[str]):
    run("logs/a.csv")
    Path("other.yaml").write_text(yaml.safe_dump(CART | {"max_gap": 1.0}))

    assert run("logs/a.csv", config="other.yaml") == 2
    assert "a.csv: episodes holds its episodes already, by another mapping of columns" in capsys.readouterr().out


def test_another_robot_is_refused(lab: Path, capsys: pytest.CaptureFixture[str]):
    run("logs/a.csv")
    Path("other.yaml").write_text(yaml.safe_dump(CART | {"dt": 0.2}))

    assert run("logs/monday/b.csv", config="other.yaml") == 2
    assert "holds episodes of another robot: " in capsys.readouterr().err


def test_a_damaged_file_is_named_and_the_others_are_imported(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("logs/aa.npz").write_bytes(b"PK\x03\x04")

    assert run("logs", "missing.csv") == 2

    printed = capsys.readouterr()
    assert "skipped: logs/aa.npz: it is no NPZ archive of plain arrays" in printed.out
    assert "skipped: missing.csv: cannot be read: No such file or directory" in printed.out
    assert printed.err == "error: 2 of 4 files could not be imported: logs/aa.npz, missing.csv\n"
    assert len(EpisodeStore.open(Path("episodes")).episodes) == 2


def test_a_damaged_file_of_the_store_stands_in_nobodys_way(lab: Path, capsys: pytest.CaptureFixture[str]):
    run("logs/a.csv")
    shard = Path("episodes/000000.safetensors")
    shard.write_bytes(shard.read_bytes()[:-5])

    assert run("logs") == 0

    printed = capsys.readouterr().out
    assert f"Skipped: {shard}: damaged episode file" in printed
    # its episodes are imported again
    assert printed.endswith("episodes: 2 episodes, 19 steps\n")
    assert run("logs") == 0
    assert capsys.readouterr().out.count(": imported already") == 2


def test_two_imports_at_once_are_refused(lab: Path, capsys: pytest.CaptureFixture[str]):
    with store_lock(Path("episodes")):
        assert run("logs") == 2
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        assert capsys.readouterr().err == (
            f"error: episodes: {holder} is importing into this folder; wait until it has ended, or choose another --out folder\n"
        )
    assert not Path("episodes").exists()

    assert run("logs") == 0
    assert sorted(p.name for p in Path("episodes").iterdir()) == ["000000.safetensors", "000001.safetensors", "spec.yaml"]


def test_imports_that_start_together_store_each_file_once(lab: Path):
    for number in range(20):
        write_csv(Path(f"logs/{number}.csv"), cart_log(DT * np.arange(30 + number), np.ones(30 + number)))
    arguments = ["data", "import", "logs", "--config", "logs.yaml", "--out", "episodes"]
    code = f"import sys; from adaptive_mbrl.cli import main; sys.exit(main({arguments}))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) for _ in range(2)]

    assert 0 in [process.wait() for process in started]

    files = [about["log"]["file"] for about in EpisodeStore.open(Path("episodes")).abouts]
    assert len(files) == len(set(files)) == 22


def test_the_lock_of_a_killed_import_is_nobodys(lab: Path):
    Path("episodes").mkdir()
    Path("episodes/lock").write_text("process 1 on a-machine-that-is-gone")

    assert run("logs") == 0


def test_nothing_is_written_where_nothing_can_be_kept(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("logs.yaml").write_text(yaml.safe_dump(CART | {"min_steps": 50}))

    assert run("logs") == 2
    assert "dropped: 9 steps; at least 50 are needed" in capsys.readouterr().out
    assert not Path("episodes").exists()


def test_a_folder_without_logs_is_one_line(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("empty").mkdir()

    assert run("empty") == 2
    assert capsys.readouterr().err.startswith("error: empty: no log files in it; allowed: files that end in .csv, ")


def test_many_stretches_are_summed_up_by_their_outcome(lab: Path, capsys: pytest.CaptureFixture[str]):
    times = (DT * np.arange(10)[None, :] + 3.0 * np.arange(30)[:, None]).ravel()

    assert run(str(write_csv(Path("long.csv"), cart_log(times, np.ones(300))))) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["30", "0.00", "270", "kept"] in lines


def test_the_example_goes_from_logs_to_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_logs.py"])
    runpy.run_path(str(EXAMPLES / "make_logs.py"), run_name="__main__")

    mapping = str(EXAMPLES / "logs.yaml")
    assert cli.main(["data", "import", "runs/rover/logs", "--config", mapping, "--out", "runs/rover/episodes"]) == 0

    store = EpisodeStore.open(Path("runs/rover/episodes"))
    # every log has a gap and a change of the surface
    assert len(store.episodes) == 18
    assert len({str(e.tags["situation"]) for e in store.episodes}) == 12
    config = read_train_config(EXAMPLES / "train.yaml", ["updates_initial=3", "updates_final=0"])
    checkpoint = load_checkpoint(train_from_episodes(config, Path("runs/rover/model")))
    assert checkpoint.description.spec == store.spec


def test_the_objective_of_the_file_is_that_of_the_store(lab: Path):
    assert run("logs") == 0

    found = load_objective(Path("episodes"), EpisodeStore.check(Path("episodes")))
    assert (found is None) == ("objective" not in CART)
    Path("rewarded.yaml").write_text(yaml.safe_dump({**CART, "objective": [{"kind": "action_quadratic"}]}))
    words = ["data", "import", "logs", "--config", "rewarded.yaml", "--out", "rewarded"]
    assert cli.main(words) == 0
    rewarded = load_objective(Path("rewarded"), EpisodeStore.check(Path("rewarded")))
    assert rewarded is not None
    assert [term.kind for term in rewarded.terms] == ["action_quadratic"]


def test_a_new_file_by_another_mapping_is_noted(lab: Path, capsys: pytest.CaptureFixture[str]):
    assert run("logs/a.csv") == 0
    assert "another mapping" not in capsys.readouterr().out
    Path("other.yaml").write_text(yaml.safe_dump({**CART, "max_gap": 0.35}))

    assert run("logs/monday/b.csv", config="other.yaml") == 0

    assert "Note: other files in episodes were imported by another mapping of columns" in capsys.readouterr().out


def test_a_wrong_unit_of_time_is_guessed(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("other.yaml").write_text(yaml.safe_dump({**CART, "dt": 1e-5}))

    assert run("logs/a.csv", config="other.yaml") == 2

    printed = capsys.readouterr()
    assert "rows are 0.1 s apart, and 'dt' is 1e-05 s; is 'time.unit: s' right?" in printed.out
    assert "error: nothing was imported from 1 files; the tables above say why" in printed.err


def test_logs_without_stamps_are_said_to_be_taken_at_dt(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("other.yaml").write_text(yaml.safe_dump({name: value for name, value in CART.items() if name != "time"}))

    assert run("logs/a.csv", config="other.yaml") == 0

    assert "there is no 'time', so rows are taken to be 0.1 s apart, as 'dt' says" in capsys.readouterr().out


def test_commands_that_are_lost_with_the_end_of_a_line_are_told(lab: Path, capsys: pytest.CaptureFixture[str]):
    path = write_csv(Path("short.csv"), cart_log(DT * np.arange(40), np.ones(40)))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:21], *(line.rpartition(",")[0] for line in lines[21:])]))

    assert run("short.csv") == 0

    printed = capsys.readouterr().out
    assert "Note: 20 lines, the first of them line 22, have fewer cells than the first line has names (4)" in printed
    assert "20 of 20 control steps kept; 1.90 s more have no commands, and are dropped\n" in printed


def test_bags_and_tables_with_stamps_need_a_file_each(lab: Path, capsys: pytest.CaptureFixture[str]):
    Path("logs/drive.mcap").touch()

    assert run("logs") == 2

    said = (
        "skipped: logs/drive.mcap: logs.yaml: key 'time': the messages of a bag have stamps of their own; bags need a YAML file"
    )
    assert said in capsys.readouterr().out
    assert len(EpisodeStore.open(Path("episodes")).episodes) == 2


def test_a_unit_that_nobody_knows_is_named_before_and_after_the_tables(lab: Path, capsys: pytest.CaptureFixture[str]):
    obs = [{**CART["obs"][0], "unit": "furlong"}, CART["obs"][1]]
    Path("furlong.yaml").write_text(yaml.safe_dump({**CART, "obs": obs}))

    assert run("logs", config="furlong.yaml") == 0

    lines = capsys.readouterr().out.splitlines()
    assert "'furlong'" in lines[0]
    assert lines[-1] == lines[0]
