"""A table's columns as scikit-learn's models take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def encoder(features: list[dict[str, Any]], train: pd.DataFrame, is_linear: bool) -> ColumnTransformer:
    """Columns -> float64: a column for each category, then the numbers, but for those of which training has none. For a
    linear model those are scaled, the mean fills their gaps, and a column more says where (for those that have any in
    training); trees take gaps as they are.
    """
    categories = [feature for feature in features if feature["type"] == "category"]
    known = [np.array(feature["categories"], dtype=object) for feature in categories]
    onehot = OneHotEncoder(categories=known, sparse_output=is_linear, handle_unknown="ignore")
    scaled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()) if is_linear else "passthrough"
    numbers = [feature["name"] for feature in features if feature["type"] == "number"]
    columns = ColumnTransformer([
        ("categories", onehot, [feature["name"] for feature in categories]),
        ("numbers", scaled, [name for name in numbers if train[name].notna().any()]),
    ])  # fmt: skip
    return columns.fit(train)
