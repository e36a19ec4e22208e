import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { certainties } from '../../core/index.ts';
import type { Detector } from '../detector.ts';
import { longestFrom, mayBegin, saidOf, verdictOf } from './brute-force.ts';
import { detectors } from './index.ts';
import { examples } from './issued/examples.ts';

const byName = (name: string): Detector => detectors.find((one) => one.name === name) as Detector;

describe('what detectors say of what they find', () => {
  test.each([
    ['CreditCard', '4111111111111111', 'Likely CheckDigits'],
    ['CreditCard', '4111 1111 1111 1111', 'Certain CheckDigits'],
    ['CreditCard', '3782-822463-10005', 'Certain CheckDigits'],
    ['CreditCard', '4.111111111111111e15', 'Likely CheckDigits'],
    ['Iban', 'DE89370400440532013000', 'Certain CheckDigits'],
    ['UsSsn', '123-45-6789', 'Likely Spelling'],
    ['UsSsn', 'SSN: 123456789', 'Likely TellingWord'],
    ['UsSsn', 'SSN: 123-45-6789', 'Certain TellingWord'],
    ['UsSsn', 'order no. 123-45-6789', 'Likely Spelling'],
    ['UsSsn', 'Case no. 123-45-6789', 'Likely Spelling'],
    ['UsSsn', 'ref 123 45 6789', 'Likely Spelling'],
    ['Email', 'ana@example.org', 'Certain Format'],
    ['Phone', '+49 30 12345678', 'Certain Format'],
    ['Phone', 'tel: 0301234567', 'Certain TellingWord'],
    ['Phone', '(202) 555-0123', 'Likely Spelling'],
    ['Phone', 'order (202) 555-0123', 'Possible OtherWord'],
    ['IpAddress', '10.0.0.1', 'Likely Format'],
    ['IpAddress', 'version 1.2.3.4', 'Possible OtherWord'],
    ['IpAddress', 'fe80::1', 'Certain Format'],
    ['MacAddress', '00:1a:2b:3c:4d:5e', 'Certain Format'],
    ['Jwt', 'eyJhbGciOiJIUzI1NiJ9.e30.c2ln', 'Certain Prefix'],
    ['PrivateKey', '-----BEGIN PRIVATE KEY-----', 'Certain Prefix'],
    ['AwsKey', 'AKIAIOSFODNN7EXAMPLE', 'Certain Prefix'],
    ['AwsKey', 'secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'Likely TellingWord'],
    ['GitHubToken', 'ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5', 'Certain Prefix'],
    ['GenericApiKey', 'password: hunter22', 'Likely TellingWord'],
    ['GenericApiKey', 'sk-proj-abcDEF123456ghiJKL', 'Certain Prefix'],
    ['BrCpf', '529.982.247-25', 'Likely CheckDigits'],
    ['BrCpf', '52998224725', 'Possible CheckDigits'],
    ['BrCpf', 'CPF 52998224725', 'Certain TellingWord'],
    ['NlBsn', '111222333', 'Possible CheckDigits'],
    ['KrRrn', '900101-1234567', 'Likely Spelling'],
    ['KrRrn', 'RRN 9001011234567', 'Likely TellingWord'],
    ['KrRrn', 'RRN 900101-1234567', 'Certain TellingWord'],
    ['UsPassport', 'passport number C1234567', 'Likely TellingWord'],
    ['UkNino', 'AB123456C', 'Likely Spelling'],
    ['EsDni', '12345678z', 'Possible CheckDigits'],
    ['BirthDate', 'born 12/03/1984', 'Likely TellingWord'],
    ['BirthDate', 'born 12/03/1984-1 of 3', 'Likely TellingWord'],
    ['BirthDate', 'born 1984-03-12/2', 'Likely TellingWord'],
    ['Vin', '1HGCM82633A004352', 'Likely CheckDigits'],
    ['Vin', 'VIN 1HGCM82633A004352', 'Certain TellingWord'],
    ['Vin', 'VIN WVWZZZ1JZXW000010', 'Likely TellingWord'],
    ['UkDriverLicence', 'MORGA657054SM9IJ', 'Likely Spelling'],
  ])('%s of %s: %s', (name, text, said) => {
    expect(saidOf(byName(name), text)).toBe(said);
  });

  test.each([
    'KrRrn 9001011234567',
    'UsPassport C1234567',
    'UsDriverLicence D1234567',
    'UsItin 900700000',
    'DkCpr 2110625629',
    'BirthDate 12/03/1984',
    'MedicalRecordNumber 1234567',
    'IcdCode E11.9',
    'Passport C01X00T47',
    'Vin WVWZZZ1JZXW000010',
  ])('without check digits, spelling and word nothing is even possible: %s', (line) => {
    const [name = '', text = ''] = line.split(' ');
    expect(saidOf(byName(name), text)).toBeUndefined();
  });

  test('of issued numbers: alone likely; told certain, where spelling or check digits say so as well', () => {
    for (const [name, { alone = [], told: [word = '', ...behind] = [] }] of Object.entries(examples)) {
      for (const number of alone) expect(saidOf(byName(name), number)).toMatch(/^Likely (CheckDigits|Spelling)$/);
      for (const number of behind) {
        expect(saidOf(byName(name), `${word} ${number}`)).toMatch(/^(Likely|Certain) TellingWord$/);
        expect(saidOf(byName(name), number) ?? 'Possible CheckDigits').toBe('Possible CheckDigits');
      }
    }
  });
});

describe.each(detectors.map((one) => [one.name, one] as const))('%s', (name, detector) => {
  const samples = [
    ...Object.values(examples[name] ?? {}).flat(),
    '4111 1111 1111 1111',
    '123-45-6789',
    'tel: 0301234567',
    'password: hunter22',
    'a@b.org',
    '10.0.0.1',
  ].filter((one) => typeof one === 'string');
  const texts = fc
    .array(fc.constantFrom(...samples, ' ', ': ', '-', '7', 'ssn ', 'order ', 'x'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join(''));

  test('accepts no less and is no less certain where a word tells, and finds no more from a higher certainty on', () => {
    fc.assert(
      fc.property(texts, (text) => {
        for (let start = 0; start < text.length; start += 1) {
          const ends = certainties.map((least) => longestFrom(detector, text, start, least)?.end ?? -1);
          expect(ends).toEqual([...ends].sort((a, b) => b - a));
          const end = ends[0] ?? -1;
          if (end < 0) continue;
          const [untold, told] = [false, true].map(
            (one) => verdictOf(detector, text, { start, end }, one, 'Possible')?.level ?? -1,
          );
          expect(told).toBeGreaterThanOrEqual(untold ?? -1);
          for (const least of certainties) {
            // Not to work out what does not count changes nothing of what does.
            const level = certainties.indexOf(least);
            for (const one of [false, true]) {
              const all = verdictOf(detector, text, { start, end }, one, 'Possible');
              expect(verdictOf(detector, text, { start, end }, one, least)).toBe(
                all === undefined || all.level < level ? undefined : all,
              );
              if (!mayBegin(detector, text, start, one, 'Possible'))
                expect(mayBegin(detector, text, start, one, least)).toBe(false);
            }
          }
        }
      }),
      { numRuns: 20 },
    );
  });
});
