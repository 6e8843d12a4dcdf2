# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# sigstore-java: uploads by both APIs, reads back, searches, verifies offline. Sourced by run.

java_checks() {
  log localhost
  # It looks for the log's line in a checkpoint by the host of this URL.
  "$BINARY" trust export --data-dir "$folder/data" --public-url http://localhost:3000 --out "$folder/trust" >"$folder/trust.log"
  run timeout 120 java -cp "$PEERS/java/*" "$here/java/Peer.java" http://localhost:3000 "$folder/trust/trusted_root.json"
  for api in v1 v2; do
    if grep -q "^$api verified" <<<"$output"; then ok "sigstore-java by $api"; else fail "sigstore-java by $api"; fi
  done
}
