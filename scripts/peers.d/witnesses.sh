# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# torchwood's litewitness and omniwitness together cosign both logs of a ledger. Sourced by run.

# shellcheck source=scripts/peers.d/omniwitness.sh
. "$here/omniwitness.sh"

witnesses_checks() {
  local api
  "$BINARY" init --name log.example --data-dir "$folder/data" >"$folder/init.log"
  "$BINARY" trust export --data-dir "$folder/data" --out "$folder/trust" >"$folder/trust.log"
  start_litewitness
  start_omniwitness
  printf '%s\n' "witness lite $lite http://127.0.0.1:7380" "witness omni $(omniwitness_vkey) http://127.0.0.1:8100" \
    'group both all lite omni' 'quorum both' >"$folder/policy"
  log log.example --witness-policy "$folder/policy"
  mkdir "$folder/authority"
  for api in v1 v2; do
    accepts "$api: both cosign ten entries" plant "$api" 5
    cosigned "$api" 10
    proved "$api" 0
    proved "$api" 9
  done
  fails_closed
}

start_litewitness() {
  local fingerprint api origin name=litewitness.example
  ssh-keygen -q -t ed25519 -N '' -f "$folder/witness-key"
  background ssh-agent ssh-agent -D -a "$folder/agent.sock"
  for _ in $(seq 50); do [ ! -S "$folder/agent.sock" ] || break; sleep 0.1; done
  SSH_AUTH_SOCK=$folder/agent.sock ssh-add -q "$folder/witness-key"
  fingerprint=$(ssh-keygen -lf "$folder/witness-key.pub" | cut -d' ' -f2)
  background litewitness "$PEERS/bin/litewitness" -name "$name" -db "$folder/litewitness.db" -ssh-agent "$folder/agent.sock" \
    -key "$fingerprint" -listen 127.0.0.1:7380
  answers http://127.0.0.1:7380/
  lite=$(grep -ohE "$name\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+" "$folder/litewitness.log" "$folder/answer" | head -n 1)
  # Its tool for this does the same, and does not build in all places. Each log begins as an empty tree.
  for api in v1 v2; do
    origin=$(origin_of "$api")
    sqlite3 "$folder/litewitness.db" "INSERT INTO log VALUES ('$origin', 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');" \
      "INSERT INTO key VALUES ('$origin', '$(vkey_of "$api")');"
  done
}

# plant API LAST: as many entries as twice that number.
plant() {
  timeout 120 "$PEERS/bin/peers" plant --authority "$folder/authority" --api "$1" --url http://127.0.0.1:3000 --last "$2"
}

# cosigned API SIZE: torchwood's own code finds the signatures of the log and of both witnesses on its head of that size.
cosigned() {
  local url
  { echo "log $(vkey_of "$1")"; cat "$folder/policy"; } >"$folder/policy-$1"
  for url in $(checkpoints_of "$1"); do
    curl -fsS "http://127.0.0.1:3000$url" -o "$folder/checkpoint-$1"
    says "$1: $url is cosigned by both" "^cosigned: $(origin_of "$1") $2\$" "$PEERS/bin/cosigned" "$folder/policy-$1" "$folder/checkpoint-$1"
  done
}

# proved API INDEX: torchwood verifies the tlog-proof of an entry, by a policy that asks for both witnesses, and of no other entry.
proved() {
  local entry
  entry="http://127.0.0.1:3000$(checkpoints_of "$1" | tail -n 1 | sed 's|/checkpoint$||')/entries/$2"
  curl -fsS "$entry/tlog-proof" -o "$folder/proof-$1"
  curl -fsS "$entry" | jq -r .canonicalizedBody | base64 -d >"$folder/leaf-$1"
  says "$1: the tlog-proof of entry $2 verifies" '^proved$' "$PEERS/bin/proved" "$folder/policy-$1" "$folder/proof-$1" "$folder/leaf-$1"
  echo >>"$folder/leaf-$1"
  refuses "$1: the tlog-proof of entry $2 is of no other entry" 'proved: ' "$PEERS/bin/proved" "$folder/policy-$1" "$folder/proof-$1" "$folder/leaf-$1"
}

checkpoints_of() {
  local tree
  case $1 in
    v1) tree=$(origin_of v1 | sed 's|.*/||') ;;
    v2) tree=$(v2_tree) && echo /checkpoint ;;
  esac
  echo "/trees/$tree/checkpoint"
}

# The tree of v2 is named by a hit of the search.
v2_tree() {
  curl -fsS 'http://127.0.0.1:3000/api/v1/index/search?subject=identity-1@planted.example' | jq -r '[.. | objects | select(.log? == "v2")][0].treeID'
}

# Neither log publishes a head that one of them did not sign.
fails_closed() {
  local api
  stop litewitness
  for api in v1 v2; do
    refuses "$api: fails closed without litewitness" '503' plant "$api" 1
    cosigned "$api" 10
  done
}
