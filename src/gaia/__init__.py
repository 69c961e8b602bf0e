"""Gaia Vision: from YAML to a trained, evaluated, versioned classifier."""
