# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# torchwood's witness as the only one of a log. Sourced by run.

litewitness_checks() {
  local fingerprint vkey name=litewitness.example
  ssh-keygen -q -t ed25519 -N '' -f "$folder/witness-key"
  background ssh-agent ssh-agent -D -a "$folder/agent.sock"
  for _ in $(seq 50); do [ ! -S "$folder/agent.sock" ] || break; sleep 0.1; done
  SSH_AUTH_SOCK=$folder/agent.sock ssh-add -q "$folder/witness-key"
  fingerprint=$(ssh-keygen -lf "$folder/witness-key.pub" | cut -d' ' -f2)
  "$BINARY" init --name log.example --data-dir "$folder/data" --ed25519-key "$folder/ed25519.pem" >"$folder/init.log"
  "$BINARY" trust export --data-dir "$folder/data" --out "$folder/trust" >"$folder/trust.log"
  background litewitness "$PEERS/bin/litewitness" -name "$name" -db "$folder/litewitness.db" -ssh-agent "$folder/agent.sock" \
    -key "$fingerprint" -listen 127.0.0.1:7380
  answers http://127.0.0.1:7380/
  vkey=$(grep -oE "$name\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+" "$folder/litewitness.log" "$folder/answer" | head -n 1 | sed 's/^[^:]*://')
  # What its own tool for this does, which does not build: a module of its is on no registry.
  sqlite3 "$folder/litewitness.db" "INSERT INTO log VALUES ('log.example', 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');" \
    "INSERT INTO key VALUES ('log.example', '$(line_of 1 "$folder/trust/checkpoint.vkey")');"
  printf 'witness lite %s http://127.0.0.1:7380\nquorum lite\n' "$vkey" >"$folder/policy"
  log log.example --ed25519-key "$folder/ed25519.pem" --witness-policy "$folder/policy"
  local number
  for number in $(seq 5); do
    openssl ecparam -name prime256v1 -genkey -noout -out "$folder/key.pem"
    openssl pkey -in "$folder/key.pem" -pubout -out "$folder/key.pub"
    echo "$number" >"$folder/artifact"
    openssl dgst -sha256 -sign "$folder/key.pem" -out "$folder/signature" "$folder/artifact"
    jq -n --arg hash "$(sha256sum "$folder/artifact" | cut -d' ' -f1)" --arg signature "$(base64 -w0 "$folder/signature")" --arg key "$(base64 -w0 "$folder/key.pub")" \
      '{apiVersion: "0.0.1", kind: "hashedrekord", spec: {data: {hash: {algorithm: "sha256", value: $hash}}, signature: {content: $signature, publicKey: {content: $key}}}}' >"$folder/entry.json"
    accepts "litewitness cosigns entry $number" curl -fsS --json @"$folder/entry.json" http://127.0.0.1:3000/api/v1/log/entries
  done
  says "the checkpoint has litewitness' line" "^— $name " curl -fsS http://127.0.0.1:3000/checkpoint
}
