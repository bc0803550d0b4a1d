"""A checkpoint's canary: predictions that were recorded when it was written, against which a loaded one is checked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.canary import CANARY_FILE, CANARY_WINDOWS, TOLERANCE, Canary, canary_deviation, check_canary, make_canary
from adaptive_mbrl.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.meta.fine_tune import fine_tuned
from adaptive_mbrl.meta.trainer import OuterConfig
from sim.episodes.policies import RandomPolicy
from tests.core.mixed_checkpoint import message
from tests.quality.changes import RECORDED, run_changed
from tests.quality.shipped import ADAPTIVE, SHIPPED


def canary_of(checkpoint: Checkpoint) -> Canary:
    assert checkpoint.canary is not None, "every shipped checkpoint has one"
    return checkpoint.canary


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_checkpoint_predicts_what_it_did_when_it_was_recorded(name: str):
    checkpoint = load_checkpoint(name)

    check_canary(checkpoint.adapter, canary_of(checkpoint), name)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_adapting_changes_the_recorded_predictions(name: str):
    """Else a canary could not tell whether adapting still works."""
    checkpoint = load_checkpoint(name)
    canary = canary_of(checkpoint)

    moved = checkpoint.adapter.normalizer.error(canary.adapted, canary.prior).abs().amax((1, 2))
    assert (moved > 10 * TOLERANCE).all()


def test_another_weight_step_size_or_normalizer_is_noticed():
    for name in ("model.net.weight_1", "rules.1.log_step_sizes.context", "model.normalizer.obs_mean"):
        checkpoint = load_checkpoint("cartpole")
        with torch.no_grad():
            checkpoint.adapter.state_dict()[name].add_(0.1)
        with pytest.raises(CheckpointError, match=r"somewhere: predictions differ from those in canary\.safetensors by up to"):
            check_canary(checkpoint.adapter, canary_of(checkpoint), "somewhere")


def test_a_prediction_that_is_no_number_deviates_infinitely():
    checkpoint = load_checkpoint("cartpole")
    with torch.no_grad():
        checkpoint.adapter.model.net.bias_0.fill_(torch.nan)

    assert canary_deviation(checkpoint.adapter, canary_of(checkpoint)) == torch.inf


def test_a_canary_is_saved_and_loaded_with_its_checkpoint(tmp_path: Path):
    checkpoint = load_checkpoint("cartpole")
    canary = canary_of(checkpoint)
    save_checkpoint(tmp_path / "saved", Checkpoint(checkpoint.description, checkpoint.adapter, canary))

    loaded = canary_of(load_checkpoint(tmp_path / "saved"))

    assert all(torch.equal(a, b) for a, b in zip(tensors_of(loaded), tensors_of(canary), strict=True))
    again = make_canary(checkpoint.adapter, loaded.windows)
    torch.testing.assert_close(tensors_of(again), tensors_of(canary), rtol=0.0, atol=1e-4)


def test_fine_tuning_records_a_canary_of_held_out_windows():
    checkpoint = load_checkpoint("cartpole")
    policy = RandomPolicy(checkpoint.description.spec, seed=0, steps=40)
    training, held_out = run_changed("cartpole", RECORDED["cartpole"], policy, at=0, steps=40)

    tuned, _, _ = fine_tuned(checkpoint, [training], [held_out], OuterConfig(query=5), updates=1)

    canary = canary_of(tuned)
    assert canary.windows.obs.shape == (CANARY_WINDOWS, 6, 4)
    assert set(canary.windows.obs[:, 0, 0].tolist()) <= set(held_out.obs[:, 0].tolist())
    check_canary(tuned.adapter, canary, "fine-tuned")
    with pytest.raises(CheckpointError):
        check_canary(checkpoint.adapter, canary, "not fine-tuned")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_checkpoint("cartpole"), tmp_path / "copied"))


def test_a_checkpoint_without_a_canary_still_loads(copied: Path):
    (copied / CANARY_FILE).unlink()

    assert load_checkpoint(copied).canary is None


def test_a_damaged_canary_is_named(copied: Path):
    path = copied / CANARY_FILE
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if name != "prior"}, path)
    assert message(copied) == f"{path}: tensor 'prior' is missing"

    path.write_bytes(b"\0" * 20)
    assert message(copied).startswith(f"{path}: damaged canary: ")
