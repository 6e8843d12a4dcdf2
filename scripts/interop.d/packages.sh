# shellcheck shell=bash
# Kinds that take a whole artifact with its signature in it, made by the tools that make them: tar and openssl as abuild-sign
# does for Alpine, jarsigner, rpmbuild and rpmsign, gpg as helm does. Sourced by backend.
# shellcheck disable=SC2154 # checks.sh sets output and status

package_checks() {
  local kind flags
  make_keys
  make_alpine
  make_jar
  make_rpm
  make_helm
  echo "--- packages"
  for kind in alpine jar rpm helm; do
    case $kind in
      alpine) flags=(--public-key alpine.pub --pki-format x509) ;;
      jar) flags=() ;;
      rpm | helm) flags=(--public-key pgp.asc --pki-format pgp) ;;
    esac
    flags+=(--type "$kind" --artifact "hello.$kind")
    says "rekor-cli upload, $kind" '"AlreadyExists":false' rekor upload "${flags[@]}"
    says "rekor-cli upload of the same $kind gives the existing one" '"AlreadyExists":true' rekor upload "${flags[@]}"
    says "rekor-cli verify, $kind" '"EntryUUID"' rekor verify "${flags[@]}"
  done
  for kind in alpine jar rpm; do
    says "rekor-cli search by SHA-256, $kind" '[0-9a-f]{80}' rekor search --sha "sha256:$(sha256sum hello.$kind | cut -d' ' -f1)"
  done
  says "rekor-cli search by SHA-256, helm" '[0-9a-f]{80}' rekor search --sha "sha256:$(sha256sum chart.tgz | cut -d' ' -f1)"
  says "rekor-cli search by e-mail of a PGP key" '[0-9a-f]{80}' rekor search --email packager@interop.example

  # The client checks before it sends, so these go around it.
  tamper alpine && refuses "tampered alpine" 'checksum for data.tar.gz .* does not match value from .PKGINFO.* 400$' send alpine
  tamper jar && refuses "tampered jar" 'file .*hello.txt.* in MANIFEST.MF: .*mismatch.* 400$' send jar
  tamper rpm && refuses "tampered rpm" 'payload digest mismatch.* 400$' send rpm
  tamper helm && refuses "tampered helm" 'openpgp: invalid signature.* 400$' send helm
  cp alpine.pub right.pub && cp p256.pub alpine.pub
  make_alpine
  refuses "alpine with another key" 'ecdsa: Invalid IEEE_P1363 encoded bytes.* 400$' send alpine
  cp right.pub alpine.pub
  cp unsigned.jar hello.jar
  refuses "unsigned jar" 'JAR contains no signatures.* 400$' send jar
  cp unsigned.rpm hello.rpm
  refuses "unsigned rpm" 'no supported PGP signature found in RPM.* 400$' send rpm
  gpgconf --kill all
}

make_keys() {
  openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out alpine.key
  openssl pkey -in alpine.key -pubout -out alpine.pub
  export GNUPGHOME=$folder/gnupg
  mkdir -m 700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-generate-key "Packager <packager@interop.example>" rsa2048 sign never
  gpg --armor --export >pgp.asc
  keytool -genkeypair -keyalg RSA -keysize 2048 -dname CN=interop -alias interop -storepass changeit -keystore keys.p12 2>/dev/null
}

# A package of apk-tools 2: the archives of signature and control are cut off before the blocks of zeros at their end.
make_alpine() {
  local tar="tar --format=ustar --owner=0 --group=0"
  mkdir -p files && echo "hello, $BACKEND" >files/hello.txt
  $tar -C files -c hello.txt | gzip -n >data.tar.gz
  printf 'pkgname = hello\npkgver = 1.0-r0\narch = noarch\ndatahash = %s\n' "$(sha256sum data.tar.gz | cut -d' ' -f1)" >.PKGINFO
  $tar -c .PKGINFO | head -c 1024 | gzip -n >control.tar.gz
  openssl dgst -sha1 -sign alpine.key -out .SIGN.RSA.interop.rsa.pub control.tar.gz
  $tar -c .SIGN.RSA.interop.rsa.pub | head -c 1024 | gzip -n >signature.tar.gz
  cat signature.tar.gz control.tar.gz data.tar.gz >hello.alpine
}

make_jar() {
  jar --create --file unsigned.jar -C files hello.txt
  jarsigner -keystore keys.p12 -storepass changeit -signedjar hello.jar unsigned.jar interop >/dev/null
}

make_rpm() {
  cat >hello.spec <<EOF
Name: hello
Version: 1.0
Release: 1
Summary: says hello
License: none
BuildArch: noarch
%description
says hello
%install
install -D $PWD/files/hello.txt %{buildroot}/usr/share/hello.txt
%files
/usr/share/hello.txt
EOF
  rpmbuild -bb --quiet --define "_topdir $PWD/rpm" hello.spec 2>rpmbuild.log || cat rpmbuild.log
  cp rpm/RPMS/noarch/hello-1.0-1.noarch.rpm unsigned.rpm
  cp unsigned.rpm hello.rpm
  rpmsign --define "_gpg_name packager@interop.example" --define "__gpg $(command -v gpg)" --addsign hello.rpm >/dev/null
}

# What `helm package --sign` writes beside the chart.
make_helm() {
  echo "a chart, $BACKEND" | gzip -n >chart.tgz
  printf 'apiVersion: v2\nname: hello\nversion: 1.0.0\n\n...\nfiles:\n  hello-1.0.0.tgz: sha256:%s\n' \
    "$(sha256sum chart.tgz | cut -d' ' -f1)" >chart.yaml
  gpg --batch --yes --clearsign --digest-algo SHA512 --output hello.helm chart.yaml
}

# tamper KIND: other contents under the same signature.
tamper() {
  case $1 in
    alpine) echo other | gzip -n | cat signature.tar.gz control.tar.gz - >hello.alpine ;;
    jar) echo other >hello.txt && jar --update --file hello.jar hello.txt ;;
    # The last byte of the payload.
    rpm) printf 'x' | dd of=hello.rpm bs=1 seek=$(($(stat -c %s hello.rpm) - 1)) conv=notrunc status=none ;;
    helm) sed -i 's/^name: hello/name: other/' hello.helm ;;
  esac
}

# send KIND: sends the artifact without a client that checks it first.
send() {
  local content key=pgp.asc
  [ "$1" != alpine ] || key=alpine.pub
  content=$(base64 -w0 "hello.$1")
  jq -n --arg kind "$1" --arg content "$content" --arg key "$(base64 -w0 "$key")" '
    {content: $content} as $artifact | {content: $key} as $key
    | {apiVersion: "0.0.1", kind: $kind, spec: (
        if $kind == "jar" then {archive: $artifact}
        elif $kind == "helm" then {publicKey: $key, chart: {provenance: $artifact}}
        else {publicKey: $key, package: $artifact} end)}' |
    send_entry
}
