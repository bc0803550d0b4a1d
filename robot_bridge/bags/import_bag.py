"""Turns a recording of a robot into episodes for training: the sub-command `import-bag`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import SPEC_FILE, EpisodeStore
from adaptive_mbrl.data.store_lock import store_lock
from adaptive_mbrl.data.stored_objective import save_objective
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.logs.grid import Stretch
from adaptive_mbrl.logs.outcome_table import print_stretches
from adaptive_mbrl.logs.samples import Array, measured_at
from adaptive_mbrl.objective import RewardFunction
from adaptive_mbrl.options import ImportBagOptions
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bags.reader import Bag
from robot_bridge.bags.recording import Recording, read_recording
from robot_bridge.bags.stretches import cut
from robot_bridge.bridge_config import GoalInput, load_bridge_config, require_goal, require_spec
from robot_bridge.topic_names import in_namespace, namespace_of, with_whole_names


def import_bag(options: ImportBagOptions) -> None:
    """Read a bag, append its episodes to a store, and print what was left out and why; a bag that is in the store is left out."""
    config = with_whole_names(load_bridge_config(options.bridge), partial(in_namespace, namespace_of(options.node)))
    checkpoint = load_checkpoint(config.checkpoint)
    description, spec = checkpoint.description, checkpoint.description.spec
    require_spec(config, spec, str(options.bridge))
    require_goal(config, description.goal_dim, str(options.bridge))
    if (options.out / SPEC_FILE).exists():
        EpisodeStore.check(options.out, spec)
        if _is_there(options, spec):
            print(f"{options.bag}: imported already")
            return
    recording = read_recording(options.bag, config, spec, options.node)
    min_steps = options.min_steps or 2 * description.window
    max_age = {name: config.safety.age_limit(name) for name in spec.obs_names}
    stretches = cut(spec, recording.commands, recording.channels, recording.states, max_age, min_steps, recording.others)
    print_stretches(stretches, spec.dt, recording.notes)
    tags = {"source": "bag", "bag": options.bag.resolve().name, "start": recording.start}
    episodes = [episode(s, recording, config.goal, checkpoint.reward, spec, tags) for s in stretches if not s.reason]
    if not episodes:
        raise ConfigError(f"{options.bag}: nothing to import: no stretch of {min_steps} steps without a gap")
    with store_lock(options.out):
        store = EpisodeStore.open(options.out, spec, damaged=lambda error: print(f"Skipped: {error}"))
        if any(about.get("bag") == tags for about in store.abouts):
            print(f"{options.bag}: imported already")
        else:
            store.append(episodes, {"bag": tags, "begin": recording.begin})
            if description.learned_reward is None:
                save_objective(options.out, description.objective)
    print(f"{options.out}: {len(store.episodes)} episodes, {store.num_steps} steps")


def _is_there(options: ImportBagOptions, spec: RobotSpec) -> bool:
    """Whether the store has this bag, by its name and its index alone: reading a long bag takes minutes."""
    with Bag(options.bag) as bag:
        begin, name = bag.begin, options.bag.resolve().name
    store = EpisodeStore.open(options.out, spec, damaged=lambda error: None)
    known = {(about["bag"]["bag"], about.get("begin")) for about in store.abouts if "bag" in about}
    return begin is not None and (name, begin) in known


def episode(
    stretch: Stretch,
    recording: Recording,
    goal: GoalInput | None,
    reward_of: RewardFunction,
    spec: RobotSpec,
    tags: dict[str, Any],
) -> Episode:
    """A stretch as an episode, with the rewards for the goal of each step; those of a learned reward are its predictions.

    It ended by itself if the robot was no longer healthy after its last step and the robot's spec says that this is an end.
    """
    obs, action = stretch.obs.astype(np.float32), stretch.action.astype(np.float32)
    # a goal is published at a tick and arrives a little later, so the middle of the step decides, as in `GoalReader`
    goals = _goals((stretch.ticks[:-1] + stretch.ticks[1:]) / 2, recording, goal)
    reward = reward_of(*(torch.from_numpy(x) for x in (obs[:-1], action, obs[1:], goals.astype(np.float32))))
    ended = spec.can_end and not bool(is_healthy(spec, torch.from_numpy(obs[-1])))
    channels = [samples.times[np.isfinite(samples.values[:, 0])] for samples in recording.channels.values()]
    stamps = 1e-9 * recording.start + measured_at(stretch.ticks, channels)
    begin = {"begin_seconds": round(stretch.begin, 3)}
    return Episode(obs, action, reward.numpy(), {**tags, **begin}, ended=ended, stamps=stamps)


def _goals(moments: Array, recording: Recording, goal: GoalInput | None) -> Array:
    """The goal at each time, (T, goal_dim): that of the newest message whose values are all finite, or the initial one."""
    if goal is None:
        return np.zeros((len(moments), 0))
    known, times = np.array([goal.initial]), np.zeros(0)
    if recording.goals is not None:
        finite = np.isfinite(recording.goals.values).all(axis=1)
        known, times = np.concatenate([known, recording.goals.values[finite]]), recording.goals.times[finite]
    return known[np.searchsorted(times, moments, "right")]
