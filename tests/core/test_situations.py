"""Windows say which training situation they are from: equal dynamics have one number, whatever episode they are in."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.weighting import WeightingConfig
from adaptive_mbrl.data.windows import Windows, WindowSampler, concatenate
from adaptive_mbrl.meta.fine_tune import split
from tests.core.analytic import POINT

WINDOW, QUERY, STEPS = 4, 3, 20
WEAK, HEAVY = {"actuator_gain": 0.5}, {"body_mass": {"cart": 2.0}}


def episode(first: int, steps: int = STEPS, history: int = 0, batch: int = 0, **tags: Any) -> Episode:
    """Observations count on from `first`, so that each says which step it is."""
    numbers = np.arange(first, first + steps + 1, dtype=np.float32)
    obs, actions = np.stack([numbers, -numbers], axis=1), np.zeros((steps, 1), np.float32)
    return Episode(obs, actions, np.zeros(steps, np.float32), tags, history, batch=batch)


def scenario(*changes: tuple[int, dict[str, Any]], seed: int = 0) -> dict[str, Any]:
    return {"robot": "cart", "steps": STEPS, "seed": seed, "changes": [{"at": at, **change} for at, change in changes]}


def every_window(*episodes: Episode) -> Windows:
    sampler = WindowSampler(episodes, WINDOW, QUERY)
    return sampler.at(torch.arange(len(sampler)))


def tasks(*episodes: Episode) -> dict[int, int]:
    """The situation of each query, by the number that it begins with."""
    windows = every_window(*episodes)
    return dict(zip(windows.obs[:, 0, 0].int().tolist(), windows.task.tolist(), strict=True))


def test_the_situation_is_the_change_in_force_where_the_query_begins():
    found = tasks(episode(100, scenario=scenario((6, WEAK), (11, HEAVY))), episode(200, scenario=scenario((9, WEAK), seed=1)))

    nominal, weak, heavy = (found[n] for n in (100, 106, 111))
    assert [nominal, weak, heavy] == [0, 1, 2]
    for n, task in found.items():
        step = n % 100
        expected = (heavy if step >= 11 else weak if step >= 6 else nominal) if n < 200 else (weak if step >= 9 else nominal)
        assert task == expected, n


def test_the_order_of_a_changes_keys_means_nothing():
    both = {**WEAK, **HEAVY}
    turned = dict(reversed(both.items()))

    assert len(set(tasks(episode(0, scenario=scenario((0, both))), episode(100, scenario=scenario((0, turned)))).values())) == 1


def test_a_branch_stays_in_the_situation_that_it_began_in():
    """Also where its trunk goes on to the next change; in a store that does not say the situation, its trunk tells."""
    about = scenario((6, WEAK), (11, HEAVY))
    trunk = episode(100, scenario=about)
    branch = dataclasses.replace(episode(106, 9, 3, scenario=about, source="branch"))
    told = dataclasses.replace(branch, tags={**branch.tags, "situation": WEAK})
    expected = tasks(trunk)[109]
    for one in (branch, told):
        windows = every_window(trunk, one)
        of_branch = windows.task[len(every_window(trunk).task) :]
        assert of_branch.tolist() == [expected] * 4


def test_branches_without_their_trunk_are_one_situation_per_scenario():
    branches = [episode(100 * i, 9, 3, scenario=scenario((6, WEAK), seed=i // 2), source="branch") for i in range(4)]

    assert every_window(*branches).task.reshape(4, 4)[:, 0].tolist() == [0, 0, 1, 1]


def test_a_recording_is_a_situation_of_its_own_unless_its_tag_says_otherwise():
    recordings = [episode(100 * i, source="bag") for i in range(2)]
    tagged = [episode(100 * i, source="bag", situation="wind") for i in range(2, 4)]

    found = every_window(*recordings, *tagged).task.reshape(4, -1)

    assert (found == torch.tensor([0, 1, 2, 2])[:, None]).all()


def test_what_is_known_of_a_situation_is_a_table_of_named_numbers():
    """Changes of scenarios, also those that branches began under, and tags of recordings; held-out ones follow."""
    both = {**WEAK, "external_force": {"cart": [1.0, 0, -2.5]}, "action_delay": 2}
    training = [
        episode(0, scenario=scenario((6, WEAK), (11, both))),
        episode(100, scenario=scenario((6, WEAK)), source="branch", situation=HEAVY),
        episode(200, situation={"payload": 40, "surface": "grass", "raised": True, "note": None}),
        episode(300, situation="wind"),
        episode(400),
    ]
    data = EpisodeDataset(POINT, training, [episode(500, scenario=scenario((0, WEAK)))], WINDOW, QUERY)

    assert data.known_parameters() == [
        {},
        {"actuator_gain": 0.5},
        {
            "actuator_gain": 0.5,
            "external_force cart 0": 1.0,
            "external_force cart 1": 0.0,
            "external_force cart 2": -2.5,
            "action_delay": 2.0,
        },
        {"body_mass cart": 2.0},
        {"payload": 40.0, "surface grass": 1.0, "raised": 1.0},
        None,
        None,
        {"actuator_gain": 0.5},
    ]
    held_out = data.held_out(3)
    assert held_out is not None
    assert held_out.task.tolist() == [7, 7, 7]


def test_the_end_of_a_cut_episode_is_still_in_its_scenarios_situation():
    """Episodes are cut to hold out their last part, whose steps are counted anew."""
    training, held_out = split([episode(100, scenario=scenario((8, WEAK), (14, HEAVY)))], WINDOW, QUERY, 0.5)
    whole = tasks(episode(100, scenario=scenario((8, WEAK), (14, HEAVY))))

    assert held_out[0].tags["begin_step"] == 6
    found = tasks(*training, *held_out)
    assert found == {n: whole[n] for n in found}
    assert {110, 117} <= set(found)


def test_episodes_that_come_later_change_no_number():
    first = [episode(100, scenario=scenario((6, WEAK))), episode(200, source="bag")]
    later = [episode(300, scenario=scenario((0, HEAVY))), episode(400, scenario=scenario((2, WEAK)))]

    before, after = tasks(*first), tasks(*first, *later)

    assert all(after[n] == task for n, task in before.items())
    assert (after[300], after[402]) == (3, before[106])


def test_what_is_held_out_shares_no_number_with_what_is_trained_on():
    same = scenario((6, WEAK))
    data = EpisodeDataset(POINT, [episode(100, scenario=same)], [episode(200, scenario=same)], WINDOW, QUERY)

    held_out = data.held_out(18)

    assert data.num_tasks == 2
    assert held_out is not None
    assert sorted(set(held_out.task.tolist())) == [2, 3]
    assert set(data.sample(100, torch.Generator().manual_seed(0)).task.tolist()) == {0, 1}


def test_situations_in_which_no_query_begins_are_not_counted():
    last, short = episode(100, scenario=scenario((19, WEAK))), episode(200, 2, source="bag")

    assert WindowSampler([short, last], WINDOW, QUERY).num_tasks == 1


def test_joined_windows_keep_their_situations():
    windows = every_window(episode(0), episode(100))
    joined = concatenate([windows, windows])

    assert torch.equal(joined.task, windows.task.repeat(2))
    assert torch.equal(joined.action, windows.action.repeat(2, 1, 1))


@pytest.mark.parametrize("recency", [0.0, 1.5])
def test_windows_can_be_drawn_situation_by_situation(recency: float):
    """A situation is as likely as its windows together, and within it they are drawn as ever: newer episodes more often."""
    episodes = [episode(0, 50, situation="a"), episode(100, situation="b"), episode(200, batch=1, situation="a")]
    data = EpisodeDataset(POINT, episodes, [], WINDOW, QUERY, weighting=WeightingConfig(recency=recency))

    windows = data.sample_tasks(4000, 4, torch.Generator().manual_seed(0))
    plain = data.sample(16_000, torch.Generator().manual_seed(1))

    by_task = windows.task.reshape(4000, 4)
    assert (by_task == by_task[:, :1]).all()
    for mark in range(0, 300, 100):
        shares = [((w.obs[:, 0, 0] >= mark) & (w.obs[:, 0, 0] < mark + 100)).double().mean().item() for w in (windows, plain)]
        assert shares[0] == pytest.approx(shares[1], abs=0.03)
    starts = windows.obs[:, 0, 0].int()
    assert set(starts.tolist()) == {*range(48), *range(100, 118), *range(200, 218)}
    assert ((starts // 100 == 1) == (windows.task == 1)).all()
    again = data.sample_tasks(4000, 4, torch.Generator().manual_seed(0))
    assert torch.equal(again.obs, windows.obs)
