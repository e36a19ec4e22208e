import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/**
 * HPKE (RFC 9180) in base mode with one suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Synchronous, on the
 * cryptography of `node:crypto`, since what is sealed has to be in the record before the bytes that it covers leave.
 */
const kem = 0x0020;
const kdf = 0x0001;
const aead = 0x0002;
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const hashBytes = 32;

const twoBytes = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const kemSuite = Buffer.concat([Buffer.from('KEM'), twoBytes(kem)]);
const suite = Buffer.concat([Buffer.from('HPKE'), twoBytes(kem), twoBytes(kdf), twoBytes(aead)]);
const version = Buffer.from('HPKE-v1');
const none = Buffer.alloc(0);

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
};

/** RFC 9180 section 4: LabeledExtract. */
function extract(of: Uint8Array, salt: Uint8Array, label: string, secret: Uint8Array): Buffer {
  return hmac(salt.length === 0 ? Buffer.alloc(hashBytes) : salt, version, of, Buffer.from(label), secret);
}

/** LabeledExpand; at most one block of the hash is ever asked for. */
function expand(of: Uint8Array, key: Uint8Array, label: string, info: Uint8Array, length: number): Buffer {
  return hmac(key, twoBytes(length), version, of, Buffer.from(label), info, Buffer.from([1])).subarray(0, length);
}

/** The 32 bytes of a public key. */
export function rawPublicKey(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
}

/** @throws where these are no bytes of a key. */
export function publicKeyOf(raw: Uint8Array): KeyObject {
  return createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(raw).toString('base64url') },
    format: 'jwk',
  });
}

/** What both ends share: the key and the nonces of one direction, each used once. */
interface Context {
  readonly key: Buffer;
  /** Of a message, by its number from 0 on. */
  nonce(sequence: number): Buffer;
}

function contextOf(dh: Buffer, enc: Buffer, recipient: Buffer, info: Uint8Array): Context {
  const pair = Buffer.concat([enc, recipient]);
  const shared = expand(kemSuite, extract(kemSuite, none, 'eae_prk', dh), 'shared_secret', pair, hashBytes);
  const mode = Buffer.concat([
    Buffer.from([0]),
    extract(suite, none, 'psk_id_hash', none),
    extract(suite, none, 'info_hash', info),
  ]);
  const secret = extract(suite, shared, 'secret', none);
  const base = expand(suite, secret, 'base_nonce', mode, nonceBytes);
  return {
    key: expand(suite, secret, 'key', mode, keyBytes),
    nonce(sequence) {
      const nonce = Buffer.from(base);
      const low = nonce.readUIntBE(nonceBytes - 6, 6);
      // Six bytes hold more messages than a session can have.
      const xor = (BigInt(low) ^ BigInt(sequence)) & 0xffffffffffffn;
      nonce.writeUIntBE(Number(xor), nonceBytes - 6, 6);
      return nonce;
    },
  };
}

export interface HpkeSender {
  /** The encapsulated key: 32 bytes, not secret. */
  readonly enc: Buffer;
  /** The next message: ciphertext and tag. */
  seal(aad: Uint8Array, text: Uint8Array): Buffer;
}

/** @throws where no secret can be agreed on with this key (a point of low order). */
export function hpkeSender(recipient: KeyObject, info: Uint8Array): HpkeSender {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const enc = rawPublicKey(publicKey);
  const context = contextOf(diffieHellman({ privateKey, publicKey: recipient }), enc, rawPublicKey(recipient), info);
  let sequence = 0;
  return {
    enc,
    seal(aad, text) {
      const cipher = createCipheriv('aes-256-gcm', context.key, context.nonce(sequence));
      sequence += 1;
      cipher.setAAD(aad);
      return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    },
  };
}

export interface HpkeRecipient {
  /**
   * @param sequence number of the message, from 0 on
   * @throws where it is not that message, was not sealed to this key, or was changed
   */
  open(sequence: number, aad: Uint8Array, sealed: Uint8Array): Buffer;
}

/** @throws where `enc` is no key. */
export function hpkeRecipient(privateKey: KeyObject, enc: Uint8Array, info: Uint8Array): HpkeRecipient {
  const dh = diffieHellman({ privateKey, publicKey: publicKeyOf(enc) });
  const context = contextOf(dh, Buffer.from(enc), rawPublicKey(createPublicKey(privateKey)), info);
  return {
    open(sequence, aad, sealed) {
      if (sealed.length < tagBytes) throw new Error('a sealed text is too short');
      const decipher = createDecipheriv('aes-256-gcm', context.key, context.nonce(sequence), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(aad);
      decipher.setAuthTag(sealed.subarray(-tagBytes));
      return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()]);
    },
  };
}
