"""A table of mushroom cultures, drawn from a seed: how each was grown and whether it was contaminated."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LABELS = ("healthy", "contaminated")

# How likely each is to be contaminated, as a part of the logit; slow growers and rich substrates are worse.
SPECIES = {
    "enoki": 0.5,
    "king_oyster": 0.0,
    "lions_mane": 0.7,
    "oyster": -1.2,
    "reishi": -0.3,
    "shiitake": 0.9,
}
SUBSTRATES = {
    "coco_coir": -0.3,
    "hardwood_sawdust": -0.6,
    "manure_compost": 1.1,
    "rye_grain": 0.7,
    "straw": -0.2,
}

# Pairs that do better or worse than the two of them would let one expect.
PAIRS = {
    ("oyster", "straw"): -1.5,
    ("shiitake", "hardwood_sawdust"): -1.8,
    ("shiitake", "straw"): 1.6,
    ("reishi", "hardwood_sawdust"): -1.0,
    ("reishi", "manure_compost"): 1.4,
    ("lions_mane", "rye_grain"): 1.3,
    ("enoki", "coco_coir"): 1.6,
    ("king_oyster", "manure_compost"): -1.7,
    ("oyster", "rye_grain"): 1.2,
}

# Set so that three cultures in ten are contaminated, and who knew `risk` would be right nine times in ten.
CENTRE, STEEPNESS = 2.02, 2.4

FEATURES = ["species", "substrate", "days_since_inoculation", "humidity_percent", "co2_ppm"]


def table(rows: int, seed: int, label_noise: float) -> pd.DataFrame:
    """`rows` cultures without a duplicate among them, as a table of `FEATURES` and `contaminated`.

    species, substrate       text, among the keys of `SPECIES` and `SUBSTRATES`
    days_since_inoculation   whole number, 1 to 60
    humidity_percent         45.0 to 99.0, one decimal
    co2_ppm                  whole number, 400 to 20000
    contaminated             text, "healthy" or "contaminated" (about three in ten)

    The label is drawn with the probability that `risk` gives; then a share `label_noise`, in [0, 1], is
    turned over. More rows with the same seed leave the earlier ones as they were. Raises ValueError for
    negative `rows` and for `label_noise` outside its range.
    """
    if rows < 0:
        raise ValueError(f"rows is {rows}: expected 0 or more")
    if not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise is {label_noise}: expected a share in [0, 1]")
    total = rows + 16 + rows // 50  # the rest stands in for the few that turn out to be duplicates
    # Drawn culture by culture: that is what keeps the earlier rows in a longer table.
    even = np.random.default_rng([seed, 0]).random((total, 5))
    normal = np.random.default_rng([seed, 1]).standard_normal((total, 2))
    cultures = _grown(even, normal)
    ill = (even[:, 3] < risk(cultures)) ^ (even[:, 4] < label_noise)
    cultures["contaminated"] = np.where(ill, "contaminated", "healthy")
    return cultures.drop_duplicates(FEATURES).head(rows).reset_index(drop=True)


def risk(cultures: pd.DataFrame) -> Floats:
    """The probability, in (0, 1), that each culture is contaminated, from `FEATURES` alone: (rows,).

    No model can be right more often than the mean of max(risk, 1 - risk).
    """
    species, substrate = cultures["species"], cultures["substrate"]
    days = cultures["days_since_inoculation"].to_numpy(float)
    humidity = cultures["humidity_percent"].to_numpy(float)
    co2 = np.log(cultures["co2_ppm"].to_numpy(float) / 2000)

    wet = np.clip((humidity - 82) / 10, 0, None)
    dry = np.clip((66 - humidity) / 10, 0, None)
    late = _sigmoid((days - 24) / 5)  # spores are caught early on and show after some weeks
    pair = np.array([PAIRS.get(names, 0.0) for names in zip(species, substrate, strict=True)])
    logit = (
        species.map(SPECIES).to_numpy(float)
        + substrate.map(SUBSTRATES).to_numpy(float)
        + pair
        + 1.9 * wet * (0.3 + late)  # wet is harmful above all when it lasts
        + 0.7 * dry
        + 1.0 * (late - 0.5)
        + 1.1 * np.abs(co2) ** 1.5 * np.where(co2 > 0, 1, 0.25)  # stale air is worse than too much fresh air
    )
    return _sigmoid(STEEPNESS * (logit - CENTRE))


def _sigmoid(logit: Floats) -> Floats:
    odds: Floats = np.exp(logit)
    return odds / (1 + odds)


def _grown(even: Floats, normal: Floats) -> pd.DataFrame:
    """`FEATURES` of n cultures, from (n, 3 or more) even draws in [0, 1) and (n, 2) normal ones."""
    species = _choose(tuple(SPECIES), even[:, 0])
    substrate = _choose(tuple(SUBSTRATES), even[:, 1])
    days = 1 + np.floor(60 * even[:, 2] ** 1.4)
    humidity = np.clip(80 + 9 * normal[:, 0] + 3 * (substrate == "manure_compost"), 45, 99)
    # Mycelium breathes, the more the more of it there is.
    breath = 0.022 * days + 0.35 * (species == "oyster") + 0.25 * (substrate == "rye_grain")
    co2 = np.clip(np.exp(6.9 + breath + 0.55 * normal[:, 1]), 400, 20000)
    return pd.DataFrame(
        {
            "species": species,
            "substrate": substrate,
            "days_since_inoculation": days.astype(np.int64),
            "humidity_percent": humidity.round(1),
            "co2_ppm": co2.round().astype(np.int64),
        }
    )


def _choose(names: tuple[str, ...], even: Floats) -> NDArray[np.object_]:
    return np.array(names, dtype=object)[(even * len(names)).astype(np.int64)]
