"""The command `data stats`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.data.episodes import shard_files
from tests.core.sliders import slider, stored, with_obs


def test_stats_shows_channels_and_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(0, wind=0.0), slider(1, wind=8.0)], [slider(2, wind=8.0), slider(3)])

    assert cli.main(["data", "stats", str(folder), "--by", "wind", "--plot", str(tmp_path / "h.png")]) == 0

    out = capsys.readouterr().out
    assert "4 episodes of 'slider', 240 steps of 0.1 s" in out
    assert "hinge_velocity" in out
    counts = [line.split() for line in out.splitlines()]
    assert ["8", "2", "120", "12"] in counts
    assert ["(none)", "1", "60", "6"] in counts
    assert "Nothing looks wrong; compared with their velocities: slide_position, hinge_angle." in out
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


def test_stats_skips_and_names_a_torn_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(0)], [slider(1)])
    torn = shard_files(folder)[0]
    torn.write_bytes(torn.read_bytes()[:-10])

    assert cli.main(["data", "stats", str(folder)]) == 0

    out = capsys.readouterr().out
    assert "Skipped" in out
    assert "000000.safetensors: damaged" in out
    assert "1 episodes of 'slider', 60 steps" in out
    assert out.endswith("Warning: 1 damaged file was skipped (named above), so its episodes are not in these figures\n")
    assert "Nothing looks wrong" not in out


def test_stats_names_the_recording_that_the_others_hide(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wrong = with_obs(slider(9, file="run9.csv"), 3, -slider(9).obs[:, 3])
    folder = stored(tmp_path / "a", *([slider(i, file=f"run{i}.csv")] for i in range(9)), [wrong])

    assert cli.main(["data", "stats", str(folder)]) == 0

    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 1
    assert warnings[0].startswith("Warning: run9.csv: 'hinge_angle' changes -1.00 times as fast as 'hinge_velocity' says")


def test_what_most_recordings_have_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A channel that stays the same in each recording, but not over all of them."""
    recordings = [with_obs(slider(i, file=f"run{i}.csv"), 1, np.full(61, float(i))) for i in range(5)]
    folder = stored(tmp_path / "a", *([episode] for episode in recordings))

    assert cli.main(["data", "stats", str(folder)]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "'slide_velocity' is always" in line]
    assert lines == [
        "Warning: run0.csv: observation 'slide_velocity' is always 0 m/s; is it connected? (and in 4 more recordings)"
    ]


def test_values_are_listed_by_their_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = stored(tmp_path / "a", [slider(i, wind=wind) for i, wind in enumerate((10, 5, 0.5, 20))])

    assert cli.main(["data", "stats", str(folder), "--by", "wind"]) == 0

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row[1:2] == ["1"]] == ["0.5", "5", "10", "20"]
