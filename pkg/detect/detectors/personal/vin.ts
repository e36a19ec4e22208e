import type { Detector } from '../../detector.ts';
import { certainAsTold, likelyAsTold, likelyByCheckDigits } from '../../verdict.ts';
import { toldLeft } from '../../scan/telling.ts';
import { edgeReach, isDigit, isWordCharacter } from '../characters.ts';

// Vehicle identification numbers (ISO 3779): 17 capitals and digits without I, O and Q, the last four digits. In North America and China the
// ninth is a check digit, and the tenth a year (49 CFR 565.15): those are found without a word. Others, as of Europe, behind a word that tells.
// Limit: small letters; numbers of before 1981.

const weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

/** A letter counts as the digit under it: A to I, J to R and S to Z stand in rows from 1, 1 and 2. */
function valueOf(code: number): number {
  if (isDigit(code)) return code - 0x30;
  if (code < 0x4a) return code - 0x40;
  return code < 0x53 ? code - 0x49 : code - 0x51;
}

function checks(text: string, start: number): boolean {
  let sum = 0;
  for (let at = 0; at < 17; at += 1) sum += valueOf(text.charCodeAt(start + at)) * (weights[at] as number);
  const check = text.charCodeAt(start + 8);
  return sum % 11 === 10 ? check === 0x58 : isDigit(check) && check - 0x30 === sum % 11;
}

/** Years have no U, no Z and no 0. */
function isYear(code: number): boolean {
  return code !== 0x55 && code !== 0x5a && code !== 0x30;
}

function lettersIn(text: string, start: number, end: number): number {
  let letters = 0;
  for (let at = start; at < end; at += 1) if (!isDigit(text.charCodeAt(at))) letters += 1;
  return letters;
}

export const vin: Detector = {
  name: 'Vin',
  pattern: '[A-HJ-NPR-Z0-9]{13}[0-9]{4}',
  maxLength: 17,
  left: toldLeft,
  right: edgeReach,
  atWord: true,
  telling: {
    words: [
      ...['vin', 'vehicle identification', 'vehicle id', 'chassis', 'frame number', 'fin', 'fahrgestellnummer'],
      ...['fahrzeug ident nr', 'fahrzeugidentnummer', 'fahrzeugidentifizierungsnummer', 'bastidor', 'telaio'],
      ...['numero de serie', 'niv', 'chassisnummer', 'nadwozia', '车架号', '車台番号', '차대번호'],
    ],
    required: false,
  },
  accept(text, start, end, isTold) {
    const letters = lettersIn(text, start, end);
    // Seventeen digits alone are some other number; so are letters before four digits.
    if (letters < 1 || letters > 11) return false;
    const holds = checks(text, start) && isYear(text.charCodeAt(start + 9));
    if (isTold) return holds ? certainAsTold : likelyAsTold;
    return holds && letters > 1 && likelyByCheckDigits;
  },
  significant: isWordCharacter,
  leastSignificant: 17,
};
