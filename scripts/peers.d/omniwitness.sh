# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # run sets and reads the rest
# omniwitness as a witness of both logs of a ledger. Sourced by the parts that need it.

# The tests of rekor-tiles have a key for it, and its vkey.
witness_folder=$PEERS/rekor-tiles/tests/testdata/witness

# vkey_of API: the key of that log's checkpoints. The origin of a v1 checkpoint is the path of its tree, below the ledger's name.
vkey_of() {
  case $1 in
    v1) grep '/trees/' "$folder/trust/checkpoint.vkey" ;;
    v2) grep -v '/trees/' "$folder/trust/checkpoint.vkey" ;;
  esac
}

# origin_of API
origin_of() {
  vkey_of "$1" | cut -d+ -f1
}

omniwitness_vkey() {
  awk '$1 == "witness" {print $3}' "$witness_folder/policy.yaml"
}

# Its only logs are those of the ledger.
start_omniwitness() {
  local api
  {
    echo 'Logs:'
    for api in v1 v2; do
      printf '  - Origin: %s\n    URL: http://ignored\n    PublicKey: %s\n    Feeder: tiles\n' "$(origin_of "$api")" "$(vkey_of "$api")"
    done
  } >"$folder/logs.yaml"
  background omniwitness "$PEERS/bin/omniwitness" --listen=127.0.0.1:8100 --metrics_listen=127.0.0.1:8101 --db_file="$folder/witness.sqlite" \
    --private_key_path="$witness_folder/private.key" --additional_logs="$folder/logs.yaml" --logtostderr
  answers http://127.0.0.1:8101/metrics
}
