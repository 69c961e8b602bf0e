"""Trained trees as a file."""

from __future__ import annotations

import json
from pathlib import Path

from gaia.data.dataset import Dataset
from gaia.frameworks.protocol import Fit

# Parameters that say where and how this run was done and watched, not what was learned
OF_THIS_RUN = (
    "callbacks", "save_snapshot", "snapshot_file", "snapshot_interval", "task_type", "thread_count", "train_dir",
    "verbose",
)  # fmt: skip


def export(fitted: Fit, data: Dataset, folder: Path) -> str:
    """Write model.cbm, without the date, the random id and the folder of the training that CatBoost puts in.

    Returns the name of the file that the runtime loads.
    """
    about = fitted.network.get_metadata()
    parameters = json.loads(about["params"])
    given = {k: v for k, v in parameters["flat_params"].items() if k not in OF_THIS_RUN}
    about["params"] = json.dumps({"flat_params": given, "loss_function": parameters["loss_function"]}, sort_keys=True)
    # the folder's name is a hash of this code: another comment would be another artifact of the same trees
    about["output_options"] = json.dumps(json.loads(about["output_options"]) | {"train_dir": ""}, sort_keys=True)
    # trained on positions; whoever asks the file alone is answered with names
    named = {"class_label_type": "String", "class_names": data.labels}
    about["class_params"] = json.dumps(json.loads(about["class_params"]) | named, sort_keys=True)
    about["train_finish_time"] = about["model_guid"] = ""
    fitted.network.save_model(str(folder / "model.cbm"), format="cbm")
    return "model.cbm"
