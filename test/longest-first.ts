import { createRequire } from 'node:module';
import type sequencer from '@jest/test-sequencer';

// Its types are of what `require` gives; `import` gives another shape.
const require = createRequire(import.meta.url);
const { default: TestSequencer } = require('@jest/test-sequencer') as typeof sequencer;

type Tests = Parameters<InstanceType<typeof TestSequencer>['sort']>[0];

/** Files that take half a minute or more, the longest first. */
const long = [
  'test/node/install.test.ts',
  'test/node/life.test.ts',
  'test/node/bypass.test.ts',
  'test/node/pod.test.ts',
  'test/chaos/record-kills.test.ts',
  'test/apiserver/people.test.ts',
  'test/chart/chart.test.ts',
  'pkg/recorder/store/postgres/postgres.test.ts',
  'test/integration/bench.test.ts',
  'test/apiserver/controller-process.test.ts',
  'test/chaos/record-database.test.ts',
  'test/integration/demo.test.ts',
  'test/apiserver/controller.test.ts',
  'test/integration/process.test.ts',
  'pkg/detect/scan/built-in-scan.test.ts',
  'pkg/detect/scan/text-scan.test.ts',
  'pkg/detect/detectors/contract.test.ts',
  'test/apiserver/tokens.test.ts',
  'test/integration/pod-process.test.ts',
  'test/apiserver/definition-guard.test.ts',
  'pkg/cli/audit/long-log.test.ts',
  'test/apiserver/recorder-process.test.ts',
  'pkg/detect/scan/json-scan.test.ts',
  'test/conformance/http/connection.test.ts',
  'pkg/recorder/store/sqlite.test.ts',
  'test/apiserver/admission-webhook.test.ts',
  'test/integration/stream-ends.test.ts',
  'test/integration/console-browser.test.ts',
  'test/integration/attack-approvals.test.ts',
  'pkg/recorder/archive/archive.test.ts',
  'test/integration/attack-life.test.ts',
  'test/integration/record-archive.test.ts',
  'test/integration/attack-limits.test.ts',
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
