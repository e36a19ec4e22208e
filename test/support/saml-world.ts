import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../pkg/base/index.ts';
import { createHttpGet, openSamlVerifier } from '../../pkg/identity/index.ts';
import type { SamlIdp, SamlVerifier } from '../../pkg/identity/index.ts';
import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { audience, createSigningIdp, metadataXml } from './saml-idp.ts';
import type { SigningIdp } from './saml-idp.ts';
import { until } from './wait.ts';

/** Two identity providers that are trusted, by files of metadata, and the verifier that trusts them. */
export interface SamlWorld {
  readonly clock: FakeClock;
  readonly okta: SigningIdp;
  readonly other: SigningIdp;
  readonly verifier: SamlVerifier;
  /** Writes another file of okta's metadata and waits until it counts. */
  metadata(text: string, counts: () => unknown): Promise<void>;
  close(): void;
}

export async function startSamlWorld(more: Partial<SamlIdp> = {}): Promise<SamlWorld> {
  const clock = fakeClock({ now: Date.now() });
  const [okta, other] = await Promise.all([
    createSigningIdp('https://okta.example.com/saml'),
    createSigningIdp('https://other.example.com/saml'),
  ]);
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-saml-'));
  const fileOf = (name: string): string => join(folder, `${name}.xml`);
  writeFileSync(fileOf('okta'), metadataXml(okta, [okta.cert]));
  writeFileSync(fileOf('other'), metadataXml(other, [other.cert]));
  const verifier = await openSamlVerifier({
    idps: [
      { name: 'okta', entityId: okta.entityId, metadata: { file: fileOf('okta') }, claims: { email: 'mail' }, ...more },
      { name: 'other', entityId: other.entityId, metadata: { file: fileOf('other') } },
    ],
    audience,
    clock,
    logger: silentLogger,
    get: createHttpGet(clock),
  });
  await until(() => ['okta', 'other'].every((name) => verifier.signOn(name) !== undefined), 'the metadata was read');
  return {
    clock,
    okta,
    other,
    verifier,
    async metadata(text, counts) {
      writeFileSync(fileOf('okta'), text);
      await until(() => {
        // The file is looked at by the clock, and read by the system.
        clock.advance(1_000);
        return counts();
      }, 'the new metadata counts');
    },
    close() {
      verifier.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
