# shellcheck shell=bash
# Three rotations of each log; afterwards stock clients verify everything from before. Sourced by backend.
# shellcheck disable=SC2154 # checks.sh and sigstore.sh set output, person and workflow

# one_of_each NAME: a signature with a key by v1, and one with a certificate by v2, whose log has a host name of its own for each tree.
one_of_each() {
  echo "$1, $BACKEND" >"$1.txt"
  export_trust trust-v1 --signing-config-base "$AUTHORITIES/without_tsa.json"
  says "$1: sigstore-go signs, v1" "log at $LOG_URL, v1\$" "$INTEROP" sign --signing-config trust-v1/signing_config.v0.2.json \
    --trusted-root trust-v1/trusted_root.json --key p256.key --bundle "$1.v1" "$1.txt"
  export_trust trust-v2 --signing-config-base "$AUTHORITIES/signing_config.json"
  # sigstore-python reads no bundle of an entry at index 0: protobuf leaves zeros out, and it misses them.
  local bundle
  for bundle in "$1.first" "$1.v2"; do
    says "$1: sigstore-go signs, v2" "log at http://$2:.*, v2\$" env "http_proxy=$AUTHORITIES_URL" "HTTP_PROXY=$AUTHORITIES_URL" \
      no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 "$INTEROP" sign --signing-config trust-v2/signing_config.v0.2.json \
      --trusted-root trust-v2/trusted_root.json --token "$(token github)" --bundle "$bundle" "$1.txt"
  done
}

rotate_checks() {
  local number index
  echo "--- rotation"
  rm -rf "$HOME/.rekor"
  says "rekor-cli loginfo before" '"TotalTreeSize"' rekor loginfo
  one_of_each shard1 localhost
  for number in 2 3 4; do
    says "treehead rotate, v1" "rotated the v1 log" "$LOG_PROGRAM" rotate --log v1
    says "treehead rotate, v2" "shard$number.localhost" "$LOG_PROGRAM" rotate --log v2
    one_of_each "shard$number" "shard$number.localhost"
  done
  says "rekor-cli loginfo afterwards, consistent with what it saw before" '"TotalTreeSize"' rekor loginfo

  equal "the trusted root has four trees of each log" "$(jq '.tlogs | length' trust-v2/trusted_root.json)" 8
  for number in 1 2 3 4; do
    says "shard$number: cosign 3 verifies the v1 signature" 'Verified OK' \
      cosign3 verify-blob --key p256.pub --trusted-root trust-v2/trusted_root.json --bundle "shard$number.v1" "shard$number.txt"
    api=v2 trust=trust-v2 verified_by_all "shard$number.v2" "shard$number.txt" "$workflow"
    bundle_verified trust-v2/trusted_root.json "shard$number.v1" "shard$number.txt" --key p256.pub
    bundle_verified trust-v2/trusted_root.json "shard$number.v2" "shard$number.txt" \
      --certificate-identity "$workflow" --certificate-oidc-issuer "$AUTHORITIES_URL"
    index=$(jq -r '.verificationMaterial.tlogEntries[0].logIndex // "0"' "shard$number.v1")
    says "shard$number: rekor-cli verifies the entry as it is now" '"EntryUUID"' rekor verify --log-index "$index"
  done
}
