#!/bin/sh
# Makes three users with the rights of host.json, reader.json and writer.json, on MinIO: `gaia storage up --users` runs it
# and gives it the users' keys, USER_HOST_ACCESS_KEY and so on. Repeating it changes nothing but what has changed.
set -eu
here=$(dirname "$0")
. "$here/store.sh"

make() {  # role, access key, secret key
  policy="gaia-$S3_BUCKET_MODELS-$1"
  eval "cat <<EOF
$(cat "$here/$1.json")
EOF" > "$MC_CONFIG_DIR/$1.json"
  mc admin policy create store "$policy" "$MC_CONFIG_DIR/$1.json"
  printf '%s\n%s\n' "$2" "$3" | mc admin user add store
  mc admin policy attach store "$policy" --user "$2"
}

make host "$USER_HOST_ACCESS_KEY" "$USER_HOST_SECRET_KEY"
make reader "$USER_READER_ACCESS_KEY" "$USER_READER_SECRET_KEY"
make writer "$USER_WRITER_ACCESS_KEY" "$USER_WRITER_SECRET_KEY"
