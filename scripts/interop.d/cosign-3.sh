# shellcheck shell=bash
# The stock cosign 3.1: with a signing config and a trusted root of its own making, and with --rekor-url. Sourced by backend.

cosign3() {
  "$COSIGN_3" "$@"
}

cosign3_verify() {
  cosign3 verify-blob --key c3.pub --trusted-root trusted_root.json "$@"
}

# cosign3_other_key NAME DIGEST: signs and verifies with NAME.key.
cosign3_other_key() {
  accepts "cosign 3 import-key-pair, $1" cosign3 import-key-pair --yes --key "$1.key" --output-key-prefix "c3-$1"
  says "cosign 3 sign-blob, $1" 'Wrote bundle' \
    cosign3 sign-blob --yes --key "c3-$1.key" --use-signing-config=false --rekor-url "$LOG_URL" --bundle "c3-$1.bundle" c3.txt
  says "cosign 3 verify-blob, $1" 'Verified OK' \
    cosign3 verify-blob --key "c3-$1.pub" --signature-digest-algorithm "$2" --trusted-root trusted_root.json --bundle "c3-$1.bundle" c3.txt
}

# The files that lead a client to this log: where to sign, and which key to trust. Both cosign versions read them.
trust_files() {
  echo "--- trust files"
  accepts "cosign 3 signing-config create" cosign3 signing-config create \
    --rekor="url=$LOG_URL,api-version=1,start-time=2026-01-01T00:00:00Z,operator=interop" --rekor-config=ANY --out signing_config.json
  accepts "cosign 3 trusted-root create" cosign3 trusted-root create \
    --rekor="url=$LOG_URL,public-key=log.pub,start-time=2026-01-01T00:00:00Z" --out trusted_root.json
  accepts "cosign 3 trusted-root create, another log's key" cosign3 trusted-root create \
    --rekor="url=$LOG_URL,public-key=p256.pub,start-time=2026-01-01T00:00:00Z" --out other_root.json
}

cosign_3_checks() {
  echo "--- cosign 3.1"
  echo "blob for cosign 3, $BACKEND" >c3.txt
  echo "another blob for cosign 3, $BACKEND" >c3.other
  accepts "cosign 3 generate-key-pair" cosign3 generate-key-pair --output-key-prefix c3
  says "cosign 3 sign-blob with a signing config" 'Wrote bundle' \
    cosign3 sign-blob --yes --key c3.key --signing-config signing_config.json --trusted-root trusted_root.json --bundle c3.bundle c3.txt
  says "cosign 3 verify-blob" 'Verified OK' cosign3_verify --bundle c3.bundle c3.txt
  says "cosign 3 sign-blob with --rekor-url" 'Wrote bundle' \
    cosign3 sign-blob --yes --key c3.key --use-signing-config=false --rekor-url "$LOG_URL" --bundle c3.url.bundle c3.txt
  says "cosign 3 verify-blob of it" 'Verified OK' cosign3_verify --bundle c3.url.bundle c3.txt
  says "cosign 3 verifies what cosign 2 signed" 'Verified OK' \
    cosign3 verify-blob --key c2.pub --trusted-root trusted_root.json --bundle c2.sigstore c2.txt
  says "cosign 2 verifies what cosign 3 signed" 'Verified OK' \
    cosign2 verify-blob --key c3.pub --trusted-root trusted_root.json --new-bundle-format --bundle c3.bundle c3.txt

  refuses "cosign 3 refuses a tampered blob" 'failed to verify signature' cosign3_verify --bundle c3.bundle c3.other
  jq --arg sig "$(jq -r .messageSignature.signature c3.url.bundle)" '.messageSignature.signature = $sig' c3.bundle >c3.sig.bundle
  refuses "cosign 3 refuses another signature than the logged one" 'transparency log signature does not match' cosign3_verify --bundle c3.sig.bundle c3.txt
  jq '.verificationMaterial.tlogEntries[0].inclusionProof.rootHash = ("A" * 43 + "=")' c3.bundle >c3.root.bundle
  refuses "cosign 3 refuses a bundle with another root" 'failed to verify log inclusion: calculated root' cosign3_verify --bundle c3.root.bundle c3.txt
  jq 'del(.verificationMaterial.tlogEntries)' c3.bundle >c3.none.bundle
  refuses "cosign 3 refuses a bundle without log entry" 'not enough verified log entries from transparency log' cosign3_verify --bundle c3.none.bundle c3.txt
  refuses "cosign 3 refuses another log's key" 'not enough verified log entries from transparency log' \
    cosign3 verify-blob --key c3.pub --trusted-root other_root.json --bundle c3.bundle c3.txt

  # Other algorithms than P-256: RSA is below.
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out P-384.key
  cosign3_other_key P-384 sha384
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out P-521.key
  cosign3_other_key P-521 sha512
  openssl genpkey -quiet -algorithm ED25519 -out Ed25519.key
  accepts "cosign 3 import-key-pair, Ed25519" cosign3 import-key-pair --yes --key Ed25519.key --output-key-prefix c3-Ed25519
  # The log accepts Ed25519ph; cosign's verify-blob knows pure Ed25519 only, so this check stops there.
  says "cosign 3 sign-blob, Ed25519ph" 'Wrote bundle' \
    cosign3 sign-blob --yes --key c3-Ed25519.key --use-signing-config=false --rekor-url "$LOG_URL" --bundle c3-Ed25519.bundle c3.txt

  # cosign 3 does not handle 409: it reports the duplicate, and the stored entry is unharmed.
  accepts "cosign 3 import-key-pair, RSA" cosign3 import-key-pair --yes --key rsa.key --output-key-prefix c3rsa
  says "cosign 3 sign-blob, RSA" 'Wrote bundle' \
    cosign3 sign-blob --yes --key c3rsa.key --use-signing-config=false --rekor-url "$LOG_URL" --bundle c3rsa.bundle c3.txt
  refuses "cosign 3 sign-blob of the same is told of the existing entry" '\[409\]' \
    cosign3 sign-blob --yes --key c3rsa.key --use-signing-config=false --rekor-url "$LOG_URL" --bundle c3rsa.again c3.txt
  says "cosign 3 verify-blob, RSA" 'Verified OK' \
    cosign3 verify-blob --key c3rsa.pub --trusted-root trusted_root.json --bundle c3rsa.bundle c3.txt
}
