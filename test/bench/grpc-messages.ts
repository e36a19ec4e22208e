import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { makeText } from './texts.ts';

/** Messages of the bench, in protobuf's wire format. */

const text = (number: number, value: string): Uint8Array =>
  new BinaryWriter().tag(number, WireType.LengthDelimited).string(value).finish();
const bytes = (number: number, value: Uint8Array): Uint8Array =>
  new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(value).finish();

function element(value: string): Buffer {
  const body = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return Buffer.concat([length, body]);
}

const tensor = (name: string, datatype: string): Uint8Array => Buffer.concat([text(1, name), text(2, datatype)]);

/** Some words that no rule finds anything in. */
const prompt = 'Summarise the meeting of last week in three sentences, and say who is to do what. '.repeat(12);

/** One kilobyte of prompt. */
export const textRequest = (): Buffer =>
  Buffer.concat([text(1, 'bench'), bytes(5, tensor('text_input', 'BYTES')), bytes(7, element(prompt))]);

/** One megabyte of numbers. */
export const tensorRequest = (): Buffer =>
  Buffer.concat([text(1, 'bench'), bytes(5, tensor('x', 'FP32')), bytes(7, Buffer.alloc(1_000_000, 0x3e))]);
export const tensorAnswer = (): Buffer =>
  Buffer.concat([text(1, 'bench'), bytes(5, tensor('x', 'FP32')), bytes(6, Buffer.alloc(1_000_000, 0x3e))]);

const answered = makeText(240, 60);
/** One kilobyte with what the bench's policy masks; and what an exact mask leaves of it. */
const whole = answered.tokens.join('');
const answer = (value: string): Buffer =>
  Buffer.concat([text(1, 'bench'), bytes(5, tensor('text_output', 'BYTES')), bytes(6, element(value))]);
export const textAnswer = (): Buffer => answer(whole);
export const maskedAnswer = (): Buffer => answer(answered.expected);

export function prefixed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
