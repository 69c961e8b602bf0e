"""Judging a trained model on the test photos or rows: numbers, curves, mistakes and one page to look at."""
