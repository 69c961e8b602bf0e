"""conf/ + params.yaml -> one validated configuration a line."""
