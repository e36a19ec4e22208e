import { digit, luhn, same } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Canada. Social insurance number: nine digits with Luhn's check digit; the first is the province of registration, 9 for temporary residents,
// 0 is used for tax numbers that the revenue agency makes up (Service Canada, Social Insurance Number Code of Practice).

export const caSin = digitNumber({
  name: 'CaSin',
  least: 9,
  telling: ['sin', 'social insurance', 'assurance sociale', 'nas', 'insurance number', 'numero dassurance'],
  alone: ['###-###-###'],
  told: ['#########', '### ### ###'],
  valid: (characters, length) => digit(characters, 0) > 0 && luhn(characters, 0, 9) && !same(characters, length),
});
