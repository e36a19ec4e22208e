import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ScriptedModel, Script } from '../support/scripted-model.ts';
import { answerChat, startScriptedModel, streamChat } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What a newcomer does first, as processes of their own: the demo, and an SDK that knows the private authority or does not.

/** Milliseconds of a tour, which takes 10 s on a machine with nothing else to do: ends a test that hangs. */
const patience = 300_000;

const root = resolve(import.meta.dirname, '../..');

interface Ended {
  readonly code: number | null;
  readonly out: string;
}

const run = (args: readonly string[], cwd: string, environment?: Readonly<Record<string, string>>): Promise<Ended> =>
  runProgram(process.execPath, args, cwd, environment);

/** The cases, where the program is there: it is the newcomer's own, and no test installs it. In CI it has to be. */
function installed<T>(program: string, cases: readonly T[]): readonly T[] {
  return process.env['CI'] !== undefined || spawnSync(program, ['--version']).status === 0 ? cases : [];
}

/** The cases, where Python has this library. */
function importable<T>(library: string, cases: readonly T[]): readonly T[] {
  return spawnSync('python3', ['-c', `import ${library}`]).status === 0 ? cases : [];
}

async function runProgram(
  program: string,
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', ...environment },
  });
  let out = '';
  for (const from of [child.stdout, child.stderr]) from.setEncoding('utf8').on('data', (text: string) => (out += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out };
}

describe('make demo', () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sidegate-demo-'));
    expect(await run(['cmd/build.ts', join(folder, 'dist')], root)).toMatchObject({ code: 0 });
  }, patience);
  afterAll(() => rmSync(folder, { recursive: true }));
  const demo = (environment: Readonly<Record<string, string>> = {}): Promise<Ended> =>
    run([join(root, 'test/demo/main.ts')], folder, { ONCE: '1', ...environment });

  test(
    'keeps every promise, and says so',
    async () => {
      const { code, out } = await demo();
      expect(out).toMatch(/\n\d\d as promised, 0 not\n/);
      expect(out).not.toContain('✗');
      for (const step of [
        'tls_required',
        'token_missing',
        'meant for another audience',
        'access_denied',
        'time to its first text, beside the direct way',
        'masked over',
        'in full',
        'guard_blocked',
        'the same in look-alike and invisible letters',
        'a cloud key in the prompt',
        'rate_limited',
        'self_approval',
        'approved, 1 of 1',
        'grant_ended',
        'policy_changed',
        'records verified',
        '/metrics',
      ])
        expect(out).toContain(step);
      expect(code).toBe(0);
    },
    patience,
  );

  describe('that stays up after the tour', () => {
    let child: ChildProcess;
    let ended: Promise<unknown[]>;
    let out = '';
    beforeAll(async () => {
      // A group of its own, as a terminal gives one: Ctrl-C reaches all of it.
      child = spawn(process.execPath, [join(root, 'test/demo/main.ts')], { cwd: folder, detached: true });
      ended = once(child, 'exit');
      for (const from of [child.stdout, child.stderr])
        from?.setEncoding('utf8').on('data', (text: string) => (out += text));
      await until(() => out.includes('Ctrl-C ends it.') || child.exitCode !== null, 'the end of the tour', patience);
    }, patience);
    afterAll(() => {
      if (child.exitCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL');
    });

    /** The command under the comment that begins so. */
    const printed = (comment: string): string => {
      const [, command] = new RegExp(`^# ${comment}.*\\n((?:  .*\\n)+)`, 'm').exec(out) ?? [];
      if (command === undefined) throw new Error(`nothing is printed for ${comment}: ${out}`);
      return command;
    };
    const shell = (command: string): Promise<Ended> => runProgram('sh', ['-c', command], folder);

    test.each(
      installed('curl', [
        ['ana streams', /^(?![^]*" 4111")[^]*\[personal\][^]*data: \[DONE\]/],
        ['carla of compliance', /" 4111"[^]*data: \[DONE\]/],
        ['a prompt that a guard blocks', /"code":"guard_blocked"/],
        ['sam may not', /"code":"access_denied"/],
        ['what it counts', /sidegate_requests_total/],
      ] as const),
    )('answers the printed curl line: %s', async (comment, answer) => {
      // What follows a file goes on until Ctrl-C.
      expect((await shell(printed(comment).replace(/^ *tail .*$/m, ''))).out).toMatch(answer);
    });

    const sdks: readonly (readonly [name: string, program: string, flags: readonly string[], text: string])[] = [
      [
        'fetch of Node',
        process.execPath,
        ['--input-type=module', '-e'],
        `const answer = await fetch(process.env.URL, { headers: { authorization: 'Bearer ' + process.env.TOKEN } });
        console.log(answer.status, await answer.text());`,
      ],
      ...installed('python3', [
        [
          'urllib of Python',
          'python3',
          ['-c'],
          `import os, urllib.request
request = urllib.request.Request(os.environ['URL'], headers={'authorization': 'Bearer ' + os.environ['TOKEN']})
answer = urllib.request.urlopen(request)
print(answer.status, answer.read().decode())`,
        ],
      ] as const),
      ...importable('requests', [
        [
          'requests of Python',
          'python3',
          ['-c'],
          `import os, requests
if 'SSL_CERT_FILE' in os.environ: os.environ['REQUESTS_CA_BUNDLE'] = os.environ['SSL_CERT_FILE']
answer = requests.get(os.environ['URL'], headers={'authorization': 'Bearer ' + os.environ['TOKEN']})
print(answer.status_code, answer.text)`,
        ],
      ] as const),
      ...installed('curl', [
        ['curl without a flag', 'sh', ['-c'], `curl -sS -w ' %{http_code} ' "$URL" -H "authorization: Bearer $TOKEN"`],
      ] as const),
    ];

    test.each(sdks)(
      'is trusted by %s with the printed line for SDKs, and by none without',
      async (_name, program, flags, text) => {
        const [, url = ''] = /(https:\/\/\S+)\/v1\/chat/.exec(out) ?? [];
        const environment = { URL: `${url}/v1/models`, TOKEN: readFileSync(join(folder, '.demo/ana.token'), 'utf8') };
        const [, name1 = '', file1 = '', name2 = '', file2 = ''] =
          /export (\w+)=\$PWD\/(\S+) (\w+)=\$PWD\/(\S+)/.exec(printed('SDKs and tools')) ?? [];
        expect([name1, name2]).toEqual(['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']);
        const exported = { [name1]: join(folder, file1), [name2]: join(folder, file2) };
        const trusted = await runProgram(program, [...flags, text], folder, { ...environment, ...exported });
        expect(trusted.out).toContain('llama-3.1-8b');
        expect(trusted.out).toMatch(/\b200\b/);
        const untrusted = await runProgram(program, [...flags, text], folder, environment);
        expect(untrusted.code).not.toBe(0);
        expect(untrusted.out).not.toContain('llama-3.1-8b');
      },
    );

    test('ends by Ctrl-C with 0, and nothing of it stays', async () => {
      const [, port] = /https:\/\/127\.0\.0\.1:(\d+)\/v1\/chat/.exec(out) ?? [];
      process.kill(-(child.pid ?? 0), 'SIGINT');
      expect(await ended).toEqual([0, null]);
      const gone = async (): Promise<boolean> => {
        const socket = connect(Number(port), '127.0.0.1');
        const [error] = (await Promise.race([once(socket, 'error'), once(socket, 'connect')])) as [Error | undefined];
        socket.destroy();
        return error !== undefined;
      };
      await until(gone, 'the port is closed');
      expect(() => process.kill(-(child.pid ?? 0), 0)).toThrow(/ESRCH/);
    });
  });

  describe('in front of a server that is not ours', () => {
    let model: ScriptedModel;
    beforeEach(async () => {
      model = await startScriptedModel();
    });
    afterEach(() => model.close());
    const serve =
      (models: readonly string[], key?: string): Script =>
      (response, request) => {
        if (key !== undefined && request.headers.authorization !== `Bearer ${key}`) {
          return response.writeHead(401).end('{}');
        }
        if (request.path !== '/v1/models') {
          const { stream } = JSON.parse(request.body) as { stream?: boolean };
          return (stream === true ? streamChat(['Hello ', 'there.']) : answerChat('Hello there.'))(response, request);
        }
        response.setHeader('content-type', 'application/json');
        return response.end(JSON.stringify({ object: 'list', data: models.map((id) => ({ id, object: 'model' })) }));
      };

    test(
      'walks what needs no script',
      async () => {
        model.script = serve(['own-model']);
        const { code, out } = await demo({ UPSTREAM: model.url });
        expect(out).toMatch(/\n\d\d as promised, 0 not, 5 n\/a\n/);
        expect(code).toBe(0);
        expect(model.seen.some((one) => one.body.includes('"model":"own-model"'))).toBe(true);
      },
      patience,
    );

    test(
      'takes the model’s name and its key where it needs them, and the key from no command line',
      async () => {
        model.script = serve([], 'own-key-0123456789');
        writeFileSync(join(folder, 'key'), 'own-key-0123456789\n');
        const named = { UPSTREAM: model.url, MODEL: 'named', UPSTREAM_KEY_FILE: join(folder, 'key') };
        const { code, out } = await demo(named);
        expect(out).toMatch(/as promised, 0 not/);
        expect(code).toBe(0);
        expect(model.seen.some((one) => one.body.includes('"model":"named"'))).toBe(true);
        for (const kept of ['.demo/sidecar.log', '.demo/audit.jsonl', '.demo/policy.yaml'])
          expect(out + readFileSync(join(folder, kept), 'utf8')).not.toContain('own-key');
      },
      patience,
    );

    test.each<[string, Script | undefined, Readonly<Record<string, string>>, RegExp]>([
      ['one that lists no model', serve([]), {}, /lists no model at \/v1\/models: give MODEL=name/],
      ['one that wants a key', serve(['m'], 'k'), {}, /says 401 at \/v1\/models.*UPSTREAM_KEY_FILE=file/],
      [
        'a key file that is not there',
        serve(['m']),
        { UPSTREAM_KEY_FILE: '/nowhere' },
        /UPSTREAM_KEY_FILE: \/nowhere cannot be read/,
      ],
      [
        'an address with a path',
        undefined,
        { UPSTREAM: 'http://127.0.0.1:1/v1' },
        /UPSTREAM must be an origin such as/,
      ],
      [
        'nothing at all',
        undefined,
        { UPSTREAM: 'http://127.0.0.1:1' },
        /the model server at http:\/\/127\.0\.0\.1:1 does not answer/,
      ],
    ])(
      'says what is missing at %s, and fails',
      async (_name, script, environment, words) => {
        if (script !== undefined) model.script = script;
        const { code, out } = await demo({ UPSTREAM: model.url, ...environment });
        expect(out).toMatch(words);
        expect(out).not.toMatch(/\n\s+at /);
        expect(code).not.toBe(0);
      },
      patience,
    );

    test(
      'fails when a promise is not kept',
      async () => {
        const models = serve(['m']);
        model.script = (response, request) =>
          request.path === '/v1/models' ? models(response, request) : response.writeHead(500).end('{}');
        const { code, out } = await demo({ UPSTREAM: model.url });
        expect(out).toContain('✗ ana streams an answer');
        expect(code).toBe(1);
      },
      patience,
    );
  });
});

describe('the programs of the quickstart', () => {
  let world: World;
  let folder: string;
  beforeAll(async () => {
    world = await startWorld({
      policy: (issuer) =>
        basePolicy(
          issuer,
          '  classification:\n  - { label: confidential, detectors: [CreditCard], otherwise: Mask }\n',
        ),
    });
    // Beside the packages, where `openai` is found.
    folder = mkdtempSync(join(root, 'node_modules', '.quickstart-'));
    const page = readFileSync(join(root, 'docs/quickstart.md'), 'utf8');
    for (const [, text = '', name = ''] of page.matchAll(/^```(?:js|python)\n((?:\/\/|#) (ask\.\w+): [^]*?)^```/gm))
      writeFileSync(join(folder, name), text);
    writeFileSync(join(folder, 'ca.pem'), world.ca);
    world.model.script = streamChat(['Pay with 4111 1111 ', '1111 1111.']);
  });
  afterAll(async () => {
    await world.close();
    rmSync(folder, { recursive: true });
  });

  const programs: readonly (readonly [file: string, by: string, bundle: string])[] = [
    ['ask.mjs', process.execPath, 'NODE_EXTRA_CA_CERTS'],
    ...importable('openai', [['ask.py', 'python3', 'SSL_CERT_FILE']] as const),
  ];

  test.each(programs)('%s reads a masked stream where the bundle is trusted', async (file, by, bundle) => {
    const environment = { OPENAI_BASE_URL: `${world.url}/v1`, OPENAI_API_KEY: await world.token() };
    const asked = await runProgram(by, [file], folder, { ...environment, [bundle]: join(folder, 'ca.pem') });
    expect(asked).toEqual({ code: 0, out: 'Pay with [confidential].' });
  });

  test.each(programs)(
    '%s says only "Connection error" where it is not, which docs/troubleshooting.md explains',
    async (file, by) => {
      const environment = { OPENAI_BASE_URL: `${world.url}/v1`, OPENAI_API_KEY: await world.token() };
      const { code, out } = await runProgram(by, [file], folder, environment);
      expect(code).toBe(1);
      expect(out).toContain('Connection error.');
      expect(readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8')).toContain('Connection error.');
    },
  );
});
