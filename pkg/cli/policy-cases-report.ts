import { CodedError, describeError } from '../base/index.ts';
import type { Policy } from '../core/index.ts';
import type { CommandIo, ExitCode } from './command.ts';
import { jsonText, printable } from './terminal-text.ts';
import { readCases } from './policy-cases.ts';
import { runCase } from './policy-cases-run.ts';
import type { CaseResult, CasesOptions } from './policy-cases-run.ts';

/** `policy test --cases`: what comes of cases, for people and for CI. */

export const casesUsage = `  --cases FILE           decide these cases instead, and compare what comes with what is expected:

  cases:
  - name: no secrets to the model
    caller: { subject: ana, groups: [ml-eng] }     # absent: nobody is proven; provider: NAME where there are several; certificate: true
                                                   # for a client certificate beside a token
    operation: Chat                                # default; or path: /v1/messages, of any API that a sidecar knows or the policies describe
    model: llama-3-8b
    prompt: use AKIAIOSFODNN7EXAMPLE               # or request: a whole body
    answer: write to ana@example.com               # of an answer, if that matters
    expect:                                        # what is named is compared
      decision: Deny                               # Allow, Deny or RequireApproval, of request and answer together
      rule: support/no-secrets                     # that allows, refuses or asks
      prompt: use [secret]                         # what the model gets; request: of a whole body
      answer: write to [pii]                       # what the caller gets
`;

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

function cameText({ decision, rule, reason }: Pick<CaseResult, 'decision' | 'rule' | 'reason'>): string {
  if (decision === undefined) return '';
  return `: ${decision}${rule === undefined ? '' : ` by ${rule}`}${reason === undefined ? '' : ` (${reason})`}`;
}

function lines(results: readonly CaseResult[]): string {
  const failed = results.filter(({ passed }) => !passed).length;
  const rows = results.flatMap(({ name, passed, faults, ...came }) => [
    `${passed ? 'ok  ' : 'FAIL'}  ${printable(`${name}${cameText(came)}`)}`,
    ...faults.map((fault) => `      ${printable(fault)}`),
  ]);
  return `${rows.join('\n')}\n${results.length - failed} as expected, ${failed} not\n`;
}

const formats: Readonly<Record<string, (results: readonly CaseResult[]) => string>> = {
  json: (results) => `${jsonText({ cases: results }, 2)}\n`,
  junit,
};

/** Decides the cases of a file and prints what came: as `json`, `junit`, else a line a case. */
export async function runCases(
  policies: readonly Policy[],
  { file, format, ...options }: CasesOptions & { readonly file: string; readonly format: string | undefined },
  io: CommandIo,
): Promise<ExitCode> {
  const read = casesOf(file, io);
  if ('faults' in read) {
    io.stderr(`${read.faults.join('\n')}\n`);
    return 2;
  }
  try {
    const results: CaseResult[] = [];
    for (const one of read.cases) results.push(await runCase(policies, one, options));
    io.stdout((formats[format ?? ''] ?? lines)(results));
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
