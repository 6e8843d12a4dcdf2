# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# rekor-tiles' end-to-end test and tessera's tools on a ledger that omniwitness cosigns. Sourced by run.

# shellcheck source=scripts/peers.d/omniwitness.sh
. "$here/omniwitness.sh"

tiles_checks() {
  local tests=$PEERS/rekor-tiles/tests
  export HTTP_PROXY='' http_proxy=''
  "$BINARY" init --name rekor-local --data-dir "$folder/data" >"$folder/init.log"
  "$BINARY" trust export --data-dir "$folder/data" --out "$folder/trust" >"$folder/trust.log"
  start_omniwitness
  printf 'witness peer %s http://127.0.0.1:8100\nquorum peer\n' "$(omniwitness_vkey)" >"$folder/policy"
  log rekor-local --witness-policy "$folder/policy"
  # Where the tests look for the server and for its storage.
  background write-port socat TCP-LISTEN:3003,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:3000
  background read-port socat TCP-LISTEN:8000,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:3000
  answers http://127.0.0.1:8000/checkpoint
  {
    echo '-----BEGIN PUBLIC KEY-----'
    jq -r '.tlogs[].publicKey | select(.keyDetails == "PKIX_ED25519").rawBytes' "$folder/trust/trusted_root.json"
    echo '-----END PUBLIC KEY-----'
  } >"$tests/testdata/pki/ed25519-pub-key.pem"
  # Of its other two tests one asks for 501 where this server answers look-ups, the other for containers.
  says "rekor-tiles writes, waits for its witness and reads tiles" '^    --- PASS: TestPOSIX/ReadWrite' \
    env -C "$tests" "$PEERS/bin/rekor-tiles.test" -test.v -test.timeout 120s -test.run '^TestPOSIX$/^ReadWrite$'
  tessera_reads
  tessera_writes
  stop log
  rotated_trees
}

# fsck API URL: reads every tile and bundle of that log's tree, and every leaf, for two minutes at most.
seconds=120
fsck() {
  vkey_of "$1" >"$folder/key-$1"
  timeout "$seconds" "$PEERS/bin/fsck" --storage_url="$2" --public_key="$folder/key-$1" --origin="$(origin_of "$1")" --ui=false
}

tessera_reads() {
  local flipped
  mkdir "$folder/authority"
  # More than a bundle.
  plant v1 150
  accepts "tessera fsck of the v2 log" fsck v2 http://127.0.0.1:3000/
  accepts "tessera fsck of the v1 log" fsck v1 "http://127.0.0.1:3000/trees/$(origin_of v1 | sed 's|.*/||')/"
  run timeout 60 "$PEERS/bin/hammer" --log_url=http://127.0.0.1:3000/ --log_public_key="$(cat "$folder/key-v2")" --show_ui=false \
    --max_read_ops=100 --num_readers_random=3 --num_readers_full=1 --max_runtime=10s
  # It ends with an error because its time is up; it would print its findings before that.
  if grep -qiE 'inconsistent|mismatch|invalid|failed to (fetch|get)' <<<"$output"; then fail "tessera hammer finds nothing"; else ok "tessera hammer finds nothing"; fi
  accepts "tessera mirrors the log" timeout 120 "$PEERS/bin/mirror" --source_url=http://127.0.0.1:3000/ --storage_dir="$folder/mirror"
  accepts "tessera fsck of the mirror" fsck v2 "file://$folder/mirror/"
  # On a damaged copy it neither succeeds nor ends.
  flipped=$(find "$folder/mirror/tile/entries" -type f | sort | head -n 1)
  printf '\x00' | dd of="$flipped" bs=1 seek=40 conv=notrunc status=none
  seconds=30 refuses "tessera fsck of a damaged mirror" '' fsck v2 "file://$folder/mirror/"
}

# Frozen trees and their successors: those of v1 below their path, those of v2 by their host name.
rotated_trees() {
  local api origin origins
  rm -r "$folder/data" "$folder/trust"
  answer_names 'log.example shard2.log.example'
  log log.example
  for api in v1 v2; do
    plant "$api" 150
    says "treehead rotate --log $api" 'rotated' "$BINARY" rotate --log "$api" --data-dir "$folder/data"
    plant "$api" 10
  done
  "$BINARY" trust export --data-dir "$folder/data" --out "$folder/trust" >"$folder/trust.log"
  equal "vkeys of four trees" "$(wc -l <"$folder/trust/checkpoint.vkey")" 4
  mapfile -t origins < <(cut -d+ -f1 "$folder/trust/checkpoint.vkey")
  for origin in "${origins[@]}"; do
    grep "^$origin+" "$folder/trust/checkpoint.vkey" >"$folder/key"
    accepts "tessera fsck of $origin" timeout 120 "$PEERS/bin/fsck" --storage_url="http://${origin/log.example/log.example:3000}/" \
      --public_key="$folder/key" --origin="$origin" --ui=false
  done
}

# plant API LAST: as many entries as twice that number.
plant() {
  accepts "$((2 * $2)) entries by $1" timeout 300 "$PEERS/bin/peers" plant --authority "$folder/authority" --api "$1" --url http://127.0.0.1:3000 --last "$2"
}

# A log of tessera's own, whose head needs a cosignature of our witness.
tessera_writes() {
  local key=PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg round
  "$BINARY" witness init --name witness.example --data-dir "$folder/our-witness" >"$folder/witness-init.log"
  echo "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx" >"$folder/their.vkeys"
  background our-witness "$BINARY" witness serve --data-dir "$folder/our-witness" --logs "$folder/their.vkeys" \
    --listen 127.0.0.1:3010 --metrics-listen 127.0.0.1:3011
  answers http://127.0.0.1:3011/metrics
  printf 'witness ours %s http://127.0.0.1:3010\nquorum ours\n' "$("$BINARY" witness vkey --data-dir "$folder/our-witness")" >"$folder/their-policy"
  for round in 1 2 3; do
    mkdir "$folder/leaves-$round"
    for leaf in $(seq 300); do echo "$round $leaf" >"$folder/leaves-$round/$leaf"; done
    accepts "our witness cosigns a head of tessera's log ($round)" env LOG_PRIVATE_KEY="$key" timeout 120 "$PEERS/bin/posix-oneshot" \
      --storage_dir="$folder/theirs" --entries="$folder/leaves-$round/*" --witness_policy_file="$folder/their-policy" --witness_timeout=10s
  done
  says "the head of tessera's log has our line" '^— witness.example ' cat "$folder/theirs/checkpoint"
}
