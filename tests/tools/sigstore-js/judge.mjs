// Judges Sigstore bundles with Sigstore's own JavaScript verifier.
//
// Standard input holds one question a line: {root, bundle, artifact, keys, tlogs, timestamps, scts, subject, issuer}. `artifact`
// is base64 or null; `keys` maps hints to public keys (DER in base64) or is null; `tlogs`, `timestamps` and `scts` say how many
// there must be; `subject` and `issuer` are the identity, null where a key signed. Standard output answers each with a line:
// {accepted, code, message}.
import { createInterface } from 'node:readline';

import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const quoted = (text) => `^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;

function judge({ root, bundle, artifact, keys, tlogs, timestamps, scts, subject, issuer }) {
  const known = keys
    ? Object.fromEntries(Object.entries(keys).map(([hint, der]) => [hint, { rawBytes: Buffer.from(der, 'base64') }]))
    : undefined;
  const trusted = toTrustMaterial(TrustedRoot.fromJSON(root), known);
  const verifier = new Verifier(trusted, { tlogThreshold: tlogs, timestampThreshold: timestamps, ctlogThreshold: scts });
  const entity = toSignedEntity(bundleFromJSON(bundle), artifact === null ? undefined : Buffer.from(artifact, 'base64'));
  const policy = subject === null ? undefined : { subjectAlternativeName: quoted(subject), extensions: { issuer } };
  verifier.verify(entity, policy);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer = { accepted: true, code: '', message: '' };
  try {
    judge(JSON.parse(line));
  } catch (error) {
    answer = { accepted: false, code: String(error.code ?? error.name), message: String(error.message) };
  }
  console.log(JSON.stringify(answer));
}
