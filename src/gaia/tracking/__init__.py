"""What a project has trained, told to a tracker of others: one way, and nothing is read back."""
