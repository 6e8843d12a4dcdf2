# shellcheck shell=bash
# An independent walker of the tiles, while 32 clients write by both APIs. Sourced by backend.

walk_checks() {
  echo "--- tiles"
  says "32 clients write, a walker recomputes every published root" 'full tiles and bundles unchanged' \
    "$INTEROP" walk --url "$LOG_URL" --vkey trust/checkpoint.vkey
  # shellcheck disable=SC2154 # checks.sh sets it
  echo "      $output"
}
