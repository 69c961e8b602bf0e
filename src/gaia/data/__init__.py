"""Raw data -> index, splits and memory-mapped arrays."""
