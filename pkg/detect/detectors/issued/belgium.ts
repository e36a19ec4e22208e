import { isDay, pair, whole } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Belgium. National register number: date of birth, three digits, and 97 less the number modulo 97; of those born from 2000 on with a 2 before
// it (Koninklijk Besluit 3 April 1984). In the bis numbers of others the month is 20 or 40 more; month and day may be 0 where they are not known.

const isBorn = (month: number, day: number): boolean => (month === 0 && day <= 31) || isDay(month, Math.max(day, 1));

export const beNationalNumber = digitNumber({
  name: 'BeNationalNumber',
  least: 11,
  telling: [
    ...['rijksregisternummer', 'rijksregister', 'registre national', 'niss', 'insz', 'rrn', 'nationalregisternummer'],
    ...['national register', 'national number', 'numero national'],
  ],
  alone: [
    '##.##.##-###.##',
    '##.##.##-###-##',
    '##.##.##-### ##',
    '##.##.## ###.##',
    '###### ### ##',
    '######-###-##',
    '######-###.##',
    '######-#####',
  ],
  told: ['###########', '## ## ## ### ##', '##.##.##.###.##'],
  valid(characters) {
    if (!isBorn(pair(characters, 2) % 20, pair(characters, 4))) return false;
    const number = whole(characters, 0, 9);
    const check = pair(characters, 9);
    return 97 - (number % 97) === check || 97 - ((2_000_000_000 + number) % 97) === check;
  },
});
