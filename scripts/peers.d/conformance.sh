# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# `treehead verify` gives the expected verdict on each bundle of sigstore-conformance, without a network. Sourced by run.

# Vectors that need what treehead refuses on purpose: a line for each, the name and why. Their verdict must still be a refusal.
refused_on_purpose=''

conformance_checks() {
  local vectors=$CONFORMANCE/test/assets/bundle-verify vector
  for vector in "$vectors"/*/; do
    judges "${vector%/}"
  done
}

# judges FOLDER: the protocol of the suite: files beside the bundle replace what all share.
judges() {
  local vector=$1 name=${1##*/} signer=() trust=$CONFORMANCE/public-good.json artifact=$CONFORMANCE/test/assets/bundle-verify/a.txt digest
  local identity=https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main
  local issuer=https://token.actions.githubusercontent.com
  if [ -e "$vector/trusted_root.json" ]; then trust=$vector/trusted_root.json; fi
  if [ -e "$vector/artifact" ]; then artifact=$vector/artifact; fi
  if [ -e "$vector/identity" ]; then identity=$(cat "$vector/identity"); fi
  if [ -e "$vector/issuer" ]; then issuer=$(cat "$vector/issuer"); fi
  if [ -e "$vector/key.pub" ]; then
    signer=(--key "$vector/key.pub")
  else
    signer=(--certificate-identity "$identity" --certificate-oidc-issuer "$issuer")
  fi
  digest=sha256:$(sha256sum "$artifact" | cut -d' ' -f1)
  verify=(timeout 20 "$BINARY" verify --bundle "$vector/bundle.sigstore.json" --trust "$trust" "${signer[@]}")
  case $name in
    # 2 is a trust root that cannot be used, 20 is what does not verify. Nothing else is a verdict.
    *_fail) refuses "$name" '^exit (2|20)$' verdict "${verify[@]}" "$artifact" ;;
    *)
      if grep -q "^$name " <<<"$refused_on_purpose"; then
        refuses "$name (on purpose)" '^exit 20$' verdict "${verify[@]}" "$artifact"
        return
      fi
      says "$name" '^verified: ' "${verify[@]}" "$artifact"
      says "$name by its digest" '^verified: ' "${verify[@]}" "$digest"
      refuses "$name with another artifact" '^exit 20$' verdict "${verify[@]}" "$vector/bundle.sigstore.json"
      ;;
  esac
}

# verdict COMMAND...: prints what the command says, and its exit code.
verdict() {
  local code=0
  "$@" || code=$?
  echo "exit $code"
  return "$code"
}
