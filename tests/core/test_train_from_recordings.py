"""`train --data`: from recordings alone to a checkpoint that is compared with the multi-task model, and says so in its card."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml, with_settings
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.stored_objective import save_objective
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.training import from_episodes
from adaptive_mbrl.training.comparison import compare
from adaptive_mbrl.training.config import FROM_RECORDINGS, TrainConfig, config_for_recordings
from adaptive_mbrl.training.rounds import RoundRecord
from tests.core.analytic import POINT, point_episodes
from tests.core.point_recordings import SMALL, write_recordings
from tests.core.point_training import QUERY, WINDOW, point_dataset, point_trainer


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_recordings(Path("logs"))


def train(*flags: str) -> int:
    return cli.main(["train", "--data", "logs", "--device", "cpu", "--no-report", *flags, "--set", *SMALL])


def test_recordings_alone_give_a_checkpoint_and_a_comparison(recordings: Path, capsys: pytest.CaptureFixture[str]):
    assert train("--run", "run") == 0

    out = capsys.readouterr().out
    assert "of the multi-task model. Adapting saves" in out
    assert out.endswith("Checkpoint: run/checkpoint\n")
    config = load_yaml(Path("run/config.yaml"), TrainConfig)
    assert config.data.episodes_from == Path("logs")
    assert [rule.TAG for rule in config.adaptation] == ["context", "bayes_linear"]
    other = load_yaml(Path("run/multitask/config.yaml"), TrainConfig)
    assert dataclasses.replace(other, adaptation=config.adaptation) == config
    assert load_checkpoint("run/multitask/checkpoint").description.is_multitask
    card = Path("run/checkpoint/README.md").read_text()
    assert "| trained on | 6 | 240 |" in card
    assert "| held out | 2 | 80 |" in card
    assert "| transitions seen | 0 | 1 | 2 | 4 | multi-task |" in card
    assert "| gain 3 | 2 |" in card


def test_a_run_that_was_stopped_in_its_first_round_goes_on_with_the_files_that_it_began_with(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
):
    """A store grows while a robot runs."""
    monkeypatch.setattr(MetaTrainer, "validate", lambda *args: os.kill(os.getpid(), signal.SIGTERM) or {})
    with pytest.raises(SystemExit) as caught:
        train("--run", "run", "--save-every", "0", "--no-compare")
    assert caught.value.code == 0
    monkeypatch.undo()
    monkeypatch.chdir(recordings.parent)
    EpisodeStore.open(Path("logs")).append(point_episodes(2, seed=9))

    assert train("--run", "run", "--no-compare") == 0

    assert load_yaml(Path("run/rounds/001/round.yaml"), RoundRecord).env_steps == 8 * 40


def test_sigterm_between_the_trainings_ends_them_with_a_hint(
    recordings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(from_episodes, "compare", lambda *args: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        train("--run", "run")

    assert caught.value.code == 0
    assert "stopped; what is done is kept, go on with: adaptive-mbrl train --data logs" in capsys.readouterr().err


def test_the_run_goes_on_where_it_stopped_and_is_left_alone_when_it_is_done(recordings: Path):
    assert train("--run", "run") == 0
    before = {p: p.read_bytes() for p in Path("run").rglob("*.safetensors")}

    assert train("--run", "run", "--resume") == 0

    assert {p: p.read_bytes() for p in Path("run").rglob("*.safetensors")} == before


def test_both_models_are_trained_on_the_same_files_although_others_come_meanwhile(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
):
    """Interrupted between the two trainings, while somebody imports; then run again."""
    assert train("--run", "whole") == 0

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(from_episodes, "load_checkpoint", interrupted)
        with pytest.raises(SystemExit):
            train("--run", "run")
    assert not Path("run/multitask").exists()
    EpisodeStore.open(Path("logs")).append(point_episodes(5, seed=9))
    assert train("--run", "run") == 0

    for path in ("checkpoint/weights.safetensors", "multitask/checkpoint/weights.safetensors"):
        assert Path("run", path).read_bytes() == Path("whole", path).read_bytes()
    assert "| trained on | 6 | 240 |" in Path("run/checkpoint/README.md").read_text()


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize(("where", "what"), [("obs", "observation"), ("action", "action")])
def test_a_number_that_is_not_finite_is_no_divergence(
    where: str, what: str, held_out: bool, recordings: Path, capsys: pytest.CaptureFixture[str]
):
    (bad,) = point_episodes(1, seed=0)
    getattr(bad, where)[7, 0] = float("nan")
    tags = {"file": "run9.csv", **({"validation": True} if held_out else {})}
    EpisodeStore.open(Path("logs")).append([dataclasses.replace(bad, tags=tags)])

    assert train("--run", "run") == 2

    assert f"{what} is not finite: step 7 of episode 8 (run9.csv); 'adaptive-mbrl data check'" in capsys.readouterr().err
    assert not Path("run").exists()


def test_a_configuration_of_the_simulator_is_refused(recordings: Path, capsys: pytest.CaptureFixture[str]):
    assert train("--config", "cartpole") == 2
    assert "--data: cartpole names scenarios, which need a simulator; allowed:" in capsys.readouterr().err


def test_nothing_is_compared_where_nothing_is_asked_for(recordings: Path):
    assert train("--run", "run", "--no-compare") == 0

    assert not Path("run/multitask").exists()
    assert not Path("run/checkpoint/README.md").exists()


def test_without_held_out_episodes_the_card_says_so(recordings: Path, capsys: pytest.CaptureFixture[str]):
    store = EpisodeStore.open(Path("others"), POINT)
    store.append(point_episodes(3, seed=0))

    words = ["train", "--data", "others", "--device", "cpu", "--run", "run", "--set", *SMALL, "data.validation_fraction=0"]
    assert cli.main(words) == 0

    assert "Nothing was compared, because no episode is held out." in capsys.readouterr().out
    assert "nothing says whether adapting pays" in Path("run/checkpoint/README.md").read_text()


def test_the_objective_of_the_recordings_is_that_of_the_checkpoint(recordings: Path):
    save_objective(recordings, Objective(POINT, (Term("action_quadratic", weight=0.5),), ()))

    assert train("--run", "run", "--no-compare") == 0

    (term,) = load_checkpoint("run/checkpoint").description.terms
    assert (term.kind, term.weight) == ("action_quadratic", 0.5)


def test_a_damaged_file_is_named_and_the_rest_is_trained_on(recordings: Path, capsys: pytest.CaptureFixture[str]):
    torn = shard_files(recordings)[1]
    torn.write_bytes(torn.read_bytes()[:-5])

    assert train("--run", "run") == 0

    assert "Left out: logs/000001.safetensors: damaged episode file" in capsys.readouterr().out
    assert "| trained on | 4 | 160 |" in Path("run/checkpoint/README.md").read_text()


def test_a_configuration_says_what_is_trained_and_data_on_what(recordings: Path):
    Path("mine.yaml").write_text("adaptation: none\nobjective: [{kind: action_quadratic}]\n")

    assert train("--config", "mine.yaml", "--run", "run") == 0

    about = load_checkpoint("run/checkpoint").description
    assert about.is_multitask
    assert [term.kind for term in about.terms] == ["action_quadratic"]
    assert not Path("run/multitask").exists()


def test_a_file_may_name_some_keys_of_a_group_only(recordings: Path):
    Path("mine.yaml").write_text("outer: {query: 4}\nmodel: {hidden: [16]}\nadaptation: none\n")

    config = config_for_recordings(Path("mine.yaml"), TrainOptions("mine.yaml", recordings).settings)

    expected = FROM_RECORDINGS["outer"] | {"query": 4}
    assert {key: getattr(config.outer, key) for key in expected} == expected
    assert (config.model.hidden, config.model.members) == ((16,), FROM_RECORDINGS["model"]["members"])
    assert config.adaptation == (NoneConfig(),)


def test_the_folder_of_the_run_is_named_after_the_recordings():
    assert TrainOptions(data=Path("a/flights")).run_folder == Path("runs/train/flights")
    assert TrainOptions("c/mine.yaml", Path("a/flights")).run_folder == Path("runs/train/mine")


@pytest.mark.parametrize("name", ["a: b", "it's {x}", "#1"])
def test_a_folder_may_have_any_name(name: str):
    (setting, _) = TrainOptions(data=Path(name)).settings

    assert with_settings({}, [setting]) == {"data": {"episodes_from": name}}


def test_neither_a_configuration_nor_data_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err == "error: train: got neither of --config and --data; give one, or both\n"


def test_data_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)

    assert cli.main(["train", "--data", "nowhere"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --data: nowhere holds no episodes; allowed: ")
    assert not Path("runs").exists()


def test_a_window_that_no_episode_could_fill_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    write_recordings(tmp_path / "recordings")

    assert cli.main(["train", "--data", "recordings", "--run", "run", "--logger", "none", "--set", *SMALL, "window=41"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "error: --data: key 'window': 41 transitions are more than any episode has; allowed: at most 40, as in the longest one"
    )


def test_the_comparison_is_the_error_of_each_model_on_what_is_held_out(trained: MetaTrainer):
    """Gains of the point mass differ from episode to episode: who adapts predicts better, and the better the more it has seen."""
    multitask = point_trainer(rules=(NoneConfig(),))
    multitask.fit(point_dataset(), 60)
    held_out = point_episodes(6, seed=50)

    found = compare(trained.adapter, multitask.adapter, held_out, WINDOW, QUERY)

    assert found is not None
    assert found.shots == (0, *(2**i for i in range(10) if 2**i < WINDOW), WINDOW)
    share, interval = found.saved()
    assert interval is not None
    assert 0 < interval[0] < share < interval[1] < 1
    assert found.adaptive[:, -1].mean() < found.adaptive[:, 0].mean()
    assert found.by_step.mean(1).tolist() == pytest.approx([found.adaptive[:, -1].mean(), found.multitask.mean()])
    sampler = WindowSampler(held_out[2:3], WINDOW, QUERY)
    windows = sampler.at(torch.linspace(0, len(sampler) - 1, 16).long())
    predictor = multitask.adapter.condition(multitask.adapter.prior(16))
    with torch.no_grad():
        errors = query_errors(predictor, windows).mean(0).square().mean(-1).sqrt()
    assert found.multitask[2] == pytest.approx(float(errors.mean()), rel=1e-6)


def test_episodes_that_are_too_short_cannot_be_compared_on(trained: MetaTrainer):
    assert compare(trained.adapter, trained.adapter, point_episodes(3, seed=0, steps=QUERY - 1), WINDOW, QUERY) is None
