"""What is live: decided by tags, carried out on this host, followed by the others."""
