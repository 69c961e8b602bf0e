"""Load an artifact and predict, without any training framework."""
