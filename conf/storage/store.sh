# `store` is the server of the settings in the environment, for the `mc` of a script that reads this. The keys go in by a
# pipe: what is among a command's words, every account of the machine can read.
MC_CONFIG_DIR=$(mktemp -d)
export MC_CONFIG_DIR
trap 'rm -rf "$MC_CONFIG_DIR"' EXIT
if [ -n "${S3_CA_BUNDLE:-}" ]; then
  mkdir -p "$MC_CONFIG_DIR/certs/CAs"
  cp "$S3_CA_BUNDLE" "$MC_CONFIG_DIR/certs/CAs/"
fi
printf '%s\n%s\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" | mc alias set store "$S3_ENDPOINT" > /dev/null
