import { digit, same, verhoeff } from './check-digits.ts';
import { digitNumber, inCapitals, shapedNumber } from './issued-number.ts';

// India. Aadhaar: twelve digits, the first 2 to 9, the last Verhoeff's (UIDAI, Aadhaar Number Generation). Permanent account number: five
// letters of which the fourth is the kind of holder, four digits and a letter (Income Tax Department); its check letter's rule is not public.

export const inAadhaar = digitNumber({
  name: 'InAadhaar',
  least: 12,
  telling: ['aadhaar', 'aadhar', 'adhaar', 'adhar', 'uidai', 'uid', 'आधार'],
  alone: ['#### #### ####', '####-####-####'],
  told: ['############'],
  valid: (characters, length) => verhoeff(characters, 0, 12) && !same(characters, length) && digit(characters, 0) > 1,
});

export const inPan = shapedNumber({
  name: 'InPan',
  unchecked: true,
  pattern: '(?i:[A-Z]{3}[ABCFGHJLPT][A-Z])[0-9]{4}(?i:[A-Z])',
  maxLength: 10,
  least: 10,
  telling: ['pan', 'permanent account', 'income tax', 'पैन'],
  alone: inCapitals,
  valid: () => true,
});
