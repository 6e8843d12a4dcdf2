# shellcheck shell=bash
# cosign 3, sigstore-go, sigstore-js and sigstore-python sign as our exported signing config says, and verify each other's bundles
# with our exported trusted root and nothing else. Sourced by backend.
# shellcheck disable=SC2154 # backend sets output

person=dev@interop.example
workflow=https://github.com/acme/widget/.github/workflows/release.yml@refs/heads/main

js() {
  "$NODE" "$JS_CLIENT" "$@"
}

# Its commands accept only one file with both documents.
python() {
  "$SIGSTORE_PYTHON" --trust-config "$trust/trust_config.json" "$@"
}

token() {
  curl -fsS "$AUTHORITIES_URL/token/$1"
}

# export_trust FOLDER [FLAG OF trust export]...
export_trust() {
  local folder=$1
  shift
  accepts "treehead trust export into $folder" \
    "$LOG_PROGRAM" trust export --public-url "$LOG_URL" --trusted-root-base "$AUTHORITIES/trusted_root.json" --out "$folder" "$@"
}

# verified_by_all BUNDLE FILE IDENTITY: a keyless signature over FILE.
verified_by_all() {
  local bundle=$1 file=$2 identity=$3
  says "$api, cosign 3 verifies $bundle" 'Verified OK' cosign3 verify-blob --trusted-root "$trust/trusted_root.json" --bundle "$bundle" \
    --certificate-identity "$identity" --certificate-oidc-issuer "$AUTHORITIES_URL" "$file"
  says "$api, sigstore-go verifies $bundle" "verified, $api\$" "$INTEROP" verify --trusted-root "$trust/trusted_root.json" \
    --bundle "$bundle" --identity "$identity" --issuer "$AUTHORITIES_URL" "$file"
  says "$api, sigstore-js verifies $bundle" '^verified$' \
    js verify "$trust/trusted_root.json" "$bundle" "$file" "$identity" "$AUTHORITIES_URL"
  says "$api, sigstore-python verifies $bundle" 'OK: ' \
    python verify identity --offline --bundle "$bundle" --cert-identity "$identity" --cert-oidc-issuer "$AUTHORITIES_URL" "$file"
}

# attestation_verified_by_all BUNDLE FILE IDENTITY: a keyless attestation about FILE.
attestation_verified_by_all() {
  local bundle=$1 file=$2 identity=$3
  says "$api, cosign 3 verifies $bundle" 'Verified OK' cosign3 verify-blob-attestation --trusted-root "$trust/trusted_root.json" \
    --bundle "$bundle" --type slsaprovenance1 --certificate-identity "$identity" --certificate-oidc-issuer "$AUTHORITIES_URL" "$file"
  says "$api, sigstore-go verifies $bundle" "verified, $api\$" "$INTEROP" verify --trusted-root "$trust/trusted_root.json" \
    --bundle "$bundle" --identity "$identity" --issuer "$AUTHORITIES_URL" "$file"
  says "$api, sigstore-js verifies $bundle" '^verified$' \
    js verify "$trust/trusted_root.json" "$bundle" "$file" "$identity" "$AUTHORITIES_URL"
  says "$api, sigstore-python verifies $bundle" 'OK: ' \
    python verify identity --offline --bundle "$bundle" --cert-identity "$identity" --cert-oidc-issuer "$AUTHORITIES_URL" "$file"
}

# looked_up BUNDLE: the same with the entry as v2 shows it now, with a proof for a larger tree, as BUNDLE.now.
looked_up() {
  local index
  index=$(jq -r '.verificationMaterial.tlogEntries[0].logIndex // "0"' "$1")
  curl -fsS "$LOG_URL/api/v2/log/entries/$index" |
    jq --slurpfile bundle "$1" '. as $entry | $bundle[0] | .verificationMaterial.tlogEntries = [$entry]' >"$1.now"
}

# What cosign, sigstore-go, sigstore-js and sigstore-python sign with a certificate.
keyless_checks() {
  local config=$trust/signing_config.v0.2.json root=$trust/trusted_root.json
  says "$api, cosign 3 sign-blob, keyless" 'Wrote bundle' cosign3 sign-blob --yes --identity-token "$(token email)" \
    --signing-config "$config" --trusted-root "$root" --bundle "$api.cosign.blob" "$api.txt"
  says "$api, sigstore-go signs" "log at $LOG_URL, $api\$" \
    "$INTEROP" sign --signing-config "$config" --trusted-root "$root" --token "$(token github)" --bundle "$api.go.blob" "$api.txt"
  accepts "$api, sigstore-js signs" js sign message "$config" "$(token github)" "$api.txt" "$api.js.blob"
  accepts "$api, sigstore-python signs" python sign --identity-token "$(token email)" --bundle "$api.python.blob" "$api.txt"
  verified_by_all "$api.cosign.blob" "$api.txt" "$person"
  verified_by_all "$api.go.blob" "$api.txt" "$workflow"
  verified_by_all "$api.js.blob" "$api.txt" "$workflow"
  verified_by_all "$api.python.blob" "$api.txt" "$person"

  # From a predicate it would make a statement of version 0.1, which sigstore-python does not read.
  says "$api, cosign 3 attest-blob, keyless" 'Wrote bundle' cosign3 attest-blob --yes --identity-token "$(token email)" \
    --statement "$api.statement" --signing-config "$config" --trusted-root "$root" --bundle "$api.cosign.att" "$api.txt"
  says "$api, sigstore-go attests" "log at $LOG_URL, $api\$" "$INTEROP" sign --attestation --signing-config "$config" \
    --trusted-root "$root" --token "$(token github)" --bundle "$api.go.att" "$api.statement"
  accepts "$api, sigstore-js attests" js sign statement "$config" "$(token github)" "$api.statement" "$api.js.att"
  accepts "$api, sigstore-python attests" python attest --identity-token "$(token email)" --predicate predicate.json \
    --predicate-type https://slsa.dev/provenance/v1 --bundle "$api.python.att" "$api.txt"
  attestation_verified_by_all "$api.cosign.att" "$api.txt" "$person"
  attestation_verified_by_all "$api.go.att" "$api.txt" "$workflow"
  if [ "$api" = v1 ]; then
    attestation_verified_by_all "$api.js.att" "$api.txt" "$workflow"
  else
    # sigstore-js sends a DSSE request to v2, which the others no longer know: it alone reads the entry.
    says "$api, sigstore-js verifies $api.js.att" '^verified$' \
      js verify "$trust/trusted_root.json" "$api.js.att" "$api.txt" "$workflow" "$AUTHORITIES_URL"
  fi
  attestation_verified_by_all "$api.python.att" "$api.txt" "$person"

  if [ "$api" = v2 ]; then
    looked_up "$api.go.blob"
    verified_by_all "$api.go.blob.now" "$api.txt" "$workflow"
    looked_up "$api.cosign.att"
    attestation_verified_by_all "$api.cosign.att.now" "$api.txt" "$person"
  fi

  refuses "$api, cosign 3 refuses another identity" 'expected SAN value' cosign3 verify-blob --trusted-root "$root" \
    --bundle "$api.cosign.blob" --certificate-identity other@interop.example --certificate-oidc-issuer "$AUTHORITIES_URL" "$api.txt"
  refuses "$api, sigstore-go refuses a log that is not trusted" 'not enough verified log entries' "$INTEROP" verify \
    --trusted-root "$AUTHORITIES/trusted_root.json" --bundle "$api.go.blob" --identity "$workflow" --issuer "$AUTHORITIES_URL" "$api.txt"
}

# What cosign and sigstore-go sign with a key.
keyed_checks() {
  local config=$trust/signing_config.v0.2.json root=$trust/trusted_root.json
  says "$api, cosign 3 sign-blob, key" 'Wrote bundle' \
    cosign3 sign-blob --yes --key sigstore.key --signing-config "$config" --trusted-root "$root" --bundle "$api.key.blob" "$api.txt"
  says "$api, cosign 3 verify-blob, key" 'Verified OK' \
    cosign3 verify-blob --key sigstore.pub --trusted-root "$root" --bundle "$api.key.blob" "$api.txt"
  says "$api, cosign 3 attest-blob, key" 'Wrote bundle' cosign3 attest-blob --yes --key sigstore.key --predicate predicate.json \
    --type slsaprovenance1 --signing-config "$config" --trusted-root "$root" --bundle "$api.key.att" "$api.txt"
  says "$api, cosign 3 verify-blob-attestation, key" 'Verified OK' cosign3 verify-blob-attestation --key sigstore.pub \
    --type slsaprovenance1 --trusted-root "$root" --bundle "$api.key.att" "$api.txt"
  says "$api, sigstore-go verifies both" "verified, $api\$" \
    "$INTEROP" verify --trusted-root "$root" --bundle "$api.key.blob" --key sigstore.pub "$api.txt"
  says "$api, sigstore-go verifies both" "verified, $api\$" \
    "$INTEROP" verify --trusted-root "$root" --bundle "$api.key.att" --key sigstore.pub "$api.txt"
  says "$api, sigstore-go signs with a key" "log at $LOG_URL, $api\$" \
    "$INTEROP" sign --signing-config "$config" --trusted-root "$root" --key p256.key --bundle "$api.gokey.blob" "$api.txt"
  says "$api, cosign 3 verifies it" 'Verified OK' \
    cosign3 verify-blob --key p256.pub --trusted-root "$root" --bundle "$api.gokey.blob" "$api.txt"
}

# The statement about $api.txt, as $api.statement.
statement() {
  jq -nc --arg digest "$(sha256sum "$api.txt" | cut -d' ' -f1)" --slurpfile predicate predicate.json \
    '{_type: "https://in-toto.io/Statement/v1", predicateType: "https://slsa.dev/provenance/v1", predicate: $predicate[0],
      subject: [{name: "blob", digest: {sha256: $digest}}]}' >"$api.statement"
}

# sigstore_checks API FLAG OF trust export...: API is v1 or v2.
sigstore_checks() {
  local api=$1 trust=trust-$1
  shift
  echo "--- Sigstore's clients, $api"
  export_trust "$trust" "$@"
  echo "blob for Sigstore's clients, $api, $BACKEND" >"$api.txt"
  statement
  keyed_checks
  keyless_checks
}

sigstore_files() {
  local file
  echo '{"buildDefinition": {"buildType": "https://interop.example/build", "externalParameters": {}},
    "runDetails": {"builder": {"id": "https://interop.example/builder"}}}' >predicate.json
  accepts "cosign 3 generate-key-pair" cosign3 generate-key-pair --output-key-prefix sigstore
  export_trust trust --signing-config-base "$AUTHORITIES/signing_config.json"
  for file in trusted_root.json signing_config.v0.2.json trust_config.json checkpoint.vkey log.pub; do
    accepts "/trust/$file is what is exported" diff trust/$file <(curl -fsS "$LOG_URL/trust/$file")
  done
}
