"""How an S3 server is spoken to: settings, keys, certificates, requests."""
