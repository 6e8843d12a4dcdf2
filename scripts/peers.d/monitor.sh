# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# rekor-monitor watches both logs of a ledger, each under a service URL of its own, through restarts and rotations. Sourced by run.

# It takes host and port of a service URL as the origin of the log there, so each tree of v2 has a host name and port 80.
monitor_checks() {
  answer_names 'log.example v2.log.example shard2.log.example shard2.v2.log.example'
  background port-80 socat TCP-LISTEN:80,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:3000
  watches 'two names' http://log.example http://v2.log.example --v2-name v2.log.example
  # It chooses the API by the URL, and v1 where no signing config has it.
  watches 'one name' http://log.example:80 http://log.example
}

# watches SETUP V1 V2 [FLAG]...: a fresh ledger with that flag, whose logs are at these URLs.
watches() {
  local folder=$folder/${1/ /-} BACKEND="$BACKEND, $1" v1=$2 v2=$3
  shift 3
  ledger_flags=("$@")
  mkdir "$folder" "$folder/authority" "$folder/v1" "$folder/v2"
  # A signing config names v2 beside v1 only if there is a time-stamp authority.
  cat >"$folder/services.json" <<EOF
{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json", "tsaConfig": {"selector": "ANY"},
 "tsaUrls": [{"url": "http://tsa.example/", "majorApiVersion": 1, "validFor": {"start": "2026-01-01T00:00:00Z"}}]}
EOF
  start_ledger
  background tuf python3 -m http.server 3020 --bind 127.0.0.1 --directory "$folder"
  publish
  answers http://127.0.0.1:3020/tuf/root.json
  finds_all
  rotates_v2
  rotates_v1
  stop log
  stop tuf
}

start_ledger() {
  log log.example "${ledger_flags[@]}"
}

# The trust material as it is now, in a TUF repository. Where both logs have one name, the signing config there is without v1.
publish() {
  local config=$folder/trust/signing_config.v0.2.json
  rm -rf "$folder/trust"
  "$BINARY" trust export --data-dir "$folder/data" --public-url http://log.example --signing-config-base "$folder/services.json" --out "$folder/trust" >"$folder/export.log"
  if [ ${#ledger_flags[@]} -eq 0 ]; then
    jq 'del(.rekorTlogUrls[] | select(.majorApiVersion == 1))' "$config" >"$folder/without-v1"
    mv "$folder/without-v1" "$config"
  fi
  "$PEERS/bin/peers" tuf "$folder/tuf" "$folder/trust/trusted_root.json" "$config"
}

# plant API FIRST LAST: entries of these identities, and as many of others.
plant() {
  local url=${!1}
  "$PEERS/bin/peers" plant --authority "$folder/authority" --api "$1" --url "$url" --first "$2" --last "$3"
}

# monitor API [FLAG]...: rekor-monitor, once if no flag says otherwise.
start_index=
monitor() {
  local api=$1 url=${!1}
  shift
  cat >"$folder/$api/config" <<EOF
${start_index:+startIndex: $start_index}
outputIdentities: $folder/$api/found
monitoredValues: {certIdentities: [{certSubject: '@planted\.example$', issuers: ['^https://accounts\.example$']}]}
EOF
  exec env HOME="$folder/$api/home" timeout 120 "$REKOR_MONITOR" --config-file "$folder/$api/config" --file "$folder/$api/state" --url "$url" \
    --tuf-repository "http://127.0.0.1:3020/tuf" --tuf-root-path "$folder/tuf/root.json" --ca-roots "$folder/authority/ca.pem" "$@"
}

# found API: how many of the planted identities it found, and how many others.
found() {
  touch "$folder/$1/found"
  echo "$(grep -oE 'identity-[0-9]+@' "$folder/$1/found" | sort -u | wc -l) identities, $(grep -c elsewhere "$folder/$1/found") others"
}

# waits_for TEXT COMMAND...: until the command's output is that text, for half a minute.
waits_for() {
  local text=$1
  shift
  for _ in $(seq 150); do
    [ "$("$@")" != "$text" ] || return 0
    sleep 0.2
  done
}

# 50 identities by each API. It runs twice, then all the time; it and the server are restarted.
finds_all() {
  local api
  for api in v1 v2; do
    plant "$api" 1 5
    start_index=-1 accepts "$api: rekor-monitor begins with the first entry" monitor "$api"
    plant "$api" 6 10
    says "$api: rekor-monitor, once" 'Root hash consistency verified' monitor "$api"
    equal "$api: found" "$(found "$api")" '10 identities, 0 others'
  done
  background monitor-v1 monitor v1 --once=false --interval 1s --monitor-port 9464
  background monitor-v2 monitor v2 --once=false --interval 1s --monitor-port 9465
  for api in v1 v2; do
    plant "$api" 11 20
    waits_for '20 identities, 0 others' found "$api"
    equal "$api: found while it runs" "$(found "$api")" '20 identities, 0 others'
  done
  stop log
  sleep 2
  start_ledger
  for api in v1 v2; do
    plant "$api" 21 30
    waits_for '30 identities, 0 others' found "$api"
    equal "$api: found after the server was restarted" "$(found "$api")" '30 identities, 0 others'
  done
  stop monitor-v1
  stop monitor-v2
  for api in v1 v2; do
    plant "$api" 31 50
    says "$api: rekor-monitor, restarted" 'Root hash consistency verified' monitor "$api"
    equal "$api: all found" "$(found "$api")" '50 identities, 0 others'
  done
}

# Its identity search knows only the newest tree of v2, and takes the stored size of the old one for a place in it: it ends, or
# passes over as many entries (docs/MONITORING.md).
rotates_v2() {
  plant v2 51 51
  says 'v2: rotated' shard2 "$BINARY" rotate --log v2 --data-dir "$folder/data"
  says 'v2: with the signing config of before it verifies the frozen tree' 'Root hash consistency verified' monitor v2
  equal 'v2: and finds its last entries' "$(found v2)" '51 identities, 0 others'
  publish
  v2=${v2/\/\//\/\/shard2.}
  plant v2 52 52
  says 'v2: with the signing config of now it verifies the frozen tree' 'Root hash consistency verified' monitor v2
  equal 'v2: but does not search the new one from its start' "$(found v2)" '51 identities, 0 others'
  rm "$folder/v2/state"
  start_index=-1 accepts 'v2: the line to run after a rotation' monitor v2
  equal 'v2: all found after the rotation' "$(found v2)" '52 identities, 0 others'
  plant v2 53 53
  says 'v2: it goes on' 'Root hash consistency verified' monitor v2
  equal 'v2: all found later' "$(found v2)" '53 identities, 0 others'
}

# It checks its stored head with the key of the newest tree, and then searches nothing (docs/MONITORING.md).
rotates_v1() {
  local size
  plant v1 51 51
  says 'v1: rotated' 'rotated' "$BINARY" rotate --log v1 --data-dir "$folder/data"
  publish
  plant v1 52 52
  says 'v1: it does not verify its stored head' 'failed to verify previous checkpoint' monitor v1
  equal 'v1: and does not search' "$(found v1)" '50 identities, 0 others'
  size=$(sed 's/\\n/\n/g' "$folder/v1/state" | sed -n 2p)
  rm "$folder/v1/state"
  start_index=$((size - 1)) accepts 'v1: the line to run after a rotation' monitor v1
  equal 'v1: all found after the rotation' "$(found v1)" '52 identities, 0 others'
  plant v1 53 53
  says 'v1: it goes on' 'Root hash consistency verified' monitor v1
  equal 'v1: all found later' "$(found v1)" '53 identities, 0 others'
}
