import { CodedError } from '../base/index.ts';

export type PkiErrorCode =
  /** A file is missing or cannot be read. */
  | 'file_unreadable'
  /** Not PEM or DER of a certificate. */
  | 'certificate_invalid'
  /** The certificate's time is over. */
  | 'certificate_expired'
  /** Not a private key, or one that TLS cannot use. */
  | 'key_invalid'
  /** The key is not the certificate's. */
  | 'key_mismatch'
  /** Not PKCS#12, or nothing in it that can serve. */
  | 'pkcs12_invalid'
  /** The thread that opens PKCS#12 files took too long or ended: it is not known what is in this one. */
  | 'pkcs12_unopened'
  /** The passphrase does not open the PKCS#12 file. */
  | 'passphrase_wrong'
  /** Not a certificate request, one for a key that is not P-256, or one that does not prove its key. */
  | 'request_invalid'
  /** Names that a certificate may not have. */
  | 'names_invalid'
  /** What is kept of an authority is not an authority with its key. */
  | 'authority_invalid'
  /** The authority's time is over: it signs nothing. */
  | 'authority_expired'
  /** Not issued by an authority that counts, not for this purpose, or not at this time. */
  | 'certificate_untrusted';

/** Messages name files and kinds of faults, never key material or passphrases. */
export class PkiError extends CodedError<PkiErrorCode> {
  constructor(code: PkiErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
    this.name = 'PkiError';
  }
}
