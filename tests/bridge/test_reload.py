"""Another checkpoint comes in the place of the one in use: over real sockets, with a robot that stands still."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl.adaptation.reversal import as_wired
from adaptive_mbrl.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.training.published import publish
from robot_bridge.middleware.messages import Log, LogLevel
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import TrainingRange
from tests.bridge.test_adaptive_mpc import Listener, ask, node, robot, state, transport
from tests.bridge.waiting import wait_until
from tests.cartpole_bridge import BRIDGE

__all__ = ["ask", "node", "robot", "state", "transport"]


@pytest.fixture
def following(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> NodeParameters:
    """A bridge file that names the newest checkpoint of a training, which has published one."""
    publish(tmp_path, make_checkpoint(tmp_path / "first"), 100)
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint=tmp_path / "published" / "newest"))
    return NodeParameters(str(path))


def weights_of(node: AdaptiveMpc) -> dict[str, torch.Tensor]:
    return as_wired(node._running().loop.planning.controller.settings.adapter).state_dict()


def uses(node: AdaptiveMpc, checkpoint: Path) -> bool:
    wanted = load_checkpoint(checkpoint).adapter.state_dict()
    return all(torch.equal(tensor, wanted[name]) for name, tensor in weights_of(node).items())


def test_an_inactive_node_takes_up_the_newest_checkpoint_and_an_active_one_does_not(
    node, transport, following, robot: Listener, state: Listener, ask, make_checkpoint, tmp_path: Path
):
    assert ask("reload").message == "the node is not configured"
    node.configure(following, transport)
    assert ask("reload").message == f"{tmp_path}/published/000100 is in use already"
    second = make_checkpoint(tmp_path / "second", seed=2)
    publish(tmp_path, second, 200)

    node.activate()
    state.wait_for(lambda m: m.data == "running")
    answer = ask("reload")
    assert (answer.success, answer.message) == (False, "cannot reload in state 'running'; call deactivate first")
    assert uses(node, tmp_path / "first")
    node.deactivate()
    answer = ask("reload")

    assert answer.success
    assert answer.message.startswith(f"{tmp_path}/published/000200 is in use now; a plan takes")
    assert uses(node, second)
    node.activate()
    state.wait_for(lambda m: m.data == "running")
    robot.wait_for(lambda m: m.data != [0.0])
    ask("estop")
    assert ask("reload").message == "cannot reload in state 'estop'; call clear_estop first"


def test_what_a_supervisor_knows_of_the_training_data_is_that_of_the_checkpoint_in_use(
    node, transport, following, ask, make_checkpoint, tmp_path: Path
):
    node.configure(following, transport)
    other = load_checkpoint(make_checkpoint(tmp_path / "second", seed=2))
    other.adapter.normalizer.obs_mean += 7.0
    planner = dataclasses.replace(other.description.planner, horizon=9)
    save_checkpoint(
        tmp_path / "moved", dataclasses.replace(other, description=dataclasses.replace(other.description, planner=planner))
    )
    publish(tmp_path, tmp_path / "moved", 200)

    assert ask("reload").success

    running = node._running()
    assert running.loop.supervisor._checks._training.mean.min() == pytest.approx(7.0)
    assert len(running.loop.planning.controller.settings.planner.perturbations(1, torch.Generator())[0]) == 9


def test_all_that_judge_by_the_training_data_know_those_of_the_checkpoint_in_use(
    node, transport, following, ask, make_checkpoint, tmp_path: Path
):
    path = Path(following.bridge)
    path.write_text(f"{path.read_text()}  max_contradiction: 0.5\nownership: {{}}\n")
    node.configure(following, transport)
    running = node._running()
    running._guard = told = ToldGuard()
    other = load_checkpoint(make_checkpoint(tmp_path / "second", seed=2))
    other.adapter.normalizer.obs_std *= 3.0
    save_checkpoint(tmp_path / "wide", other)
    publish(tmp_path, tmp_path / "wide", 200)
    before = running.loop.supervisor._checks._training.std

    assert ask("reload").success
    running._guard = None
    wide = 3.0 * before
    np.testing.assert_allclose(running._pause._excitation._obs_scale, wide)
    np.testing.assert_allclose(running.loop.inputs.contradictions.reach, 0.5 * wide)
    np.testing.assert_allclose(running.owning._training.std, wide)
    np.testing.assert_allclose(told.training.std, wide)


class ToldGuard:
    """Takes the place of the line to a guard."""

    def trained_on(self, training: TrainingRange) -> None:
        self.training = training


def test_a_canary_that_cannot_be_looked_at_leaves_the_old_checkpoint_in_use(
    node, transport, following, ask, make_checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(controller: object, folder: Path) -> None:
        raise CheckpointError("the canary is damaged")

    node.configure(following, transport)
    monkeypatch.setattr(node._running()._watch, "view_of", broken)
    publish(tmp_path, make_checkpoint(tmp_path / "second", seed=2), 200)

    assert ask("reload").message == "the checkpoint in use stays: the canary is damaged"
    assert uses(node, tmp_path / "first")


def damaged(source: Path, folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """A copy of a checkpoint whose first weights are changed."""
    shutil.copytree(source, folder)
    tensors = load_file(folder / "weights.safetensors")
    name = next(name for name in tensors if "weight" in name)
    save_file({**tensors, name: change(tensors[name])}, folder / "weights.safetensors")
    return folder


def test_a_checkpoint_that_is_not_good_is_refused_and_the_old_one_stays_in_use(
    node, transport, following, robot: Listener, state: Listener, ask, make_checkpoint, tmp_path: Path
):
    first, shipped = tmp_path / "first", find_checkpoint("cartpole")
    node.configure(following, transport)
    bad = {
        "trained on another robot": make_checkpoint(tmp_path / "arm", robot="arm"),
        "is not finite": damaged(first, tmp_path / "infinite", lambda w: torch.full_like(w, torch.inf)),
        "holds NaN": damaged(first, tmp_path / "nan", lambda w: torch.full_like(w, torch.nan)),
        "predictions differ from those in canary.safetensors": damaged(shipped, tmp_path / "changed", lambda w: w + 0.1),
        "no such checkpoint": tmp_path / "nowhere",
    }
    link = tmp_path / "published" / "newest"
    for reason, folder in bad.items():
        link.unlink()
        link.symlink_to(folder)
        answer = ask("reload")
        assert not answer.success
        assert answer.message.startswith("the checkpoint in use stays: ")
        assert reason in answer.message
        assert uses(node, first)
    link.unlink()
    link.symlink_to(shipped)
    assert ask("reload").success
    node.activate()
    state.wait_for(lambda m: m.data == "running")
    assert uses(node, shipped)


def test_activate_takes_up_the_newest_checkpoint_if_the_bridge_file_says_so(
    node, transport, following, robot: Listener, state: Listener, make_checkpoint, tmp_path: Path
):
    path, log = Path(following.bridge), Listener()
    path.write_text(f"{path.read_text()}newest_at_activate: true\n")
    transport.subscribe("/rosout", Log, log, reliable=True)
    node.configure(following, transport)
    second = make_checkpoint(tmp_path / "second", seed=2)
    publish(tmp_path, second, 200)

    node.activate()
    state.wait_for(lambda m: m.data == "running")
    assert uses(node, second)

    node.deactivate()
    publish(tmp_path, damaged(second, tmp_path / "infinite", lambda w: torch.full_like(w, torch.inf)), 300)
    node.activate()
    state.wait_for(lambda m: m.data == "running")
    assert uses(node, second)
    assert node.state is State.RUNNING
    wait_until(lambda: any("the checkpoint in use stays" in m.msg and m.level == LogLevel.WARN for m in log._came))


def test_a_folder_that_is_replaced_under_its_name_is_taken_up_too(node, transport, make_checkpoint, ask, tmp_path: Path):
    folder = make_checkpoint(tmp_path / "robot")
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint=folder))
    node.configure(NodeParameters(str(path)), transport)
    other = make_checkpoint(tmp_path / "other", seed=2)
    folder.rename(tmp_path / "old")
    assert "no such checkpoint" in ask("reload").message
    shutil.copytree(other, folder)

    assert ask("reload").success
    assert uses(node, other)


def test_a_link_is_followed_once(tmp_path: Path, make_checkpoint):
    """So that weights and description are of the same checkpoint, also if the link is replaced in between."""
    publish(tmp_path, make_checkpoint(tmp_path / "first"), 100)

    assert find_checkpoint(tmp_path / "published" / "newest") == tmp_path / "published" / "000100"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        find_checkpoint(tmp_path / "published" / "older")
