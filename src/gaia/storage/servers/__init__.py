"""The S3 server of this host: started, stopped, with its buckets and users."""
