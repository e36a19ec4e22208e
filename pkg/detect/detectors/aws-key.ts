import type { Detector } from '../detector.ts';
import { certainByPrefix, likelyAsTold } from '../verdict.ts';
import { holdsWord, isDigit, isLower, isUpper, isWordCharacter } from './characters.ts';

// Credentials of Amazon Web Services: access key ids (AKIA long-term, ASIA temporary, ABIA bearer, ACCA context-specific; "Unique
// identifiers" in the IAM user guide), and secret access keys: exactly 40 base64 characters with both cases, at most 64 characters after
// a name that tells (`secret`, `aws`, an access key id).
// Limit: a secret key alone; session tokens under a name are GenericApiKey's.

const telling = ['secret', 'aws', 'akia', 'accesskey'];

const inBase64 = (code: number): boolean => isWordCharacter(code) || code === 0x2f || code === 0x2b;

const isCapitalOrDigit = (code: number): boolean => isUpper(code) || isDigit(code);

function mixed(text: string, start: number, end: number): boolean {
  let upper = 0;
  let lower = 0;
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (isUpper(code)) upper += 1;
    else if (isLower(code)) lower += 1;
  }
  // Of 40 random characters 16 are upper case on average; fewer than five is one secret in ten million, and most paths.
  return upper >= 5 && lower >= 5;
}

export const awsKey: Detector = {
  name: 'AwsKey',
  pattern: '(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|[A-Za-z0-9/+]{40}',
  maxLength: 40,
  left: 64,
  right: 1,
  accept(text, start, end) {
    const before = text.charCodeAt(start - 1);
    const after = text.charCodeAt(end);
    if (end - start === 20) {
      // Small letters are of what is glued to it.
      return !isCapitalOrDigit(before) && !isCapitalOrDigit(after) && certainByPrefix;
    }
    if (inBase64(before) || inBase64(after) || after === 0x3d || !mixed(text, start, end)) return false;
    return holdsWord(text, start - 64, start, telling) && likelyAsTold;
  },
  // Any word may begin 40 base64 characters; ten capitals, digits or signs are no word.
  significant: (code) => isCapitalOrDigit(code) || code === 0x2b || code === 0x2f,
  leastSignificant: 20,
};
