# shellcheck shell=bash
# Kinds that carry what is signed: DSSE envelopes and in-toto attestations of cosign, COSE messages of go-cose, time stamps of
# `openssl ts`, a TUF repository of go-tuf, whose keys are of all its types. Sourced by backend.
# shellcheck disable=SC2154 # checks.sh sets output

envelope_checks() {
  local case name type flags
  echo "--- envelopes"
  make_envelopes
  make_cose
  make_time_stamp
  make_tuf
  for case in dsse:dsse intoto:intoto:0.0.2 intoto-old:intoto:0.0.1 cose:cose cose-intoto:cose time-stamp:rfc3161 \
    tuf-root:tuf tuf-targets:tuf tuf-snapshot:tuf tuf-timestamp:tuf; do
    name=${case%%:*} type=${case#*:}
    flags=(--type "$type" --artifact "$name.signed")
    case $name in
      dsse | intoto*) flags+=(--public-key envelope.pub) ;;
      cose) flags+=(--public-key p256.pub --aad "$(echo -n context | base64)") ;;
      cose-intoto) flags+=(--public-key p256.crt) ;;
      tuf-*) flags+=(--public-key tuf-root.signed) ;;
    esac
    says "rekor-cli upload, $name" '"AlreadyExists":false' rekor upload "${flags[@]}"
    says "rekor-cli upload of the same $name gives the existing one" '"AlreadyExists":true' rekor upload "${flags[@]}"
    says "rekor-cli verify, $name" '"EntryUUID"' rekor verify "${flags[@]}"
    json .EntryUUID >"$name.uuid"
  done
  searches
  attestations
  tampered_envelopes
}

searches() {
  local name
  # Rekor itself never finds these by their key.
  for name in dsse intoto intoto-old; do
    says "rekor-cli search by public key, $name" "$(cat $name.uuid)" rekor search --public-key envelope.pub
    says "rekor-cli search by the artifact that it is about, $name" "$(cat $name.uuid)" rekor search --artifact envelope.txt
  done
  says "rekor-cli search by a COSE message" "$(cat cose.uuid)" rekor search --artifact cose.signed
  says "rekor-cli search by what a COSE message signs" "$(cat cose.uuid)" rekor search --artifact envelope.txt
  says "rekor-cli search by a time stamp" "$(cat time-stamp.uuid)" rekor search --artifact time-stamp.signed
  says "rekor-cli search by a TUF root" "$(cat tuf-targets.uuid)" rekor search --public-key tuf-root.signed --pki-format tuf
}

# The attestation that is kept beside the leaf.
attestations() {
  local name
  for name in intoto intoto-old; do
    says "rekor-cli get shows the attestation, $name" "interop.example/builder" rekor get --uuid "$(cat $name.uuid)"
    equal "… as it was signed, $name" "$(json .Attestation | jq -Sc .)" "$(jq -Sc . statement.json)"
  done
  # The whole message.
  says "rekor-cli get shows the attestation, cose-intoto" "interop.example/builder" rekor get --uuid "$(cat cose-intoto.uuid)"
}

tampered_envelopes() {
  local envelope
  echo other >other.txt
  envelope=$(jq -c --arg payload "$(base64 -w0 other.txt)" '.payload = $payload' dsse.signed)
  refuses "tampered dsse" 'could not verify envelope.* 400$' send_envelope dsse "$envelope"
  envelope=$(jq -c --arg payload "$(base64 -w0 other.txt)" '.payload = $payload' intoto.signed)
  refuses "tampered intoto 0.0.2" 'could not verify envelope.* 400$' send_envelope intoto "$envelope"
  refuses "tampered intoto 0.0.1" 'accepted signatures do not match threshold.* 400$' send_envelope intoto-old "$envelope"
  flip_last_byte cose.signed
  refuses "tampered COSE message" 'verification error.* 400$' send_cose cose.signed.flipped context
  refuses "COSE message with other additional data" 'verification error.* 400$' send_cose cose.signed other
  flip_last_byte time-stamp.signed
  refuses "tampered time stamp" 'tsr verification error.* 400$' send_time_stamp time-stamp.signed.flipped
  refuses "time stamp that was denied" 'tsr status not granted.* 400$' send_time_stamp denied.signed
  jq -c '.signed.version += 1' tuf-targets.signed >tuf-changed.signed
  refuses "tampered TUF targets" 'valid signatures did not meet threshold.* 400$' send_tuf tuf-root.signed tuf-changed.signed
  jq -c '.signed.version += 1' tuf-root.signed >tuf-changed.signed
  refuses "tampered TUF root" 'valid signatures did not meet threshold.* 400$' send_tuf tuf-changed.signed tuf-targets.signed
}

make_envelopes() {
  echo "artifact of envelopes, $BACKEND" >envelope.txt
  jq -nc --arg digest "$(sha256sum envelope.txt | cut -d' ' -f1)" \
    '{_type: "https://in-toto.io/Statement/v1", predicateType: "https://slsa.dev/provenance/v1", predicate: {
      buildDefinition: {buildType: "https://interop.example/build", externalParameters: {}},
      runDetails: {builder: {id: "https://interop.example/builder"}}}, subject: [{name: "blob", digest: {sha256: $digest}}]}' >statement.json
  accepts "cosign 2 generate-key-pair" cosign2 generate-key-pair --output-key-prefix envelope
  local name
  # ECDSA signs anew each time, so these are three.
  for name in dsse intoto intoto-old; do
    accepts "cosign 2 attest-blob, $name" cosign2 attest-blob --yes --key envelope.key --tlog-upload=false --statement statement.json \
      --output-signature $name.signed
  done
}

make_cose() {
  "$INTEROP" cose --key p256.key --aad context --out cose.signed envelope.txt
  "$INTEROP" cose --key p256.key --content-type application/vnd.in-toto+json --out cose-intoto.signed statement.json
}

# An authority as its manual page makes one.
make_time_stamp() {
  openssl req -x509 -newkey rsa:2048 -noenc -keyout tsa.key -out tsa.crt -days 1 -subj /CN=tsa.interop.example \
    -addext extendedKeyUsage=critical,timeStamping -addext keyUsage=critical,digitalSignature 2>openssl.out
  cat >tsa.cnf <<END
[tsa]
serial = tsa.serial
signer_cert = tsa.crt
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
END
  openssl ts -query -data envelope.txt -sha256 -cert -out time-stamp.query 2>openssl.out
  openssl ts -reply -config tsa.cnf -section tsa -queryfile time-stamp.query -out time-stamp.signed 2>openssl.out
  openssl ts -query -data envelope.txt -sha512 -cert -out denied.query 2>openssl.out
  openssl ts -reply -config tsa.cnf -section tsa -queryfile denied.query -out denied.signed 2>openssl.out || true
}

make_tuf() {
  local role
  mkdir tuf
  "$INTEROP" tuf --target envelope.txt tuf
  for role in root targets snapshot timestamp; do
    mv "tuf/$role.json" "tuf-$role.signed"
  done
}

# flip_last_byte FILE: as FILE.flipped.
flip_last_byte() {
  local last
  last=$(tail -c 1 "$1" | od -An -tu1)
  { head -c -1 "$1" && printf '%b' "\\x$(printf %x $((last ^ 1)))"; } >"$1.flipped"
}

# These send requests that the client itself would refuse.

# send_envelope dsse|intoto|intoto-old ENVELOPE
send_envelope() {
  jq -n --arg kind "$1" --arg envelope "$2" --arg key "$(base64 -w0 envelope.pub)" '
    if $kind == "dsse" then {apiVersion: "0.0.1", kind: "dsse", spec: {proposedContent: {envelope: $envelope, verifiers: [$key]}}}
    elif $kind == "intoto-old" then {apiVersion: "0.0.1", kind: "intoto", spec: {content: {envelope: $envelope}, publicKey: $key}}
    else {apiVersion: "0.0.2", kind: "intoto", spec: {content: {envelope: ($envelope | fromjson
      | {payloadType, payload: (.payload | @base64), signatures: [.signatures[] | {sig: (.sig | @base64), publicKey: $key}]})}}} end' |
    send_entry
}

# send_cose FILE AAD
send_cose() {
  jq -n --arg message "$(base64 -w0 "$1")" --arg aad "$(echo -n "$2" | base64)" --arg key "$(base64 -w0 p256.pub)" \
    '{apiVersion: "0.0.1", kind: "cose", spec: {message: $message, publicKey: $key, data: {aad: $aad}}}' | send_entry
}

# send_time_stamp FILE
send_time_stamp() {
  jq -n --arg content "$(base64 -w0 "$1")" '{apiVersion: "0.0.1", kind: "rfc3161", spec: {tsr: {content: $content}}}' | send_entry
}

# send_tuf ROOT DOCUMENT
send_tuf() {
  jq -n --slurpfile root "$1" --slurpfile document "$2" \
    '{apiVersion: "0.0.1", kind: "tuf", spec: {root: {content: $root[0]}, metadata: {content: $document[0]}}}' | send_entry
}
