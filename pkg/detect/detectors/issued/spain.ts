import { whole } from './check-digits.ts';
import { grouped, inCapitals, shapedNumber } from './issued-number.ts';

// Spain. DNI: eight digits and a letter, the number modulo 23; NIE of foreigners: X, Y or Z for 0, 1 or 2, seven digits and the letter (Real
// Decreto 1553/2005 and Ministerio del Interior, Cálculo del dígito de control).

const letters = 'trwagmyfpdxbnjzsqvhlcke';

export const esDni = shapedNumber({
  name: 'EsDni',
  pattern: '(?:[0-9]{2}\\.?[0-9]{3}\\.?[0-9]{3}|(?i:[XYZ])[ -]?[0-9]\\.?[0-9]{3}\\.?[0-9]{3})[ -]?(?i:[A-HJ-NP-TV-Z])',
  maxLength: 13,
  least: 9,
  telling: ['dni', 'nif', 'nie', 'documento', 'identidad', 'extranjero', 'identificacion'],
  alone: (text, start, end) => inCapitals(text, start, end) || grouped(text, start, end),
  valid(characters) {
    const first = characters[0] as number;
    const number = first < 0x40 ? whole(characters, 0, 8) : (first - 0x78) * 10_000_000 + whole(characters, 1, 8);
    return letters.charCodeAt(number % 23) === characters[8];
  },
});
