"""What Git says: which versions exist, what was and is live, what was withdrawn, what is foreign."""
