"""What ships may be trained anew on train and validation: for as many epochs as validation chose, no test item seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import framework
from edited import complaint, param
from gaia.config.compose import compose_lines
from gaia.data.dataset import Dataset
from gaia.frameworks import loop
from gaia.frameworks.protocol import Fit, History
from gaia.stages import fitting

SPLITS = ["train", "train", "train", "validation", "test"]


def config(line: str, **trainer: Any) -> Any:
    for key, value in {"device": "cpu", **trainer}.items():
        param(f"{line}.trainer.{key}", value)
    return compose_lines()[line]


def table(moved: float = 0.0, n: int = 200) -> Dataset:
    """Rows whose number and category tell the class, mostly; the numbers of the test rows are `moved`."""
    rng = np.random.default_rng(7)
    split = np.resize(SPLITS, n)
    days, kind = rng.normal(size=n), rng.choice(["oyster", "shiitake"], n)
    truth = (days + (kind == "oyster") + rng.normal(size=n) > 0.5).astype(np.int64)
    inputs = pd.DataFrame({"kind": kind.astype(object), "days": days + moved * (split == "test")})
    features = [
        {"name": "kind", "column": "kind", "type": "category", "categories": ["oyster", "shiitake"]},
        {"name": "days", "column": "days", "type": "number"},
    ]
    return Dataset(pd.DataFrame({"split": split}), ["healthy", "contaminated"], inputs, features, truth)


def photos(n: int = 40) -> Dataset:
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 2, n)
    inputs = (rng.integers(0, 120, (n, 32, 32, 3)) + 100 * truth[:, None, None, None]).astype(np.uint8)
    return Dataset(pd.DataFrame({"split": np.resize(SPLITS, n)}), ["dandelion", "grass"], inputs, [], truth)


def twice(asked: Any, data: Dataset, folder: Path, name: str) -> tuple[fitting.Chosen, Fit]:
    """The training that validation judges, and the one that ships."""
    chosen = fitting.fit("line", asked, data, folder / name)
    return chosen, fitting.refit("line", asked, data, chosen, folder / f"{name}-refit")


def test_trees_are_as_many_as_validation_chose_grown_at_the_same_rate_on_all_that_is_not_test(
    here: Path, tmp_path: Path
) -> None:
    asked, data = config("cultures", refit=True, max_epochs=400, patience=10), table()
    chosen, shipped = twice(asked, data, tmp_path, "a")
    assert shipped.network.tree_count_ == chosen.fitted.kept_epoch < len(chosen.fitted.history)
    first, again = (fit.network.get_all_params() for fit in (chosen.fitted, shipped))
    for key in ("learning_rate", "leaf_estimation_iterations", "depth", "l2_leaf_reg"):
        assert first[key] == again[key], key
    rows = data.rows("test")
    few = data.take(rows)
    other = framework("cultures").answers(shipped, few)
    assert not np.array_equal(other, framework("cultures").answers(chosen.fitted, few)), "the rows tell more"
    _, elsewhere = twice(asked, table(moved=9.0), tmp_path, "b")
    assert np.array_equal(framework("cultures").answers(elsewhere, few), other), "no test row was looked at"


def test_the_answers_on_validation_are_those_of_the_training_that_never_saw_it(here: Path, tmp_path: Path) -> None:
    data, without = table(), config("cultures", refit=False, max_epochs=30)
    alone, shipped = twice(without, data, tmp_path, "alone")
    assert shipped is alone.fitted, "nothing is trained twice unless it is asked for"
    chosen, _ = twice(config("cultures", refit=True), data, tmp_path, "again")
    assert np.array_equal(chosen.answers, alone.answers)
    assert chosen.answers.shape == (len(data.rows("validation")), 2)
    assert pd.DataFrame(chosen.fitted.history).equals(pd.DataFrame(alone.fitted.history))


@pytest.mark.slow
@pytest.mark.parametrize(("line", "model"), [("plants", "mobilenet_v3_small"), ("bags", "mobilenet_v3")])
def test_a_network_is_trained_again_by_the_same_schedule_and_resumes_to_the_same_weights(
    here: Path, tmp_path: Path, line: str, model: str
) -> None:
    param(f"{line}.model", model)
    param(f"{line}.data", {"use": "photos", "image_size": 32})
    param(f"{line}.evaluation.positive", None)
    asked, data, module = config(line, refit=True, max_epochs=5, keep="last"), photos(), framework(line)
    first, few = Fit(None, [], 3), data.take(data.rows("test"))
    rates: list[float] = []

    def note(_: float, row: dict[str, float] | None) -> None:
        if row:
            rates.append(row["learning_rate"])
            assert "validation_loss" not in row

    whole = module.refit(asked, data.joined(), first, tmp_path / "whole", note)
    assert whole.kept_epoch == len(whole.history) == 3
    batches = loop.batches_an_epoch(data.joined(), asked.trainer)
    last = [epoch + (batches - 1) / batches for epoch in range(3)]
    assert rates == [loop.learning_rate(asked.trainer, asked.optimizer.lr, moment) for moment in last], "of 5 epochs"

    def stop(done: float, row: dict[str, float] | None) -> None:
        if row and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        module.refit(asked, data.joined(), first, tmp_path / "cut", stop)
    resumed = module.refit(asked, data.joined(), first, tmp_path / "cut", lambda *_: None)
    assert np.array_equal(module.answers(resumed, few), module.answers(whole, few))


def test_a_training_of_exactly_so_many_epochs_asks_no_validation(here: Path) -> None:
    trainer = config("plants", max_epochs=9, patience=1).trainer
    history: History = [{"epoch": 1.0, "train_loss": 0.5}, {"epoch": 2.0, "train_loss": 0.6}]
    assert [loop.is_over(history[:n], trainer, 2) for n in (0, 1, 2)] == [False, False, True]
    assert loop.kept_epoch(history, trainer, 2) == 2
    loop.check_finite(history[-1], 0.1, in_float32=True)


def test_a_rate_may_be_left_to_catboost_by_a_word_and_no_other_argument(here: Path) -> None:
    param("cultures.model.learning_rate", "auto")
    assert compose_lines()["cultures"].model.arguments()["learning_rate"] == "auto"
    param("cultures.model.learning_rate", "atuo")
    assert "is 'atuo'; it should be a number from 1e-06 to 1, or auto." in complaint()
    param("cultures.model.learning_rate", "auto")
    param("cultures.model.depth", "auto")
    assert "lines.cultures.model.depth is 'auto'; it should be a whole number from 1 to 16." in complaint()


def test_a_rate_that_is_left_to_catboost_is_the_one_it_takes(here: Path, tmp_path: Path) -> None:
    param("cultures.model.learning_rate", "auto")
    asked = config("cultures", refit=True, max_epochs=40)
    chosen, shipped = twice(asked, table(), tmp_path, "a")
    rate = chosen.fitted.network.get_all_params()["learning_rate"]
    assert rate == pytest.approx(shipped.network.get_all_params()["learning_rate"]) != 0.1
