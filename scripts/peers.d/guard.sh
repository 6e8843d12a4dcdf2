# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# The guard in an object of Versity's S3 gateway, which checks signatures and conditions of writes. Sourced by run.

# guarded_size LOG: the size of the newest head of a log in the object.
guarded_size() {
  "$BINARY" guard show --data-dir "$folder/nothing" --guard "$place" | sed -nE "s/^  $1 log, tree [0-9]+: ([0-9]+) entries.*/\1/p"
}

# is_guarded SIZE: the object has the v1 log's head of that size.
is_guarded() {
  [ "$(guarded_size v1)" = "$1" ]
}

# add_entry: logs an entry that no other is equal to.
add_entry() {
  openssl rand -hex 16 >"$folder/artifact"
  openssl dgst -sha256 -sign "$folder/author.key" -out "$folder/signature" "$folder/artifact"
  printf '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"%s"}},"signature":{"content":"%s","publicKey":{"content":"%s"}}}}' \
    "$(openssl dgst -sha256 -r "$folder/artifact" | cut -c1-64)" "$(openssl base64 -A -in "$folder/signature")" \
    "$(openssl base64 -A -in "$folder/author.pub")" |
    curl -fsS -o "$folder/answer" -H 'Content-Type: application/json' --data-binary @- http://127.0.0.1:3000/api/v1/log/entries
}

# is_halted: the server is up, and not ready because the log went back.
is_halted() {
  [ "$(curl -s -o "$folder/readyz" -w '%{http_code}' http://127.0.0.1:3000/readyz)" = 503 ]
}

guard_checks() {
  export AWS_ACCESS_KEY_ID=treehead AWS_SECRET_ACCESS_KEY=secret+/of=treehead
  mkdir -p "$folder/store/guards"
  background store "$PEERS/bin/versitygw" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" --region here \
    --port 127.0.0.1:9000 posix "$folder/store"
  for _ in $(seq 100); do
    if (: </dev/tcp/127.0.0.1/9000) 2>/dev/null; then break; fi
    sleep 0.1
  done
  place="s3://guards/log.example/the guard?endpoint=http://127.0.0.1:9000&region=here"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/author.key"
  openssl pkey -in "$folder/author.key" -pubout -out "$folder/author.pub"

  log log.example --guard "$place"
  accepts "an entry is logged" add_entry
  accepts "its head is in the object" is_guarded 1
  for _ in $(seq 20); do add_entry; done
  accepts "the newest head is in the object" is_guarded 21
  stop log
  cp -a "$folder/data" "$folder/older"
  log log.example --guard "$place"
  accepts "an entry is logged after a restart" add_entry
  accepts "its head is in the object as well" is_guarded 22
  stop log

  rm -rf "$folder/data" && mv "$folder/older" "$folder/data"
  background log "$BINARY" serve --name log.example --data-dir "$folder/data" --listen 127.0.0.1:3000 --metrics-listen 127.0.0.1:2112 --guard "$place"
  answers http://127.0.0.1:3000/healthz
  accepts "an older copy of the folder is noticed by the object" is_halted
  accepts "the object keeps the newest head" is_guarded 22
  stop log

  export AWS_SECRET_ACCESS_KEY=wrong
  refuses "a wrong secret is refused" "SignatureDoesNotMatch" "$BINARY" guard show --data-dir "$folder/nothing" --guard "$place"
  if grep -rF 'secret+/of=treehead' "$folder"/*.log; then fail "a log line has the secret"; fi
}
