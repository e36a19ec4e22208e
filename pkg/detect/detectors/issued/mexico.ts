import { isDay, pair } from './check-digits.ts';
import { inCapitals, shapedNumber } from './issued-number.ts';

// Mexico. CURP: four letters of the name, date of birth, sex, two letters of the state, three consonants, a character that tells namesakes
// apart, and a check digit (RENAPO, Instructivo normativo para la asignación de la CURP).

/** Values of the characters, `enye` 1: with a place for Ñ, which no CURP has, between N and O. */
const value = (code: number, enye: number): number =>
  code < 0x40 ? code - 0x30 : code - 0x61 + 10 + (code < 0x6f ? 0 : enye);

function checks(characters: Uint8Array, enye: number): boolean {
  let sum = 0;
  for (let at = 0; at < 17; at += 1) sum += value(characters[at] as number, enye) * (18 - at);
  return (10 - (sum % 10)) % 10 === (characters[17] as number) - 0x30;
}

const states = 'AS|B[CS]|C[CLMSH]|D[FG]|G[TR]|HG|JC|M[CNS]|N[ETL]|OC|PL|Q[TR]|S[PLR]|T[CSL]|VZ|YN|ZS';

export const mxCurp = shapedNumber({
  name: 'MxCurp',
  pattern: `(?i:[A-Z][AEIOUX][A-Z]{2})[0-9]{6}(?i:[HMX](?:${states})[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z])[0-9]`,
  maxLength: 18,
  least: 18,
  telling: ['curp', 'clave unica'],
  alone: (text, start, end) => inCapitals(text, start, end) || end - start === 18,
  // Published examples follow the one table or the other.
  valid: (characters) =>
    isDay(pair(characters, 6), pair(characters, 8)) && (checks(characters, 1) || checks(characters, 0)),
});
