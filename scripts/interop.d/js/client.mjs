// sigstore-js, as a platform's own tool would use it.
//
//   client.mjs sign message|statement SIGNING-CONFIG TOKEN FILE BUNDLE
//   client.mjs verify TRUSTED-ROOT BUNDLE FILE IDENTITY ISSUER
//   client.mjs verify-key TRUSTED-ROOT BUNDLE FILE PUBLIC-KEY
import { createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { bundleFromJSON, bundleToJSON } from '@sigstore/bundle';
import { SigningConfig, TrustedRoot } from '@sigstore/protobuf-specs';
import { bundleBuilderFromSigningConfig } from '@sigstore/sign';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

async function sign(content, config, token, file, bundle) {
  const builder = bundleBuilderFromSigningConfig({
    signingConfig: SigningConfig.fromJSON(json(config)),
    identityProvider: { getToken: async () => token },
    bundleType: content === 'statement' ? 'dsseEnvelope' : 'messageSignature',
  });
  const artifact = { data: readFileSync(file) };
  if (content === 'statement') artifact.type = 'application/vnd.in-toto+json';
  writeFileSync(bundle, JSON.stringify(bundleToJSON(await builder.create(artifact))));
}

function verify(root, bundle, file, identity, issuer) {
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(json(root))));
  verifier.verify(toSignedEntity(bundleFromJSON(json(bundle)), readFileSync(file)), {
    subjectAlternativeName: identity,
    extensions: { issuer },
  });
  console.log('verified');
}

function verifyKey(root, bundle, file, key) {
  const publicKey = createPublicKey(readFileSync(key));
  const material = toTrustMaterial(TrustedRoot.fromJSON(json(root)), () => ({ publicKey, validFor: () => true }));
  new Verifier(material).verify(toSignedEntity(bundleFromJSON(json(bundle)), readFileSync(file)));
  console.log('verified');
}

const [command, ...args] = process.argv.slice(2);
await { sign, verify, 'verify-key': verifyKey }[command](...args);
