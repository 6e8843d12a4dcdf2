# shellcheck shell=bash
# `treehead verify` of whole bundles that cosign 2 and 3, sigstore-go, sigstore-js and sigstore-python made, by key and keyless,
# with our exported trusted root or one of cosign's making, and without asking the log. Sourced by backend, after the others made
# their files.
# shellcheck disable=SC2154 # backend and sigstore.sh set output, person, workflow

# verify_bundle ROOT BUNDLE FILE|DIGEST [FLAG OF treehead verify]...
verify_bundle() {
  "$LOG_PROGRAM" verify --trust "$1" --bundle "$2" "${@:4}" -- "$3"
}

# bundle_verified ROOT BUNDLE FILE [FLAG OF treehead verify]...: by the file and by its digest alone, and for no other file.
bundle_verified() {
  local root=$1 bundle=$2 file=$3
  shift 3
  says "treehead verifies $bundle" "^verified: $file by $bundle" verify_bundle "$root" "$bundle" "$file" "$@"
  says "… by the digest of $file" '^verified: sha256:' verify_bundle "$root" "$bundle" "sha256:$(sha256sum "$file" | cut -d' ' -f1)" "$@"
  refuses "… and not for another file" '(artifact|signature): ' verify_bundle "$root" "$bundle" predicate.json "$@"
}

# The bundles of sigstore.sh, by $api.
bundles_of_sigstore() {
  local root=trust-$api/trusted_root.json type=(--type https://slsa.dev/provenance/v1) client signer
  bundle_verified "$root" "$api.key.blob" "$api.txt" --key sigstore.pub
  bundle_verified "$root" "$api.key.att" "$api.txt" --key sigstore.pub "${type[@]}"
  bundle_verified "$root" "$api.gokey.blob" "$api.txt" --key p256.pub
  for client in cosign:"$person" go:"$workflow" js:"$workflow" python:"$person"; do
    signer=(--certificate-identity "${client#*:}" --certificate-oidc-issuer "$AUTHORITIES_URL")
    bundle_verified "$root" "$api.${client%%:*}.blob" "$api.txt" "${signer[@]}"
    # sigstore-js sends a DSSE request to v2, which rekor-tiles refuses.
    [ "$api.${client%%:*}" != v2.js ] || continue
    bundle_verified "$root" "$api.${client%%:*}.att" "$api.txt" "${signer[@]}" "${type[@]}"
  done
}

# Another signer, type or log than the one of a good bundle of sigstore.sh, by $api.
bundles_refused() {
  local root=trust-$api/trusted_root.json file=$api.txt signer=(--certificate-identity "$person" --certificate-oidc-issuer "$AUTHORITIES_URL")
  refuses "$api, treehead refuses another identity" 'signer: .*other@interop.example was expected' verify_bundle "$root" "$api.cosign.blob" \
    "$file" --certificate-identity other@interop.example --certificate-oidc-issuer "$AUTHORITIES_URL"
  refuses "$api, treehead refuses another issuer" 'signer: .*https://other.example was expected' verify_bundle "$root" "$api.python.blob" \
    "$file" --certificate-identity "$person" --certificate-oidc-issuer https://other.example
  refuses "$api, treehead refuses another build" 'signer: ' verify_bundle "$root" "$api.js.blob" "$file" --certificate-identity "$workflow" \
    --certificate-oidc-issuer "$AUTHORITIES_URL" --certificate-extension 1.3.6.1.4.1.57264.1.12=https://github.com/acme/other
  refuses "$api, treehead refuses another key" '(signer|signature): ' verify_bundle "$root" "$api.key.blob" "$file" --key p256.pub
  refuses "$api, treehead refuses a key for a certificate" 'signer: ' verify_bundle "$root" "$api.go.blob" "$file" --key p256.pub
  refuses "$api, treehead refuses another predicate type" 'https://other.example was expected' \
    verify_bundle "$root" "$api.cosign.att" "$file" "${signer[@]}" --type https://other.example
  refuses "$api, treehead refuses a log that is not trusted" 'log entry 0: .*trust root does not name' \
    verify_bundle other_root.json "$api.cosign.blob" "$file" "${signer[@]}"
  jq '.messageSignature.signature = $other[0].messageSignature.signature' --slurpfile other "$api.python.blob" "$api.cosign.blob" >"$api.mixed.blob"
  refuses "$api, treehead refuses the signature of another bundle" 'signature: |not of this bundle: ' \
    verify_bundle "$root" "$api.mixed.blob" "$file" "${signer[@]}"
}

# The bundles of cosign-2.sh and cosign-3.sh: by keys of all algorithms, with a trusted root that names a log and nothing else.
bundles_of_cosign() {
  local root=trusted_root.json name
  bundle_verified "$root" c3.bundle c3.txt --key c3.pub
  bundle_verified "$root" c3.url.bundle c3.txt --key c3.pub
  bundle_verified "$root" c3rsa.bundle c3.txt --key c3rsa.pub
  bundle_verified "$root" c2.sigstore c2.txt --key c2.pub
  bundle_verified "$root" c2.config c2.other --key c2.pub
  # The format of cosign's own, from before Sigstore bundles.
  bundle_verified "$root" c2.bundle c2.txt --key c2.pub
  bundle_verified "$root" c2rsa.bundle c2.txt --key c2rsa.pub
  # The digest of these is not SHA-256, so the file is needed.
  for name in P-384 P-521 Ed25519; do
    says "treehead verifies c3-$name.bundle" '^verified: c3.txt by ' verify_bundle "$root" "c3-$name.bundle" c3.txt --key "c3-$name.pub"
    refuses "… and not for another file" '(artifact|signature|not of this bundle): ' \
      verify_bundle "$root" "c3-$name.bundle" c3.other --key "c3-$name.pub"
  done
  refuses "treehead refuses another signature than the logged one" 'not of this bundle: ' verify_bundle "$root" c3.sig.bundle c3.txt --key c3.pub
  refuses "treehead refuses a bundle with another root" 'log entry 0: ' verify_bundle "$root" c3.root.bundle c3.txt --key c3.pub
  refuses "treehead refuses a bundle without log entry" 'whole Sigstore bundle: ' verify_bundle "$root" c3.none.bundle c3.txt --key c3.pub
  refuses "treehead refuses a bundle of cosign 2 with another time" 'log entry 0: ' verify_bundle "$root" c2.time.bundle c2.txt --key c2.pub
  refuses "treehead refuses another log's key" 'log entry 0: ' verify_bundle other_root.json c3.bundle c3.txt --key c3.pub
}

bundle_checks() {
  local api
  echo "--- whole bundles of the others"
  bundles_of_cosign
  for api in v1 v2; do
    bundles_of_sigstore
    bundles_refused
  done
  # Its entry is of a kind that the others no longer know either.
  refuses "treehead says that it does not know the entry of v2.js.att" 'unsupported Rekor entry format: dsse/0.0.2' \
    verify_bundle trust-v2/trusted_root.json v2.js.att v2.txt --certificate-identity "$workflow" --certificate-oidc-issuer "$AUTHORITIES_URL"
  # The entries as v2 shows them later.
  bundle_verified trust-v2/trusted_root.json v2.go.blob.now v2.txt --certificate-identity "$workflow" --certificate-oidc-issuer "$AUTHORITIES_URL"
  bundle_verified trust-v2/trusted_root.json v2.cosign.att.now v2.txt --certificate-identity "$person" --certificate-oidc-issuer "$AUTHORITIES_URL"
  refuses "treehead refuses an authority that is not trusted" 'certificate: ' verify_bundle trusted_root.json v1.cosign.blob v1.txt \
    --certificate-identity "$person" --certificate-oidc-issuer "$AUTHORITIES_URL"
}
