# shellcheck shell=bash
# The kind rekord with stock rekor-cli, keys and signatures made by gpg, minisign, signify and ssh-keygen. Sourced by backend.
# shellcheck disable=SC2154 # backend sets folder

rekord_files() {
  local tool
  for tool in pgp pgp-ed25519 minisign signify ssh; do
    echo "artifact signed with $tool, $BACKEND" >rekord-$tool.txt
  done
  export GNUPGHOME=$folder/gnupg-rekord
  mkdir -m 700 "$GNUPGHOME"
  for tool in pgp:rsa2048 pgp-ed25519:ed25519; do
    gpg --batch --quiet --passphrase '' --quick-gen-key "Interop <${tool%%:*}@interop.example>" "${tool##*:}" sign,cert never
    gpg --armor --export "${tool%%:*}@interop.example" >"rekord-${tool%%:*}.pub"
    gpg --batch --quiet --local-user "${tool%%:*}@interop.example" --detach-sign --output "rekord-${tool%%:*}.sig" "rekord-${tool%%:*}.txt"
  done
  gpgconf --kill all
  minisign -G -W -p rekord-minisign.pub -s minisign.key </dev/null >/dev/null
  minisign -S -s minisign.key -m rekord-minisign.txt -x rekord-minisign.sig >/dev/null
  signify-openbsd -G -n -p rekord-signify.pub -s rekord-signify.sec
  signify-openbsd -S -s rekord-signify.sec -m rekord-signify.txt -x rekord-signify.sig
  ssh-keygen -q -N '' -t ed25519 -C ssh@interop.example -f ssh.key
  mv ssh.key.pub rekord-ssh.pub
  ssh-keygen -q -Y sign -n file -f ssh.key rekord-ssh.txt 2>/dev/null
  mv rekord-ssh.txt.sig rekord-ssh.sig
}

rekord_checks() {
  local case tool format uuid
  echo "--- rekord"
  rekord_files
  for case in pgp:pgp pgp-ed25519:pgp minisign:minisign signify:minisign ssh:ssh; do
    IFS=: read -r tool format <<<"$case"
    local files=(--type rekord --artifact "rekord-$tool.txt" --signature "rekord-$tool.sig" --public-key "rekord-$tool.pub" --pki-format "$format")
    says "rekor-cli upload of a rekord, $tool" '"AlreadyExists":false' rekor upload "${files[@]}"
    uuid=$(basename "$(json .Location)")
    # The client makes the leaf bytes itself and compares.
    says "rekor-cli verify of a rekord, $tool" "$uuid" rekor verify "${files[@]}"
    says "rekor-cli search by $tool key" "$uuid" rekor search --public-key "rekord-$tool.pub" --pki-format "$format"
    refuses "upload of a rekord with another artifact, $tool" '(openpgp: invalid signature|failed to verify signature|did not verify).* 400' \
      tampered_rekord "$tool" "$format"
  done
  says "rekor-cli search by the address in a PGP key" '[0-9a-f]{80}' rekor search --email pgp@interop.example
}

# tampered_rekord TOOL FORMAT: past the client, which checks before it sends.
tampered_rekord() {
  jq -n --arg format "$2" --arg content "$(base64 -w0 log.pub)" --arg signature "$(base64 -w0 "rekord-$1.sig")" --arg key "$(base64 -w0 "rekord-$1.pub")" \
    '{apiVersion: "0.0.1", kind: "rekord", spec: {data: {content: $content}, signature: {format: $format, content: $signature, publicKey: {content: $key}}}}' |
    send_entry
}
