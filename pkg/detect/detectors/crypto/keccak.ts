/**
 * Keccak-256 as Ethereum and Monero use it: the submission of 2011 to NIST, whose padding begins with 01 where that of SHA3-256 (FIPS 202,
 * which `node:crypto` has) begins with 06. Messages of one block alone, which is all that addresses need.
 */

/** Bytes of a block; a message is shorter. */
const rate = 136;

/** Where the walk of the steps rho and pi comes to, and how far each lane turns (FIPS 202, 3.2.2 and 3.2.3). */
const walk = new Uint8Array(24);
const turns = new Uint8Array(24);
for (let step = 0, x = 1, y = 0; step < 24; step += 1) {
  [x, y] = [y, (2 * x + 3 * y) % 5];
  walk[step] = x + 5 * y;
  turns[step] = (((step + 1) * (step + 2)) / 2) % 64;
}

/** Constants of the step iota, 32 bits each (FIPS 202, 3.2.5: bits of a shift register). */
const low = new Uint32Array(24);
const high = new Uint32Array(24);
for (let round = 0, register = 1; round < 24; round += 1) {
  for (let power = 0; power < 7; power += 1) {
    const bit = (1 << power) - 1;
    if ((register & 1) === 1) {
      if (bit < 32) low[round] = (low[round] as number) | (1 << bit);
      else high[round] = (high[round] as number) | (1 << (bit - 32));
    }
    register <<= 1;
    if (register > 0xff) register ^= 0x171;
  }
}

// One state for all calls: nothing here is re-entered. Two halves of each of 25 lanes.
const lo = new Int32Array(25);
const hi = new Int32Array(25);
const columnLo = new Int32Array(5);
const columnHi = new Int32Array(5);

function theta(): void {
  for (let x = 0; x < 5; x += 1) {
    columnLo[x] = column(lo, x);
    columnHi[x] = column(hi, x);
  }
  for (let x = 0; x < 5; x += 1) {
    const left = (x + 4) % 5;
    const right = (x + 1) % 5;
    const rightLo = columnLo[right] as number;
    const rightHi = columnHi[right] as number;
    const mixLo = (columnLo[left] as number) ^ ((rightLo << 1) | (rightHi >>> 31));
    const mixHi = (columnHi[left] as number) ^ ((rightHi << 1) | (rightLo >>> 31));
    for (let lane = x; lane < 25; lane += 5) {
      lo[lane] = (lo[lane] as number) ^ mixLo;
      hi[lane] = (hi[lane] as number) ^ mixHi;
    }
  }
}

const column = (half: Int32Array, x: number): number =>
  (half[x] as number) ^
  (half[x + 5] as number) ^
  (half[x + 10] as number) ^
  (half[x + 15] as number) ^
  (half[x + 20] as number);

function rhoAndPi(): void {
  let heldLo = lo[1] as number;
  let heldHi = hi[1] as number;
  for (let step = 0; step < 24; step += 1) {
    const lane = walk[step] as number;
    const nextLo = lo[lane] as number;
    const nextHi = hi[lane] as number;
    const turn = (turns[step] as number) % 32;
    // A turn by 32 and more is one with the halves exchanged.
    const [first, second] = (turns[step] as number) < 32 ? [heldLo, heldHi] : [heldHi, heldLo];
    lo[lane] = turn === 0 ? first : (first << turn) | (second >>> (32 - turn));
    hi[lane] = turn === 0 ? second : (second << turn) | (first >>> (32 - turn));
    heldLo = nextLo;
    heldHi = nextHi;
  }
}

function chi(half: Int32Array): void {
  for (let row = 0; row < 25; row += 5) {
    const first = half[row] as number;
    const second = half[row + 1] as number;
    for (let x = 0; x < 5; x += 1) {
      const next = x === 4 ? first : (half[row + x + 1] as number);
      const other = x === 3 ? first : x === 4 ? second : (half[row + x + 2] as number);
      half[row + x] = (half[row + x] as number) ^ (~next & other);
    }
  }
}

/** Bytes of the digest at `into`, which holds 32. `message` has fewer bytes than a block. */
export function keccak256(message: Uint8Array, length: number, into: Uint8Array): void {
  if (length >= rate) throw new RangeError('longer than a block');
  lo.fill(0);
  hi.fill(0);
  for (let at = 0; at < length; at += 1) mix(at, message[at] as number);
  mix(length, 0x01);
  mix(rate - 1, 0x80);
  for (let round = 0; round < 24; round += 1) {
    theta();
    rhoAndPi();
    chi(lo);
    chi(hi);
    lo[0] = (lo[0] as number) ^ (low[round] as number);
    hi[0] = (hi[0] as number) ^ (high[round] as number);
  }
  for (let at = 0; at < 32; at += 1) {
    const half = (at & 4) === 0 ? lo : hi;
    into[at] = (half[at >> 3] as number) >>> (8 * (at & 3));
  }
}

function mix(at: number, byte: number): void {
  const half = (at & 4) === 0 ? lo : hi;
  half[at >> 3] = (half[at >> 3] as number) ^ (byte << (8 * (at & 3)));
}
