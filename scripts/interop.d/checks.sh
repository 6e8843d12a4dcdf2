# shellcheck shell=bash
# Checks: each is one command, prints one line `ok …` or `FAIL …`, and is counted. Sourced.

passed=0
failed=0
# Both output streams of the last command.
output=
# Its exit status.
status=0

run() {
  status=0
  output=$("$@" 2>&1 </dev/null) || status=$?
}

ok() {
  passed=$((passed + 1))
  echo "ok    $BACKEND: $1"
}

fail() {
  failed=$((failed + 1))
  echo "FAIL  $BACKEND: $1"
  printf '%s\n' "      exit status $status, and this output:" "$output" | sed 's/^/      /'
}

# accepts NAME COMMAND...: it must succeed.
accepts() {
  local name=$1
  shift
  run "$@"
  if [ "$status" -eq 0 ]; then ok "$name"; else fail "$name"; fi
}

# says NAME PATTERN COMMAND...: it must succeed, and its output must match the extended regular expression.
says() {
  local name=$1 pattern=$2
  shift 2
  run "$@"
  if [ "$status" -eq 0 ] && grep -qE -- "$pattern" <<<"$output"; then ok "$name"; else fail "$name (wants $pattern)"; fi
}

# refuses NAME PATTERN COMMAND...: it must fail, and for the reason that matches.
refuses() {
  local name=$1 pattern=$2
  shift 2
  run "$@"
  if [ "$status" -ne 0 ] && grep -qE -- "$pattern" <<<"$output"; then ok "$name"; else fail "$name (wants failure with $pattern)"; fi
}

# equal NAME LEFT RIGHT
equal() {
  status=0
  output="left:  $2
right: $3"
  if [ "$2" = "$3" ] && [ -n "$2" ]; then ok "$1"; else fail "$1"; fi
}
