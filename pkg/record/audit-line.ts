import { createHmac, hash } from 'node:crypto';
import { parseJson } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import type { AuditEvent } from '../core/index.ts';
import { AuditLines } from './audit-lines.ts';

/**
 * One audit event as one line of JSON, chained to the line before.
 *
 *     {"v":1,"seq":7,"time":"2026-01-01T00:00:00.000Z","prev":"<64 hex>","type":"end",…,"hash":"<64 hex>"}
 *
 * - The four first members and the last one stand in exactly this order and spelling; between them are the event's own.
 *   (A policy event's own `hash` is spelled `policyHash`, so that no name stands twice.)
 * - `seq` counts from 1 without a hole. `time` is the wall clock, RFC 3339 with milliseconds.
 * - `prev` is the `hash` of the line before; 64 zeros in the first line of a chain.
 * - `hash` is SHA-256 (FIPS 180-4) over the UTF-8 bytes of the line up to and without `,"hash":"`; with a key it is
 *   HMAC-SHA-256 (RFC 2104) over the same bytes. `prev` is among those bytes: that is the chain.
 *
 * Guarantee: whoever knows one later hash can tell that no earlier line was removed, changed, repeated or moved.
 * Limit: without a key, whoever can write the file can write a whole new chain; lines cut from the end are seen only by
 * who remembers a later sequence number and hash.
 */

export const zeroHash = '0'.repeat(64);
const comma = 0x2c;
const hashMember = ',"hash":"';
/** What follows the hashed bytes: the member, 64 digits, `"}`. */
const suffixLength = hashMember.length + 64 + 2;

/** Of UTF-8: a text, or its bytes. */
export type Digest = (body: string | Uint8Array) => string;

/** SHA-256 works on blocks of so many bytes. */
const blockBytes = 64;
/** Lines longer than this are rare, and may cost a copy. */
const scratchBytes = 32 * 1024;

/** @param key HMAC key; without it the digest is plain SHA-256. */
export function auditDigest(key: Uint8Array | undefined): Digest {
  return key === undefined ? (body) => hash('sha256', body, 'hex') : hmac(key);
}

/**
 * HMAC-SHA-256 as RFC 2104 defines it, from two one-shot hashes: `createHmac` makes an object for each line and takes
 * twice as long. Long texts, where that does not matter, go through it.
 */
function hmac(key: Uint8Array): Digest {
  const short = key.length > blockBytes ? Buffer.from(hash('sha256', key, 'hex'), 'hex') : key;
  const inner = Buffer.alloc(blockBytes + scratchBytes, 0x36);
  const outer = Buffer.alloc(blockBytes + 32, 0x5c);
  short.forEach((byte, at) => {
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  });
  /** Puts the body behind the inner key; -1 where it may be too long. */
  const place = (body: string | Uint8Array): number => {
    // Three bytes for a UTF-16 unit at most.
    if (body.length * 3 > scratchBytes) return -1;
    if (typeof body === 'string') return blockBytes + inner.write(body, blockBytes, 'utf8');
    inner.set(body, blockBytes);
    return blockBytes + body.length;
  };
  return (body) => {
    const end = place(body);
    if (end === -1) return createHmac('sha256', key).update(body).digest('hex');
    outer.write(hash('sha256', inner.subarray(0, end), 'hex'), blockBytes, 'hex');
    return hash('sha256', outer, 'hex');
  };
}

/** Where a chain stands: the last sequence number and hash. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

export const chainStart: ChainHead = { seq: 0, hash: zeroHash };

/**
 * Where a chain with a name begins: what its first line's `prev` is, so that two chains can never be taken for one.
 *
 * @param chain 32 hex digits
 */
export function namedStart(chain: string): ChainHead {
  return { seq: 0, hash: hash('sha256', `sidegate-chain/1 ${chain}`, 'hex') };
}

/** RFC 3339 with milliseconds; the seconds are formatted once for all events of a second. */
function timeFormat(): (ms: number) => string {
  let second = Number.NaN;
  let head = '';
  return (ms) => {
    const now = Math.floor(ms / 1000);
    if (now !== second) {
      second = now;
      head = new Date(now * 1000).toISOString().slice(0, 20);
    }
    const rest = Math.floor(ms) - now * 1000;
    return `${head}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
  };
}

function encodeEvent(event: AuditEvent): string {
  // Well-formed since ES2019: a lone surrogate becomes an escape, so the text has exactly one UTF-8 form.
  if (event.type !== 'process' || event.hash === undefined) return JSON.stringify(event);
  const { hash: policyHash, ...rest } = event;
  return JSON.stringify({ ...rest, policyHash });
}

/** The writing end of a chain. */
export class AuditChain {
  seq: number;
  hash: string;
  readonly #digest: Digest;
  readonly #time = timeFormat();

  constructor(digest: Digest, head: ChainHead = chainStart) {
    this.#digest = digest;
    this.seq = head.seq;
    this.hash = head.hash;
  }

  /** Puts the next line with its line feed behind the others; the chain moves on. */
  append(event: AuditEvent, wallMs: number, lines: AuditLines): void {
    const seq = this.seq + 1;
    const begin = lines.length;
    lines.ascii(`{"v":1,"seq":${seq},"time":"${this.#time(wallMs)}","prev":"${this.hash}"`);
    const own = lines.length;
    lines.utf8(encodeEvent(event));
    // Its braces make place for what stands around its members.
    lines.bytes[own] = comma;
    lines.length -= 1;
    const hash = this.#digest(lines.bytes.subarray(begin, lines.length));
    lines.ascii(`${hashMember}${hash}"}\n`);
    this.seq = seq;
    this.hash = hash;
  }

  /** The next line with its line feed, as a text. */
  line(event: AuditEvent, wallMs: number): string {
    const lines = new AuditLines(scratchBytes);
    this.append(event, wallMs, lines);
    return lines.text();
  }

  /** Back to where it stood: the lines since then were not written. */
  reset(head: ChainHead): void {
    this.seq = head.seq;
    this.hash = head.hash;
  }
}

/** A line that is what it says: its own hash is right. */
export interface AuditRecord extends ChainHead {
  readonly time: string;
  readonly prev: string;
  /** All members. */
  readonly root: JsonNode;
}

const shape =
  /^\{"v":1,"seq":([1-9][0-9]{0,15}),"time":"([0-9T:.Z-]{20,32})","prev":"([0-9a-f]{64})",".*,"hash":"([0-9a-f]{64})"\}$/s;

const headShape = /^\{"v":1,"seq":([1-9][0-9]{0,15}),"time":"[0-9T:.Z-]{20,32}","prev":"([0-9a-f]{64})",/;
const tailShape = /,"hash":"([0-9a-f]{64})"\}$/;
const longestHead = 160;

/** What a line says of its place, whether or not it is true: a few hundred bytes are looked at. Undefined: not of the shape above. */
export function placeOf(line: Uint8Array): (ChainHead & { readonly prev: string }) | undefined {
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.length);
  const [, seq, prev] = headShape.exec(bytes.toString('latin1', 0, longestHead)) ?? [];
  const [, hash] = tailShape.exec(bytes.toString('latin1', Math.max(0, bytes.length - suffixLength))) ?? [];
  if (seq === undefined || prev === undefined || hash === undefined) return undefined;
  return { seq: Number(seq), prev, hash };
}

/** Whether a line without its line feed is as it was hashed; whether it is JSON, and in its place, is not looked at. */
export function isWhole(line: Uint8Array, digest: Digest): boolean {
  const own = line.length - suffixLength;
  return own > 0 && placeOf(line)?.hash === digest(line.subarray(0, own));
}

/** Reads a line without its line feed. `not_a_record`: not of the shape above; `changed`: its hash is not its own. */
export function readAuditLine(line: string, digest: Digest): AuditRecord | 'not_a_record' | 'changed' {
  const match = shape.exec(line);
  const [, seq, time, prev, own] = match ?? [];
  if (seq === undefined || time === undefined || prev === undefined || own === undefined) return 'not_a_record';
  if (digest(line.slice(0, -suffixLength)) !== own) return 'changed';
  try {
    return { seq: Number(seq), time, prev, hash: own, root: parseJson(line, { loneSurrogates: true }) };
  } catch {
    return 'not_a_record';
  }
}
