"""One module a stage of dvc.yaml; each says in its first line how to run it."""

import sys

if sys.argv[0] == "-m":  # Python looks for the stage that it is to run, and nothing else is imported yet
    from gaia.stages.surroundings import settle

    settle()
