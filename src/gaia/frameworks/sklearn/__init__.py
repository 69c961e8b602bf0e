"""scikit-learn: a linear model and gradient boosting for tables, shipped as ONNX."""
