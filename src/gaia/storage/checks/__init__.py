"""The whole check of the storage: the server, then the objects."""
