"""What trains: a folder for each framework, all as protocol.py asks; and what networks share."""
