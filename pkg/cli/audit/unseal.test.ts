import { expect, test } from '@jest/globals';
import { noLogin } from '../../../test/support/no-login.ts';
import { sessionEvents, sessionId, testChain } from '../../recorder/testing/chains.ts';
import { makeSealKeys, sealingKey } from '../../seal/index.ts';
import type { Cluster } from '../command.ts';
import { run } from '../run.ts';
import { noFolder } from '../../../test/support/no-folder.ts';

const id = sessionId(1);
const files = new Map<string, string>();

async function audit(line: string, lines: readonly string[] = []) {
  const out: string[] = [];
  const err: string[] = [];
  const client = {
    create: () => Promise.resolve({ status: { token: 't' } }),
    request: ({ path }: { readonly path: string }) => Promise.resolve(path.includes('/v1/sessions/') ? { lines } : {}),
    close: () => undefined,
  } as unknown as Cluster['client'];
  const readFile = (path: string): string => {
    const text = files.get(path);
    if (text === undefined) throw new Error('no such file');
    return text;
  };
  const code = await run(['audit', ...line.split(' ')], {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile,
    writeFile: () => undefined,
    checkPattern: () => undefined,
    login: {
      ...noLogin,
      readPrivate: (path) => files.get(path),
      writePrivate: (path, text) => void files.set(path, text),
    },
    publicRoots: [],
    now: () => 0,
    sleep: () => Promise.resolve(),
    folder: noFolder,
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    ask: () => Promise.reject(new Error('nothing is asked')),
  });
  return { code, out: out.join(''), err: err.join('') };
}

/** A session whose answer is sealed, as its lines. */
function sealed(publicKey: string, lost?: number): readonly string[] {
  const [start, segment, end] = sessionEvents({ id, ask: 'who?', answer: '[confidential]' });
  if (start?.type !== 'start' || segment?.type !== 'segment' || end?.type !== 'end') throw new Error('no session');
  const sealer = sealingKey(publicKey).session(id);
  const seal = sealer.seal('response', segment.lane, 'ana@corp.test');
  if (lost !== undefined) sealer.lose(lost);
  const events = [
    { ...start, sealed: sealer.head },
    { ...segment, ...seal },
    { ...end, ...(lost !== undefined && { lines: end.lines - lost, unwritten: lost }), sealed: sealer.end() },
  ];
  return testChain().lines(events).toString().trimEnd().split('\n');
}

test('sessions of which all is sealed show their structure without the key, and both forms of a text with it', async () => {
  const { privateKey, publicKey } = makeSealKeys();
  files.set('whole.pem', privateKey);
  const [start, segment, end] = sessionEvents({ id });
  if (start?.type !== 'start' || segment?.type !== 'segment' || end?.type !== 'end') throw new Error('no session');
  const sealer = sealingKey(publicKey).wholeSession(id);
  const lane = 'messages[0].content';
  const { text: _, ...bare } = segment;
  const events = [
    { ...start, sealed: sealer.head, request: [{ lane, ...sealer.sealWhole('request', lane, 'who?', 'who?') }] },
    { ...bare, ...sealer.sealWhole('response', segment.lane, '[confidential] is', 'ana@corp.test is') },
    { ...bare, at: 7, ...sealer.sealWhole('response', segment.lane, ' it', ' it') },
    { ...end, lines: 4, sealed: sealer.end() },
  ];
  const lines = testChain().lines(events).toString().trimEnd().split('\n');
  const shut = await audit(`show ${id}`, lines);
  expect(shut).toMatchObject({ code: 0, err: '' });
  expect(shut.out).toMatch(/ {2}asked {4}messages\[0\]\.content: \(sealed: 4 characters\)\n/);
  expect(shut.out).toMatch(/ {2}answered \+5 ms choices\[0\]\.message\.content: \(sealed: 17 characters\)\n/);
  const played = await audit(`replay ${id} --speed 0`, lines);
  expect(played.out).toContain('< +5 ms choices[0].message.content\n| (sealed: 20 characters)\n= +12 ms');
  const json = await audit(`replay ${id} --speed 0 -o jsonl`, lines);
  expect(json.out).toContain(`"text":"","sealed":17}`);
  const explained = await audit(`explain ${id}`, lines);
  expect(explained).toMatchObject({ code: 0, out: expect.stringContaining('support/allow: allowed') });
  expect(explained.out).toContain('its texts are sealed: audit show --unseal opens them');
  expect([shut.out, played.out, json.out, explained.out].join()).not.toMatch(/who\?|ana@|confidential/);

  const open = await audit(`show ${id} --unseal whole.pem`, lines);
  expect(open).toMatchObject({ code: 0, err: '' });
  expect(open.out).toContain(': who?\n');
  expect(open.out).toContain(': ana@corp.test is\n  masked   [confidential] is\n');
  const replayed = await audit(`replay ${id} --speed 0 --unseal whole.pem`, lines);
  expect(replayed.out).toContain('| ana@corp.test is it\n');
  const less = await audit(`show ${id} --unseal whole.pem`, lines.toSpliced(2, 1));
  expect(less).toMatchObject({ code: 1, err: expect.stringContaining('sealed texts are missing: 3') });
});

test('keygen makes a key that opens what is sealed to its public half, and overwrites none', async () => {
  const made = await audit('keygen --out key.pem');
  expect(made.code).toBe(0);
  const publicKey = /sealTo: (\S+)\n/.exec(made.out)?.[1] ?? '';
  expect(made.out).not.toContain('PRIVATE');
  expect(await audit('keygen --out key.pem')).toMatchObject({ code: 1, out: '' });
  expect(await audit('keygen')).toMatchObject({ code: 2 });

  const lines = sealed(publicKey);
  expect(await audit(`show ${id}`, lines)).toMatchObject({ code: 0, out: expect.stringContaining(': [confidential]') });
  for (const line of [`show ${id} --unseal key.pem`, `replay ${id} --speed 0 --unseal key.pem`]) {
    const shown = await audit(line, lines);
    expect(shown).toMatchObject({ code: 0, err: '', out: expect.stringContaining('ana@corp.test') });
    expect(shown.out).not.toContain('[confidential]');
  }

  const cut = await audit(`show ${id} --unseal key.pem`, lines.slice(0, -1));
  expect(cut).toMatchObject({ code: 0, err: expect.stringContaining('texts may be missing') });
  const less = await audit(`show ${id} --unseal key.pem`, [lines[0] ?? '', lines[2] ?? '']);
  expect(less).toMatchObject({ code: 1, out: expect.stringContaining('who?') });
  expect(less.err).toMatch(
    /^INCOMPLETE: 2 of 3 lines .*\nsealed texts are missing: 1\nnot accounted for: 1; audit verify/,
  );
  const gap = sealed(publicKey, 1);
  const known = await audit(`replay ${id} --speed 0 --unseal key.pem`, [gap[0] ?? '', gap[2] ?? '']);
  expect(known).toMatchObject({ code: 0, out: expect.stringContaining('who?') });
  expect(known.err).toMatch(/^sealed texts are missing: 1\nits sidecar could not write 1 of them .*\n$/);

  await audit('keygen --out other.pem');
  const other = await audit(`show ${id} --unseal other.pem`, lines);
  expect(other).toMatchObject({ code: 1, out: '', err: expect.stringContaining('is sealed to key') });
  expect(await audit(`replay ${id} --unseal none.pem`, lines)).toMatchObject({ code: 1, out: '' });
});
