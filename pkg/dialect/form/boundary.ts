import { RefusedError } from '../../core/index.ts';

/**
 * The delimiter of a form's parts, as `Content-Type` names it (RFC 2046 section 5.1.1, RFC 7578 section 4.1).
 *
 * Refused is what two readers take differently: another parameter beside it, two boundaries, one that is quoted with escapes or has a space in it.
 */
const plain = /^multipart\/form-data[ \t]*;[ \t]*boundary=([A-Za-z0-9'+_.-]{1,70})$/i;
const quoted = /^multipart\/form-data[ \t]*;[ \t]*boundary="([A-Za-z0-9'()+_,./:=?-]{1,70})"$/i;

/** @throws RefusedError unsupported_media_type, invalid_request */
export function boundaryOf(contentType: string): string {
  const found = (plain.exec(contentType) ?? quoted.exec(contentType))?.[1];
  if (found !== undefined) return found;
  if (!/^multipart\/form-data[ \t]*(?:;|$)/i.test(contentType)) throw new RefusedError('unsupported_media_type');
  throw new RefusedError('invalid_request', { detail: 'boundary' });
}
