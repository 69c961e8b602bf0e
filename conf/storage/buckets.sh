#!/bin/sh
# Makes the buckets: they keep what was overwritten or deleted for the days that lifecycle.json says. docker-compose.yml
# runs it; with `mc` on PATH and the settings of .env in the environment it does the same on any MinIO.
set -eu
here=$(dirname "$0")
. "$here/store.sh"
for bucket in "$S3_BUCKET_MODELS" "$S3_BUCKET_IMAGES" "$S3_BUCKET_DATA"; do
  mc mb --ignore-existing "store/$bucket"
  mc ilm import "store/$bucket" < "$here/lifecycle.json"
  mc version enable "store/$bucket"
done
