import { test } from '@jest/globals';
import { holdCallers } from '../support/held-callers.ts';

// Two hundred, and with KILLS (`make test-chaos`) as many as a sidecar holds.

const full = process.env['KILLS'] !== undefined;

test(`${full ? 'a thousand' : 'two hundred'} wait at one sidecar, nobody of them in another’s way, and each goes on once`, async () => {
  await holdCallers({ held: full ? 1_000 : 200, full });
}, 120_000);
