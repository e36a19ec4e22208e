import { describeError } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { archiveFlags, archiveUsage, withArchive } from './archive.ts';
import { auditFlags, auditUsage, openAudit } from './client.ts';
import { refuseEmptyRange, timeOf } from './time.ts';
import type { Answer, AuditClient } from './client.ts';
import { askedFlags, noPositionals } from '../asked-flags.ts';
import { clusterFlags, connectionUsage, withCluster } from '../cluster-command.ts';
import type { Command, CommandIo, ExitCode } from '../command.ts';
import type { Flags } from '../flags.ts';
import { widthsOf } from '../output.ts';
import { jsonText, printable } from '../terminal-text.ts';

const usage = `sidegate audit search [flags]

Sessions of governed models, newest first. All that is given must hold; the search itself goes on record.

  --user SUBJECT         of the caller                 --model NAME
  --group NAME           of the caller                 --operation NAME      Chat, Embeddings, …
  --issuer URL           of the caller's token         --outcome NAME        completed, refused, aborted, failed, ended; open: no end has come
  --pod NAME             the model's pod               --code NAME           guard_blocked, rate_limited, …
  --rule NAME            that acted                    --status NUMBER       HTTP
  --label NAME           a label or guard of this name acted, of whatever policy
  --observed RULE        would have acted, were its policy not in Observe mode
  --failed-open NAME     check that was skipped, as its failure mode allows: analyzer, …
  --act NAME             allowed, denied, masked, blocked, flagged, held, approved, limited
  --detector NAME        that found something          --session ID          request id of a receipt
  --text WORDS           words that were asked or answered, all of them; of sealed texts (audit.content: Sealed) none is known, and how many sessions
                         have such is said
  --since TIME           10m, 6h, 7d, or 2026-11-26T12:00:00Z; --until TIME
  --min-duration MS      --max-duration MS
  --min-bytes NUMBER     --max-bytes NUMBER
  --limit NUMBER         default 100; --all: every session, in pages of it (default 1000). Where there are more, a line on stderr says so
  -o, --output FORMAT    table (default), jsonl, or csv: the table's columns, and all else that sessions can be found by
  -n, --namespace NAME   only this one; default: all namespaces
  --archive URL          s3://BUCKET/PREFIX: in the recorder's archive, without a recorder and on no record; --key FILE: only what the key (PEM) of the log
                         has signed. Sessions come as they began, newest first, and behind them those whose start is not there
${archiveUsage}${auditUsage}${connectionUsage}`;

/** Sessions that one question to a recorder may ask for. */
const mostOfPage = 1_000;

function wholeOf(name: string, text: string): number {
  if (!/^[0-9]{1,12}$/.test(text)) throw new Error(`--${name} is a whole number`);
  return Number(text);
}

/** The question that the flags are. @throws Error */
function questionOf(flags: Flags, now: number): Record<string, JsonValue> {
  const question: Record<string, JsonValue> = {};
  for (const name of [
    'namespace',
    'pod',
    'user',
    'group',
    'issuer',
    'model',
    'operation',
    'outcome',
    'code',
    'label',
    'text',
  ])
    question[name] = flags.text(name) ?? null;
  question['session'] = flags.text('session') ?? null;
  const tags = [
    ...flags.list('rule').map((rule) => `rule:${rule}`),
    ...flags.list('observed').map((rule) => `observed:${rule}`),
    ...flags.list('failed-open').map((name) => `open:${name}`),
    ...flags.list('act').map((act) => `act:${act}`),
    ...flags.list('detector').map((detector) => `by:${detector}`),
  ];
  if (tags.length > 0) question['tags'] = tags;
  for (const name of ['since', 'until']) {
    const text = flags.text(name);
    if (text !== undefined) question[name] = timeOf(text, now);
  }
  refuseEmptyRange(question['since'], question['until']);
  for (const [flag, name] of [
    ['status', 'status'],
    ['min-duration', 'minDurationMs'],
    ['max-duration', 'maxDurationMs'],
    ['min-bytes', 'minBytes'],
    ['max-bytes', 'maxBytes'],
  ] as const) {
    const text = flags.text(flag);
    if (text !== undefined) question[name] = wholeOf(flag, text);
  }
  // Each page is a question on record: of all sessions it is asked for few.
  question['limit'] = wholeOf('limit', flags.text('limit') ?? String(flags.on('all') ? mostOfPage : 100));
  return Object.fromEntries(Object.entries(question).filter(([, value]) => value !== null));
}

type Session = { readonly [key: string]: JsonValue };
const objectOf = (value: JsonValue | undefined): Session =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
const cell = (value: JsonValue | undefined): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';
const time = (value: JsonValue | undefined): string => (typeof value === 'number' ? new Date(value).toISOString() : '');

const columns = [
  'TIME',
  'SESSION',
  'NAMESPACE',
  'POD',
  'USER',
  'OPERATION',
  'MODEL',
  'OUTCOME',
  'STATUS',
  'CODE',
  'MS',
  'RULES',
];
/** Behind these, in a file: all else that a session can be found by. */
const moreColumns = [
  'ACTS',
  'DETECTORS',
  'OBSERVED',
  'FAILED_OPEN',
  'BYTES_IN',
  'BYTES_OUT',
  'ISSUER',
  'GROUPS',
  'CHAIN',
  'SOURCE',
];

const textsOf = (value: JsonValue | undefined): readonly string[] => (Array.isArray(value) ? value.map(cell) : []);
/** What stands behind a prefix among the tags of a session. */
const tagged = (session: Session, prefix: string): string =>
  textsOf(objectOf(session['end'])['tags'])
    .filter((tag) => tag.startsWith(prefix))
    .map((tag) => tag.slice(prefix.length))
    .join(' ');

function rowOf(session: Session): string[] {
  const end = objectOf(session['end']);
  return [
    time(session['at']),
    ...['session', 'namespace', 'pod', 'subject', 'operation', 'model'].map((key) => cell(session[key])),
    cell(end['outcome']) === '' ? 'open' : cell(end['outcome']),
    ...['status', 'code', 'durationMs'].map((key) => cell(end[key])),
    tagged(session, 'rule:'),
  ];
}

const wholeRowOf = (session: Session): string[] => {
  const end = objectOf(session['end']);
  return [
    ...rowOf(session),
    ...['act:', 'by:', 'observed:', 'open:'].map((prefix) => tagged(session, prefix)),
    ...['bytesIn', 'bytesOut'].map((key) => cell(end[key])),
    cell(session['issuer']),
    textsOf(session['groups']).join(' '),
    ...['chain', 'source'].map((key) => cell(session[key])),
  ];
};

/** How a formula begins, also in full-width characters, behind what a spreadsheet leaves out. */
const formula = /^[\s\p{C}\p{Z}]*[=+\-@\u2212\uFF0B\uFF0D\uFF1D\uFF20]/u;

/** And behind what other spreadsheets, by their country, take for the end of a cell; quotes there are what is left out. */
const formulaBehind = /([;|][\s\p{C}\p{Z}"]*)(?=[=+\-@\u2212\uFF0B\uFF0D\uFF1D\uFF20])/gu;

/** Nothing of a record may be a formula to the reader's spreadsheet. */
export function csvCell(text: string): string {
  const seen = printable(text).replaceAll(formulaBehind, "$1'");
  return `"${(formula.test(seen) ? `'${seen}` : seen).replaceAll('"', '""')}"`;
}

function table(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(printable));
  const widths = widthsOf(shown);
  return shown
    .map((row) =>
      row
        .map((text, at) => text.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

interface Told {
  /** Of sessions, page by page. */
  sessions(found: readonly Session[]): void;
  /** Of blocks whose words the recorder could not look at. */
  unsearched(blocks: number): void;
  /** Of sessions that have more words, rules, groups or other texts than its index takes. */
  partly(sessions: readonly string[], more: boolean): void;
  /** Of sessions whose texts are sealed, so that it knows no word of them. */
  sealed(sessions: number, more: boolean): void;
}

/** @returns whether there may be more sessions than were asked for */
async function ask(
  audit: AuditClient,
  question: Record<string, JsonValue>,
  all: boolean,
  tell: Told,
): Promise<boolean> {
  let count = 0;
  const wanted = Number(question['limit']);
  let cursor: JsonValue = null;
  do {
    // A page is short where the recorder had to look through many sessions for it.
    const limit = Math.min(mostOfPage, all ? wanted : wanted - count);
    const answer: Answer = await audit.post('/v1/search', {
      ...question,
      limit,
      ...(cursor === null ? {} : { cursor }),
    });
    const found = Array.isArray(answer['sessions']) ? answer['sessions'].map(objectOf) : [];
    count += found.length;
    tell.sessions(found);
    cursor = answer['cursor'] ?? null;
    if (Number(answer['unsearched'] ?? 0) > 0) tell.unsearched(Number(answer['unsearched']));
    const partly = Array.isArray(answer['partly']) ? answer['partly'].map(cell) : [];
    const partlyMore = answer['partlyMore'] === true;
    if (partly.length > 0 || partlyMore) tell.partly(partly, partlyMore);
    const sealed = objectOf(answer['sealed']);
    if (Number(sealed['sessions'] ?? 0) > 0 || sealed['more'] === true)
      tell.sealed(Number(sealed['sessions'] ?? 0), sealed['more'] === true);
  } while (cursor !== null && (all || count < wanted));
  return cursor !== null;
}

/** Sessions as they come, in a form that needs to know no more than one of them. */
function printer(output: string, io: CommandIo): (session: Session) => void {
  if (output === 'jsonl') return (one) => io.stdout(`${jsonText(one)}\n`);
  io.stdout(`${[...columns, ...moreColumns].map(csvCell).join(',')}\n`);
  return (one) => io.stdout(`${wholeRowOf(one).map(csvCell).join(',')}\n`);
}

function printTable(found: readonly Session[], io: CommandIo): void {
  if (found.length === 0) io.stdout('no session\n');
  else io.stdout(`${table([columns, ...found.map(rowOf)])}\n`);
}

/** What no search finds for certain. */
const saysPartly = (sessions: readonly string[], more: boolean, io: CommandIo): void =>
  io.stderr(
    `${sessions.length}${more ? ' or more' : ''} sessions have more words, rules, groups or other texts than the index takes, and may be among what was asked for all the same: ${printable(sessions.join(' '))}\n`,
  );

/** What a search by words does not know, whatever it finds. */
const saysSealed = (sessions: number, more: boolean, io: CommandIo): void =>
  io.stderr(
    `${sessions}${more ? ' or more' : ''} sessions have sealed texts, and may hold these words all the same: look for them by fields, and read them with --unseal\n`,
  );

const saysMore = (io: CommandIo): void =>
  io.stderr('these are the newest: there may be more sessions, which --all or a larger --limit gives\n');

/** As many as a recorder names. */
const mostPartly = 100;

/** The same question to an archive. */
async function searchInArchive(
  url: string,
  flags: Flags,
  question: Record<string, JsonValue>,
  io: CommandIo,
): Promise<ExitCode> {
  return withArchive(url, flags, io, async (log) => {
    const { readQuery, searchArchive } = await import('../../recorder/index.ts');
    const wanted = Number(question['limit']);
    const query = readQuery({ ...question, limit: Math.min(mostOfPage, wanted) });
    const output = flags.text('output') ?? 'table';
    const found: Session[] = [];
    const take = output === 'table' ? (one: Session): void => void found.push(one) : printer(output, io);
    let more = false;
    let [count, faults, sealed, parts] = [0, 0, 0, 0];
    const partly: string[] = [];
    const sessions = searchArchive(
      log,
      query,
      (name, { message }) => {
        faults++;
        io.stderr(`${name}: ${message}: it is left out\n`);
      },
      () => void sealed++,
      ({ session }) => {
        parts++;
        if (partly.length < mostPartly) partly.push(session);
      },
    );
    for await (const session of sessions) {
      more = count === wanted && !flags.on('all');
      if (more) break;
      count++;
      take(session as unknown as Session);
    }
    if (output === 'table') printTable(found, io);
    // Of what was read until there were enough.
    if (parts > 0) saysPartly(partly, more || parts > partly.length, io);
    if (sealed > 0) saysSealed(sealed, more, io);
    if (more) saysMore(io);
    return faults === 0 ? 0 : 1;
  });
}

const flagsOfSearch = {
  ...Object.fromEntries(
    [
      ...[
        'user',
        'group',
        'issuer',
        'pod',
        'model',
        'operation',
        'outcome',
        'code',
        'status',
        'session',
        'label',
        'text',
      ],
      ...['since', 'until', 'min-duration', 'max-duration', 'min-bytes', 'max-bytes', 'limit', 'archive', 'key'],
    ].map((name) => [name, { kind: 'text' as const }]),
  ),
  rule: { kind: 'list' },
  act: { kind: 'list' },
  observed: { kind: 'list' },
  'failed-open': { kind: 'list' },
  detector: { kind: 'list' },
  all: { kind: 'switch' },
  output: { kind: 'text', short: 'o', choices: ['table', 'jsonl', 'csv'] },
  ...archiveFlags,
  ...auditFlags,
  ...clusterFlags,
} as const;

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const flags = askedFlags(args, io, {
    usage,
    flags: flagsOfSearch,
    positionals: noPositionals,
    faults: (given, { now }) => {
      try {
        questionOf(given, now());
        return [];
      } catch (error) {
        return [describeError(error)];
      }
    },
  });
  if (typeof flags === 'number') return flags;
  const question = questionOf(flags, io.now());
  const archive = flags.text('archive');
  if (archive !== undefined) return searchInArchive(archive, flags, question, io);
  return withCluster(flags, io, async ({ client }) => {
    const output = flags.text('output') ?? 'table';
    const found: Session[] = [];
    const audit = await openAudit(client, flags, io);
    const take = output === 'table' ? (one: Session): void => void found.push(one) : printer(output, io);
    const more = await ask(audit, question, flags.on('all'), {
      sessions: (page) => page.forEach(take),
      unsearched: (blocks) =>
        io.stderr(`the newest ${blocks} blocks of lines are not in the index of words yet: ask again\n`),
      partly: (sessions, more) => saysPartly(sessions, more, io),
      sealed: (sessions, more) => saysSealed(sessions, more, io),
    });
    if (output === 'table') printTable(found, io);
    if (more) saysMore(io);
    return 0;
  });
}

export const auditSearchCommand: Command = {
  name: 'audit search',
  summary: 'sessions by who, when, model, rule, text and more',
  usage,
  run,
};
