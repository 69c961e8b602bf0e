"""Beside every model stand the most common class and a linear one, on the same items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gaia.data.dataset import Dataset
from gaia.evaluation.baselines import MOST, baselines
from test_refit import photos, table


def measured(data: Dataset) -> dict:
    return dict(baselines(data, data.rows("train"), data.rows("test"), 1))


def test_the_majority_answers_with_the_shares_of_training_and_a_line_does_better_where_there_is_something() -> None:
    data = table()
    found, test = measured(data), data.truth[data.rows("test")]
    share = data.truth[data.rows("train")].mean()
    assert found["majority"]["accuracy"] == pytest.approx((test == int(share > 0.5)).mean(), abs=1e-6)
    loss = -np.mean(np.where(test, np.log(share), np.log(1 - share)))
    assert found["majority"]["log_loss"] == pytest.approx(loss, abs=1e-6)
    assert found["linear"]["log_loss"] < found["majority"]["log_loss"] - 0.1
    assert found["linear"]["accuracy"] > found["majority"]["accuracy"]


def test_photos_are_told_apart_by_a_line_where_their_light_tells() -> None:
    assert measured(photos())["linear"]["accuracy"] == 1.0


def test_gaps_and_categories_that_training_never_saw_are_no_hindrance() -> None:
    data = table()
    inputs = data.inputs.copy()
    inputs.loc[data.rows("test")[:5], "kind"] = "enoki"
    inputs.loc[::7, "days"] = np.nan
    inputs["nothing"] = np.nan
    features = [*data.features, {"name": "nothing", "column": "nothing", "type": "number"}]
    assert measured(data._replace(inputs=inputs, features=features))["linear"]["log_loss"] < 0.7


def test_the_same_data_give_the_same_numbers_and_many_rows_take_no_longer() -> None:
    n = 3 * MOST
    data = table(n=n)
    assert measured(data) == measured(data)
    assert measured(data)["linear"]["log_loss"] == pytest.approx(
        measured(table(n=n // 3))["linear"]["log_loss"], abs=0.02
    )


def test_a_line_answers_for_classes_that_its_rows_lack() -> None:
    data = table()
    three = data._replace(labels=[*data.labels, "unseen"])
    assert set(measured(three)) == {"linear", "majority"}
    assert isinstance(three.inputs, pd.DataFrame)
