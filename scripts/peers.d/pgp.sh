# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# Signatures of Debian developers, under their whole keys, logged by rekor-cli: many are too large for a bundle of tiles. Sourced by run.

# The largest leaf that a bundle of tiles holds.
bundle_limit=65535

pgp_checks() {
  local signer tree logged=0 large=0
  export HOME=$folder
  log log.example
  for signer in "$PEERS"/pgp/*/; do
    run_cli upload --type rekord --format json --artifact "$signer/artifact" --signature "$signer/signature" --pki-format pgp --public-key "$signer/key"
    if [ "$status" -eq 0 ]; then logged "$signer"; else not_logged "$signer"; fi
  done
  # 19 of the 53 that were logged in 2026.
  if [ "$large" -ge 10 ]; then ok "$large leaves above $bundle_limit bytes"; else fail "only $large leaves above $bundle_limit bytes"; fi
  tree=$(curl -fsS http://127.0.0.1:3000/api/v1/log | jq -r .treeID)
  says "their bundle says why it is not there" "larger than the $bundle_limit bytes that a bundle can hold" \
    curl -sS "http://127.0.0.1:3000/trees/$tree/tile/entries/000.p/$logged"
}

run_cli() {
  run timeout 60 "$PEERS/bin/rekor-cli" --rekor_server http://127.0.0.1:3000 "$@"
}

# leaf SIGNER: what Rekor's code makes of these files, beside $folder/leaf.
leaf() {
  "$PEERS/bin/leaf" "$1/artifact" "$1/signature" "$1/key" "$folder/leaf"
}

# logged SIGNER: it has the leaf of Rekor and is shown, whatever its size.
logged() {
  local index size
  logged=$((logged + 1))
  index=$(jq -r .Index <<<"$output")
  curl -fsS "http://127.0.0.1:3000/api/v1/log/entries?logIndex=$index" | jq -r '.[].body' | base64 -d >"$folder/leaf"
  size=$(stat -c %s "$folder/leaf")
  says "$(basename "$1"): the leaf of Rekor, $size bytes" '^same leaf' leaf "$1"
  [ "$size" -gt "$bundle_limit" ] || return 0
  large=$((large + 1))
  run_cli verify --log-index "$index"
  if [ "$status" -eq 0 ]; then ok "rekor-cli verifies it"; else fail "rekor-cli verifies it"; fi
}

# not_logged SIGNER: Rekor refuses it as well, most as expired since.
not_logged() {
  : >"$folder/leaf"
  refuses "$(basename "$1"): refused by Rekor too" '^Rekor refuses it' leaf "$1"
}
