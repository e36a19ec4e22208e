import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import type { JsonValue } from '../../pkg/base/index.ts';
import { run } from '../../pkg/cli/index.ts';
import type { Cluster } from '../../pkg/cli/index.ts';
import { noFolder } from '../support/no-folder.ts';
import { noLogin } from '../support/no-login.ts';

// The console's search and `kubectl sidegate audit search` ask the recorder the same, given the same expression.

type Values = Map<string, string[]>;
/** As the file itself documents them; it is JavaScript for browsers. */
interface QuestionModule {
  readonly conditions: readonly { readonly flag: string; readonly kind: string }[];
  parseExpression(text: string): { readonly values: Values; readonly faults: readonly string[] };
  expressionOf(values: Values): string;
  questionOf(values: Values): {
    readonly question: Readonly<Record<string, JsonValue>>;
    readonly faults: readonly string[];
  };
}
const file = join(import.meta.dirname, '../../pkg/recorder/console/assets/question.js');
const { conditions, parseExpression, expressionOf, questionOf } = (await import(file)) as QuestionModule;

const now = Date.UTC(2026, 10, 26, 12);
beforeEach(() => void jest.spyOn(Date, 'now').mockReturnValue(now));
afterEach(() => void jest.restoreAllMocks());

/** What a shell makes of it. */
function wordsOf(expression: string): readonly string[] {
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${expression}`], { encoding: 'utf8' });
  return stdout.split('\0').slice(0, -1);
}

type Question = Readonly<Record<string, JsonValue>>;
/** All tags have to hold, in whatever order. */
const inOrder = ({ tags = [], ...others }: Question): object => ({ ...others, tags: (tags as string[]).toSorted() });

/** What the command posts; undefined: it refuses. */
async function askedByCommand(expression: string): Promise<JsonValue | undefined> {
  const asked: JsonValue[] = [];
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: ({ path, body }: { readonly path: string; readonly body: JsonValue }) => {
      if (path.endsWith('/v1/search')) asked.push(body);
      return Promise.resolve({ sessions: [], cursor: null });
    },
    close: () => undefined,
  } as unknown as Cluster['client'];
  await run(['audit', 'search', ...wordsOf(expression)], {
    stdout: () => undefined,
    stderr: () => undefined,
    readFile: () => '',
    writeFile: () => undefined,
    checkPattern: () => undefined,
    login: noLogin,
    publicRoots: [],
    now: () => now,
    sleep: () => Promise.resolve(),
    folder: noFolder,
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    ask: () => Promise.reject(new Error('nothing is asked')),
  });
  return asked[0];
}

test.each([
  `--user ana --since 1h`,
  `--text 'project falcon' --act masked --act flagged --rule=support-llm/confidential`,
  `--detector Email --code guard_blocked --status 403 --outcome refused`,
  `-n ml --pod llama-0 --group ml-eng --issuer https://idp.example.com --model llama-3`,
  `--operation Chat --min-duration 500 --min-bytes 1000 --since 7d --until 2026-11-26T11:00:00Z`,
  `--text "it's \\"quoted\\" \\$HOME" --user o\\'brien`,
  `--text=-1`,
  `--session 0123456789abcdef0123456789abcdef`,
])('%s', async (expression) => {
  const { values, faults } = parseExpression(expression);
  const { question, faults: more } = questionOf(values);
  expect([...faults, ...more]).toEqual([]);
  const asked = await askedByCommand(expression);
  expect(inOrder({ ...question, limit: 100 })).toEqual(inOrder(asked as Question));
});

test.each([
  ['--since yesterday', '--since yesterday: 10m, 6h, 7d or 2026-11-26T12:00:00Z'],
  ['--status many', '--status many: a whole number'],
  ['--user ana --user bob', '--user is given twice'],
  ['--nobody x', 'there is no --nobody'],
  ['--user', '--user needs a value'],
  ['ana', 'ana: conditions look like --user ana'],
])('what the command refuses, the console refuses too: %s', async (expression, fault) => {
  const { values, faults } = parseExpression(expression);
  expect([...faults, ...questionOf(values).faults]).toContain(fault);
  expect(await askedByCommand(expression)).toBeUndefined();
});

test('a quote that is open is no expression', () => {
  expect(parseExpression(`--text 'project`).faults).toEqual(['a quote is not closed']);
});

test('whatever the conditions are, their expression reads as they are, here and in a shell', () => {
  const text = fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom(...`aZ0 '"\\$\`!*~#;&|<>(){}[]?=-\nü`) });
  const given = fc.dictionary(fc.constantFrom(...conditions.map(({ flag }) => flag)), text, { maxKeys: 4 });
  const expressions: { readonly words: readonly string[]; readonly expression: string }[] = [];
  fc.assert(
    fc.property(given, (flags) => {
      const values: Values = new Map(Object.entries(flags).map(([flag, value]) => [flag, [value]]));
      const expression = expressionOf(values);
      const { values: read, faults } = parseExpression(expression);
      expect(faults).toEqual([]);
      expect(new Map([...read].sort())).toEqual(new Map([...values].sort()));
      expressions.push({
        expression,
        words: [...read].flatMap(([flag, [value = '']]) =>
          value.startsWith('-') ? [`--${flag}=${value}`] : [`--${flag}`, value],
        ),
      });
    }),
    { numRuns: 200 },
  );
  expect(wordsOf(expressions.map((one) => one.expression).join(' '))).toEqual(expressions.flatMap((one) => one.words));
});
