# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# go-cose and pycose verify the COSE receipts of entries of both logs, in the active and in a frozen tree. Sourced by run.

# key_of ID: the public key of the log with this ID in hexadecimal, in a PEM file.
key_of() {
  curl -fsS http://127.0.0.1:3000/trust/trusted_root.json -o "$folder/root.json"
  {
    echo '-----BEGIN PUBLIC KEY-----'
    jq -r --arg id "$(xxd -r -p <<<"$1" | base64 -w0)" '.tlogs[] | select(.logId.keyId == $id).publicKey.rawBytes' "$folder/root.json" | fold -w 64
    echo '-----END PUBLIC KEY-----'
  } >"$folder/key.pem"
}

# kid FILE: the key ID of a receipt, in hexadecimal.
kid() {
  "$COSE/bin/python" -c 'import sys; from pycose.messages import Sign1Message; from pycose.headers import KID; print(Sign1Message.decode(open(sys.argv[1], "rb").read()).phdr[KID].hex())' "$1"
}

# received NAME URL: both verify the receipt of the entry at URL, and refuse it for another leaf.
received() {
  local program
  curl -fsS -H 'Accept: application/cose' "$2" -o "$folder/receipt"
  curl -fsS "$2" | jq -r .canonicalizedBody | base64 -d >"$folder/leaf"
  key_of "$(kid "$folder/receipt")"
  cp "$folder/leaf" "$folder/other" && echo >>"$folder/other"
  for program in "$PEERS/bin/received" "$here/received.py"; do
    says "$1: $(basename "$program") verifies the receipt" '^received$' run_verifier "$program" "$folder/leaf"
    refuses "$1: $(basename "$program") refuses another leaf" 'received: ' run_verifier "$program" "$folder/other"
  done
}

# run_verifier PROGRAM LEAF
run_verifier() {
  case $1 in
    *.py) "$COSE/bin/python" "$1" "$folder/receipt" "$2" "$folder/key.pem" ;;
    *) "$1" "$folder/receipt" "$2" "$folder/key.pem" ;;
  esac
}

# add API: logs an entry that no other is equal to. Its tree is in $tree then.
add() {
  local digest signature key hash
  openssl rand -hex 16 >"$folder/artifact"
  hash=$(openssl dgst -sha256 -r "$folder/artifact" | cut -c1-64)
  signature=$(openssl dgst -sha256 -sign "$folder/author.key" "$folder/artifact" | base64 -w0)
  case $1 in
    v1)
      key=$(base64 -w0 "$folder/author.pub")
      printf '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"%s"}},"signature":{"content":"%s","publicKey":{"content":"%s"}}}}' \
        "$hash" "$signature" "$key"
      ;;
    v2)
      key=$(openssl pkey -pubin -in "$folder/author.pub" -outform DER | base64 -w0)
      digest=$(xxd -r -p <<<"$hash" | base64 -w0)
      printf '{"hashedRekordRequestV002":{"digest":"%s","signature":{"content":"%s","verifier":{"publicKey":{"rawBytes":"%s"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}' \
        "$digest" "$signature" "$key"
      ;;
  esac >"$folder/entry"
  curl -fsS -o "$folder/answer" -H 'Content-Type: application/json' --data-binary "@$folder/entry" "http://127.0.0.1:3000/api/$1/log/entries"
  tree=$(curl -fsS "http://127.0.0.1:3000/api/v1/index/search?sha256=$hash" | jq -r '[.. | objects | select(.treeID?)][0].treeID')
}

receipts_checks() {
  local api tree index
  log log.example
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/author.key"
  openssl pkey -in "$folder/author.key" -pubout -out "$folder/author.pub"
  for api in v1 v2; do
    for _ in 0 1 2 3 4 5 6; do
      add "$api"
    done
    for index in 0 3 6; do
      received "$api, entry $index" "http://127.0.0.1:3000/trees/$tree/entries/$index"
    done
    "$BINARY" rotate --log "$api" --data-dir "$folder/data" >"$folder/rotated"
    received "$api, entry 3 of the frozen tree" "http://127.0.0.1:3000/trees/$tree/entries/3"
  done
}
