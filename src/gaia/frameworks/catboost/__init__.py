"""CatBoost: gradient boosting for tables."""
