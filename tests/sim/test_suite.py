"""Suite files: what they mean, and that a mistake in one is a line that says what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError
from sim.benchmark.plan import make_plan
from sim.benchmark.suite import load_suite
from sim.benchmark.train_suite import suite_jobs
from sim.paths import known_configs

HEAD = "episodes: 3\nprotocols:\n  - name: p\n    scenarios: [cartpole/weak_motor]\n    methods:\n"


def suite_file(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", known_configs("suites"))
def test_every_shipped_suite_loads_and_all_that_it_does_not_train_is_shipped(name: str):
    suite, runs = load_suite(name), Path("runs/suite")
    with_shipped = {protocol.name for protocol in suite.protocols if any(method.checkpoint for method in protocol.methods)}
    trained = {str(run.folder / "checkpoint") for run in suite_jobs(suite, runs)}
    if not with_shipped:
        assert trained
        with pytest.raises(CheckpointError, match=f"none of its checkpoints is there; train it with: .* --suite {name}"):
            make_plan(suite, runs, skip_missing=True)
        return

    plan = make_plan(suite, runs, skip_missing=True)

    assert set(plan.missing) <= trained
    assert {field.protocol for field in plan.fields} == with_shipped


def test_entries_of_one_name_are_one_method_with_more_training_seeds(tmp_path: Path):
    text = HEAD + "      - {name: m, checkpoint: cartpole}\n      - {name: m, train: cartpole, seeds: [1, 2]}\n"
    text += "      - {name: n, checkpoint: 'made/{seed}/it', seeds: [4, 5]}\n"
    suite = load_suite(suite_file(tmp_path, text), episodes=7)

    (protocol,) = suite.protocols
    assert (suite.name, suite.episodes) == ("mine", 7)
    assert [(method.name, seed, place) for method, seed, place in protocol.models(Path("r"))] == [
        ("m", 0, "cartpole"),
        ("m", 1, "r/cartpole/seed_1/checkpoint"),
        ("m", 2, "r/cartpole/seed_2/checkpoint"),
        ("n", 4, "made/4/it"),
        ("n", 5, "made/5/it"),
    ]


def test_scenarios_and_configurations_beside_the_file_are_found(tmp_path: Path):
    (tmp_path / "here.yaml").write_text("robot: cartpole\nsteps: 20\ntest: {}\n")
    (tmp_path / "train.yaml").write_text("scenarios: cartpole/mass_gain:train\n")
    text = HEAD.replace("cartpole/weak_motor", "'here.yaml:test'") + "      - {name: m, train: train.yaml}\n"

    (protocol,) = load_suite(suite_file(tmp_path, text)).protocols

    assert protocol.scenarios == (f"{tmp_path}/here.yaml:test",)
    assert protocol.methods[0].train == f"{tmp_path}/train.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("episode: 3\n", "unknown key 'episode' (did you mean 'episodes'?); allowed keys: protocols, episodes, seed, arms"),
        ("protocols: []\n", "protocols: expected at least one"),
        (HEAD + "      - {name: m}\n", "method 'm': got neither of train and checkpoint; give exactly one"),
        (HEAD + "      - {name: m, train: cartpole, checkpoint: c}\n", "method 'm': got both of train and checkpoint"),
        (HEAD + "      - {name: m, train: cartpole, seeds: [1, 1]}\n", "seeds [1, 1] has a seed twice"),
        (HEAD + "      - {name: m, checkpoint: c, seeds: [1, 2]}\n", "checkpoint 'c' is one for 2 seeds; add {seed}"),
        (HEAD + "      - {name: m, checkpoint: c}\n      - {name: m, checkpoint: d}\n", "method 'm' has training seed 0 twice"),
        (HEAD + "      - {name: m, train: cartpole, seeds: [-1]}\n", "seeds': -1 is out of range; allowed: 0 to 2147483647"),
        (HEAD + "      - {name: m|n, train: cartpole}\n", "name: got 'm|n'; allowed: a text without |, / and line breaks"),
        (
            HEAD + "      - {name: m, train: cartpol}\n",
            "protocol 'p': unknown training configuration 'cartpol' (did you mean 'cartpole'?)",
        ),
        (HEAD.replace("weak_motor", "weak_moto") + "      - {name: m, train: cartpole}\n", "did you mean 'cartpole/weak_motor'?"),
        (
            HEAD.replace("[cartpole/weak_motor]", "[cartpole/weak_motor, 'arm/mixed:test']")
            + "      - {name: m, train: cartpole}\n",
            "its scenarios are of several robots (cartpole/weak_motor: cartpole, arm/mixed:test: arm)",
        ),
        ("arms: [oracle, random]\n" + HEAD + "      - {name: m, train: cartpole}\n", "allowed: at least one of adaptive, frozen"),
        ("arms: [adaptiv]\n" + HEAD + "      - {name: m, train: cartpole}\n", "got 'adaptiv' (did you mean 'adaptive'?)"),
        (
            "seed: 2147483646\n" + HEAD + "      - {name: m, train: cartpole}\n",
            "2147483646 + 3 episodes exceeds the largest seed",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file(tmp_path: Path, text: str, message: str):
    path = suite_file(tmp_path, text)

    with pytest.raises(ConfigError) as found:
        load_suite(path)

    assert message in str(found.value)
    assert str(found.value).startswith(str(path))
    assert "\n" not in str(found.value)


def test_two_configurations_of_one_file_name_are_refused(tmp_path: Path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.yaml").write_text("scenarios: cartpole/mass_gain:train\n")
    text = HEAD + "      - {name: m, train: a/same.yaml}\n      - {name: n, train: b/same.yaml}\n"

    with pytest.raises(ConfigError, match="have the same file name, so their runs would share a folder"):
        load_suite(suite_file(tmp_path, text))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{name: m, train: cartpole, seeds: [8]}",
            "seed_8/checkpoint: no such checkpoint; train it with: adaptive-mbrl train-suite "
            "--suite .*/mine.yaml --runs .*/runs; or leave it out: --skip-missing",
        ),
        ("{name: m, checkpoint: cartpol}", "method 'm': cartpol: no such checkpoint folder .*did you mean 'cartpole'"),
        ("{name: m, checkpoint: arm}", "arm: trained on another robot"),
    ],
)
def test_a_checkpoint_that_cannot_be_run_is_refused_before_anything_runs(tmp_path: Path, entry: str, message: str):
    suite = load_suite(suite_file(tmp_path, HEAD + f"      - {entry}\n"))

    with pytest.raises(CheckpointError, match=message):
        make_plan(suite, tmp_path / "runs")


def test_a_suite_without_any_checkpoint_cannot_be_run(tmp_path: Path):
    suite = load_suite(suite_file(tmp_path, HEAD + "      - {name: m, train: cartpole, seeds: [8]}\n"))

    with pytest.raises(AdaptiveMBRLError, match="none of its checkpoints is there"):
        make_plan(suite, tmp_path / "runs", skip_missing=True)
