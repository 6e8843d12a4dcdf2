# shellcheck shell=bash
# An independent walker of the tiles of both logs, while 32 clients write to them. Sourced by backend.

walk_checks() {
  echo "--- tiles"
  says "32 clients write, a walker recomputes every published root" '/trees/.* full tiles and bundles unchanged' \
    "$INTEROP" walk --url "$LOG_URL" --vkeys trust/checkpoint.vkey
  # shellcheck disable=SC2154 # checks.sh sets it
  printf '%s\n' "$output" | sed 's/^/      /'
}
