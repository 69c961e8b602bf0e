"""Searches: many trainings of one line, each a DVC experiment, the next chosen by what the others showed."""
