"""PyTorch, Keras, CatBoost: each module offers `fit` and `export` with the same meaning."""
