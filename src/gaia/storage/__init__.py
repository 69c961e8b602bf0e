"""Where artifacts live: an S3 server with a bucket a DVC remote."""
