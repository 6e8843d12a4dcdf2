# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# `treehead verify` of whole bundles of stock clients whose entries are in a real Rekor v1 and a real rekor-tiles. The clients and
# the authorities are those of scripts/interop. Sourced by run.

for part in treehead ../interop.d/cosign-3 ../interop.d/sigstore ../interop.d/bundles; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done

bundles_checks() {
  local api
  export HTTP_PROXY='' http_proxy='' HOME=$folder/home COSIGN_PASSWORD='' LOG_PROGRAM=$BINARY TUF_ROOT=$folder/home/tuf
  cd "$folder"
  mkdir home authorities
  start_authorities
  start_rekor
  api=v1 trusts http://localhost:3000 rekor.example v1.pub
  api=v1 bundles_of_log
  start_tiles
  api=v2 trusts http://localhost:8000 tiles.example v2.pub
  api=v2 bundles_of_log
}

start_authorities() {
  # shellcheck disable=SC2016 # the shell within knows its address
  background authorities "$INTEROP" authorities authorities sh -c 'echo "$AUTHORITIES_URL" >url && sleep infinity'
  for _ in $(seq 100); do
    [ ! -s url ] || break
    sleep 0.1
  done
  export AUTHORITIES_URL AUTHORITIES=$folder/authorities
  AUTHORITIES_URL=$(cat url)
  echo '{"buildDefinition": {"buildType": "https://peers.example/build", "externalParameters": {}},
    "runDetails": {"builder": {"id": "https://peers.example/builder"}}}' >predicate.json
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key
  openssl pkey -in p256.key -pubout -out p256.pub
  accepts "cosign 3 generate-key-pair" cosign3 generate-key-pair --output-key-prefix sigstore
  accepts "cosign 3 trusted-root create, another log" \
    cosign3 trusted-root create --rekor="url=http://other.example,public-key=p256.pub,start-time=2026-01-01T00:00:00Z" --out other_root.json
}

# trusts URL HOST KEY: where clients sign, and the log and the authorities that they trust, in trust-v1 or trust-v2, by $api.
trusts() {
  local since=2026-01-01T00:00:00Z tsa=$AUTHORITIES_URL/api/v1/timestamp services config
  mkdir "trust-$api"
  services=(--rekor="url=http://$2,public-key=$3,start-time=$since,origin=$2" --fulcio="url=$AUTHORITIES_URL,certificate-chain=authorities/fulcio.pem"
    --ctfe="url=$AUTHORITIES_URL,public-key=authorities/ct.pub,start-time=$since" --tsa="url=$tsa,certificate-chain=authorities/tsa.pem")
  [ "$api" = v2 ] || services[0]=${services[0]%,origin=*}
  config=(--rekor="url=$1,api-version=${api#v},start-time=$since,operator=peers" --rekor-config=ANY
    --fulcio="url=$AUTHORITIES_URL,api-version=1,start-time=$since,operator=peers"
    --oidc-provider="url=$AUTHORITIES_URL,api-version=1,start-time=$since,operator=peers"
    --tsa="url=$tsa,api-version=1,start-time=$since,operator=peers" --tsa-config=ANY)
  accepts "cosign 3 trusted-root create, $api" cosign3 trusted-root create "${services[@]}" --out "trust-$api/trusted_root.json"
  accepts "cosign 3 signing-config create, $api" cosign3 signing-config create "${config[@]}" --out "trust-$api/signing_config.v0.2.json"
  jq -n --slurpfile root "trust-$api/trusted_root.json" --slurpfile config "trust-$api/signing_config.v0.2.json" \
    '{mediaType: "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json", trustedRoot: $root[0], signingConfig: $config[0]}' \
    >"trust-$api/trust_config.json"
}

# Each client signs and attests in the log, by $api.
bundles_of_log() {
  local trust=trust-$api flags
  echo "a blob for $api" >"$api.txt"
  statement
  flags=(--yes --signing-config "$trust/signing_config.v0.2.json" --trusted-root "$trust/trusted_root.json")
  accepts "$api, cosign 3 signs by key" cosign3 sign-blob "${flags[@]}" --key sigstore.key --bundle "$api.key.blob" "$api.txt"
  accepts "$api, cosign 3 attests by key" cosign3 attest-blob "${flags[@]}" --key sigstore.key --predicate predicate.json \
    --type slsaprovenance1 --bundle "$api.key.att" "$api.txt"
  accepts "$api, cosign 3 signs" cosign3 sign-blob "${flags[@]}" --identity-token "$(token email)" --bundle "$api.cosign.blob" "$api.txt"
  accepts "$api, cosign 3 attests" cosign3 attest-blob "${flags[@]}" --identity-token "$(token email)" --statement "$api.statement" \
    --bundle "$api.cosign.att" "$api.txt"
  flags=("${flags[@]:1}")
  accepts "$api, sigstore-go signs by key" "$INTEROP" sign "${flags[@]}" --key p256.key --bundle "$api.gokey.blob" "$api.txt"
  accepts "$api, sigstore-go signs" "$INTEROP" sign "${flags[@]}" --token "$(token github)" --bundle "$api.go.blob" "$api.txt"
  accepts "$api, sigstore-go attests" "$INTEROP" sign "${flags[@]}" --attestation --token "$(token github)" --bundle "$api.go.att" "$api.statement"
  accepts "$api, sigstore-js signs" js sign message "$trust/signing_config.v0.2.json" "$(token github)" "$api.txt" "$api.js.blob"
  if [ "$api" = v1 ]; then
    accepts "v1, sigstore-js attests" js sign statement "$trust/signing_config.v0.2.json" "$(token github)" v1.statement v1.js.att
  fi
  accepts "$api, sigstore-python signs" python sign --identity-token "$(token email)" --bundle "$api.python.blob" "$api.txt"
  accepts "$api, sigstore-python attests" python attest --identity-token "$(token email)" --predicate predicate.json \
    --predicate-type https://slsa.dev/provenance/v1 --bundle "$api.python.att" "$api.txt"
  bundles_of_sigstore
  bundles_refused
}
