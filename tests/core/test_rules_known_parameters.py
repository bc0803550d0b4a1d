"""Parameters that are known in training: the teacher learns from the query, the student from the teacher."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.belief import Belief
from adaptive_mbrl.adaptation.known_parameters import KnownParametersConfig, KnownParametersRule
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Description
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.dump import read_dump
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.dump import replay_training_step, write_training_step
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.meta.observer import FitObserver
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.process import Process
from adaptive_mbrl.training.unfinished_fit import UnfinishedFit, load_fit, save_fit
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_WINDOW, TINY_PLANNER, TO_ORIGIN, point_episodes
from tests.core.point_training import point_trainer
from tests.core.rules import RULES, stirred_adapter
from tests.core.test_balanced_training import PrecisePoints
from tests.core.test_rules_embedding import training_windows
from tests.core.test_rules_learning import trained
from tests.core.together import together

KNOWN = [{"gain": 0.5, "slope": 3.0}, {"gain": 1.5}, None, {}]
"""Of the third situation nothing is known, and the fourth one is the nominal robot."""


def rule_of(adapter: NetworkAdapter) -> KnownParametersRule:
    (rule,) = adapter.rules
    assert isinstance(rule, KnownParametersRule)
    return rule


def stirred(**settings: object) -> NetworkAdapter:
    config = KnownParametersConfig(**{"hidden": 16, "heads": 2, "code_dim": 4, "parameters": 3, **settings})
    return stirred_adapter((config,))


def base_of(adapter: NetworkAdapter) -> NetworkPredictor:
    return NetworkPredictor(adapter.model)


def known_episodes(num: int, seed: int) -> list[Episode]:
    """Point masses whose gain is known."""
    return [dataclasses.replace(e, tags={"situation": e.tags}) for e in point_episodes(num, seed)]


def known_dataset(num: int = 8) -> EpisodeDataset:
    """The first of the training's episodes is a recording of which nothing is known."""
    training, held_out = known_episodes(num, 0), known_episodes(8, 500)
    training[0] = dataclasses.replace(training[0], tags={})
    return EpisodeDataset(POINT, training, held_out, POINT_WINDOW, POINT_OUTER.query)


def trainer_of(seed: int = 0, **settings: Any) -> MetaTrainer:
    return point_trainer(seed, RULES["known_parameters"], **settings)


def gradients(loss: Tensor, adapter: NetworkAdapter) -> dict[str, float]:
    """The largest entry of the gradient of each part of an adapter: teacher, student, network and so on."""
    parameters = dict(adapter.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, retain_graph=True)
    largest: dict[str, float] = {}
    for name, gradient in zip(parameters, found, strict=True):
        part = name.removeprefix("rules.0.").split(".")[0]
        largest[part] = max(largest.get(part, 0.0), 0.0 if gradient is None else float(gradient.abs().max()))
    return largest


STUDENT = ("encoder", "attention", "empty_attention", "value")


@torch.no_grad()
def test_the_teacher_sees_which_numbers_there_are_and_how_large_they_are():
    """Gains 0.5 and 1.5 are one std below and above their mean; a number that never varies is zero wherever it is."""
    adapter = stirred()
    rule = rule_of(adapter)
    adapter.know_situations(KNOWN, refit=True)

    expected = torch.tensor([[1.0, 1, 0, -1, 0, 0], [1, 0, 0, 1, 0, 0], [0.0] * 6, [0] * 6])
    torch.testing.assert_close(rule.situations, expected)
    assert rule.knows(torch.tensor([0, 1, 2, 3, 4, 900])).tolist() == [True, True, False, True, False, False]
    torch.testing.assert_close(rule.taught(torch.tensor([1, 3])), rule.teacher(expected[[1, 3]]))


@torch.no_grad()
def test_the_students_loss_is_the_mean_square_of_what_it_misses_of_the_teachers_code():
    adapter = stirred(teaching=3.0, code_dim=2)
    rule, windows = rule_of(adapter), training_windows([1, 0, 2])
    adapter.know_situations(KNOWN, refit=True)
    (student,), teacher = adapter.infer(windows.recent), rule.taught(windows.task)

    (loss,) = adapter.loss_terms(adapter.infer_in_training(windows), windows).values()

    for i in range(2):
        missed = [float(student.code[i, d] - teacher[i, d]) for d in range(2)]
        assert loss[i].item() == pytest.approx(3.0 * (missed[0] ** 2 + missed[1] ** 2) / 2, rel=1e-4)
    assert loss[2] == 0, "nothing is known of the third window"


@torch.no_grad()
def test_in_training_the_teacher_is_believed_and_the_student_where_nothing_is_known():
    adapter = stirred(prior_share=0.5)
    rule, windows = rule_of(adapter), training_windows([2, 0, 1, 3, 2, 0])
    adapter.know_situations(KNOWN, refit=True)

    (belief,), (student,) = adapter.infer_in_training(windows), adapter.infer(windows.recent)

    teacher = rule.taught(windows.task)
    # every second row is predicted under the prior, where the parameters are known
    expected = [student.code[0], teacher[1], torch.zeros(4), teacher[3], student.code[4], teacher[5]]
    assert torch.equal(belief.code, torch.stack(expected))
    assert torch.equal(rule.infer_known(windows, base_of(adapter)).code[2], teacher[2])


def test_teacher_and_student_each_learn_from_their_own_part_of_the_loss():
    adapter = stirred(prior_share=0.0)
    adapter.know_situations(KNOWN, refit=True)

    def parts(tasks: list[int]) -> tuple[dict[str, float], dict[str, float]]:
        windows = training_windows(tasks)
        belief = adapter.infer_in_training(windows)
        query = query_errors(adapter.condition(belief), windows).square().sum()
        distillation = sum(term.sum() for term in adapter.loss_terms(belief, windows).values())
        return gradients(query, adapter), gradients(distillation, adapter)

    query, distillation = parts([0, 1, 3])
    assert all(query[part] == 0 < distillation[part] for part in STUDENT)
    assert all(query[part] > 0 == distillation[part] for part in ("teacher", "modulation", "model"))
    query, distillation = parts([2, 2, 7])
    assert all(query[part] > 0 for part in (*STUDENT, "modulation", "model"))
    assert query["teacher"] == 0 == max(distillation.values())


@torch.no_grad()
def test_a_parameter_keeps_its_place_whatever_data_comes():
    """In another order, with a number that is new, and after the way through a checkpoint."""
    adapter, other = stirred(), stirred(seed=1)
    adapter.know_situations(KNOWN, refit=True)
    other.load_state_dict(adapter.state_dict())
    grown = [{"wind": 8.0}, {"slope": 5.0, "gain": 0.5}, {"gain": 1.0}]

    other.know_situations(grown, refit=False)

    expected = torch.tensor([[0.0, 0, 1, 0, 0, 0], [1, 1, 0, -1, 2, 0], [1, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(rule_of(other).situations, expected)
    assert torch.equal(rule_of(other).taught(torch.tensor([2])), rule_of(other).teacher(expected[2:]))
    # gains 0.5 and 1: one std of a quarter from their mean
    other.know_situations(grown, refit=True)
    torch.testing.assert_close(rule_of(other).situations[1:, 3], torch.tensor([-1.0, 1.0]))


@torch.no_grad()
def test_a_number_far_from_all_others_is_clamped():
    adapter = stirred()
    adapter.know_situations(KNOWN, refit=True)

    adapter.know_situations([{"gain": 1e9, "slope": -1e9}], refit=False)

    assert rule_of(adapter).situations.tolist() == [[1, 1, 0, 10, -10, 0]]


def test_more_parameters_than_there_is_room_for_are_refused():
    adapter = stirred()
    adapter.know_situations(KNOWN, refit=True)

    with pytest.raises(ConfigError, match=r"known_parameters\.parameters': 3; .* by 5 different parameters"):
        adapter.know_situations([{"wind": 1.0, "mass": 2.0, "load": 3.0}], refit=True)


def test_a_fit_goes_on_to_the_bit_where_it_was_interrupted(tmp_path: Path):
    straight, halted, other = (trainer_of(seed) for seed in (0, 0, 9))

    class Interrupting(FitObserver):
        def updated(self, losses: Tensor) -> None:
            if len(losses) == 2:
                save_fit(tmp_path, UnfinishedFit(0, 1, 0.0, losses), halted)
                raise KeyboardInterrupt

    expected = straight.fit(known_dataset(), 4)
    with pytest.raises(KeyboardInterrupt):
        halted.fit(known_dataset(), 4, Interrupting())
    unfinished = load_fit(tmp_path, 0, 1, other)
    assert unfinished is not None

    assert other.fit(known_dataset(), 4, before=unfinished.losses) == expected
    same = zip(straight.adapter.state_dict().values(), other.adapter.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)


def test_what_comes_out_does_not_depend_on_the_number_of_processes():
    """In double precision; the prior's rows of two halves are those of the whole."""
    start = trainer_of().adapter.state_dict()

    def fit(process: Process) -> dict[str, Tensor]:
        trainer = trainer_of(process=process, meta_batch_size=40)
        # threads share the generator that initial weights are drawn from
        trainer.adapter.load_state_dict(start)
        trainer.adapter.double()
        trainer.fit(PrecisePoints(known_dataset()), 4)
        return trainer.adapter.state_dict()

    alone = fit(Process())

    for found in together(2, fit):
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-8)


def test_a_step_that_diverged_is_replayed_with_what_was_known(tmp_path: Path):
    trainer, data = trainer_of(), known_dataset()
    trainer.fit(data, 1)
    windows = data.sample(16, torch.Generator().manual_seed(3))
    about = Description(
        FORMAT_VERSION, POINT, TO_ORIGIN.terms, (), POINT_MODEL, RULES["known_parameters"], TINY_PLANNER, POINT_WINDOW
    )

    path = write_training_step(tmp_path, "a test", about, trainer, windows)

    replayed = replay_training_step(read_dump(path)).loss
    assert replayed == trainer.loss(windows).mean().item()
    trainer.adapter.know_situations([None], refit=False)
    assert replayed != pytest.approx(trainer.loss(windows).mean().item())


@torch.no_grad()
def test_the_student_ends_near_its_teacher():
    """On masses that neither has seen; the teacher is told their gains."""
    adapter = copy.deepcopy(trained("known_parameters", 300).adapter)
    sampler = WindowSampler(known_episodes(8, 900), POINT_WINDOW, POINT_OUTER.query)
    windows = sampler.at(torch.arange(len(sampler)))
    full = windows.recent.valid.all(1)
    adapter.know_situations(sampler.known_parameters(), refit=False)
    student, prior = adapter.infer(windows.recent), adapter.prior(len(full))
    teacher = (rule_of(adapter).infer_known(windows, base_of(adapter)),)

    def error(belief: Belief) -> float:
        return query_errors(adapter.condition(belief), windows)[:, full].abs().median().item()

    missed = (student[0].code - teacher[0].code)[full].square().mean()
    assert missed < 0.15 * teacher[0].code[full].var(0).mean()
    assert error(teacher) < 0.8 * error(student)
    assert error(student) < 0.4 * error(prior)
