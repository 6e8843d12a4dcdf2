# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2164 # run sets and reads the rest, and ends where a command fails
# gitsign: a commit signed with a certificate of the tests' own authority, logged, verified. Sourced by run.

gitsign_checks() {
  local person=dev@interop.example url
  mkdir "$folder/authorities" "$folder/home" "$folder/repository"
  # shellcheck disable=SC2016 # for the shell that the authorities start
  background authorities "$PEERS/bin/interop" authorities "$folder/authorities" sh -c 'echo "$AUTHORITIES_URL"; exec sleep 600'
  for _ in $(seq 50); do grep -q . "$folder/authorities.log" && break; sleep 0.1; done
  url=$(head -n 1 "$folder/authorities.log")
  log log.example
  curl -fsS http://127.0.0.1:3000/api/v1/log/publicKey -o "$folder/log.pub"
  export HOME=$folder/home GITSIGN_FULCIO_URL=$url GITSIGN_REKOR_URL=http://localhost:3000 GITSIGN_OIDC_ISSUER=$url GITSIGN_LOG=$folder/gitsign.log
  export SIGSTORE_ROOT_FILE=$folder/authorities/fulcio.pem SIGSTORE_REKOR_PUBLIC_KEY=$folder/log.pub
  export SIGSTORE_CT_LOG_PUBLIC_KEY_FILE=$folder/authorities/ct.pub SIGSTORE_ID_TOKEN GITSIGN_TOKEN_PROVIDER=envvar
  SIGSTORE_ID_TOKEN=$(curl -fsS "$url/token/email")
  # It takes the log's key from a TUF repository whenever it verifies.
  mkdir -p "$folder/tuf/targets" "$folder/trust"
  "$BINARY" trust export --data-dir "$folder/data" --public-url http://localhost:3000 --out "$folder/trust" >"$folder/export.log"
  (cd "$folder/trust" && "$PEERS/bin/interop" tuf --target trusted_root.json "$folder/tuf")
  cp "$folder/trust/trusted_root.json" "$folder/tuf/targets/"
  background tuf python3 -m http.server 3020 --bind 127.0.0.1 --directory "$folder/tuf"
  answers http://127.0.0.1:3020/root.json
  export TUF_MIRROR=http://127.0.0.1:3020 TUF_ROOT_JSON=$folder/tuf/root.json TUF_ROOT=$folder/tuf-cache
  cd "$folder/repository"
  git init --quiet .
  git config user.name Dev
  git config user.email "$person"
  git config gpg.format x509
  git config gpg.x509.program "$PEERS/bin/gitsign"
  accepts "gitsign signs a commit" timeout 60 git commit --quiet --allow-empty --gpg-sign --message 'a commit'
  says "gitsign verifies it" 'Validated Rekor entry: true' timeout 60 "$PEERS/bin/gitsign" verify --certificate-identity "$person" --certificate-oidc-issuer "$url" HEAD
  says "the log has its certificate's identity" "$person|uuid|logIndex" curl -fsS "http://127.0.0.1:3000/api/v1/index/search?subject=$person"
}
