import { describe, expect, test } from '@jest/globals';
import { found } from '../brute-force.ts';
import { examples } from './examples.ts';
import { personalData } from '../personal/index.ts';
import { issuedNumbers } from './index.ts';
import type { Detector } from '../../detector.ts';

const all = [...issuedNumbers, ...personalData];
const one = (name: string): Detector => all.find((each) => each.name === name) as Detector;

test('each has examples', () => {
  expect(Object.keys(examples)).toEqual(all.map(({ name }) => name));
});

describe.each(Object.entries(examples))('%s', (name, { alone = [], told, grows, never }) => {
  const detector = one(name);
  const [word = '', ...behind] = told ?? [];

  for (const number of alone)
    test(`finds ${number} without a word`, () => {
      for (const text of [number, `It is ${number}.`, `"${number}", (${number});`])
        expect(new Set(found(detector, text))).toEqual(new Set([number]));
    });

  if (told !== undefined) {
    for (const number of behind)
      test(`finds ${number} behind ${word}, and not without`, () => {
        for (const text of [
          `${word}: ${number}`,
          `My ${word.toUpperCase()} is ${number}, thanks`,
          `${word.replaceAll(' ', '_')}=${number}`,
        ])
          expect(found(detector, text)).toEqual([number]);
        for (const text of [number, `order ${number}`, `${word} ${'far '.repeat(20)}${number}`])
          expect(found(detector, text)).toEqual([]);
      });
  }

  for (const number of [...alone, ...behind])
    test(`finds ${number} in emphasis`, () => {
      for (const mark of ['_', '__', '___'])
        expect(found(detector, `${word} ${mark}${number}${mark}`)).toEqual([number]);
    });

  for (const number of never)
    test(`never finds ${number}`, () => {
      expect(found(detector, number)).toEqual([]);
      expect(found(detector, `${word} ${number}`)).toEqual([]);
    });

  for (const number of [...alone, ...behind])
    test(`finds no part of a longer word or number around ${number}`, () => {
      for (const text of [
        ...(grows ? [] : [`7${number}`, `${number}7`, `x${number}`, `${number}x`]),
        `x_${number}`,
        `____${number}`,
      ])
        expect(found(detector, `${word} ${text}`).filter((part) => part.includes(number))).toEqual([]);
    });
});

test('a group of digits beside it makes one of digits a part of a longer number, one that begins and ends with letters not', () => {
  expect(found(one('SgNric'), 'rooms 12 S1234567D 34')).toEqual(['S1234567D']);
  expect(found(one('AuAbn'), '12 51 824 753 556')).toEqual([]);
  expect(found(one('AuAbn'), '51 824 753 556 12')).toEqual([]);
  expect(found(one('AuAbn'), 'ABN 51 824 753 556 12')).toEqual(['51 824 753 556']);
});

test('a number in the next column, or the next word, is none of its groups', () => {
  for (const [name, text, number] of [
    ['BrCpf', '1007,529.982.247-25,41', '529.982.247-25'],
    ['BrCpf', 'Cliente 7 529.982.247-25', '529.982.247-25'],
    ['BrCpf', 'Cliente 529.982.247-25 7', '529.982.247-25'],
    ['SgNric', '12,S1234567D,34', 'S1234567D'],
    ['UkNino', '7,AB123456C,9', 'AB123456C'],
    ['ItCodiceFiscale', '3,RSSMRA85T10A562S,8', 'RSSMRA85T10A562S'],
    ['AuAbn', '12,51 824 753 556,7', '51 824 753 556'],
    ['NoFodselsnummer', '7 01010750160 9', '01010750160'],
  ] as const)
    expect([text, found(one(name), text)]).toEqual([text, [number]]);
  for (const text of ['1,01010750160', '01010750160,5']) expect(found(one('NoFodselsnummer'), text)).toEqual([]);
});

test('a word directly before a number that no check digit confirms makes it another, unless a word tells of it', () => {
  for (const before of ['order ', 'Order no. ', 'invoice number: ', 'SKU '])
    for (const [name, number] of [
      ['UsItin', '900-70-0000'],
      ['UkNino', 'AB123456C'],
      ['DkCpr', '211062-5629'],
    ] as const) {
      expect(found(one(name), before + number)).toEqual([]);
      expect(found(one(name), before + number, 'Possible')).toEqual([number]);
    }
  expect(found(one('UsItin'), 'ITIN of the order 900-70-0000')).toEqual(['900-70-0000']);
  expect(found(one('UsItin'), 'therefore 900-70-0000')).toEqual(['900-70-0000']);
  expect(found(one('BrCpf'), 'order 529.982.247-25')).toEqual(['529.982.247-25']);
});
