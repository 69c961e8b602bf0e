"""One module a stage of dvc.yaml; each says in its first line how to run it."""
