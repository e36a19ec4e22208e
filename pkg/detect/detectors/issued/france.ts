import { digit, pair, whole } from './check-digits.ts';
import { shapedNumber } from './issued-number.ts';

// France. NIR, the social security number: sex, year and month of birth, department, municipality, number in the register, and a key of
// two digits: 97 less the number modulo 97 (Code de la sécurité sociale R115-1; INSEE). Corsica's departments 2A and 2B count as 19 and 18.

/** 1 to 12; 20 and more where it is not known, or of other registers. */
const isMonth = (month: number): boolean => (month >= 1 && month <= 12) || (month >= 20 && month <= 42) || month >= 50;

export const frNir = shapedNumber({
  name: 'FrNir',
  pattern:
    '[1-478][ .-]?[0-9]{2}[ .-]?[0-9]{2}[ .-]?[0-9](?:[0-9]|(?i:[AB]))[ .-]?[0-9]{3}[ .-]?[0-9]{3}[ .-]?[0-9]{2}',
  maxLength: 21,
  least: 15,
  telling: ['nir', 'securite sociale', 'secu', 'numero de securite', 'insee', 'nss', 'carte vitale', 'social security'],
  alone: () => true,
  valid(characters) {
    if (!isMonth(pair(characters, 3))) return false;
    const letter = characters[6] as number;
    let department = pair(characters, 5);
    if (letter > 0x40) {
      if (digit(characters, 5) !== 2) return false;
      department = letter === 0x61 ? 19 : 18;
    }
    const number = whole(characters, 0, 5) * 100_000_000 + department * 1_000_000 + whole(characters, 7, 13);
    return 97 - (number % 97) === pair(characters, 13);
  },
});
