// What tests use of `@hpke/core`: its own declarations want a browser's globals (tsconfig.json, `paths`).

export class DhkemX25519HkdfSha256 {
  private readonly kem: 'X25519';
  generateKeyPair(): Promise<{ readonly publicKey: object; readonly privateKey: object }>;
  serializePublicKey(key: object): Promise<ArrayBuffer>;
  deserializePublicKey(raw: ArrayBuffer): Promise<object>;
}

export class HkdfSha256 {
  private readonly kdf: 'SHA-256';
}

export class Aes256Gcm {
  private readonly aead: 'AES-256-GCM';
}

export class CipherSuite {
  constructor(suite: { readonly kem: DhkemX25519HkdfSha256; readonly kdf: HkdfSha256; readonly aead: Aes256Gcm });
  readonly kem: DhkemX25519HkdfSha256;
  createRecipientContext(options: {
    readonly recipientKey: object;
    readonly enc: ArrayBuffer;
    readonly info: ArrayBuffer;
  }): Promise<{ open(sealed: ArrayBuffer, aad: ArrayBuffer): Promise<ArrayBuffer> }>;
  createSenderContext(options: { readonly recipientPublicKey: object; readonly info: ArrayBuffer }): Promise<{
    readonly enc: ArrayBuffer;
    seal(text: ArrayBuffer, aad: ArrayBuffer): Promise<ArrayBuffer>;
  }>;
}
