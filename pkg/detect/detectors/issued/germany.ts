import { digit, mod11And10 } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Germany. Steuerliche Identifikationsnummer: eleven digits, the first not 0, of the first ten one twice or thrice and no other more than once,
// the last a check digit (ISO/IEC 7064 MOD 11,10; Bundeszentralamt für Steuern, Steueridentifikationsnummerverordnung § 1).

const times = new Uint8Array(10);

/** One of the first ten digits repeats, twice or thrice, and never three in a row. */
function repeats(characters: Uint8Array): boolean {
  times.fill(0);
  for (let at = 0; at < 10; at += 1) {
    const one = digit(characters, at);
    times[one] = (times[one] as number) + 1;
    if (at > 1 && one === digit(characters, at - 1) && one === digit(characters, at - 2)) return false;
  }
  let repeated = 0;
  for (const count of times) {
    if (count > 3) return false;
    if (count > 1) repeated += 1;
  }
  return repeated === 1;
}

export const deTaxId = digitNumber({
  name: 'DeTaxId',
  least: 11,
  telling: [
    ...[
      'steuer id',
      'steuer idnr',
      'steueridentifikationsnummer',
      'steueridentnummer',
      'identifikationsnummer',
      'idnr',
    ],
    ...['steuernummer', 'steuer nr', 'tin', 'tax id', 'tax identification'],
  ],
  alone: ['## ### ### ###'],
  told: ['###########', '##/###/###/###', '##-###-###-###'],
  valid: (characters) => repeats(characters) && mod11And10(characters, 0, 11),
});
