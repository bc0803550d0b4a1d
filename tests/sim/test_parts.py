"""The parts of a collection: each episode is handed out once, and once more only if it was lost."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.training.parts import Part, Plan, collected_parts, repeated_batches


def drain(plan: Plan, last: int) -> list[Part]:
    parts = []
    while (part := plan.next(last)) is not None:
        parts.append(part)
    return parts


@given(iterations=st.integers(1, 4), episodes=st.integers(1, 7), size=st.integers(1, 8))
def test_every_episode_is_in_one_part(iterations: int, episodes: int, size: int):
    plan = Plan(iterations, episodes, size)

    parts = drain(plan, iterations)

    assert sorted((p.iteration, n) for p in parts for n in p.numbers) == [
        (i, n) for i in range(1, iterations + 1) for n in range(episodes)
    ]
    assert parts == sorted(parts)
    assert all(p.num <= size for p in parts)


def test_nothing_beyond_the_last_iteration_that_may_be_collected():
    plan = Plan(3, 4, 4)

    assert drain(plan, 0) == []
    assert drain(plan, 2) == [Part(1, 0, 4), Part(2, 0, 4)]
    assert drain(plan, 3) == [Part(3, 0, 4)]


def test_an_iteration_is_complete_once_all_of_its_parts_are_there():
    plan = Plan(2, 4, 2)
    first, second, *_ = drain(plan, 2)

    plan.count([{"part": asdict(second)}])
    assert not plan.is_complete(1)
    plan.count([{"part": asdict(second)}, {"part": asdict(first)}])

    assert plan.is_complete(1)
    assert not plan.is_complete(2)


def test_what_was_lost_is_handed_out_again_first():
    plan = Plan(2, 4, 2)
    _, lost, _ = (plan.next(2) for _ in range(3))

    assert plan.give_back(lost)

    assert drain(plan, 2) == [lost, Part(2, 2, 2)]


def test_of_a_part_that_was_lost_only_what_is_not_in_the_store_is_handed_out_again():
    plan = Plan(1, 4, 4)
    lost = plan.next(1)

    plan.count([{"part": {"iteration": 1, "first": 0, "num": 2}}])
    assert plan.give_back(lost)
    assert drain(plan, 1) == [Part(1, 2, 2)]
    plan.count([{"part": {"iteration": 1, "first": 0, "num": 2}}, {"part": {"iteration": 1, "first": 2, "num": 2}}])

    assert not plan.give_back(lost)
    assert drain(plan, 1) == []


def test_a_batch_with_an_episode_that_is_there_already_does_not_count():
    """Also if the rest of it is new: a batch counts as a whole or not at all."""
    parts = [(1, 0, 2), (1, 0, 2), (1, 1, 3), (1, 2, 2), (2, 0, 2)]
    abouts = [{}, *({"part": asdict(Part(*numbers))} for numbers in parts)]

    assert repeated_batches(abouts, 4) == {2, 3}
    assert collected_parts(abouts, 4) == [Part(1, 0, 2), Part(1, 2, 2), Part(2, 0, 2)]
    assert drain(Plan(2, 4, 4, abouts), 2) == [Part(2, 2, 2)]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_run_goes_on_with_parts_of_another_size(size: int):
    """Episodes 2 and 3 are there; gaps are filled with parts that do not overlap them."""
    abouts = [{}, {"part": {"iteration": 1, "first": 2, "num": 2}}]

    parts = drain(Plan(1, 6, size, abouts), 1)

    assert sorted(n for p in parts for n in p.numbers) == [0, 1, 4, 5]


def test_rounds_of_a_run_that_alternated_count_as_iterations_and_pushed_batches_do_not():
    abouts = [{"oracle_steps": 5}, {"pushed_from": "monday"}, {"seconds": 1.0}, {"part": {"iteration": 2, "first": 0, "num": 1}}]

    assert collected_parts(abouts, 3) == [Part(1, 0, 3), Part(2, 0, 1)]
    assert drain(Plan(2, 3, 3, abouts), 2) == [Part(2, 1, 2)]
