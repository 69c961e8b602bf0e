"""Cross-validation answers every item once, by a model that saw neither it nor its like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edited import param
from gaia import paths
from gaia.data.dataset import Dataset
from gaia.errors import GaiaError
from gaia.evaluation.folds import parts, summary
from gaia.stages.folds import answered
from test_refit import config, table


def grouped(n: int = 200) -> Dataset:
    """Rows that come in fours, and ten that can't be used."""
    data = table(n=n)
    truth = data.truth.copy()
    truth[:10] = -1
    return data._replace(table=data.table.assign(group=[f"plant {i // 4}" for i in range(n)]), truth=truth)


def test_every_usable_item_is_tested_once_and_no_group_is_in_two_splits() -> None:
    data = grouped()
    tested = np.zeros(len(data.truth), dtype=int)
    for part in parts("line", data, 5, 0.15, 1):
        tested[part.rows("test")] += 1
        held = {split: set(part.table["group"].iloc[part.rows(split)]) for split in ("train", "validation", "test")}
        assert not held["train"] & held["test"] and not held["train"] & held["validation"]
        assert not held["validation"] & held["test"]
        shares = [len(part.rows(split)) / 190 for split in ("train", "validation", "test")]
        assert shares == pytest.approx([0.65, 0.15, 0.2], abs=0.08)
        classes = [part.truth[part.rows(split)].mean() for split in ("train", "validation", "test")]
        assert max(classes) - min(classes) < 0.25
    assert (tested == (data.truth >= 0)).all()


def test_the_same_seed_parts_alike_and_another_otherwise() -> None:
    first, again, other = (
        [tuple(part.rows("test")) for part in parts("line", grouped(), 4, 0.15, seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_too_few_items_of_a_class_are_a_sentence() -> None:
    data = grouped()
    truth = np.where(np.arange(len(data.truth)) < 198, 0, 1)
    with pytest.raises(
        GaiaError, match="line: evaluation.folds is 5, and contaminated has 1 items of different groups"
    ):
        list(parts("line", data._replace(truth=truth), 5, 0.15, 1))


def test_intervals_hold_their_numbers_and_narrow_with_items() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for n in (100, 1600):
        truth = rng.integers(0, 2, n)
        share = np.clip(0.5 + (truth - 0.5) * 0.4 + rng.normal(0, 0.25, n), 0.01, 0.99)
        p = np.stack([1 - share, share], axis=1)
        found = dict(summary(5, truth, p, p.argmax(1), ["a", "b"], 1, seed=3))
        assert found == dict(summary(5, truth, p, p.argmax(1), ["a", "b"], 1, seed=3))
        for key in ("accuracy", "log_loss", "roc_auc"):
            assert found[f"{key}_low"] < found[key] < found[f"{key}_high"]
        widths.append(found["log_loss_high"] - found["log_loss_low"])
    assert widths[1] < widths[0] / 2


def test_folds_are_trained_as_the_line_is_and_the_line_s_own_splits_stay(here: Path) -> None:
    paths.weights("cultures").mkdir(parents=True)
    (paths.weights("cultures") / paths.WEIGHTS_FACTS).write_text("null")  # from scratch
    data, asked = grouped(), config("cultures", max_epochs=20, refit=True)
    before = data.table.copy()
    found = answered("cultures", asked, data, 3, calibrated=True)
    assert len(found.truth) == len(found.probabilities) == 190
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    assert ((found.probabilities[:, 1] > 0.5) == found.truth).mean() > 0.6
    assert data.table.equals(before)
    again = answered("cultures", asked, data, 3, calibrated=True)
    assert np.array_equal(found.probabilities, again.probabilities)


def test_nothing_is_cross_validated_unless_it_is_asked_for(here: Path) -> None:
    assert config("cultures").evaluation.folds is None
    param("cultures.evaluation.folds", 5)
    assert config("cultures").evaluation.folds == 5
