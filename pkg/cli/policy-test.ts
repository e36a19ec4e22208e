import { CodedError, describeError } from '../base/index.ts';
import { askedFlags } from './asked-flags.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { printable } from './output.ts';
import { readCases } from './policy-test-cases.ts';
import { runCase } from './policy-test-run.ts';
import type { CaseResult } from './policy-test-run.ts';
import { readPolicies } from './read-policies.ts';

const usage = `sidegate policy test FILE... --cases FILE [flags]

Decides cases by the policies of the files and compares what comes with what is expected, for CI. Requests and answers are read by
the sidecar's own inspection; nothing is sent anywhere. Of approvals it says that one is needed, and what would go on then.

  --cases FILE           YAML: a list "cases", as below (required)
  -o, --output FORMAT    json or junit; default a line a case
  --help                 this text

  cases:
  - name: no secrets to the model
    caller: { subject: ana, groups: [ml-eng] }     # absent: nobody is proven; provider: NAME where there are several
    operation: Chat                                # default
    model: llama-3-8b
    prompt: use AKIAIOSFODNN7EXAMPLE               # or request: a whole body
    answer: write to ana@example.com               # of an answer, if that matters
    expect:                                        # what is named is compared
      decision: Deny                               # Allow, Deny or RequireApproval, of request and answer together
      rule: support/no-secrets                     # that allows, refuses or asks
      prompt: use [secret]                         # what the model gets; request: of a whole body
      answer: write to [pii]                       # what the caller gets

Exit code: 0 all as expected, 1 a case is not or the policies have faults, 2 not understood.
`;

const specs = {
  cases: { kind: 'text' },
  output: { kind: 'text', short: 'o', choices: ['json', 'junit'] },
} as const;

/** A character that XML 1.0 has no spelling for becomes one that stands for it. */
const xml = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

function junit(results: readonly CaseResult[]): string {
  const failed = results.filter(({ passed }) => !passed).length;
  const cases = results.map(({ name, passed, faults }) => {
    const head = `<testcase classname="policy" name="${xml(name)}"`;
    if (passed) return `    ${head}/>`;
    const text = faults.join('\n');
    return `    ${head}><failure message="${xml(faults[0] ?? '')}">${xml(text)}</failure></testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="sidegate policy test" tests="${results.length}" failures="${failed}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function lines(results: readonly CaseResult[]): string {
  const failed = results.filter(({ passed }) => !passed).length;
  const rows = results.flatMap(({ name, passed, faults, decision, rule }) => [
    `${passed ? 'ok  ' : 'FAIL'}  ${printable(name)}${decision === undefined ? '' : `: ${decision}${rule === undefined ? '' : ` by ${rule}`}`}`,
    ...faults.map((fault) => `      ${printable(fault)}`),
  ]);
  return `${rows.join('\n')}\n${results.length - failed} as expected, ${failed} not\n`;
}

const formats: Readonly<Record<string, (results: readonly CaseResult[]) => string>> = {
  json: (results) => `${JSON.stringify({ cases: results }, undefined, 2)}\n`,
  junit,
};

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const flags = askedFlags(args, io, {
    usage,
    flags: specs,
    positionals: { name: 'FILE', least: 1, most: 1000 },
    faults: (given) => (given.text('cases') === undefined ? ['--cases is needed'] : []),
  });
  if (typeof flags === 'number') return flags;
  const read = casesOf(flags.text('cases') ?? '', io);
  if ('faults' in read) {
    io.stderr(`${read.faults.join('\n')}\n`);
    return 2;
  }
  const { policies, faults } = readPolicies(flags.positionals, io);
  if (faults.length > 0) {
    io.stderr(`${faults.join('\n')}\n`);
    return 1;
  }
  try {
    const results: CaseResult[] = [];
    for (const one of read.cases) results.push(await runCase(policies, one));
    io.stdout((formats[flags.text('output') ?? ''] ?? lines)(results));
    return results.every(({ passed }) => passed) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    io.stderr(`${error.message}\n`);
    return 1;
  }
}

function casesOf(file: string, io: CommandIo): ReturnType<typeof readCases> {
  try {
    return readCases(io.readFile(file), file);
  } catch (error) {
    return { faults: [`${file}: cannot be read (${describeError(error)})`] };
  }
}

export const policyTestCommand: Command = {
  name: 'policy test',
  summary: 'decide cases and compare them with what is expected, for CI',
  usage,
  run,
};
