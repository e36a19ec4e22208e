import type { Detector } from '../detector.ts';
import { awsKey } from './aws-key.ts';
import { creditCard } from './credit-card.ts';
import { cryptoAddress } from './crypto/crypto-address.ts';
import { email } from './email.ts';
import { genericApiKey } from './generic-api-key.ts';
import { githubToken } from './github-token.ts';
import { iban } from './iban.ts';
import { ipAddress } from './ip-address.ts';
import { jwt } from './jwt.ts';
import { macAddress } from './mac-address.ts';
import { phone } from './phone.ts';
import { privateKey } from './private-key.ts';
import { usSsn } from './us-ssn.ts';
import { credential } from './secrets/credential.ts';
import { vendorToken } from './secrets/vendor-token.ts';
import { issuedNumbers } from './issued/index.ts';
import { personalData } from './personal/index.ts';

/** Every built-in detector, once, in the order of detectorNames. */
export const detectors: readonly Detector[] = [
  creditCard,
  iban,
  usSsn,
  email,
  phone,
  ipAddress,
  macAddress,
  jwt,
  privateKey,
  awsKey,
  githubToken,
  genericApiKey,
  vendorToken,
  credential,
  cryptoAddress,
  ...issuedNumbers,
  ...personalData,
];

export {
  awsKey,
  credential,
  creditCard,
  cryptoAddress,
  email,
  genericApiKey,
  githubToken,
  iban,
  ipAddress,
  jwt,
  macAddress,
  phone,
  privateKey,
  usSsn,
  vendorToken,
};
