# shellcheck shell=bash
# Pastes the lines that the first start prints into a shell, as they are. Sourced by backend.

# pasted NAME: prints the block below the heading that begins with `With NAME`.
pasted() {
  awk -v heading="With $1" 'index($0, heading) == 1 {found = 1; next} found && /^$/ && block {exit} found && NF {block = 1; print}' "$LOG_OUTPUT"
}

# paste NAME [FOLDER OF THE PROGRAM]
paste_in() {
  local text
  text=$(pasted "$1")
  [ -n "$text" ] || { echo "the first start prints nothing below 'With $1'" && return 1; }
  PATH=${2:+$2:}$PATH bash -c "$text"
}

first_start_checks() {
  echo "--- what the first start prints"
  says "the curl lines for v1 work as pasted" '"signedEntryTimestamp"' paste_in 'curl, by Rekor v1'
  says "the curl lines for v2 work as pasted" '"inclusionProof"' paste_in 'curl, by Rekor v2'
  says "the rekor-cli lines work as pasted" 'Created entry at index' paste_in rekor-cli "$(dirname "$REKOR_CLI")"
  says "the cosign lines work as pasted" 'Verified OK' paste_in cosign "$(dirname "$COSIGN_3")"
}
