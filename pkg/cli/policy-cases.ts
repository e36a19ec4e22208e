import { checkSchema, formatPath, readYaml } from '../crd/index.ts';
import type { SchemaNode, Wire } from '../crd/index.ts';
import { operations } from '../core/index.ts';

/** The file of `policy test --cases`: who asks for what, and what is to come of it. */

const text = (description: string, maxLength = 512) =>
  ({ type: 'string', minLength: 1, maxLength, description }) as const;
const names = (description: string) =>
  ({ type: 'array', maxItems: 64, description, items: text('A name.') }) as const satisfies SchemaNode;
/** Prompts, bodies and answers: a policy file may hold a mebibyte. */
const longest = 262_144;

const caseSchema = {
  type: 'object',
  description: 'A case.',
  required: ['name', 'expect'],
  properties: {
    name: text('What it shows; printed, and unique in the file.', 200),
    caller: {
      type: 'object',
      description: 'Who asks; absent: nobody is proven.',
      properties: {
        subject: text('Their subject.'),
        groups: names('Their groups.'),
        scopes: names('Scopes of their token.'),
        provider: text('Who proved them; needed where policies have several providers.'),
        certificate: {
          type: 'boolean',
          description:
            'Their connection has a client certificate; default: where their provider is one of certificates.',
        },
      },
    },
    operation: { type: 'string', enum: operations, description: 'What they ask for; default Chat.' },
    path: text('The path of the request, in place of operation: how request is read is as a sidecar takes it.', 2_048),
    model: text('The model that the request names.', 256),
    prompt: text('The one message of the request.', longest),
    request: {
      type: 'object',
      description: 'The whole body in place of prompt.',
      'x-kubernetes-preserve-unknown-fields': true,
    },
    answer: text('The text of an answer.', longest),
    expect: {
      type: 'object',
      description: 'What is to come of it; only what is named is compared.',
      properties: {
        decision: {
          type: 'string',
          enum: ['Allow', 'Deny', 'RequireApproval'],
          description: 'Of request and answer together.',
        },
        rule: text('POLICY/RULE that decides: the one that allows, refuses or asks.'),
        prompt: text('What of prompt the model gets.', longest),
        request: {
          type: 'object',
          description: 'The body that the model gets.',
          'x-kubernetes-preserve-unknown-fields': true,
        },
        answer: text('What of answer the caller gets.', longest),
      },
    },
  },
} as const satisfies SchemaNode;

const fileSchema = {
  type: 'object',
  description: 'Cases.',
  required: ['cases'],
  properties: {
    cases: { type: 'array', minItems: 1, maxItems: 1_000, description: 'In their order.', items: caseSchema },
  },
} as const satisfies SchemaNode;

export type PolicyCase = Wire<typeof caseSchema>;

/** The cases of a file, or everything that is wrong with it, a line each. Never throws. */
export function readCases(
  yaml: string,
  file: string,
): { readonly cases: readonly PolicyCase[] } | { readonly faults: readonly string[] } {
  const [document, ...others] = readYaml(yaml);
  const { value } = document ?? {};
  if (document === undefined || others.length > 0)
    return { faults: [`${file}: must be one document with the field "cases"`] };
  const faults =
    value === undefined
      ? [...document.faults, ...(document.faults.length === 0 ? [{ path: [], message: 'holds no cases' }] : [])]
      : checkSchema(fileSchema, value);
  if (value === undefined || faults.length > 0) {
    return {
      faults: faults.map(({ path, message, line }) => {
        const at = line ?? document.lineOf(path);
        return `${file}${at === undefined ? '' : `:${at}`}: ${path.length === 0 ? '' : `${formatPath(path)}: `}${message}`;
      }),
    };
  }
  const { cases } = value as unknown as { readonly cases: readonly PolicyCase[] };
  const wrong = cases.flatMap((one, at) => {
    const line = document.lineOf(['cases', at]);
    return conditions(one, cases.slice(0, at)).map((message) => `${file}:${line ?? 1}: cases[${at}]: ${message}`);
  });
  return wrong.length > 0 ? { faults: wrong } : { cases };
}

function conditions(
  { name, operation, path, prompt, request, answer, expect }: PolicyCase,
  before: readonly PolicyCase[],
): string[] {
  return [
    before.some((other) => other.name === name) ? `"${name}" is the name of another case too` : '',
    prompt !== undefined && request !== undefined ? 'prompt and request are one or the other' : '',
    path !== undefined && operation !== undefined ? 'path and operation are one or the other' : '',
    path !== undefined && prompt !== undefined ? 'path wants the whole body: request in place of prompt' : '',
    Object.keys(expect).length === 0 ? 'expect names nothing, so nothing could be wrong' : '',
    expect.prompt !== undefined && prompt === undefined ? 'expect.prompt needs prompt' : '',
    expect.request !== undefined && request === undefined ? 'expect.request needs request' : '',
    expect.answer !== undefined && answer === undefined ? 'expect.answer needs answer' : '',
  ].filter((message) => message !== '');
}
