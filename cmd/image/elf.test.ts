import { expect, test } from '@jest/globals';
import { elfNeeds } from './elf.ts';

/** The least ELF file that has an interpreter and two libraries: three program headers, a dynamic table, strings. */
function elf(): Buffer {
  const bytes = Buffer.alloc(0x300);
  bytes.write('\x7fELF\x02\x01', 'latin1');
  bytes.writeBigUInt64LE(64n, 32); // program headers
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(3, 56);
  const segments = [
    { type: 1, offset: 0x100, address: 0x40100, length: 0x200 },
    { type: 2, offset: 0x200, address: 0x40200, length: 0x40 },
    { type: 3, offset: 0x180, address: 0x40180, length: 0x10 },
  ];
  segments.forEach(({ type, offset, address, length }, index) => {
    const at = 64 + index * 56;
    bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(BigInt(address), at + 16);
    bytes.writeBigUInt64LE(BigInt(length), at + 32);
  });
  bytes.write('/lib/ld.so\0', 0x180);
  bytes.write('\0liba.so.1\0libb.so.2\0', 0x140);
  const dynamic = [
    [1, 1],
    [1, 11],
    [5, 0x40140],
    [0, 0],
    [1, 1], // after the end: not read
  ];
  dynamic.forEach(([tag = 0, value = 0], index) => {
    bytes.writeBigUInt64LE(BigInt(tag), 0x200 + index * 16);
    bytes.writeBigUInt64LE(BigInt(value), 0x208 + index * 16);
  });
  return bytes;
}

test('an ELF file tells its interpreter and its libraries', () => {
  expect(elfNeeds(elf())).toEqual({ interpreter: '/lib/ld.so', libraries: ['liba.so.1', 'libb.so.2'] });
});

test('a file without a dynamic table needs nothing', () => {
  const bytes = elf();
  bytes.writeUInt16LE(0, 56);
  expect(elfNeeds(bytes)).toEqual({ interpreter: undefined, libraries: [] });
});

test.each([
  ['text', Buffer.from('#!/bin/sh\n'.repeat(10))],
  ['32 bit', Buffer.from(`\x7fELF\x01\x01${'\0'.repeat(60)}`, 'latin1')],
  ['an empty file', Buffer.alloc(0)],
])('%s is no such file', (_, bytes) => {
  expect(elfNeeds(bytes)).toBeUndefined();
});
