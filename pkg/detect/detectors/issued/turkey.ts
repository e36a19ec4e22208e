import { digit, same } from './check-digits.ts';
import { digitNumber } from './issued-number.ts';

// Türkiye. T.C. kimlik numarası: eleven digits, the first not 0, the tenth seven times the digits at odd places less those at even ones, the
// last the sum of the ten, both modulo ten (Nüfus ve Vatandaşlık İşleri).

export const trKimlik = digitNumber({
  name: 'TrKimlik',
  least: 11,
  telling: ['tckn', 'tc kimlik', 'tc', 'kimlik no', 'kimlik numarasi', 'kimlik', 'vatandaslik no', 'yabanci kimlik'],
  told: ['###########', '### ### ### ##'],
  valid(characters, length) {
    let odd = 0;
    let even = 0;
    for (let at = 0; at < 9; at += 2) odd += digit(characters, at);
    for (let at = 1; at < 8; at += 2) even += digit(characters, at);
    const tenth = (((odd * 7 - even) % 10) + 10) % 10;
    return (
      !same(characters, length) && tenth === digit(characters, 9) && (odd + even + tenth) % 10 === digit(characters, 10)
    );
  },
});
