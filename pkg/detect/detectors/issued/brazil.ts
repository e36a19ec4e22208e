import { isDigit } from '../characters.ts';
import { digit, same } from './check-digits.ts';
import { digitNumber, shapedNumber } from './issued-number.ts';

// Brazil. CPF of persons: nine digits and two check digits; CNPJ of firms: eight characters of the firm, four of the branch, two check digits
// (Receita Federal). From July 2026 on characters of a new CNPJ may be letters, which count as their ASCII code less 48 (Instrução
// Normativa RFB 2229/2024).

/** Weights fall from the highest to 2, and from 9 again: mod 11, 10 counts as 0. */
function check(characters: Uint8Array, to: number, highest: number): number {
  let sum = 0;
  let weight = highest;
  for (let at = 0; at < to; at += 1) {
    const code = characters[at] as number;
    sum += (code < 0x40 ? code - 0x30 : code - 0x20 - 0x30) * weight;
    weight = weight === 2 ? 9 : weight - 1;
  }
  const rest = sum % 11;
  return rest < 2 ? 0 : 11 - rest;
}

export const brCpf = digitNumber({
  name: 'BrCpf',
  least: 11,
  telling: ['cpf', 'cadastro de pessoas', 'contribuinte'],
  alone: ['###.###.###-##', '###.###.###/##', '###.###.###.##', '#########-##', '### ### ### ##', '### ### ###-##'],
  told: ['###########'],
  valid: (characters, length) =>
    !same(characters, length) &&
    check(characters, 9, 10) === digit(characters, 9) &&
    check(characters, 10, 11) === digit(characters, 10),
});

/** The first branch of a firm; few others are written anywhere. */
const isFirstBranch = (text: string, start: number, end: number): boolean =>
  end - start === 14 && text.startsWith('0001', start + 8);

function hasDigit(text: string, from: number, end: number): boolean {
  for (let at = from; at < end; at += 1) if (isDigit(text.charCodeAt(at))) return true;
  return false;
}

/**
 * With the slash or the hyphen of its spelling: points alone are a fraction's (`21.470165824159`). A hyphen alone is spelling where a digit
 * stands before it: twelve letters and a number are names of things (`conversation-26`).
 */
const isSpelled = (text: string, start: number, end: number): boolean =>
  text.charCodeAt(end - 7) === 0x2f ||
  text.charCodeAt(end - 8) === 0x2f ||
  (text.charCodeAt(end - 3) === 0x2d && hasDigit(text, start, end - 3));

export const brCnpj = shapedNumber({
  name: 'BrCnpj',
  pattern: '(?i:[0-9A-Z]{2}\\.?[0-9A-Z]{3}\\.?[0-9A-Z]{3}/?[0-9A-Z]{4})-?[0-9]{2}',
  maxLength: 18,
  least: 14,
  telling: ['cnpj', 'pessoa juridica', 'cadastro nacional'],
  alone: (text, start, end) => isSpelled(text, start, end) || isFirstBranch(text, start, end),
  valid: (characters, length) =>
    !same(characters, length) &&
    check(characters, 12, 5) === digit(characters, 12) &&
    check(characters, 13, 6) === digit(characters, 13),
});
