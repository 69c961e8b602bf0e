"""What CatBoost promises."""

import math

from gaia.config.framework import Framework

# A key -> the arguments that it decides, by all their names: CatBoost refuses two names of one. None: the curves and
# the choice of the best tree count on each tree's loss and accuracy, and where a run is watched and resumed is set.
DECIDED: dict[str | None, str] = {
    "trainer.max_epochs": "iterations n_estimators num_boost_round num_trees",
    "trainer.patience": "early_stopping_rounds od_wait od_type od_pval",
    "trainer.class_weights": "auto_class_weights",
    "trainer.device": "task_type",
    "trainer.threads": "thread_count",
    "seed": "random_seed random_state",
    "data.classes": "loss_function objective class_names classes_count target_border",
    "data.categories": "cat_features",
    "model.learning_rate": "eta",
    "model.depth": "max_depth",
    "model.l2_leaf_reg": "reg_lambda",
    "model.border_count": "max_bin",
    "model.rsm": "colsample_bylevel",
    "model.max_leaves": "num_leaves",
    "model.min_data_in_leaf": "min_child_samples",
    None: "custom_metric custom_loss eval_metric metric_period eval_fraction use_best_model best_model_min_trees "
    "text_features embedding_features train_dir allow_writing_files output_borders save_snapshot "
    "snapshot_file snapshot_interval callback name verbose verbose_eval silent logging_level",
}

SPEC = Framework(
    name="catboost",
    kind="table",
    allowed={"model": "catboost.CatBoostClassifier"},
    reader="gaia.frameworks.catboost.reader",
    packages=("catboost",),
    unit="trees",
    given={"catboost": {argument: key for key, arguments in DECIDED.items() for argument in arguments.split()}},
    auto=("learning_rate",),
    ranges={
        "depth": (1, 16),
        "learning_rate": (1e-6, 1),
        "l2_leaf_reg": (0.0, math.inf),
        "border_count": (1, 65535),
    },
)
