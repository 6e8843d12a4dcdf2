# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# schemathesis on Rekor's API document and on ours: no request makes the server fail. Sourced by run.

# document NAME FILE-OR-URL
document() {
  accepts "schemathesis finds no server error by $1" timeout 900 "$SCHEMATHESIS" --config-file "$folder/schemathesis.toml" run "$2" --url http://127.0.0.1:3000 \
    --checks not_a_server_error --max-examples 100 --seed 1 --suppress-health-check all --no-color
}

openapi_checks() {
  # 501 is the answer of rekor-tiles to a method that a path of v2 does not have, so it is ours.
  printf '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 501]\n' >"$folder/schemathesis.toml"
  log log.example
  # Its references to other files are relative to it.
  cd "$PEERS/rekor"
  document "Rekor's document" openapi.yaml
  curl -fsS http://127.0.0.1:3000/swagger.json -o "$folder/ours.json"
  document "our document" "$folder/ours.json"
}
