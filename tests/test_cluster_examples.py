"""The examples for clusters, as far as a machine without one can try them; docs/jobs.md says what was tried beyond that."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import submitit
import yaml

from adaptive_mbrl.cli import parse
from adaptive_mbrl.options import TrainOptions
from tests.core.point_recordings import SMALL, write_recordings

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "cluster"
SBATCH = FOLDER / "train.sbatch"

# --- SLURM --------------------------------------------------------------------------------------------------------------------


def test_the_directives_let_the_job_be_queued_again():
    lines = SBATCH.read_text().splitlines()
    directives = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", "\n".join(lines), flags=re.M))

    assert len(directives) == sum(line.startswith("#SBATCH") for line in lines)
    assert lines[0] == "#!/bin/bash"
    # SLURM reads no directive behind the first command
    assert max(i for i, line in enumerate(lines) if line.startswith("#SBATCH")) < lines.index("set -euo pipefail")
    assert directives["requeue"] == ""
    assert directives["open-mode"] == "append"
    # to the batch shell alone (B), which passes it on
    assert re.fullmatch(r"B:TERM@\d+", directives["signal"])
    assert re.fullmatch(r"\d\d:\d\d:\d\d", directives["time"])
    assert directives["ntasks-per-node"] == "1", "torchrun starts the processes of a node"


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment in which `srun` waits for SIGTERM, and which notes what SLURM is asked for."""
    commands = {
        "srun": "sleep infinity & waiting=$!\n"
        'trap \'kill $waiting; echo "saved" >> "$NOTES"; exit 0\' TERM\n'
        'echo "$@" >> "$NOTES"\necho started\n'
        "if [[ -n ${ENDS:-} ]]; then kill $waiting; exit $ENDS; fi\nwait $waiting\n",
        "scontrol": 'if [[ $1 == show ]]; then printf "node7\\nnode8\\n"; else echo "scontrol $*" >> "$NOTES"; fi\n',
    }
    for name, text in commands.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    job = {"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4"}
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, **job, "PATH": path, "NOTES": str(tmp_path / "notes")}


def notes(slurm: dict[str, str]) -> list[str]:
    return Path(slurm["NOTES"]).read_text().splitlines()


def train_options(line: str) -> Any:
    words = shlex.split(line)
    return parse(words[words.index("adaptive_mbrl") + 1 :])


def test_at_sigterm_the_training_saves_and_the_job_is_queued_again(slurm: dict[str, str]):
    command = ["bash", str(SBATCH), "mine/cartpole.yaml"]
    with subprocess.Popen(command, env=slurm, stdout=subprocess.PIPE, text=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "started\n"
        job.send_signal(signal.SIGTERM)
        out = job.stdout.read()

    assert job.returncode == 0
    assert out.startswith("terminated")
    started, *rest = notes(slurm)
    assert rest == ["saved", "scontrol requeue 42"]
    assert "--nnodes=2 --nproc-per-node=4" in started
    assert "--rdzv-endpoint=node7:29500" in started
    assert train_options(started) == TrainOptions("mine/cartpole.yaml", run=Path("runs/train/cartpole"))


def test_each_job_of_an_array_trains_a_seed(slurm: dict[str, str]):
    subprocess.run(["bash", str(SBATCH), "cartpole"], env={**slurm, "SLURM_ARRAY_TASK_ID": "3", "ENDS": "0"}, check=True)

    (started,) = notes(slurm)
    assert train_options(started) == TrainOptions("cartpole", set=("seed=3",), run=Path("runs/train/cartpole/seed_3"))


def test_a_training_that_fails_makes_the_job_fail(slurm: dict[str, str]):
    result = subprocess.run(["bash", str(SBATCH), "cartpole"], env={**slurm, "ENDS": "2"})

    assert result.returncode == 2
    assert len(notes(slurm)) == 1
    assert subprocess.run(["bash", str(SBATCH)], env=slurm, capture_output=True).returncode != 0


# --- submitit -----------------------------------------------------------------------------------------------------------------


def submit_seeds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("submit_seeds", FOLDER / "submit_seeds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_job_that_has_to_leave_ends_its_training_and_is_queued_again():
    training = submit_seeds().Training(["train", "--config", "c"])
    training.process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])

    again = training.checkpoint()

    # it has ended, so that no two processes train in one folder
    assert training.process.poll() == -signal.SIGTERM
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function.words == ["train", "--config", "c"]


@pytest.mark.slow
def test_seeds_are_trained_by_submitits_local_executor(tmp_path: Path):
    write_recordings(tmp_path / "logs")
    settings = {name: yaml.safe_load(value) for name, _, value in (s.partition("=") for s in SMALL)}
    nested: dict[str, Any] = {"data": {"episodes_from": "logs", "iterations": 0}}
    for name, value in settings.items():
        outer, _, inner = name.rpartition(".")
        (nested.setdefault(outer, {}) if outer else nested)[inner] = value
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(nested))
    flags = ["--config", "tiny.yaml", "--seeds", "1,2", "--run", "runs", "--cluster", "local", "--cpus", "1"]

    result = subprocess.run(
        [sys.executable, str(FOLDER / "submit_seeds.py"), *flags], cwd=tmp_path, capture_output=True, text=True
    )

    assert result.returncode == 0, result.stderr
    assert "2 of 2 trainings are done" in result.stdout
    assert all((tmp_path / "runs" / f"seed_{seed}" / "checkpoint").is_dir() for seed in (1, 2))


# --- Kubernetes and SkyPilot --------------------------------------------------------------------------------------------------

TEXT, WHOLE, ANY = str, int, object
CONTAINER = {
    "name": TEXT,
    "image": TEXT,
    "command": [TEXT],
    "args": [TEXT],
    "env": [{"name": TEXT, "value": TEXT}],
    "resources": {"requests": ANY, "limits": ANY},
    "volumeMounts": [{"name": TEXT, "mountPath": TEXT}],
}
POD = {
    "terminationGracePeriodSeconds": WHOLE,
    "containers": [CONTAINER],
    "volumes": [{"name": TEXT, "persistentVolumeClaim": {"claimName": TEXT}}],
}
PYTORCH_JOB = {
    "apiVersion": TEXT,
    "kind": TEXT,
    "metadata": {"name": TEXT},
    "spec": {
        "elasticPolicy": {"rdzvBackend": TEXT, "minReplicas": WHOLE, "maxReplicas": WHOLE, "maxRestarts": WHOLE},
        "nprocPerNode": TEXT,
        "runPolicy": {"cleanPodPolicy": TEXT, "ttlSecondsAfterFinished": WHOLE},
        "pytorchReplicaSpecs": {"Worker": {"replicas": WHOLE, "restartPolicy": TEXT, "template": {"spec": POD}}},
    },
}
"""The part of the definition of PyTorchJob (kubeflow.org/v1, training operator 1.9) that the example uses."""
SKY_TASK = {
    "name": TEXT,
    "resources": {
        "accelerators": ANY,
        "cpus": TEXT,
        "use_spot": bool,
        "job_recovery": {"strategy": TEXT, "max_restarts_on_errors": WHOLE},
    },
    "num_nodes": WHOLE,
    "workdir": TEXT,
    "envs": {"CONFIG": TEXT, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": TEXT},
    "file_mounts": {"/runs": {"name": TEXT, "mode": TEXT}},
    "setup": TEXT,
    "run": TEXT,
}
"""The part of a task of SkyPilot 0.14 that the example uses."""


def differences(value: Any, schema: Any, where: str = "") -> list[str]:
    """Where a value has another form than a schema of nested types says."""
    if schema is ANY:
        return []
    if isinstance(schema, dict) and isinstance(value, dict):
        unknown = [f"{where}/{key}: unknown" for key in value if key not in schema]
        return unknown + [d for key in schema if key in value for d in differences(value[key], schema[key], f"{where}/{key}")]
    if isinstance(schema, list) and isinstance(value, list):
        return [d for i, item in enumerate(value) for d in differences(item, schema[0], f"{where}[{i}]")]
    return [] if isinstance(schema, type) and type(value) is schema else [f"{where}: {value!r}"]


def test_the_pytorch_job_has_the_form_that_the_operator_knows():
    job = yaml.safe_load((FOLDER / "pytorchjob.yaml").read_text())

    assert differences(job, PYTORCH_JOB) == []
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    spec, worker = job["spec"], job["spec"]["pytorchReplicaSpecs"]["Worker"]
    assert spec["elasticPolicy"]["maxReplicas"] == worker["replicas"]
    assert worker["restartPolicy"] in ("Always", "OnFailure", "Never", "ExitCode")
    assert spec["runPolicy"]["cleanPodPolicy"] in ("None", "Running", "All")
    (container,) = worker["template"]["spec"]["containers"]
    assert container["name"] == "pytorch"
    assert container["command"] == ["torchrun", "-m", "--", "adaptive_mbrl"]
    options = parse(container["args"])
    (mount,) = container["volumeMounts"]
    assert Path(mount["mountPath"]) in options.run.parents
    assert [v["name"] for v in worker["template"]["spec"]["volumes"]] == [mount["name"]]
    assert differences({**job, "kindd": 1, "spec": {"nprocPerNode": 1}}, PYTORCH_JOB) == [
        "/kindd: unknown",
        "/spec/nprocPerNode: 1",
    ]


def test_the_task_of_skypilot_has_the_form_that_it_knows():
    task = yaml.safe_load((FOLDER / "skypilot.yaml").read_text())

    assert differences(task, SKY_TASK) == []
    assert task["file_mounts"]["/runs"]["mode"] in ("MOUNT", "COPY", "MOUNT_CACHED")
    assert subprocess.run(["bash", "-n"], input=task["run"] + task["setup"], text=True).returncode == 0
    line = task["run"].replace("\\\n", " ").replace("$CONFIG", task["envs"]["CONFIG"]).partition("-m -- adaptive_mbrl")[2]
    assert parse(shlex.split(line)) == TrainOptions("cartpole", run=Path("/runs/train/cartpole"))
