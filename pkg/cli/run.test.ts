import { describe, expect, test } from '@jest/globals';
import type { CommandIo } from './command.ts';
import { run } from './run.ts';
import { noLogin } from '../../test/support/no-login.ts';
import { noFolder } from '../../test/support/no-folder.ts';

const certificate = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`;

function policyText(spec: string, name = 'p'): string {
  return `apiVersion: sidegate.dev/v1alpha1\nkind: InferencePolicy\nmetadata: { name: ${name}, namespace: ml }\nspec:\n${spec.replace(/^/gm, '  ')}\n`;
}
const idp = (issuer: string): string =>
  `identity: { providers: [{ name: corp, oidc: { issuer: "https://${issuer}", audiences: [a] } }] }`;
const team = `${idp('idp')}
access:
- { name: team, effect: Allow, subjects: [{ group: eng }], operations: [Chat], models: ["llama*"], limits: { requestsPerMinute: 60 } }
guards: [{ name: secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }]
classification: [{ label: pii, detectors: [Email], visibleTo: [{ group: audit }], otherwise: Mask }]`;

function ioOf(
  files: Readonly<Record<string, string>>,
  out: string[],
  err: string[],
  written: Record<string, string> = {},
): CommandIo {
  return {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw new Error('no such file');
      return text;
    },
    writeFile: (path, text) => {
      if (path.startsWith('/no/')) throw new Error('no such folder');
      written[path] = text;
    },
    checkPattern: (pattern) => (pattern.includes('(?=') ? 'lookahead is not RE2' : undefined),
    login: noLogin,
    publicRoots: [certificate('cm9vdDE='), certificate('cm9vdDI=')],
    now: () => 0,
    sleep: () => Promise.resolve(),
    folder: noFolder,
    openCluster: () => Promise.reject(new Error('there is none here')),
    ask: () => Promise.reject(new Error('there is none here')),
  };
}

function sidegate(line: string, files: Readonly<Record<string, string>> = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const written: Record<string, string> = {};
  const code = run(
    line.split(' ').filter((word) => word !== ''),
    ioOf(files, out, err, written),
  );
  return { code, out: out.join(''), err: err.join(''), written };
}

describe('sidegate', () => {
  test.each(['', '--help', '-h', 'help'])('%s lists the commands', (line) => {
    const { code, out } = sidegate(line);
    expect(code).toBe(0);
    for (const name of ['enable', 'ca', 'check', 'policy validate', 'policy explain'])
      expect(out).toContain(`sidegate ${name}`);
  });
  test('says that a command does not exist', () => {
    const { code, err } = sidegate('policy frobnicate x');
    expect(code).toBe(2);
    expect(err).toContain('policy frobnicate: there is no such command');
  });
  test.each(['policy validate', 'policy explain', 'ca', 'enable', 'check', 'self-test', 'admission remove'])(
    '%s --help says what it does and its flags',
    async (name) => {
      const { code, out } = sidegate(`${name} --help`);
      expect(await code).toBe(0);
      expect(out).toContain(`sidegate ${name}`);
      expect(out).toContain('--help');
    },
  );
  test('reports all bad flags together', () => {
    const { code, err } = sidegate('policy explain --usr=ana --operation chat --json=1 --user a --user b --model');
    expect(code).toBe(2);
    for (const fault of [
      '--usr: there is no such flag',
      '--operation must be one of Chat',
      '--json takes no value',
      '--user is given twice',
      '--model needs a value',
      'FILE is missing',
    ]) {
      expect(err).toContain(fault);
    }
  });
});

describe('policy validate', () => {
  test('exits 0 for good files', () => {
    expect(sidegate('policy validate a.yaml', { 'a.yaml': policyText(team) })).toMatchObject({
      code: 0,
      out: '1 policy is valid\n',
      err: '',
    });
  });
  test.each([
    ['not here', undefined, 'no such file'],
    ['too short', 'short\n', 'shorter than 8 characters'],
    ['good', 'a-key-of-the-model\n', undefined],
  ])('tells of a credential file that is %s, and never what it holds', (_what, content, why) => {
    const policy = policyText(`${team}\nupstream: { credential: { file: /keys/model } }`);
    const { code, out } = sidegate('policy validate a.yaml', {
      'a.yaml': policy,
      ...(content === undefined ? {} : { '/keys/model': content }),
    });
    expect(code).toBe(0);
    if (why === undefined) expect(out).toBe('1 policy is valid\n');
    else expect(out).toContain(why);
    expect(out).not.toMatch(/: short|a-key/);
  });
  test('exits 1 with file, line, path and fix of every fault of every file', () => {
    const { code, err } = sidegate('policy validate a.yaml b.yaml c.yaml', {
      'a.yaml': policyText('mode: observe'),
      'b.yaml': policyText(
        'guards: [{ name: g, direction: Request, match: { patterns: ["(?=x)"] }, action: Block }]',
        'q',
      ),
    });
    expect(code).toBe(1);
    expect(err).toContain(
      'a.yaml:5: spec.mode: "observe" is not known here: one of Enforce, Observe. Did you mean "Observe"?',
    );
    expect(err).toContain('b.yaml:5: spec.guards[0].match.patterns[0]: cannot be used: lookahead is not RE2');
    expect(err).toContain('c.yaml: cannot be read (no such file)');
    expect(err).toContain('3 faults');
  });
  test('says what a sidecar could not carry out', () => {
    const words = 'guards: [{ name: g, direction: Request, match: { words: ["..."] }, action: Block }]';
    const { code, err } = sidegate('policy validate a.yaml', { 'a.yaml': policyText(words) });
    expect(code).toBe(1);
    expect(err).toContain('a.yaml: p: a word of a list holds no letter, digit or sign');
  });
  test('says what the cluster refuses: a rule that does nothing by itself; a sidecar on its own takes it', () => {
    const rules = `${idp('idp')}
access:
- { name: all, effect: Allow, subjects: [{ group: g }], operations: [Chat] }
- { name: none, effect: Deny, subjects: [{ anyone: true }] }`;
    const files = { 'a.yaml': policyText(rules) };
    const { code, err } = sidegate('policy validate a.yaml', files);
    expect(code).toBe(1);
    expect(err).toContain('a.yaml: p: spec.access[all] never allows anything');
    expect(sidegate('policy validate --local a.yaml', files).code).toBe(0);
  });
  test('says that a policy stands in two files', () => {
    const { code, err } = sidegate('policy validate a.yaml b.yaml', {
      'a.yaml': policyText(team),
      'b.yaml': policyText(team),
    });
    expect(code).toBe(1);
    expect(err).toContain('InferencePolicy ml/p stands in a.yaml already');
  });
  test('prints notices of rules that cannot fire, and still exits 0', () => {
    const { code, out } = sidegate('policy validate a.yaml', {
      'a.yaml': policyText('access: [{ name: r, effect: Allow, subjects: [{ group: g }] }]'),
    });
    expect(code).toBe(0);
    expect(out).toContain('notice: p: access[r].subjects "group g" never matches');
  });
  test('names patterns that find nothing', () => {
    const spec = 'guards: [{ name: g, direction: Request, action: Block, match: { patterns: ["a+", "(?i)^$"] } }]';
    const { code, out } = sidegate('policy validate a.yaml', { 'a.yaml': policyText(spec) });
    expect(code).toBe(0);
    expect(out).toContain('notice: p: guards[g].match pattern (?i)^$ never finds anything');
    expect(out).not.toContain('pattern a+');
  });
  describe('of policies that are for a cluster', () => {
    const spec = `${team}
upstream: { credential: { secretRef: { name: key, key: k } } }
tls: { certificate: { secretName: pki } }
approvals: { approvers: [{ kubernetesGroup: leads }] }`.replace(
      'oidc: {',
      'oidc: { caSecretRef: { name: ca, key: k }, ',
    );
    const fields = [
      'upstream.credential.secretRef',
      'tls.certificate.secretName',
      'identity.providers[0].oidc.caSecretRef',
    ];
    const files = { 'a.yaml': policyText(spec) };

    test('says what a sidecar on its own could not use', () => {
      const { code, out } = sidegate('policy validate a.yaml', files);
      expect(code).toBe(0);
      for (const field of fields)
        expect(out).toMatch(`notice: p: ${field} a sidecar that runs on its own reads no Secrets`);
      expect(out).toContain('approvals.approvers[0].kubernetesGroup decides nothing of a sidecar');
    });
    test('--local refuses what such a sidecar refuses', () => {
      const { code, err } = sidegate('policy validate --local a.yaml', files);
      expect(code).toBe(1);
      for (const field of fields)
        expect(err).toContain(`spec.${field}: a sidecar that runs on its own reads no Secrets`);
      expect(err).toContain('3 faults');
    });
  });
  test('reads policies of two workloads apart, but for a sidecar on its own', () => {
    const closed = policyText(
      'selector: { matchLabels: { app: b } }\naccess: [{ name: no, effect: Deny, subjects: [{ anyone: true }] }]',
      'q',
    );
    const files = { 'a.yaml': policyText(`selector: { matchLabels: { app: a } }\n${team}`), 'b.yaml': closed };
    const never = 'access[team] never allows anything: q/no denies all of it';
    expect(sidegate('policy validate a.yaml b.yaml', files).out).not.toContain(never);
    expect(sidegate('policy validate --local a.yaml b.yaml', files).out).toContain(never);
    const everywhere = { ...files, 'b.yaml': closed.replace('app: b', '') };
    expect(sidegate('policy validate a.yaml b.yaml', everywhere).out).toContain(never);
    const platform = (name: string): string =>
      closed
        .replace('InferencePolicy', 'ClusterInferencePolicy')
        .replace(', namespace: ml', '')
        .replace(
          'selector: { matchLabels: { app: b } }',
          `namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ${name} } }`,
        );
    const ofAll = 'access[team] never allows anything: cluster/q/no denies all of it';
    expect(sidegate('policy validate a.yaml b.yaml', { ...files, 'b.yaml': platform('other') }).out).not.toContain(
      ofAll,
    );
    expect(sidegate('policy validate a.yaml b.yaml', { ...files, 'b.yaml': platform('ml') }).out).toContain(ofAll);
  });
  test('says of each analyzer that it cannot be called yet, and what that comes to', () => {
    const spec = `${team}\nanalyzers: [{ name: ner, url: "https://a/x" }, { name: pii, url: "https://b/x", failureMode: Allow }]`;
    const { code, out } = sidegate('policy validate a.yaml', { 'a.yaml': policyText(spec) });
    expect(code).toBe(0);
    expect(out).toMatch(/^notice: p: analyzers\[ner\] cannot be called yet: .* every inference request is refused/m);
    expect(out).toMatch(/^notice: p: analyzers\[pii\] cannot be called yet: .* counts as failed open/m);
  });
  test('prints JSON', () => {
    const { code, out } = sidegate('policy validate --json a.yaml', { 'a.yaml': policyText('mode: x') });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ faults: [expect.stringContaining('spec.mode')], notices: [] });
  });
});

describe('policy explain', () => {
  const files = { 'a.yaml': policyText(team), 'b.yaml': policyText(idp('other'), 'q') };

  test('says rule by rule what an allowed caller meets, and exits 0', () => {
    const { code, out } = sidegate('policy explain a.yaml --user ana --group eng --model llama-3', files);
    expect(code).toBe(0);
    for (const text of [
      'ana by ml/p/corp, groups eng',
      'request  Chat on llama-3',
      'ALLOWED by p/team',
      '60 requests/min',
      'p/secrets  on Request  Block  enforced  applies  Secrets',
      'p/pii  masked    enforced  as [pii]  Email',
      'requestLimits.maxBodyBytes',
      'from profile Standard',
      '8388608',
    ]) {
      expect(out).toContain(text);
    }
  });
  test('says why a rule does not match, and exits 1 when denied', () => {
    const explained = (line: string) => sidegate(`policy explain a.yaml ${line}`, files);
    expect(explained('--user ana --group ops')).toMatchObject({
      code: 1,
      out: expect.stringContaining('the caller is none of: group eng'),
    });
    expect(explained('--group eng --model gpt')).toMatchObject({
      code: 1,
      out: expect.stringContaining('gpt is none of: llama*'),
    });
    expect(explained('--group eng --operation Embeddings')).toMatchObject({
      code: 1,
      out: expect.stringContaining('Embeddings is not one of: Chat'),
    });
    expect(explained('')).toMatchObject({ code: 1, out: expect.stringContaining('nobody proven') });
    expect(explained('').out).toContain('DENIED: token_missing by default');
  });
  test('shows what a caller may see', () => {
    expect(sidegate('policy explain a.yaml --group audit', files).out).toContain('p/pii  visible');
  });
  test('asks which provider where there are several', () => {
    const { code, err } = sidegate('policy explain a.yaml b.yaml --user ana', files);
    expect(code).toBe(2);
    expect(err).toContain('--provider must say which one: ml/p/corp, ml/q/corp');
    expect(
      sidegate('policy explain a.yaml b.yaml --user ana --group eng --provider ml/p/corp --model llama', files).code,
    ).toBe(0);
    expect(sidegate('policy explain a.yaml --user ana --provider nope', files)).toMatchObject({
      code: 2,
      err: expect.stringContaining('names nobody who proves callers (ml/p/corp)'),
    });
  });
  test('takes the policies that select a pod, and says where it does not know which', () => {
    const selecting = (app: string, name: string): string =>
      policyText(`selector: { matchLabels: { app: ${app} } }\n${team.replace('corp', name)}`, name);
    const apart = {
      'a.yaml': selecting('llama', 'p'),
      'b.yaml': selecting('mistral', 'q').replace('Allow', 'Deny').replace(', limits: { requestsPerMinute: 60 }', ''),
    };
    const explained = (line: string) =>
      sidegate(`policy explain a.yaml b.yaml --group eng --model llama ${line}`, apart);
    expect(explained('--labels app=llama')).toMatchObject({ code: 0, err: '' });
    expect(explained('--labels app=mistral')).toMatchObject({
      code: 1,
      out: expect.stringMatching(/DENIED: .* by q\/team/),
    });
    expect(sidegate('policy explain a.yaml b.yaml --labels app=other --labels x=y', apart).out).toContain(
      'DENIED: no_policy by default',
    );
    expect(explained('--provider p').err).toContain('no pod is selected by all of these policies');
    expect(explained('--labels app')).toMatchObject({ code: 2, err: 'app: a label is KEY=VALUE\n' });
  });
  test('asks the labels of the namespace for a policy of the platform', () => {
    const floor = policyText(
      'namespaceSelector: { matchLabels: { tier: prod } }\naccess: [{ name: no, effect: Deny, subjects: [{ anyone: true }] }]',
      'floor',
    )
      .replace('InferencePolicy', 'ClusterInferencePolicy')
      .replace(', namespace: ml', '');
    const both = { ...files, 'c.yaml': floor };
    const explained = (line: string) =>
      sidegate(`policy explain a.yaml c.yaml --group eng --model llama ${line}`, both);
    expect(explained('--namespace-labels tier=dev').code).toBe(0);
    expect(explained('--namespace-labels tier=prod').out).toContain('DENIED: rule_denied by cluster/floor/no');
  });
  test('says of a guard on the size alone what it looks for', () => {
    const sized = policyText(`${team}\n`).replace('{ detectors: [Secrets] }', '{ minBytes: 1Ki }');
    const { out } = sidegate('policy explain a.yaml --group eng --model llama', { 'a.yaml': sized });
    expect(out).toContain('applies  bodies of 1024 bytes or more');
  });
  test('takes a certificate for there where it is said, or proves the caller', () => {
    const mutual = `${team.replace('[{ name: corp', '[{ name: mesh, clientCertificate: { caFile: ca.pem } }, { name: corp')}
tls: { inbound: Mutual }`;
    const explained = (line: string) =>
      sidegate(`policy explain a.yaml --group eng --model llama ${line}`, { 'a.yaml': policyText(mutual) });
    expect(explained('--provider corp').out).toContain('DENIED: certificate_required by default');
    expect(explained('--provider corp --certificate').code).toBe(0);
    expect(explained('--provider mesh').code).toBe(0);
  });
  test('writes out what another profile would fill in', () => {
    const { out } = sidegate('policy explain a.yaml --profile Strict', files);
    expect(out).toContain('from profile Strict');
    expect(out).toContain('TLSv1.3');
  });
  test('prints JSON', () => {
    const { code, out } = sidegate('policy explain a.yaml --group eng --model llama --json', files);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      request: { operation: 'Chat', model: 'llama' },
      decision: { kind: 'allow' },
      access: [{ rule: 'p/team', matched: true }],
      guards: [{ rule: 'p/secrets', applies: true }],
      classification: [{ rule: 'p/pii', outcome: 'masked' }],
    });
  });
  test('explains nothing of policies with faults', () => {
    expect(sidegate('policy explain x.yaml', { 'x.yaml': policyText('mode: x') })).toMatchObject({ code: 1, out: '' });
  });
  test('says that an observing policy lets everything pass', () => {
    const { code, out } = sidegate('policy explain o.yaml --group ops', {
      'o.yaml': policyText(`mode: Observe\n${team}`),
    });
    expect(code).toBe(0);
    expect(out).toContain('ALLOWED only because every policy observes');
    expect(out).toContain('access_denied by default');
  });
});

describe('policy explain with content', () => {
  const guarded = policyText(`${team}
approvals: { approvers: [{ group: leads }] }`).replace(
    'guards: [',
    `guards: [
    { name: mail, direction: Request, match: { detectors: [Email] }, action: Mask },
    { name: risky, direction: Request, match: { words: [exfiltrate] }, action: RequireApproval },
    { name: slip, direction: Response, match: { words: [kryptonite] }, action: Block },`,
  );
  const files = (request: unknown = {}): Record<string, string> => ({
    'a.yaml': guarded,
    'r.json': typeof request === 'string' ? request : JSON.stringify(request),
  });
  const asked = async (flags: readonly string[], given = files(), group = 'eng') => {
    const out: string[] = [];
    const err: string[] = [];
    const code = await run(['policy', 'explain', 'a.yaml', '--group', group, ...flags], ioOf(given, out, err));
    return { code, out: out.join(''), err: err.join('') };
  };
  const model = ['--model', 'llama-3'];

  test.each<[string, string, number, RegExp]>([
    [
      'a secret is refused',
      'use AKIAIOSFODNN7EXAMPLE',
      1,
      /p\/secrets +blocked +AwsKey \(Certain: Prefix\)\n +REFUSED: guard_blocked by p\/secrets/,
    ],
    [
      'so is one in base64',
      `use ${Buffer.from('AKIAIOSFODNN7EXAMPLE').toString('base64')}`,
      1,
      /DENIED: guard_blocked by p\/secrets/,
    ],
    [
      'mail is masked',
      'ask ana@example.com',
      0,
      /p\/mail +masked +Email \(Certain: Format\)\n.*the model gets: .*"content":"ask \[mail\]"/,
    ],
    ['some words wait', 'exfiltrate it', 0, /p\/risky +held +word\n +waits for an approval, by p\/risky/],
    ['look-alikes wait as well', 'exfi1trаte it', 0, /waits for an approval, by p\/risky/],
    ['all else passes as it is', 'hello', 0, /no rule finds anything\n.*"content":"hello"/],
  ])('decides a prompt rule by rule: %s', async (_name, prompt, code, text) => {
    const explained = await asked([...model, '--prompt', prompt]);
    expect(explained).toMatchObject({ code, err: '' });
    expect(explained.out.replace(/ {2,}/g, '  ')).toMatch(text);
  });

  test('decides a whole request, whose model is the one that access is asked for', async () => {
    const messages = [
      { role: 'system', content: 'the key is AKIAIOSF' },
      { role: 'user', content: 'ODNN7EXAMPLE' },
    ];
    const explained = await asked(['--request', 'r.json'], files({ model: 'llama-3', messages }));
    expect(explained.code).toBe(1);
    expect(explained.out).toContain('Chat on llama-3');
    expect(explained.out).toContain('DENIED: guard_blocked by p/secrets');
    expect((await asked(['--request', 'r.json'], files({ model: 'gpt', messages }))).out).toContain('gpt is none of');
  });

  test.each<[string, string, number, string]>([
    ['eng', 'write to ana@example.com', 0, 'the caller gets: write to [pii]'],
    ['audit', 'write to ana@example.com', 1, 'the caller gets: write to ana@example.com'],
    ['eng', 'about kryptonite', 1, 'the answer is not: response_blocked by p/slip'],
  ])('says what %s gets of the answer "%s"', async (group, answer, code, text) => {
    const explained = await asked([...model, '--answer', answer], files(), group);
    expect(explained.code).toBe(code);
    expect(explained.out).toContain(text);
  });

  test('says what policies that observe would do', async () => {
    const observing = { 'a.yaml': guarded.replace('spec:\n', 'spec:\n  mode: Observe\n') };
    const { code, out } = await asked(['--prompt', 'use AKIAIOSFODNN7EXAMPLE'], observing);
    expect(code).toBe(0);
    expect(out).toMatch(/p\/secrets +blocked +AwsKey \(Certain: Prefix\) +observed/);
    expect(out).toContain('"content":"use AKIAIOSFODNN7EXAMPLE"');
  });

  test('prints JSON', async () => {
    const { out } = await asked([...model, '--prompt', 'ask ana@example.com', '--answer', 'hello', '--json']);
    expect(JSON.parse(out)).toMatchObject({
      content: {
        request: {
          acts: [
            {
              rule: 'p/mail',
              act: 'masked',
              by: ['Email'],
              count: 1,
              found: [{ by: 'Email', certainty: 'Certain', reason: 'Format', count: 1 }],
            },
          ],
          approvals: [],
        },
        answer: { acts: [], passed: 'hello' },
      },
    });
  });

  test('prompts of token ids are refused unread', async () => {
    const { code, out } = await asked(
      ['--request', 'r.json', '--operation', 'Completions'],
      files({ model: 'llama-3', prompt: [1, 2, 3] }),
    );
    expect(code).toBe(1);
    expect(out).toContain('REFUSED: token_input_uninspectable');
  });

  test.each<[string, readonly string[], unknown, string]>([
    ['both', ['--prompt', 'a', '--request', 'r.json'], {}, '--prompt and --request are one or the other'],
    ['no JSON', ['--request', 'r.json'], '{', '--request r.json: 400 invalid_json'],
    ['no shape', ['--request', 'r.json'], [], '--request r.json: 400 invalid_request'],
    ['no file', ['--request', 'x.json'], {}, '--request x.json: cannot be read (no such file)'],
    ['no prompt', ['--prompt', 'a', '--operation', 'Health'], {}, '--prompt: Health has no prompt'],
  ])('content that is %s is not understood', async (_name, flags, request, message) => {
    const { code, out, err } = await asked(flags, files(request));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
  });
});

describe('ca', () => {
  const ca = certificate('Y2E=');
  test('prints the certificate of the data folder', () => {
    expect(sidegate('ca', { '.sidegate/ca.pem': `${ca}\n` })).toMatchObject({ code: 0, out: `${ca}\n` });
  });
  test('--bundle joins it with the public roots', () => {
    const { code, out, written } = sidegate('ca --bundle --ca x.pem --out b.pem', { 'x.pem': ca });
    expect(code).toBe(0);
    expect(out).toBe('b.pem: 3 certificates\n');
    expect(written['b.pem']).toBe(`${ca}\n${certificate('cm9vdDE=')}\n${certificate('cm9vdDI=')}\n`);
  });
  test('never hands out a key that stands in the file', () => {
    const { out } = sidegate('ca --ca x.pem', {
      'x.pem': `-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n${ca}`,
    });
    expect(out).toBe(`${ca}\n`);
  });
  test.each([
    ['ca --ca y', {}, 'y: cannot be read (no such file); name the CA certificate with --ca FILE'],
    ['ca --ca x', { x: 'nothing' }, 'x: holds no certificate in PEM form'],
    ['ca --ca x --out /no/where', { x: ca }, '/no/where: cannot be written (no such folder)'],
  ])('%s fails with what to do', (line, files, message) => {
    expect(sidegate(line, files)).toMatchObject({ code: 1, out: '', err: expect.stringContaining(message) });
  });
  test('says which of two authorities it gives, where none was named', () => {
    expect(sidegate('ca', { '.sidegate/ca.pem': ca })).toMatchObject({
      out: `${ca}\n`,
      err: 'from .sidegate/ca.pem; --context or -n asks a cluster\n',
    });
  });
  test.each(['ca', 'ca -n ml', 'enable deployment/llama', 'check', 'admission remove', 'self-test --image a/b:1'])(
    '%s without a cluster says so',
    async (line) => {
      const files = line === 'ca' ? {} : { '.sidegate/ca.pem': ca };
      const err: string[] = [];
      const code = await run(line.split(' '), ioOf(files, [], err));
      expect({ code, err: err.join('') }).toEqual({
        code: 1,
        err: 'no cluster: there is none here; name one with --kubeconfig or --context\n',
      });
    },
  );
  test('a file that is not there is no missing cluster', async () => {
    const err: string[] = [];
    const cluster = { client: { close: () => undefined }, namespace: 'ml' };
    const io = { ...ioOf({}, [], err), openCluster: () => Promise.resolve(cluster as never) };
    expect(await run(['access', 'revoke-token', '--token', 'gone.jwt'], io)).toBe(1);
    expect(err.join('')).toMatch(/no such file/);
    expect(err.join('')).not.toMatch(/no cluster|--kubeconfig/);
  });
});
