"""The Dockerfile and the compose file name files and commands that exist; to build them a daemon is needed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from adaptive_mbrl.cli import parse
from adaptive_mbrl.options import BridgeOptions, CallOptions, SimulatedRobotOptions
from robot_bridge.bridge_config import load_bridge_config
from sim.scenarios.loading import load_scenario

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Name and arguments of each instruction of the Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.M).replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, _, rest in lines]


def copied() -> list[str]:
    """The files and folders of the checkout that the Dockerfile copies."""
    found = [rest.split() for name, rest in instructions() if name == "COPY" and "--from=" not in rest]
    return [word for words in found for word in words[:-1] if not word.startswith("--")]


def test_what_is_copied_is_there_and_not_ignored():
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [pattern[1:] for pattern in patterns if pattern.startswith("!")]

    assert patterns[1] == "*"
    assert sorted(set(copied())) == sorted(kept)
    assert all((ROOT / path).exists() for path in kept)


def test_all_that_a_wheel_is_built_from_is_copied():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "LICENSE", "pyproject.toml"} <= set(
        copied()
    )


def test_the_build_arguments_are_declared_explained_and_used():
    arguments = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    runs = " ".join(rest for name, rest in instructions() if name == "RUN")

    assert set(arguments) == {"TORCH_INDEX", "EXTRAS"}
    assert all(f"| `{name}` | `{default}` |" in PAGE and f"${name}" in runs for name, default in arguments.items())
    assert set(arguments["EXTRAS"].split(",")) <= set(extras)


def test_the_container_starts_the_command_line_without_privileges():
    last = dict(instructions())

    assert json.loads(last["ENTRYPOINT"]) == ["adaptive-mbrl"]
    assert json.loads(last["CMD"]) == ["--help"]
    assert last["USER"].isdigit()
    assert last["USER"] != "0"


def test_the_services_run_a_robot_and_its_bridge_in_the_same_domain():
    services = COMPOSE["services"]
    robot, bridge = (parse([str(word) for word in services[name]["command"]]) for name in ("robot", "bridge"))

    assert isinstance(robot, SimulatedRobotOptions)
    assert isinstance(bridge, BridgeOptions)
    assert (robot.bridge, robot.interface, robot.domain) == (bridge.bridge, bridge.interface, None)
    assert services["robot"]["environment"] == services["bridge"]["environment"]
    assert any(fnmatch(str(bridge.bridge), f"{folder}/*") for folder in copied())
    load_bridge_config(ROOT / bridge.bridge)
    load_scenario(robot.scenario)


@pytest.mark.parametrize("name", ["compose.yaml", "docs/container.md"])
def test_the_calls_that_are_explained_reach_the_bridge(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = re.findall(r"docker compose exec (\w+) adaptive-mbrl ([^#\n]+)", text)
    bridge = parse([str(word) for word in COMPOSE["services"]["bridge"]["command"]])

    assert lines
    for service, words in lines:
        call = parse(shlex.split(words))
        assert service in COMPOSE["services"]
        assert isinstance(call, CallOptions)
        assert call.interface == bridge.interface


def test_the_commands_of_docker_run_parse():
    text = PAGE.replace("\\\n", " ")
    runs = re.findall(r"^docker run .*? adaptive-mbrl +([^#\n]+)", text, flags=re.M)

    assert len(runs) >= 3
    for words in runs:
        parse(shlex.split(words))


def test_make_image_says_what_is_missing(tmp_path: Path):
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)

    # a command that fails stands for a client without its daemon
    made = subprocess.run(["make", "image", f"DOCKER={docker}"], cwd=ROOT, capture_output=True, text=True)

    assert made.returncode == 2
    assert f"error: '{docker} info' fails, so no daemon answers" in made.stderr
