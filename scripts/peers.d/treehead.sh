# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# Our own client against a real Rekor v1 (with Trillian in memory and Redis) and a real rekor-tiles. Sourced by run.

recordings=$here/../../tests/recordings/newest

treehead_checks() {
  export HTTP_PROXY='' http_proxy='' XDG_STATE_HOME=$folder/state
  cd "$folder"
  openssl ecparam -name prime256v1 -genkey -noout -out own.key
  openssl ec -in own.key -pubout -out own.pub 2>openssl.out
  openssl req -x509 -new -key own.key -days 1 -subj / -addext subjectAltName=email:dev@peers.example -out own.crt
  echo '{"builder": {"id": "https://peers.example"}}' >predicate.json
  echo "an artifact" >artifact
  start_rekor
  common_checks v1
  kinds_of_rekor
  watching_checks v1
  lock_and_audit_of_rekor
  start_tiles
  common_checks v2
  only_tiles
  watching_checks v2
}

start_rekor() {
  background redis redis-server --port 6379 --save '' --appendonly no
  background trillian "$PEERS/bin/trillian" 127.0.0.1:8090
  sleep 1
  background rekor "$PEERS/bin/rekor-server" serve --rekor_server.address 127.0.0.1 --port 3000 --rekor_server.hostname rekor.example \
    --rekor_server.signer memory --trillian_log_server.port 8090 --enable_attestation_storage --attestation_storage_bucket mem://
  answers http://127.0.0.1:3000/api/v1/log/publicKey
  curl -fsS http://127.0.0.1:3000/api/v1/log/publicKey -o v1.pub
  export TREEHEAD_URL=http://127.0.0.1:3000 TREEHEAD_TRUST=$folder/v1.pub
}

start_tiles() {
  openssl genpkey -quiet -algorithm ed25519 -out tiles.key
  openssl pkey -in tiles.key -pubout -out v2.pub
  mkdir tiles
  background tiles "$PEERS/bin/rekor-tiles" serve --hostname tiles.example --http-address 127.0.0.1 --http-port 3003 \
    --grpc-address 127.0.0.1 --grpc-port 3004 --http-metrics-port 3005 --storage-dir "$folder/tiles" --signer-filepath "$folder/tiles.key" \
    --persistent-antispam=true --checkpoint-interval=1s
  background front "$here/front" 8000 "$folder/tiles" http://127.0.0.1:3003
  answers http://127.0.0.1:8000/checkpoint
  export TREEHEAD_URL=http://127.0.0.1:8000 TREEHEAD_TRUST=$folder/v2.pub
}

# status: of the only upload in the last output.
status() {
  jq -r '.uploads[0].status' <<<"$output"
}

# common_checks API: what every log of Rekor does.
common_checks() {
  local api=$1 flags number
  says "$api, log before the first entry" '^verified: the head of ' "$BINARY" log
  accepts "$api, upload --key" "$BINARY" upload --key own.key --bundle "$api.json" --format json artifact
  equal "$api, it is new" "$(status)" logged
  jq -j .messageSignature.signature "$api.json" >artifact.sig
  flags=(--signature artifact.sig --public-key own.pub --format json artifact)
  accepts "$api, upload of the same signature" "$BINARY" upload "${flags[@]}"
  equal "$api, the log has it already" "$(status)" duplicate
  accepts "$api, upload --certificate" "$BINARY" upload --key own.key --certificate own.crt artifact
  accepts "$api, attest" "$BINARY" attest --key own.key --predicate predicate.json --type https://peers.example/v1 artifact
  jq '.verificationMaterial.tlogEntries[0]' artifact.sigstore.json >entry.json
  accepts "$api, verify --entry of the attestation" "$BINARY" verify --entry entry.json
  jq '.verificationMaterial.tlogEntries[0]' "$api.json" >entry.json
  accepts "$api, verify --entry of the upload" "$BINARY" verify --entry entry.json artifact
  for number in $(seq 50); do echo "$number" >"file-$number"; done
  accepts "$api, upload of 50 files" "$BINARY" upload --key own.key --bundle-dir "$api.bundles" file-*
  equal "$api, 50 bundles" "$(find "$api.bundles" -name '*.sigstore.json' | wc -l)" 50
  refuses "$api, upload --queue where nothing answers" 'wait in queue' "$BINARY" upload --api "$api" --url http://127.0.0.1:9 \
    --key own.key --queue queue artifact
  sed -i "s,http://127.0.0.1:9\",$TREEHEAD_URL\"," queue/*.pending.json
  accepts "$api, upload --queue sends it" "$BINARY" upload --queue queue --format json
  equal "$api, it is in the log" "$(status)" logged
  says "$api, log continues" 'continues size' "$BINARY" log
  says "$api, get" 'kind +hashedrekord' "$BINARY" get --log-index 0
  says "$api, proof of an entry" '= node' "$BINARY" proof --log-index 3
  says "$api, proof of growth" '= second' "$BINARY" proof --first 3
}

# watching_checks API: a monitor, an auditor's pack and an explanation of what every log of Rekor has.
watching_checks() {
  local api=$1 key size script
  key=$(openssl pkey -pubin -in own.pub -outform DER | sha256sum | cut -d' ' -f1)
  cat >monitor.toml <<END
state = "$api.monitor"
[[log]]
name = "peer"
url = "$TREEHEAD_URL"
api = "$api"
trust = ["$TREEHEAD_TRUST"]
start = "oldest"
[[rule]]
name = "own key"
key = "$key"
[[rule]]
name = "own address"
subject-regex = '^dev@peers\.example$'
[[channel]]
name = "lines"
type = "json"
file = "$api.notices"
END
  accepts "$api, monitor --once from the oldest entry" "$BINARY" monitor --config monitor.toml --once
  # One artifact and one attestation, 50 files, one that was queued; and one with the certificate, whose key is the same.
  equal "$api, monitor finds all of the key" "$(notices 'own key')" 54
  equal "$api, monitor finds the certificate by its address" "$(notices 'own address')" 1
  echo "watched in $api" >watched
  accepts "$api, another upload" "$BINARY" upload --key own.key watched
  if [ "$api" = v2 ]; then sleep 2; fi
  accepts "$api, monitor --once again" "$BINARY" monitor --config monitor.toml --once
  equal "$api, monitor finds it, and nothing twice" "$(notices 'own key') $(jq -r .id "$api.notices" | sort | uniq -d | wc -l)" "55 0"
  openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout -out other.pub 2>openssl.out
  sed -i "s,^trust = .*,trust = [\"other.pub\"]," monitor.toml
  refuses "$api, monitor with another key" 'key' "$BINARY" monitor --config monitor.toml --once

  size=$("$BINARY" log --format json | jq -r '.size // .head.size')
  accepts "$api, audit-pack" "$BINARY" audit-pack --since 0 --until "$size" --out "$api.tar.zst"
  rm -rf audit-pack
  zstd -dqc "$api.tar.zst" | tar -x
  script=$(find audit-pack -name '*.py')
  accepts "$api, the pack checks itself with Python and openssl" python3 "$script" audit-pack
  # Under an address instead of its name, stock clients refuse the log, and doctor says so.
  # shellcheck disable=SC2016
  says "$api, doctor names the log" "^  $api (log ID|origin) " sh -c '"$0" doctor --trust "$1" "$2" || test $? -eq 24' \
    "$BINARY" "$TREEHEAD_TRUST" "$TREEHEAD_URL"
  says "$api, doctor explains the bundle" '[Bb]undle' "$BINARY" doctor --trust "$TREEHEAD_TRUST" "$api.json"
}

# notices RULE: how many notices of that rule the monitor wrote for $api.
notices() {
  jq -r --arg rule "$1" 'select(.data.rule == $rule) | .id' "$api.notices" | sort -u | wc -l
}

# Rekor's index has the digest of an artifact, so a lock file of files that were logged is checked by it.
lock_and_audit_of_rekor() {
  local logged absent
  logged=$(sha256sum artifact | cut -d' ' -f1)
  absent=$(echo absent | sha256sum | cut -d' ' -f1)
  locked logged "$logged" >Cargo.lock
  says "v1, verify-lock of a logged artefact" 'logged' "$BINARY" verify-lock Cargo.lock
  locked absent "$absent" >>Cargo.lock
  refuses "v1, verify-lock of one that is absent" 'absent' "$BINARY" verify-lock Cargo.lock
  equal "v1, verify-lock counts them" "$("$BINARY" verify-lock Cargo.lock --format json | jq -r '"\(.logged) \(.absent)"')" "1 1"
  says "v1, audit by digests" '^complete ' "$BINARY" audit --out audit.json
  equal "v1, audit misses nothing" "$(jq -r .missingCount audit.json)" 0
  says "v1, audit of one digest" 'complete ' "$BINARY" audit --out one.json --key-text "sha256:$logged"
}

# locked NAME DIGEST: a crate in a Cargo.lock.
locked() {
  printf '[[package]]\nname = "%s"\nversion = "1.0.0"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "%s"\n\n' "$1" "$2"
}

kinds_of_rekor() {
  says "v1, search by hash" '^verified: entry ' "$BINARY" search --file artifact
  says "v1, search by key" '^verified: entry ' "$BINARY" search --public-key own.pub
  says "v1, search by address" '^verified: entry ' "$BINARY" search --email dev@peers.example
  says "v1, search by address and hash" '^verified: entry ' "$BINARY" search --email dev@peers.example --file artifact
  refuses "v1, search by issuer" "has Rekor's own search alone" "$BINARY" search --issuer https://peers.example
  refuses "v1, search finds nothing" 'finds no such entry' "$BINARY" search --email nobody@peers.example
  kind rpm a.rpm new/v1b/026-rpm-key-v4-rsa1024 .package.content .publicKey.content
  kind alpine a.apk new/v1/202-alpine-control .package.content .publicKey.content
  kind jar a.jar new/v1x/090-cms-jar-bm2121 .archive.content
  kind helm a.prov new/v1b/014-helm-v3-sha1 .chart.provenance.content .publicKey.content
  kind cose a.cose v1/own/cose-es256 .message .publicKey
  kind rfc3161 a.tsr new/v1x/097-cms-tsr-m272 .tsr.content
  kind tuf a.tuf new/v1/161-tuf-object-dup-top-signed-same '.metadata.content | @json | @base64' '.root.content | @json | @base64'
  kind dsse a.dsse v1/own/dsse-0.0.1-onesig '.proposedContent.envelope | @base64' '.proposedContent.verifiers[0]'
  kind rekord a.txt new/v1b/040-pgp-v4-ed .data.content .signature.publicKey.content .signature.content
  cp a.dsse b.dsse
  accepts "v1, upload intoto" "$BINARY" upload --type intoto --public-key a.dsse.key --format json b.dsse
  equal "v1, intoto is logged" "$(status)" logged
}

# kind KIND FILE RECORDING CONTENT [KEY [SIGNATURE]]: the kind is found out from the file; the second time it is a duplicate.
kind() {
  local flags=() spec
  spec=$(jq -r .request.body "$recordings/$3.json" | jq -c .spec)
  jq -r "$4" <<<"$spec" | base64 -d >"$2"
  if [ $# -gt 4 ]; then
    jq -r "$5" <<<"$spec" | base64 -d >"$2.key"
    flags+=(--public-key "$2.key")
  fi
  if [ $# -gt 5 ]; then
    jq -r "$6" <<<"$spec" | base64 -d >"$2.sig"
    flags+=(--signature "$2.sig")
  fi
  accepts "v1, upload $1" "$BINARY" upload "${flags[@]}" --format json "$2"
  equal "v1, $1 is logged" "$(status) $(jq -r '.uploads[0].entry.kind | split(" ")[0]' <<<"$output")" "logged $1"
  accepts "v1, upload $1 again" "$BINARY" upload "${flags[@]}" --format json "$2"
  equal "v1, $1 is there already" "$(status)" duplicate
}

only_tiles() {
  refuses "v2, verify-lock" 'has no search' "$BINARY" verify-lock Cargo.lock
  refuses "v2, audit" 'has no search' "$BINARY" audit --out audit-v2.json
  refuses "v2, search" 'has no search' "$BINARY" search --file artifact
  refuses "v2, a kind that v2 does not have" 'Rekor v2 takes no rpm' "$BINARY" upload --public-key a.rpm.key a.rpm
}
