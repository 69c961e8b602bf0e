"""Demo data for the three lines, drawn from a seed: no download, no assets."""

from gaia.demo.writing import write_photos, write_table

__all__ = ["write_photos", "write_table"]
