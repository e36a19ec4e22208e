import { describe, expect, test } from '@jest/globals';
import { noFolder } from '../../test/support/no-folder.ts';
import { noLogin } from '../../test/support/no-login.ts';
import type { CommandIo } from './command.ts';
import { commands } from './commands.ts';
import { flagsOf } from './completion.ts';
import { run } from './run.ts';

// docs/cli.md: 2 is a command line that was not understood. Each row is made of the command table itself: no new command escapes.

/** What a command touches beside its output: nothing may be touched by a line that is not understood. */
async function sidegate(...args: string[]) {
  const [out, err, touched]: [string[], string[], string[]] = [[], [], []];
  const touch =
    (what: string) =>
    (..._: readonly unknown[]): never => {
      touched.push(what);
      throw new Error(`${what} was touched`);
    };
  const io: CommandIo = {
    stdout: (text) => void out.push(text),
    stderr: (text) => void err.push(text),
    readFile: touch('a file'),
    writeFile: touch('a file'),
    lines: touch('a file'),
    output: touch('a file'),
    checkPattern: () => undefined,
    publicRoots: [],
    now: () => 0,
    sleep: () => Promise.resolve(),
    openCluster: () => Promise.resolve().then(touch('a cluster')),
    login: noLogin,
    folder: noFolder,
    ask: () => Promise.resolve().then(touch('a model')),
  };
  const code = await run(args, io);
  return { code, out: out.join(''), err: err.join(''), touched };
}

const words = (name: string): string[] => name.split(' ');
/** Arguments of its own that a usage names before its flags: `NAME`, `KIND/NAME`, `FILE...`. */
const positionalsOf = (name: string, usage: string): readonly string[] =>
  (/^((?: [A-Z][A-Z/]*(?:\.\.\.)?)*)/.exec(usage.slice(`sidegate ${name}`.length))?.[1] ?? '')
    .split(' ')
    .filter((word) => word !== '');

const rows = commands.map((command) => [command.name, command] as const);
const flagRows = commands.flatMap(({ name, usage }) =>
  flagsOf(usage)
    .filter(({ long }) => long !== '--help')
    .flatMap((flag) =>
      [flag.long, ...(flag.short === undefined ? [] : [flag.short])].map((word) => [name, word, flag] as const),
    ),
);

describe('a command line that is not understood is code 2, and nothing is done', () => {
  test('there is a row for each command', () => {
    expect(rows.length).toBeGreaterThan(30);
    expect(flagRows.length).toBeGreaterThan(150);
  });

  test.each(rows)('%s: a flag that there is not', async (name) => {
    const { code, out, err, touched } = await sidegate(...words(name), '--no-such-flag');
    expect({ code, out, touched }).toEqual({ code: 2, out: '', touched: [] });
    expect(err).toContain('--no-such-flag: there is no such flag');
  });

  test.each(flagRows)(
    '%s %s: without the value that it needs, or with one that it does not take',
    async (name, word, flag) => {
      const lines = flag.takesValue
        ? [[word], [word, ''], [word, '--help'], [word, '--kubeconfig']]
        : [[`${flag.long}=x`]];
      for (const line of lines) {
        const { code, out, err, touched } = await sidegate(...words(name), ...line);
        expect({ line, code, out, touched }).toEqual({ line, code: 2, out: '', touched: [] });
        expect(err).toContain(flag.takesValue ? `${word} needs a value` : `${flag.long} takes no value`);
      }
    },
  );

  test.each(rows)('%s: one argument too many', async (name, { usage }) => {
    const own = positionalsOf(name, usage);
    const most = own.at(-1)?.endsWith('...') === true ? 1_000 : own.length;
    const given = Array.from({ length: most + 1 }, (_, at) => `word${at}`);
    const { code, out, err, touched } = await sidegate(...words(name), ...given);
    expect({ code, out, touched }).toEqual({ code: 2, out: '', touched: [] });
    expect(err).toContain(`word${most}: there is nothing more to give`);
  });

  test.each(rows.filter(([name, { usage }]) => positionalsOf(name, usage).length > 0))(
    '%s: without the argument that it needs',
    async (name, { usage }) => {
      const { code, out, err, touched } = await sidegate(...words(name));
      expect({ code, out, touched }).toEqual({ code: 2, out: '', touched: [] });
      expect(err).toContain(`${positionalsOf(name, usage)[0]?.replace('...', '')} is missing`);
    },
  );

  test.each(rows)('%s: its help names the flags that it takes, and no others', async (name, { usage }) => {
    const { err } = await sidegate(...words(name), '--no-such-flag');
    const known = (/Known: (.*)/.exec(err)?.[1] ?? '').split(', ');
    expect([...new Set(flagsOf(usage).map(({ long }) => long))].toSorted()).toEqual(
      [...new Set(usage.includes('--help') ? known : known.filter((flag) => flag !== '--help'))].toSorted(),
    );
  });

  test.each([
    ['access request', ['--issuer is missing', '--subject is missing', '--reason is missing']],
    ['access revoke-token', ['--token or --issuer is needed']],
    ['access revoke-token --issuer a', ['either --token-id or --subject is needed']],
    ['access revoke-token --issuer a --token-id b --subject c', ['either --token-id or --subject is needed']],
    ['access revoke-token --token a --issuer b', ['--token names it alone']],
    ['access revoke-token --undo a --token b --for 1h', ['--token says nothing', '--for says nothing']],
    ['access revoke-token --issuer a --subject b --for ever', ['--for must be a duration']],
    ['approvals watch --for x', ['--for must be a number of seconds']],
    ['approvals approve a --profile b', ['--profile goes with --dir']],
    ['approvals deny grant/a --dir b', ['in a folder, a grant is given by its file']],
    ['approvals approve a --dir b --token c --profile d', ['one or the other']],
    ['approvals list --dir a -n b --context c', ['--namespace goes with none', '--context goes with none']],
    ['access list --dir a -A', ['--all-namespaces goes with none']],
    ['ca --ca a --context b', ['--ca names a file, --context a cluster']],
    ['check --json -o yaml', ['--json and -o are one or the other']],
    ['enable llama', ['name it as deployment/NAME']],
    ['gateway create g', ['--url is needed']],
    ['inject', ['-f FILE is missing']],
    ['login', ['--issuer and --client-id, or --url']],
    ['login --issuer https://a', ['--client-id is missing']],
    ['login --issuer a --client-id b', ['--issuer must be an address']],
    ['login --url https://a', ['either --saml or --assertion']],
    ['login --saml a', ['--url is missing']],
    ['login --url https://a --saml b --assertion c', ['either --saml or --assertion']],
    ['login --url https://a --saml b --issuer https://c', ['--issuer is of OpenID Connect']],
    [
      'login --url https://a --saml b --scope c --device',
      ['--device is of OpenID Connect', '--scope is of OpenID Connect'],
    ],
    ['login --issuer https://a --client-id b --device --redirect-host localhost', ['--redirect-host goes without']],
    ['login --issuer https://a --client-id b --profile ../c', ['--profile must be']],
    ['token --profile ../c', ['--profile must be']],
    ['token --min-life soon', ['--min-life must be']],
    ['top --every 0', ['--every must be 1 to 3600 seconds']],
    ['self-test', ['--image is missing']],
    ['self-test --image a --timeout soon', ['--timeout must be']],
    ['policy test a.yaml', ['--against or --cases']],
    ['policy test a.yaml --against since=1h -o junit', ['-o junit goes with --cases']],
    ['audit search --since ever', ['is no time']],
    ['audit hold --reason a', ['what to hold is needed']],
    ['audit hold --everything', ['--reason is missing']],
    ['audit hold --reason a --since ever', ['is no time']],
    ['audit release x', ['NUMBER is that of a hold', '--reason is missing']],
    ['audit export', ['--out is missing']],
    [
      'audit ship A/b',
      ['RECEIVER is the name', '--again is missing', 'either --since or --from', '--reason is missing'],
    ],
    ['audit ship siem --again --since 1h --from 3 --reason a', ['either --since or --from']],
    ['audit ship siem --again --from soon --reason a', ['--from is the number']],
    ['audit ship siem --again --since ever --reason a', ['is no time']],
    ...[
      'holds',
      'hold --user a --reason b',
      'release 1 --reason b',
      'export --out a',
      'ship a --again --from 0 --reason b',
    ].map((line): [string, string[]] => [`audit ${line} --namespace ml`, ['--namespace']]),
    ['audit keygen', ['--out is missing']],
    ['audit show x', ['ID is a request id']],
    ['completion tcsh', ['SHELL must be one of']],
  ])('%s', async (line, faults) => {
    const { code, out, err, touched } = await sidegate(...words(line));
    expect({ code, out, touched }).toEqual({ code: 2, out: '', touched: [] });
    for (const fault of faults) expect(err).toContain(fault);
  });
});

test('a value that looks like a flag is taken where it is joined to its own', async () => {
  const { err } = await sidegate('policy', 'explain', '--user=--x', '--no-such-flag');
  expect(err).not.toContain('--user needs');
});
