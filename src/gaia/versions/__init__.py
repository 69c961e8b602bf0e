"""A version is a tag on a commit: released through gates, numbered by what changed, and provable ever after."""
