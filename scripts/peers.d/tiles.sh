# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# rekor-tiles' end-to-end test and tessera's tools on one log that omniwitness cosigns. Sourced by run.

# The witness whose key is among the test data of rekor-tiles: its name is in the test's source.
witness_of_tiles() {
  awk '$1 == "witness" {print $3}' "$PEERS/rekor-tiles/tests/testdata/witness/policy.yaml"
}

tiles_checks() {
  local tests=$PEERS/rekor-tiles/tests vkeys=$folder/trust/checkpoint.vkey
  export HTTP_PROXY='' http_proxy=''
  "$BINARY" init --name rekor-local --data-dir "$folder/data" --ed25519-key "$folder/ed25519.pem" >"$folder/init.log"
  "$BINARY" trust export --data-dir "$folder/data" --out "$folder/trust" >"$folder/trust.log"
  cat >"$folder/logs.yaml" <<EOF
Logs:
  - Origin: rekor-local
    URL: http://ignored
    PublicKey: $(line_of 1 "$vkeys")
    Feeder: tiles
EOF
  background omniwitness "$PEERS/bin/omniwitness" --listen=127.0.0.1:8100 --metrics_listen=127.0.0.1:8101 --db_file="$folder/witness.sqlite" \
    --private_key_path="$tests/testdata/witness/private.key" --additional_logs="$folder/logs.yaml" --logtostderr
  answers http://127.0.0.1:8101/metrics
  printf 'witness peer %s http://127.0.0.1:8100\nquorum peer\n' "$(witness_of_tiles)" >"$folder/policy"
  log rekor-local --ed25519-key "$folder/ed25519.pem" --witness-policy "$folder/policy"
  # Where the tests look for the server and for its storage.
  background write-port socat TCP-LISTEN:3003,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:3000
  background read-port socat TCP-LISTEN:8000,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:3000
  answers http://127.0.0.1:8000/checkpoint
  curl -fsS http://127.0.0.1:3000/api/v1/log/publicKey -o "$tests/testdata/pki/ed25519-pub-key.pem"
  # Of its other two tests one asks for 501 where this server answers look-ups, the other for containers.
  says "rekor-tiles writes, waits for its witness and reads tiles" '^    --- PASS: TestPOSIX/ReadWrite' \
    env -C "$tests" "$PEERS/bin/rekor-tiles.test" -test.v -test.run '^TestPOSIX$/^ReadWrite$'
  tessera_reads
  tessera_writes
}

tessera_reads() {
  local vkeys=$folder/trust/checkpoint.vkey kind flipped
  for kind in 1 2; do
    line_of "$kind" "$vkeys" >"$folder/key-$kind"
    accepts "tessera fsck with the key of type $kind" timeout 120 "$PEERS/bin/fsck" --storage_url=http://127.0.0.1:3000/ \
      --public_key="$folder/key-$kind" --origin=rekor-local --ui=false
  done
  run timeout 60 "$PEERS/bin/hammer" --log_url=http://127.0.0.1:3000/ --log_public_key="$(cat "$folder/key-1")" --show_ui=false \
    --max_read_ops=100 --num_readers_random=3 --num_readers_full=1 --max_runtime=10s
  # It ends with an error because its time is up; it would print its findings before that.
  if grep -qiE 'inconsistent|mismatch|invalid|failed to (fetch|get)' <<<"$output"; then fail "tessera hammer finds nothing"; else ok "tessera hammer finds nothing"; fi
  accepts "tessera mirrors the log" timeout 120 "$PEERS/bin/mirror" --source_url=http://127.0.0.1:3000/ --storage_dir="$folder/mirror"
  accepts "tessera fsck of the mirror" timeout 120 "$PEERS/bin/fsck" --storage_url="file://$folder/mirror/" \
    --public_key="$folder/key-1" --origin=rekor-local --ui=false
  # On a damaged copy it neither succeeds nor ends.
  flipped=$(find "$folder/mirror/tile/entries" -type f | sort | head -n 1)
  printf '\x00' | dd of="$flipped" bs=1 seek=40 conv=notrunc status=none
  refuses "tessera fsck of a damaged mirror" '' timeout 30 "$PEERS/bin/fsck" --storage_url="file://$folder/mirror/" \
    --public_key="$folder/key-1" --origin=rekor-local --ui=false
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
