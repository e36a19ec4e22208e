import { expect, test } from '@jest/globals';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { createPublicKey } from 'node:crypto';
import { hpkeRecipient, hpkeSender, rawPublicKey } from './hpke.ts';
import { makeSealKeys, readPrivateKey, sealKeyName } from './keys.ts';
import { sealingKey } from './sealed-session.ts';

/** Another implementation of RFC 9180 is the judge. */
const other = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});
const bytes = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text));
const plain = (buffer: ArrayBuffer): Uint8Array<ArrayBuffer> => new Uint8Array(buffer);
const copy = (buffer: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(buffer);
const texts = ['first', '', 'third: ß 🙂', 'x'.repeat(40_000)];

test('what is sealed here is opened by another implementation, message by message', async () => {
  const pair = await other.kem.generateKeyPair();
  const raw = new Uint8Array(await other.kem.serializePublicKey(pair.publicKey));
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(raw).toString('base64url') },
    format: 'jwk',
  });
  const sender = hpkeSender(key, bytes('info'));
  const reader = await other.createRecipientContext({
    recipientKey: pair.privateKey,
    enc: copy(sender.enc).buffer,
    info: bytes('info').buffer,
  });
  for (const [at, text] of texts.entries()) {
    const sealed = sender.seal(bytes(`aad ${at}`), bytes(text));
    const opened = await reader.open(copy(sealed).buffer, bytes(`aad ${at}`).buffer);
    expect(Buffer.from(plain(opened)).toString()).toBe(text);
  }
});

test('what another implementation seals is opened here', async () => {
  const privateKey = readPrivateKey(makeSealKeys().privateKey);
  const recipientPublicKey = await other.kem.deserializePublicKey(
    copy(rawPublicKey(createPublicKey(privateKey))).buffer,
  );
  const writer = await other.createSenderContext({ recipientPublicKey, info: bytes('info').buffer });
  const reader = hpkeRecipient(privateKey, new Uint8Array(writer.enc), bytes('info'));
  // Past 256: the counter of the nonce has a second byte.
  for (let at = 0; at < 300; at++) {
    const sealed = plain(await writer.seal(bytes(`text ${at}`).buffer, bytes('aad').buffer));
    expect(reader.open(at, bytes('aad'), sealed).toString()).toBe(`text ${at}`);
  }
});

test('keys: no two pairs are alike, a name tells them apart, and what is no X25519 key is refused', () => {
  const [one, two] = [makeSealKeys(), makeSealKeys()];
  expect(one.publicKey).not.toBe(two.publicKey);
  expect(sealKeyName(readPrivateKey(one.privateKey))).not.toBe(sealKeyName(readPrivateKey(two.privateKey)));
  const invalid = expect.objectContaining({ code: 'invalid_seal_key' });
  for (const text of ['', 'x', one.publicKey.slice(1), `${one.publicKey}\n`, one.privateKey])
    expect(() => sealingKey(text)).toThrow(invalid as unknown as Error);
  for (const text of ['', 'x', one.publicKey]) expect(() => readPrivateKey(text)).toThrow(invalid as unknown as Error);
});

test('a public key to which everybody could open is refused before anything is sealed to it', () => {
  const lowOrder = Buffer.concat([Buffer.from('MCowBQYDK2VuAyEA', 'base64'), Buffer.alloc(32)]).toString('base64');
  expect(() => sealingKey(lowOrder)).toThrow();
});
