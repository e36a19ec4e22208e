import { createRequire } from 'node:module';
import type sequencer from '@jest/test-sequencer';

// Its types are of what `require` gives; `import` gives another shape.
const require = createRequire(import.meta.url);
const { default: TestSequencer } = require('@jest/test-sequencer') as typeof sequencer;

type Tests = Parameters<InstanceType<typeof TestSequencer>['sort']>[0];

/** Files that take half a minute or more, the longest first. */
const long = [
  'test/node/life.test.ts',
  'test/apiserver/controller-process.test.ts',
  'test/apiserver/people.test.ts',
  'test/apiserver/controller.test.ts',
  'test/apiserver/definition-guard.test.ts',
  'test/apiserver/tokens.test.ts',
  'test/integration/demo.test.ts',
  'test/integration/attack-approvals.test.ts',
  'test/integration/attack-limits.test.ts',
  'test/integration/stream-ends.test.ts',
  'test/integration/bench.test.ts',
];

/**
 * Jest begins with what took longest the last time, and where nothing is known of that, as in CI, with the largest file: a small file that
 * takes long would then run last, and alone. Here those are first in either case.
 */
export default class LongestFirst extends TestSequencer {
  override async sort(tests: Tests): Promise<Tests> {
    const place = (path: string): number => {
      const at = long.findIndex((name) => path.endsWith(`/${name}`));
      return at === -1 ? long.length : at;
    };
    const sorted = await super.sort(tests);
    return sorted.toSorted((one, other) => place(one.path) - place(other.path));
  }
}
