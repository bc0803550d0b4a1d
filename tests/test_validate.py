"""`adaptive-mbrl validate` knows every kind of file, loads it as the commands do, and checks all files after an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.errors import EXIT_MISTAKE
from adaptive_mbrl.file_kinds import FILE_KINDS
from adaptive_mbrl.validate import kind_of
from sim.paths import config_root

ROOT = Path(__file__).resolve().parent.parent
ONE_OF_EACH = {
    "robot": "configs/robots/half_cheetah_cadm.yaml",
    "environment": "examples/environments/pendulum.yaml",
    "scenario": "configs/scenarios/cartpole/demo.yaml",
    "split": "configs/scenarios/cartpole/mass_gain.yaml",
    "train": "configs/train/cartpole.yaml",
    "baseline": "configs/baselines/cartpole_ppo.yaml",
    "suite": "configs/suites/smoke.yaml",
    "bridge": "configs/bridge/cartpole.yaml",
    "imperfections": "configs/simulated_robot/realistic.yaml",
    "logs": "examples/logs/logs.yaml",
    "dataset": "",
    "sweep": "examples/sweep/space.yaml",
}
DATASET = "{name: r, obs: [{name: v, unit: m/s}], action: [{name: u, unit: N, low: -1, high: 1}]}"


def validated(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, list[str], str]:
    code = cli.main(["validate", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_the_kind_is_known_by_the_keys_alone(tmp_path: Path):
    assert list(ONE_OF_EACH) == [kind.name for kind in FILE_KINDS]
    for name, source in ONE_OF_EACH.items():
        text = (ROOT / source).read_text() if source else DATASET
        found = kind_of(write(tmp_path / name / "file.yaml", text))
        assert found is not None
        assert found.name == name


@pytest.mark.slow
def test_shipped_files_are_known_by_what_they_are():
    for kind in FILE_KINDS:
        for path in sorted((config_root() / kind.folder).rglob("*.yaml")) if kind.folder else ():
            found = kind_of(path)
            assert found is not None
            assert found.folder == kind.folder
            if kind.folder == "scenarios":
                assert (found.name == "scenario") == ("changes" in yaml.safe_load(path.read_text()))


def test_one_file_of_each_kind_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    dataset = write(tmp_path / "dataset.yaml", DATASET)
    files = [ROOT / source if source else dataset for source in ONE_OF_EACH.values()]

    code, lines, error = validated(capsys, *files)

    assert (code, error) == (0, "")
    assert [line.split() for line in lines] == [["ok", name, str(file)] for name, file in zip(ONE_OF_EACH, files, strict=True)]


@pytest.mark.slow
def test_all_shipped_files_are_right(capsys: pytest.CaptureFixture[str]):
    code, lines, _ = validated(capsys, config_root())

    assert [line for line in lines if not line.startswith("ok ")] == []
    assert (code, len(lines)) == (0, len(list(config_root().rglob("*.yaml"))))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("robot", "{extends: cartpole, dtt: 0.1}", "unknown key 'dtt' (did you mean 'dt'?)"),
        ("robot", "{extends: cartpole, mjcf: nowhere.xml}", "mjcf 'nowhere.xml': no such file"),
        ("scenario", "{robot: cartpole, steps: 9, chagnes: []}", "unknown key 'chagnes' (did you mean 'changes'?)"),
        ("split", "{robot: cartpol, steps: 9, train: {}}", "unknown robot 'cartpol' (did you mean 'cartpole'?)"),
        (
            "split",
            "{robot: cartpole, steps: 9, train: {}, test: {initial: [{body_mass: {poel: 2}}]}}",
            "key 'test.initial[0].body_mass': unknown body 'poel'",
        ),
        (
            "train",
            "{scenarios: 'cartpole/mass_gian:train', window: 8}",
            "unknown scenario 'cartpole/mass_gian' (did you mean 'cartpole/mass_gain:train'?)",
        ),
        ("train", "{scenarios: 'cartpole/mass_gain:train', window: 0}", "key 'window': 0 is out of range; allowed: 1 to 1000"),
        ("train", "{window: 8, model: {hiden: [8]}}", "unknown key 'model.hiden' (did you mean 'hidden'?)"),
        ("train", "{data: {episodes_from: nowhere, iterations: 0}, window: 8}", "nowhere"),
        (
            "train",
            "{scenarios: 'cartpole/mass_gain:train', adaptation: [context, recurrent]}",
            "a recursive rule such as recurrent must be the first one",
        ),
        ("baseline", "{scenarios: 'cartpole/demo', algorithm: sac, env_steps: 6400}", "'cartpole/demo' is a single scenario"),
        ("suite", "{protocols: [{name: a, scenarios: [x], methods: [{name: m, checkpoint: c}]}]}", "unknown scenario 'x'"),
        (
            "bridge",
            "{checkpoint: cartpole, inputs: {}, obs: {}, output: {topic: /a}, safety: {rate_limits: {}}}",
            "missing channel",
        ),
        ("imperfections", "{sensors: {latency: 11}}", "key 'sensors.latency': 11.0 is out of range"),
        ("sweep", "{objective: a, space: {windw: {low: 1, high: 2}}}", "a training has no 'windw' (did you mean 'window'?)"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file(
    name: str, content: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "mine.yaml", content)

    code, (line,), error = validated(capsys, path)

    found = kind_of(path)
    assert found is not None
    assert found.name == name
    assert (code, error) == (EXIT_MISTAKE, "error: 1 of 1 files is wrong\n")
    assert line.startswith("error: ")
    assert str(path) in line
    assert problem in line


def test_all_files_are_checked_after_an_error_and_folders_are_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write(tmp_path / "a.yaml", "{extends: cartpole, dtt: 0.1}")
    write(tmp_path / "b" / "c.yml", "{robot: cartpole, steps: 9}")
    write(tmp_path / "cluster.yaml", "{apiVersion: v1, kind: Pod, metadata: {}, spec: {}}")
    write(tmp_path / "robots" / "broken.yaml", "dt: [")

    code, lines, error = validated(capsys, tmp_path)

    assert (code, error) == (EXIT_MISTAKE, "error: 2 of 3 files are wrong\n")
    assert [line.split()[:2] for line in lines] == [
        ["error:", f"{tmp_path}/a.yaml:"],
        ["ok", "scenario"],
        ["not", "ours"],
        ["error:", f"{tmp_path}/robots/broken.yaml,"],
    ]


def test_a_file_of_an_unknown_or_another_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pod = write(tmp_path / "pod.yaml", "{apiVersion: v1, kind: Pod}")
    robot = write(tmp_path / "robot.yaml", "{extends: cartpole}")

    assert "which kind of file is this? its keys are apiVersion, kind; give --kind: robot, " in validated(capsys, pod)[1][0]
    assert "unknown key 'extends'" in validated(capsys, robot, "--kind", "split")[1][0]
    assert validated(capsys, robot, "--kind", "robot")[0] == 0
    without = write(tmp_path / "without.yaml", "{robot: cartpole, steps: 9}")
    assert "this split has no part; allowed: one or more of train, " in validated(capsys, without, "--kind", "split")[1][0]
    assert "nowhere.yaml: cannot be read" in validated(capsys, tmp_path / "nowhere.yaml")[1][0]
    (tmp_path / "empty").mkdir()
    assert "no YAML file of ours" in validated(capsys, tmp_path / "empty")[2]
