# shellcheck shell=bash
# The stock cosign 2.6: sign-blob with upload, verify-blob online and offline, in both bundle formats. Sourced by backend.

cosign2() {
  "$COSIGN_2" "$@"
}

# These clients' built-in trust does not know the log: its key comes from a file, never from the network.
cosign2_verify() {
  SIGSTORE_REKOR_PUBLIC_KEY=log.pub cosign2 verify-blob "$@"
}

cosign_2_checks() {
  local index
  echo "--- cosign 2.6"
  echo "blob for cosign 2, $BACKEND" >c2.txt
  echo "another blob for cosign 2, $BACKEND" >c2.other
  accepts "cosign 2 generate-key-pair" cosign2 generate-key-pair --output-key-prefix c2
  says "cosign 2 sign-blob uploads" 'tlog entry created with index' \
    cosign2 sign-blob --yes --key c2.key --rekor-url "$LOG_URL" --bundle c2.bundle --output-signature c2.sig c2.txt
  says "cosign 2 verify-blob online" 'Verified OK' cosign2_verify --key c2.pub --signature c2.sig --rekor-url "$LOG_URL" c2.txt
  says "cosign 2 verify-blob offline" 'Verified OK' \
    cosign2_verify --offline --key c2.pub --bundle c2.bundle --rekor-url "$NOWHERE" c2.txt

  refuses "cosign 2 refuses a tampered blob online" '\[400\].*invalid signature' \
    cosign2_verify --key c2.pub --signature c2.sig --rekor-url "$LOG_URL" c2.other
  refuses "cosign 2 refuses a tampered blob offline" 'matching bundle to payload' \
    cosign2_verify --offline --key c2.pub --bundle c2.bundle --rekor-url "$NOWHERE" c2.other
  cosign2 sign-blob --yes --key c2.key --tlog-upload=false --output-signature c2.unlogged c2.other >sign.out 2>&1
  refuses "cosign 2 refuses a signature that is not in the log" 'signature not found in transparency log' \
    cosign2_verify --key c2.pub --signature c2.unlogged --rekor-url "$LOG_URL" c2.other
  jq '.rekorBundle.Payload.integratedTime += 1' c2.bundle >c2.time.bundle
  refuses "cosign 2 refuses a bundle with another time" 'unable to verify SET' \
    cosign2_verify --offline --key c2.pub --bundle c2.time.bundle --rekor-url "$NOWHERE" c2.txt
  refuses "cosign 2 refuses another log's key" 'rekor log public key not found for payload' \
    env SIGSTORE_REKOR_PUBLIC_KEY=p256.pub "$COSIGN_2" verify-blob --offline --key c2.pub --bundle c2.bundle --rekor-url "$NOWHERE" c2.txt

  # RSA PKCS#1 v1.5 signs the same bytes twice alike, so the second upload is a duplicate.
  accepts "cosign 2 import-key-pair, RSA" cosign2 import-key-pair --yes --key rsa.key --output-key-prefix c2rsa
  says "cosign 2 sign-blob, RSA" 'tlog entry created with index' \
    cosign2 sign-blob --yes --key c2rsa.key --rekor-url "$LOG_URL" --bundle c2rsa.bundle c2.txt
  index=$(jq .rekorBundle.Payload.logIndex c2rsa.bundle)
  says "cosign 2 sign-blob of the same gets the existing entry" "index: $index\$" \
    cosign2 sign-blob --yes --key c2rsa.key --rekor-url "$LOG_URL" --bundle c2rsa.again c2.txt
  equal "… with the same time stamp" "$(jq -S .rekorBundle c2rsa.again)" "$(jq -S .rekorBundle c2rsa.bundle)"

  says "cosign 2 sign-blob, new bundle" 'Wrote bundle' \
    cosign2 sign-blob --yes --key c2.key --rekor-url "$LOG_URL" --new-bundle-format --bundle c2.sigstore c2.txt
  says "cosign 2 verify-blob, new bundle" 'Verified OK' \
    cosign2 verify-blob --key c2.pub --bundle c2.sigstore --new-bundle-format --trusted-root trusted_root.json c2.txt
  refuses "cosign 2 refuses a tampered blob, new bundle" 'failed to verify signature' \
    cosign2 verify-blob --key c2.pub --bundle c2.sigstore --new-bundle-format --trusted-root trusted_root.json c2.other
  says "cosign 2 sign-blob with a signing config" 'Wrote bundle' \
    cosign2 sign-blob --yes --key c2.key --signing-config signing_config.json --trusted-root trusted_root.json --bundle c2.config c2.other
  says "cosign 2 verify-blob of it" 'Verified OK' \
    cosign2 verify-blob --key c2.pub --bundle c2.config --new-bundle-format --trusted-root trusted_root.json c2.other
}
