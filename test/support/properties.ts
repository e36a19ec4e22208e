// What tests get for `fast-check` (jest.config.js): the library, with its cases chosen. A verdict on a change must depend on the change alone,
// so the same cases come each time; `SEED=random make test-unit` looks further, and a failure names the seed that shows it again.
import { randomInt } from 'node:crypto';
// By its path: its name leads here.
import fc from '../../node_modules/fast-check/lib/fast-check.js';

const asked = process.env['SEED'] ?? '20261126';
fc.configureGlobal({ seed: asked === 'random' ? randomInt(2 ** 31) : Number(asked) });

export default fc;
export * from '../../node_modules/fast-check/lib/fast-check.js';
