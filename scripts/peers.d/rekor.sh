# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# The end-to-end tests of Rekor, as their authors run them, each of which counts. Sourced by run.

# Tests that cannot run here: this one asks for Google's emulator of its Pub/Sub service, which Rekor's server publishes to.
skipped='^TestEntryUpload$'

# suite PACKAGE [PATTERN]: the tests in those files of a package that are for a running server.
suite() {
  local package=$1 pattern=${2:-} name
  [ -n "$pattern" ] || pattern="^($(cd "$PEERS/rekor/$package" && grep -l '^//go:build e2e' ./*_test.go |
    xargs sed -nE 's/^func (Test[A-Za-z0-9_]+)\(t .*/\1/p' | grep -v '^TestMain$' | sort | paste -sd '|'))\$"
  (
    cd "$PEERS/rekor/$package"
    timeout 600 "$PEERS/bin/rekor-$(tr / - <<<"${package#./}").test" -test.v -test.run "$pattern" -test.skip "$skipped"
  ) >"$folder/suite.log" 2>&1 </dev/null || true
  while read -r name; do
    ok "$package $name"
  done < <(sed -nE 's/^--- PASS: ([^ ]+).*/\1/p' "$folder/suite.log")
  if grep -qE '^(--- FAIL|FAIL|panic)' "$folder/suite.log" || ! grep -q '^PASS$' "$folder/suite.log"; then
    output=$(grep -vE '^=== ' "$folder/suite.log" | tail -n 60) status=1
    while read -r name; do
      fail "$package $name"
    done < <(sed -nE 's/^--- FAIL: ([^ ]+).*/\1/p' "$folder/suite.log" | grep . || echo "(did not end)")
  fi
}

rekor_checks() {
  local package
  export REKORTMPDIR=$folder/rekor REKOR_HARNESS_TMPDIR=$folder/harness REKOR_SERVER=http://localhost:3000
  mkdir "$REKORTMPDIR" "$REKOR_HARNESS_TMPDIR" "$folder/bin"
  cp "$PEERS/bin/rekor-cli" "$REKORTMPDIR/"
  cp "$PEERS/bin/rekor-cli" "$PEERS/rekor/"
  : >"$REKORTMPDIR.rekor.yaml"
  # One test asks docker for the container's name, which is the log's there.
  printf '#!/bin/sh\necho peers.example\n' >"$folder/bin/docker"
  chmod +x "$folder/bin/docker"
  PATH=$folder/bin:$PATH
  log peers.example --max-body-bytes 32792576
  # The first asks for a log that is still empty; the harness for one that holds nothing but its own entries.
  suite ./tests '^TestIssue1308$'
  suite ./tests '^TestHarness'
  skipped="$skipped|^TestIssue1308\$|^TestHarness"
  while read -r package; do
    suite "$package"
  done < <(cd "$PEERS/rekor" && grep -rl --include='*_test.go' '^//go:build e2e' . | xargs -n 1 dirname | sort -u)
}
