"""Work that is done beside the project's folder: in workspaces of its own, here or on other hosts."""
