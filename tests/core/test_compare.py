"""`adaptive-mbrl compare`: runs side by side, seeds together, differences paired where episodes are shared."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from adaptive_mbrl import cli
from adaptive_mbrl.compare.entries import Entry, flat, read_entries, short_names
from adaptive_mbrl.compare.figures import figures_of
from adaptive_mbrl.compare.groups import differences, group_seeds
from adaptive_mbrl.compare.result import as_json, result_of
from adaptive_mbrl.config import load_yaml, save_yaml, to_mapping
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.intervals import mean_and_interval
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.report.figures import load_figures
from tests.core.point_recordings import SMALL, write_recordings
from tests.report_pages import read_page


def train(folder: Path, run: str, *settings: str) -> None:
    store, own = folder / "logs", (*SMALL, *settings)
    flags = ["--device", "cpu", "--logger", "none", "--no-report", "--no-compare"]
    assert cli.main(["train", "--data", str(store), "--run", str(folder / run), *flags, "--set", *own]) == 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs on the same recordings: two seeds of one configuration, and a wider model; do not change it."""
    folder = tmp_path_factory.mktemp("compared")
    write_recordings(folder / "logs")
    train(folder, "a/seed_0", "seed=0")
    train(folder, "a/seed_1", "seed=1")
    train(folder, "wide", "seed=0", "model.hidden=[24]")
    return folder


@pytest.fixture(scope="module")
def result(runs: Path) -> dict[str, object]:
    """What the command writes about them."""
    out = runs / "out.json"
    assert cli.main(["compare", str(runs / "a"), str(runs / "wide"), "--json", str(out), "--html", str(runs / "out.html")]) == 0
    return dict(json.loads(out.read_text(encoding="utf-8")))


def held_out_means(run: Path) -> dict[str, float]:
    last = sorted((run / "rounds").glob("[0-9]*"))[-1]
    figures = load_figures(last)
    assert figures is not None
    assert figures.held_out is not None
    return dict(zip(figures.held_out.episodes, np.array(figures.held_out.adapted).mean(1), strict=True))


def test_seeds_of_one_configuration_are_one_group(result: dict[str, object]):
    assert [(group["name"], len(group["runs"])) for group in result["groups"]] == [("a (2 seeds)", 2), ("wide", 1)]
    assert result["settings"] == {
        "model.hidden": {"a (2 seeds)": [16], "wide": [24]},
        "seed": {"a (2 seeds)": [0, 1], "wide": 0},
    }


def test_a_figure_of_one_run_has_an_interval_over_episodes_and_one_of_seeds_over_these(runs: Path, result: dict[str, object]):
    name = "error, mean of 15 steps, adapted"
    seeds, wide = (group["figures"][name] for group in result["groups"])

    mean, ends = mean_and_interval(np.array([*held_out_means(runs / "wide").values()]))
    assert (wide["over"], wide["num"]) == ("episodes", 2)
    np.testing.assert_allclose([wide["value"], *wide["ci95"]], [mean, *ends])
    values = [np.mean([*held_out_means(runs / "a" / f"seed_{i}").values()]) for i in (0, 1)]
    assert (seeds["over"], seeds["num"]) == ("seeds", 2)
    half = student.ppf(0.975, 1) * np.std(values, ddof=1) / np.sqrt(2)
    np.testing.assert_allclose([seeds["value"], *seeds["ci95"]], np.mean(values) + np.array([0, -half, half]))


def test_a_difference_is_paired_over_the_episodes_of_runs_of_the_same_seed(runs: Path, result: dict[str, object]):
    (paired,) = result["paired"]

    ours, theirs = held_out_means(runs / "wide"), held_out_means(runs / "a" / "seed_0")
    mean, ends = mean_and_interval(np.array([ours[name] - theirs[name] for name in ours]))
    assert (paired["ours"], paired["theirs"], paired["what"]) == ("wide", "a (2 seeds)", "held-out error")
    assert paired["figure"]["over"] == "episodes"
    assert paired["figure"]["num"] == len(ours) == 2
    np.testing.assert_allclose([paired["figure"]["value"], *paired["figure"]["ci95"]], [mean, *ends])


def test_the_terminal_shows_what_differs_and_what_comes_out(runs: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["compare", str(runs / "a" / "seed_0"), str(runs / "wide")]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["setting", "a/seed_0", "wide"] in lines
    assert ["model.hidden", "16", "24"] in lines
    assert ["outer", "steps", "8", "8"] in lines
    assert not any(line[:1] == ["window"] for line in lines)
    assert any(line[:5] == ["wide", "minus", "a/seed_0", "held-out", "error"] for line in lines)


def test_the_page_has_the_same_tables_and_the_curves_of_all(runs: Path, result: dict[str, object]):
    page = read_page((runs / "out.html").read_text(encoding="utf-8"))

    settings, figures, paired = page.tables
    assert settings[0] == ["setting", "a (2 seeds)", "wide"]
    assert [row[0] for row in settings[1:]] == [*result["settings"]]
    assert ["outer steps", "8", "8"] in figures
    assert paired[1][0] == "wide minus a (2 seeds)"
    assert page.pictures == [
        "validation loss, point_mass",
        "held-out error, point_mass",
        "error over the prediction horizon, point_mass",
    ]
    for label in ("a (2 seeds)", "wide"):
        assert sum(label in text for text in page.texts["svg"]) == 3


# --- runs that have little in common ------------------------------------------------------------------------------------------


def as_other_robot(run: Path) -> None:
    for path in run.rglob("checkpoint.yaml"):
        path.write_text(path.read_text().replace("name: point_mass\n", "name: other\n", 1))


def test_runs_of_different_robots_are_not_subtracted(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(runs / "wide", tmp_path / "copy")
    as_other_robot(tmp_path / "copy")

    assert cli.main(["compare", str(runs / "wide"), str(tmp_path / "copy")]) == 0

    out = capsys.readouterr().out
    assert "These are runs of different robots (point_mass, other)." in out
    assert "Paired" not in out


def test_runs_without_common_episodes_say_so():
    one, other = (Entry(name, "r", 0, {"a": name}, {}, None, {name: [1.0, 2.0]}) for name in "xy")

    assert result_of([one, other]).paired == ()
    assert result_of([one, other]).notes == ("No episodes in common with x, so nothing is paired: y.",)


def test_errors_over_horizons_of_different_lengths_are_compared_as_far_as_both_go():
    one = Entry("one", "r", 0, {"a": 1}, {}, None, {"e": [1.0, 3.0, 9.0]})
    other = Entry("other", "r", 0, {"a": 2}, {}, None, {"e": [2.0, 6.0]})

    (paired,) = result_of([one, other]).paired

    assert paired.figure.value == 4.0 - 2.0
    assert paired.figure.ci95 is None


def test_returns_are_paired_by_scenario_and_over_seeds_where_both_have_several():
    def entry(name: str, seed: int, setting: int, returns: dict[str, float]) -> Entry:
        return Entry(name, "r", seed, {"a": setting}, returns)

    entries = [
        entry("x/seed_0", 0, 1, {"p": 1.0, "q": 2.0}),
        entry("x/seed_1", 1, 1, {"r": 5.0}),
        entry("y/seed_0", 0, 2, {"p": 2.0, "q": 4.0, "s": 100.0}),
        entry("y/seed_1", 1, 2, {"r": 8.0}),
    ]

    (paired,) = result_of(entries).paired

    assert paired.figure.over == "seeds"
    assert paired.figure.num == 2
    assert paired.figure.value == pytest.approx((1.5 + 3.0) / 2)


def test_two_runs_of_the_same_seed_and_configuration_stay_apart():
    entries = [Entry(name, "r", 3, {"a": 1}, {}) for name in ("then", "now")]

    assert [group.label for group in group_seeds(entries)] == ["then", "now"]
    assert differences(group_seeds(entries)) == {}


def test_a_second_set_of_seeds_is_one_column_of_its_own():
    entries = [Entry(f"{folder}/seed_{i}", "r", i, {"a": 1}, {}) for folder in "ab" for i in range(3)]

    assert [group.label for group in group_seeds(entries)] == ["a (3 seeds)", "b (3 seeds)"]


def test_groups_that_a_folder_does_not_tell_apart_have_names_of_their_own():
    entries = [Entry(f"seed_{i}", "r", i, {"a": i // 2}, {}) for i in range(4)]

    result = result_of(entries)

    assert [group.label for group in result.groups] == ["seed_0, seed_1 (2 seeds)", "seed_2, seed_3 (2 seeds)"]
    assert as_json(result)["settings"]["a"] == {"seed_0, seed_1 (2 seeds)": 0, "seed_2, seed_3 (2 seeds)": 1}


def test_a_multi_task_model_takes_the_episodes_of_its_own_seed():
    paths = ["runs/train/c", "runs/train/c+seed=1"]
    entries = [Entry(p, "r", i, {"data.episodes_from": p}, {}) for i, p in enumerate(paths)]

    assert [group.label for group in group_seeds(entries)] == ["runs/train/c (2 seeds)"]


# --- configurations -----------------------------------------------------------------------------------------------------------


def test_a_kind_with_its_settings_is_a_name_and_the_settings_below_it():
    assert dict(flat({"a": [{"x": {"n": 1}}, {"y": {}}], "b": {"z": {}}, "c": {"d": [1, 2], "e": None}})) == {
        "a": "x, y",
        "a.x.n": 1,
        "b": "z",
        "c.d": [1, 2],
        "c.e": None,
    }


def test_settings_of_other_kinds_are_not_listed():
    """That the adaptation differs says it all."""
    configs = [to_mapping(TrainConfig("cartpole/mass_gain:train")), {**to_mapping(TrainConfig("cartpole/mass_gain:train"))}]
    configs[1]["adaptation"] = [{"none": {}}]
    groups = group_seeds([Entry(str(i), "r", 0, dict(flat(config)), {}) for i, config in enumerate(configs)])

    assert differences(groups) == {"adaptation": ["gradient", "none"]}


def test_names_are_as_short_as_they_can_be(tmp_path: Path):
    assert short_names([tmp_path / "a" / "x", tmp_path / "b" / "x"]) == ["a/x", "b/x"]
    assert short_names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert short_names([tmp_path / "a"]) == ["a"]


# --- reports of evaluations ---------------------------------------------------------------------------------------------------


def evaluation(path: Path, returns: dict[str, list[float]]) -> Path:
    """What of a report of `evaluate --json` is read."""
    scenarios = [{"robot": "r", "steps": 5, "seed": i, "changes": [], "last_change": 0} for i in range(2)]
    arms = {name: {"returns": values} for name, values in returns.items()}
    path.write_text(json.dumps({"scenario": "r/s:test", "scenarios": scenarios, "arms": arms, "config": {"robot": "r"}}))
    return path


def test_the_arms_of_a_report_are_put_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = evaluation(tmp_path / "mine.json", {"adaptive": [3.0, 5.0], "frozen": [1.0, 2.0]})

    assert cli.main(["compare", str(path)]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["return", "in", "the", "evaluation", "4", "[3,", "5]", "1.5", "[1,", "2]"] in lines
    assert "mine: frozen minus mine: adaptive return -2.5 [-3, -2] 2 episodes".split() in lines


def test_a_shipped_report_can_be_compared(capsys: pytest.CaptureFixture[str]):
    root = Path(__file__).resolve().parents[2]
    entries = read_entries([root / "docs" / "results" / "cartpole.json"])
    report = json.loads((root / "docs" / "results" / "cartpole.json").read_text())

    for entry in entries:
        arm = entry.name.partition(": ")[2]
        (group,) = group_seeds([entry])
        assert figures_of(group)["return in the evaluation"].value == pytest.approx(np.mean(report["arms"][arm]["returns"]))
    assert {"adaptive", "frozen"} <= {entry.name.partition(": ")[2] for entry in entries}


# --- mistakes -----------------------------------------------------------------------------------------------------------------


def test_mistakes_are_one_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "cut.json").write_text("{")
    (tmp_path / "benchmark.json").write_text('{"protocols": []}')
    for arguments, problem in (
        (["nowhere", "a"], "nowhere: nothing to compare is there; allowed: a run folder"),
        ([str(runs / "wide")], "compare: got wide alone; allowed: two or more runs"),
        ([str(runs / "a"), str(runs / "a" / "seed_0")], "seed_0 is given twice; give it once"),
        ([str(tmp_path / "list.json")], "list.json: is no report of an evaluation; allowed: a file that"),
        ([str(tmp_path / "cut.json")], "cut.json: cannot be read as JSON"),
        ([str(tmp_path / "benchmark.json")], "benchmark.json: is a benchmark's report, whose report.html compares its arms"),
        (["a", "b", "--html", "x.json"], "--html: x.json is no .html file"),
    ):
        assert cli.main(["compare", *arguments]) == 2
        error = capsys.readouterr().err
        assert problem in error
        assert error.count("\n") == 1


def test_a_run_of_another_version_says_which_key_is_in_the_way(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(runs / "wide", tmp_path / "old")
    path = tmp_path / "old" / "config.yaml"
    path.write_text(path.read_text().replace("shaping:", "shapping:", 1))

    assert cli.main(["compare", str(tmp_path / "old"), str(runs / "wide")]) == 2
    assert f"{path}: unknown key 'shapping'" in capsys.readouterr().err


def test_a_run_whose_episodes_are_gone_is_compared_by_what_it_recorded(runs: Path, tmp_path: Path):
    """The recordings may be on another machine by now."""
    shutil.copytree(runs / "wide", tmp_path / "wide")
    config = load_yaml(tmp_path / "wide" / "config.yaml", TrainConfig)
    data = dataclasses.replace(config.data, episodes_from=tmp_path / "gone")
    save_yaml(tmp_path / "wide" / "config.yaml", dataclasses.replace(config, data=data))

    (entry,) = read_entries([tmp_path / "wide"])

    assert entry.history is not None
    assert entry.history.store is None
    assert {name: pytest.approx(np.mean(row)) for name, row in entry.errors.items()} == held_out_means(runs / "wide")
    assert len(EpisodeStore.open(runs / "logs").episodes) == 8
