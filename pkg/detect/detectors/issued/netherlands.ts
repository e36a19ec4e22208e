import { digit, same, weighed } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Netherlands. Burgerservicenummer: nine digits (of eight a leading 0 is left out), weighted sum a multiple of 11, the last counting against
// (elfproef; Logisch Ontwerp BSN).

const weights = [9, 8, 7, 6, 5, 4, 3, 2, -1];
const weightsOfEight = weights.slice(1);

export const nlBsn = digitNumber({
  name: 'NlBsn',
  least: 8,
  telling: [
    'bsn',
    'burgerservicenummer',
    'burger service nummer',
    'sofinummer',
    'sofi nummer',
    'citizen service number',
  ],
  alone: ['####.##.###'],
  told: ['########', '#########', '#### ## ###', '####-##-###', '###.###.###', '### ### ###', '###-###-###'],
  valid: (characters, length) =>
    !same(characters, length) &&
    (length === 9 ? weighed(characters, 0, weights) : weighed(characters, 0, weightsOfEight)) % 11 === 0 &&
    (length === 9 || digit(characters, 0) > 0),
});
