# shellcheck shell=bash
# Our own client against this log, each command by both APIs. Its bundles are verified by cosign, sigstore-go, sigstore-js and
# sigstore-python with the exported trusted root. Sourced by backend, after sigstore.sh made its files.
# shellcheck disable=SC2154 # backend and sigstore.sh set output, person, workflow

# treehead COMMAND...: on this log, by $api, with the trusted root of $trust.
treehead() {
  "$LOG_PROGRAM" "$@" --url "$LOG_URL" --api "$api" --trust "$trust/trusted_root.json"
}

# certificate TOKEN KEY CERTIFICATE: a certificate for ten minutes, with its chain.
certificate() {
  local csr
  csr=$(openssl req -new -key "$2" -subj / | base64 -w0)
  jq -n --arg token "$1" --arg csr "$csr" '{credentials: {oidcIdentityToken: $token}, certificateSigningRequest: $csr}' |
    curl -fsS --data @- "$AUTHORITIES_URL/api/v2/signingCert" |
    jq -j '.signedCertificateEmbeddedSct.chain.certificates[0]' >"$3"
}

# A signature and an attestation with a key. sigstore-js wants a time for a key too, which v2 does not sign.
own_keyed_checks() {
  local root=$trust/trusted_root.json flags=(--key own.key)
  [ "$api" = v1 ] || flags+=(--timestamp-url "$AUTHORITIES_URL/api/v1/timestamp")
  says "$api, treehead upload --key" 'is in the log$' treehead upload "${flags[@]}" --bundle "$api.own.blob" "$api.txt"
  says "$api, cosign 3 verifies it" 'Verified OK' cosign3 verify-blob --key own.pub --trusted-root "$root" --bundle "$api.own.blob" "$api.txt"
  says "$api, sigstore-go verifies it" "verified, $api\$" \
    "$INTEROP" verify --trusted-root "$root" --bundle "$api.own.blob" --key own.pub "$api.txt"
  says "$api, sigstore-js verifies it" '^verified$' js verify-key "$root" "$api.own.blob" "$api.txt" own.pub
  refuses "$api, cosign 3 refuses it for another file" 'failed to verify signature' \
    cosign3 verify-blob --key own.pub --trusted-root "$root" --bundle "$api.own.blob" predicate.json

  says "$api, treehead attest --key" 'is in the log$' treehead attest "${flags[@]}" --predicate predicate.json \
    --type https://slsa.dev/provenance/v1 --bundle "$api.own.att" "$api.txt"
  says "$api, cosign 3 verifies the attestation" 'Verified OK' cosign3 verify-blob-attestation --key own.pub --type slsaprovenance1 \
    --trusted-root "$root" --bundle "$api.own.att" "$api.txt"
  says "$api, sigstore-go verifies the attestation" "verified, $api\$" \
    "$INTEROP" verify --trusted-root "$root" --bundle "$api.own.att" --key own.pub "$api.txt"
  says "$api, sigstore-js verifies the attestation" '^verified$' js verify-key "$root" "$api.own.att" "$api.txt" own.pub

  jq -j .messageSignature.signature "$api.own.blob" >"$api.own.sig"
  says "$api, treehead upload --signature of the same" 'is in the log' \
    treehead upload --signature "$api.own.sig" --public-key own.pub "$api.txt"
}

# The same with a certificate; in v2 with a time stamp.
own_certified_checks() {
  local flags=()
  [ "$api" = v1 ] || flags=(--timestamp-url "$AUTHORITIES_URL/api/v1/timestamp")
  certificate "$(token email)" own.key "$api.own.crt"
  flags+=(--key own.key --certificate "$api.own.crt")
  says "$api, treehead upload --certificate" 'is in the log$' treehead upload "${flags[@]}" --bundle "$api.own.cert" "$api.txt"
  verified_by_all "$api.own.cert" "$api.txt" "$person"
  says "$api, treehead attest --certificate" 'is in the log$' treehead attest "${flags[@]}" --predicate predicate.json \
    --type https://slsa.dev/provenance/v1 --bundle "$api.own.certatt" "$api.txt"
  attestation_verified_by_all "$api.own.certatt" "$api.txt" "$person"
}

# What the commands that read make of it.
own_reading_checks() {
  local index
  says "$api, treehead log" '^verified: the head of ' treehead log --state "$folder/state"
  says "$api, treehead search by file" '^verified: entry ' treehead search --file "$api.txt"
  says "$api, treehead search by key" '^verified: entry ' treehead search --public-key own.pub
  says "$api, treehead search by address" '^verified: entry ' treehead search --email "$person"
  says "$api, treehead search by issuer" '^verified: entry ' treehead search --issuer "$AUTHORITIES_URL"
  index=$(jq -r '.verificationMaterial.tlogEntries[0].logIndex // "0"' "$api.own.blob")
  says "$api, treehead get" 'kind +hashedrekord' treehead get --log-index "$index"
  says "$api, treehead proof" '= node' treehead proof --log-index "$index"
  jq '.verificationMaterial.tlogEntries[0]' "$api.own.blob" >"$api.own.entry"
  says "$api, treehead verify --entry" '^verified: the entry ' \
    "$LOG_PROGRAM" verify --trust "$trust/trusted_root.json" --entry "$api.own.entry" "$api.txt"
}

# Packages by their ecosystems.
own_package_checks() {
  local digest
  mkdir -p package gadget-0.1.0
  echo '{"name": "@acme/widget", "version": "1.2.3"}' >package/package.json
  tar -czf "$api.widget.tgz" package
  printf '[package]\nname = "gadget"\nversion = "0.1.0"\n' >gadget-0.1.0/Cargo.toml
  tar -czf "$api.gadget.crate" gadget-0.1.0
  local flags=(--key own.key --predicate predicate.json --type https://slsa.dev/provenance/v1)
  says "$api, treehead attest --ecosystem npm" 'attestations.json$' treehead attest "${flags[@]}" --ecosystem npm "$api.widget.tgz"
  digest=$(sha512sum "$api.widget.tgz" | cut -d' ' -f1)
  equal "$api, the subject is npm's" \
    "$(jq -r '.attestations[0].bundle.dsseEnvelope.payload | @base64d | fromjson | .subject[0] | .name + " " + .digest.sha512' "$api.widget.tgz.attestations.json")" \
    "pkg:npm/%40acme/widget@1.2.3 $digest"
  says "$api, treehead attest --ecosystem cargo" 'sigstore.json$' treehead attest "${flags[@]}" --ecosystem cargo "$api.gadget.crate"
  says "$api, cosign 3 verifies it" 'Verified OK' cosign3 verify-blob-attestation --key own.pub --type slsaprovenance1 \
    --trusted-root "$trust/trusted_root.json" --bundle "$api.gadget.crate.sigstore.json" "$api.gadget.crate"
  if [ "$api" = v1 ]; then
    says "$api, treehead get --purl" 'kind +dsse' treehead get --purl pkg:npm/@acme/widget
  fi
}

# Files that could not be sent wait, and are sent later.
own_queue_checks() {
  echo "queued, $api, $BACKEND" >"$api.queued.txt"
  refuses "$api, treehead upload --queue where nothing answers" 'wait in queue' "$LOG_PROGRAM" upload --key own.key --api "$api" \
    --url "$NOWHERE" --trust "$trust/trusted_root.json" --queue queue --bundle "$api.queued.json" "$api.queued.txt"
  equal "$api, there is no bundle yet" "$(ls "$api.queued.json" 2>/dev/null || echo none)" none
  # The same log under its own address.
  sed -i "s,$NOWHERE,$LOG_URL," queue/*.pending.json
  says "$api, treehead upload --queue sends it" 'is in the log$' treehead upload --queue queue
  says "$api, cosign 3 verifies its bundle" 'Verified OK' cosign3 verify-blob --key own.pub \
    --trusted-root "$trust/trusted_root.json" --bundle "$api.queued.json" "$api.queued.txt"
}

treehead_checks() {
  local api trust
  echo "--- our own client"
  openssl ecparam -name prime256v1 -genkey -noout -out own.key
  openssl ec -in own.key -pubout -out own.pub 2>openssl.out
  for api in v1 v2; do
    trust=trust-$api
    own_keyed_checks
    own_certified_checks
    own_reading_checks
    own_package_checks
    own_queue_checks
  done
}
