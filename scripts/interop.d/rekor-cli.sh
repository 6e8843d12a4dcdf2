# shellcheck shell=bash
# The stock rekor-cli: upload, get, verify, search, loginfo, logproof. Sourced by backend.
# shellcheck disable=SC2154 # checks.sh sets output and status

rekor() {
  "$REKOR_CLI" --rekor_server "$LOG_URL" --format json "$@"
}

# json FILTER: of the last command's output; nothing where that was an error.
json() {
  jq -r "$1" <<<"$output" 2>/dev/null || true
}

# sign KEY ARTIFACT SIGNATURE
sign() {
  openssl dgst -sha256 -sign "$1" -out "$3" "$2"
}

# Sends the entry on its standard input around the client, which checks before it sends, and prints answer and status.
send_entry() {
  local answer
  answer=$(curl -s -w ' %{http_code}' -H 'Content-Type: application/json' --data-binary @- "$LOG_URL/api/v1/log/entries")
  tr -d '\n' <<<"$answer"
  [ "${answer##* }" = 201 ]
}

rekor_cli_checks() {
  local key index uuid more
  # Signed with a P-256 key, a certificate over it, and an RSA key.
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key
  openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
  for key in p256 rsa; do
    openssl pkey -in $key.key -pubout -out $key.pub
    echo "artifact signed by $key, $BACKEND" >$key.txt
    sign $key.key $key.txt $key.sig
  done
  openssl req -x509 -key p256.key -days 1 -subj /O=interop -out p256.crt \
    -addext 'subjectAltName=email:dev@interop.example' -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=codeSigning
  echo "artifact signed by a certificate, $BACKEND" >crt.txt
  sign p256.key crt.txt crt.sig

  echo "--- rekor-cli"
  for key in p256 rsa; do
    says "rekor-cli upload, $key key" '"AlreadyExists":false' \
      rekor upload --artifact $key.txt --signature $key.sig --public-key $key.pub --pki-format x509
    json .Location >$key.location
  done
  says "rekor-cli upload, certificate" '"AlreadyExists":false' \
    rekor upload --artifact crt.txt --signature crt.sig --public-key p256.crt --pki-format x509
  uuid=$(basename "$(cat p256.location)")
  says "rekor-cli upload of the same entry gives the existing one" '"AlreadyExists":true' \
    rekor upload --artifact p256.txt --signature p256.sig --public-key p256.pub
  equal "… at the same place" "$(json .Location)" "$(cat p256.location)"

  says "rekor-cli get by UUID" "$(sha256sum p256.txt | cut -d' ' -f1)" rekor get --uuid "$uuid"
  index=$(json .LogIndex)
  says "rekor-cli get by UUID without tree ID" "$uuid" rekor get --uuid "${uuid:16}"
  says "rekor-cli get by log index" "$uuid" rekor get --log-index "$index"
  refuses "rekor-cli get beyond the log" '\[404\] getLogEntryByIndexNotFound' rekor get --log-index 123456789
  refuses "rekor-cli get of an unknown UUID" '\[404\] getLogEntryByUuidNotFound' rekor get --uuid "${uuid:0:16}$(printf '0%.0s' {1..64})"

  says "rekor-cli verify by artifact" "$uuid" rekor verify --artifact p256.txt --signature p256.sig --public-key p256.pub
  says "rekor-cli verify by certificate" '"EntryUUID"' rekor verify --artifact crt.txt --signature crt.sig --public-key p256.crt
  says "rekor-cli verify by UUID" "$uuid" rekor verify --uuid "$uuid"
  says "rekor-cli verify by log index" "$uuid" rekor verify --log-index "$index"
  sign p256.key rsa.txt other.sig
  refuses "rekor-cli verify of what is not in the log" 'cannot be located' \
    rekor verify --artifact rsa.txt --signature other.sig --public-key p256.pub
  refuses "rekor-cli verify of a tampered artifact" 'error: verifying signature' \
    rekor verify --artifact rsa.txt --signature p256.sig --public-key p256.pub
  # The client checks before it sends, so this one goes around it.
  refuses "upload of a tampered artifact, sent as it is" 'verifying signature.* 400' tampered_upload

  says "rekor-cli search by SHA-256" "$uuid" rekor search --sha "sha256:$(sha256sum p256.txt | cut -d' ' -f1)"
  says "rekor-cli search by artifact" "$uuid" rekor search --artifact p256.txt
  says "rekor-cli search by public key" "$uuid" rekor search --public-key p256.pub --pki-format x509
  says "rekor-cli search by email" '[0-9a-f]{80}' rekor search --email dev@interop.example
  says "rekor-cli search by e-mail in other letters" '[0-9a-f]{80}' rekor search --email DEV@Interop.Example
  says "rekor-cli search by subject" '[0-9a-f]{80}' rekor search --subject dev@interop.example
  says "rekor-cli search, both terms" "$uuid" rekor search --operator and --artifact p256.txt --public-key p256.pub --pki-format x509
  refuses "rekor-cli search without a hit" 'no matching entries found' rekor search --operator and --artifact rsa.txt --email dev@interop.example

  says "rekor-cli loginfo" '"ActiveTreeSize":3' rekor loginfo
  for more in 1 2 3; do
    echo "growth $more, $BACKEND" >growth.txt
    sign p256.key growth.txt growth.sig
    rekor upload --artifact growth.txt --signature growth.sig --public-key p256.pub >upload.out 2>&1 || cat upload.out
  done
  says "rekor-cli loginfo after growth, consistent with what it saw before" '"ActiveTreeSize":6' rekor loginfo
  # A client that remembers another root at the old size must not accept this log.
  forge_state
  refuses "rekor-cli loginfo refuses a log that forked from what it saw" 'old root hash does not match' rekor loginfo
  rm -r "$HOME/.rekor"
  says "rekor-cli logproof" '"Hashes":\["[0-9a-f]{64}"' rekor logproof --first-size 2 --last-size 6
  refuses "rekor-cli logproof beyond the log" '\[400\].*was greater than what is currently observable' rekor logproof --first-size 2 --last-size 123456789

  # The client has no command for a batch, but verifies the entries of one.
  for more in 1 2 3; do
    echo "part $more, $BACKEND" >part$more.txt
    sign p256.key part$more.txt part$more.sig
  done
  says "a batch of three entries" '^201 201 201$' send_batch
  for more in 1 2 3; do
    says "rekor-cli verify by artifact, entry $more of the batch" '"EntryUUID"' \
      rekor verify --artifact part$more.txt --signature part$more.sig --public-key p256.pub
  done
}

# proposal ARTIFACT SIGNATURE: the entry that the client would send, by the P-256 key.
proposal() {
  jq -n --arg hash "$(sha256sum "$1" | cut -d' ' -f1)" --arg signature "$(base64 -w0 "$2")" --arg key "$(base64 -w0 p256.pub)" \
    '{apiVersion: "0.0.1", kind: "hashedrekord", spec: {data: {hash: {algorithm: "sha256", value: $hash}}, signature: {content: $signature, publicKey: {content: $key}}}}'
}

tampered_upload() {
  proposal rsa.txt p256.sig | send_entry
}

# Sends the three parts in one request and prints the status of each.
send_batch() {
  local number
  for number in 1 2 3; do proposal part$number.txt part$number.sig; done | jq -s '{entries: .}' |
    curl -s -H 'Content-Type: application/json' --data-binary @- "$LOG_URL/api/v1/log/entries/batch" |
    jq -r '[.results[].status] | join(" ")'
}

# Changes the root in each checkpoint that rekor-cli keeps in its home, as if it had seen another history of the log.
forge_state() {
  local state=$HOME/.rekor/state.json other
  other=$(printf 'A%.0s' {1..43})=
  jq --arg root "$other" 'map_values(sub("\n(?<size>[0-9]+)\n[^\n]+\n"; "\n\(.size)\n\($root)\n"))' "$state" >state.forged
  grep -q "$other" state.forged
  cp state.forged "$state"
}
