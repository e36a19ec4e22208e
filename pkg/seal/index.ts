// Texts sealed to a key whose private half is elsewhere.
export { makeSealKeys, publicKeyForm, publicText, readPrivateKey, sealKeyName } from './keys.ts';
export type { SealKeyPair } from './keys.ts';
export { openSession, sealingKey } from './sealed-session.ts';
export type {
  OpenedWhole,
  PieceRange,
  SealEnd,
  SealHead,
  SealedText,
  SealedWhole,
  SealingKey,
  SessionOpener,
  SessionSealer,
} from './sealed-session.ts';
export { unsealLines } from './unseal.ts';
export type { Unsealed } from './unseal.ts';
