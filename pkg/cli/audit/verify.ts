import { describeError, jsonValue, parseJson, systemClock } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { KubeError, resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { createFindings, createLogVerifier, readHead, readLogKeys } from '../../record/index.ts';
import type { ArchivedLog, SessionSummary } from '../../recorder/index.ts';
import type { BlockEntry, LogFinding, LogKeys, LogVerdict, LogVerifier } from '../../record/index.ts';
import { archiveFlags, archiveUsage, withArchive } from './archive.ts';
import { auditFlags, auditUsage, openAudit, sessionFlags, sessionUsage } from './client.ts';
import { logOfFile, logOfRecorder, signedBy } from './log-pages.ts';
import type { LogPages, LogReader } from './log-pages.ts';
import { archivedSession, sourceFaults } from './session-command.ts';
import { oneSession, proofOfPages, proofOfRecorder, readProof, reportOne } from './verify-one.ts';
import type { OneSession } from './verify-one.ts';
import { createWordSample } from './word-sample.ts';
import type { WordSample } from './word-sample.ts';
import { clusterFlags, connectionUsage, systemNamespace, withCluster } from '../cluster-command.ts';
import type { Command, CommandIo, ExitCode } from '../command.ts';
import { askedFlags, noPositionals } from '../asked-flags.ts';
import type { Flags } from '../flags.ts';
import { linesOfFile } from '../long-files.ts';
import { printable } from '../terminal-text.ts';

const usage = `sidegate audit verify [flags]

Proves that the record was not touched: computes the Merkle tree of the recorder's log again from its entries, compares it with each signed head, and the lines
with the entries, and with what the recorder finds sessions by. Says which entry was removed, changed, reordered, duplicated, back-dated or cut off. Needs nothing but the public key: with --file no
cluster at all.

  --archive URL          s3://BUCKET/PREFIX, instead of a cluster: the log in the recorder's archive; needs --key
  --file FILE            what \`audit export\` wrote, instead of a cluster
  --key FILE             public key (PEM) of the log; default: as the cluster publishes it. Keep your own copy: who can change the log could change that.
                         Where the log had several, one after the other, in that order
  --heads                with the heads that the cluster keeps beside the recorder, one of each day (ConfigMap sidegate-log-heads); also of an archive or a file
  --head FILE            a signed head that you kept: the log must contain what it signed; --save-head FILE: keeps the newest
  --authorities FILE     PEM of the authorities that alone may have certified sidecars; default: those that the log itself names. They are in ConfigMap
                         sidegate-trust; keep your own copies: who can write the log could name others
  --pods FILE            what \`kubectl get pods -A -o json\` has just written: names chains of other pods that ended without a word, neither of their sidecar
                         that it stops nor of the recorder that the pod is gone
  --retention-days N     lines that were deleted sooner are a finding; default: as long as the log says that the recorder keeps them
  --no-lines             entries and heads only, without the lines of sessions
  --receipt TEXT         one session alone, and that it is on record as its caller was told: the value of the header sidegate-receipt
  --session ID           one session alone
  --save-proof FILE      with one session: its proof, for whoever has its receipt. It holds the lines of that session, and the hashes of those beside them; of blocks
                         that recorders of before wrote it holds all lines, and says so
  --proof FILE           what --save-proof wrote, instead of a cluster; needs --key, and --receipt or --session
  --since DAY            one session in an archive: not in segments that end before it (2026-11-26)
${sessionUsage}${archiveUsage}${auditUsage}${connectionUsage}
Exit code 0: proven. 1: it was touched, or cannot be read. 3: of one session, whose start retention may have deleted, or whose end is not
in the proof, what is there was proven.
`;

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export async function publishedKey(client: KubeClient, flags: Flags): Promise<string> {
  const namespace = flags.text('system') ?? systemNamespace;
  const map = await client.find<ConfigMap>(resources.configMaps, { namespace, name: controlPlane.log });
  const pem = map?.data?.['public.pem'];
  if (pem === undefined) throw new KubeError('refused', `there is no ConfigMap ${controlPlane.log} in ${namespace}`);
  return pem;
}

/** The heads that the recorder has put beside its log. */
async function publishedHeads(client: KubeClient, flags: Flags): Promise<readonly string[]> {
  const namespace = flags.text('system') ?? systemNamespace;
  const map = await client.find<ConfigMap>(resources.configMaps, { namespace, name: controlPlane.logHeads });
  const heads = Object.values(map?.data ?? {});
  if (heads.length === 0)
    throw new KubeError('refused', `there is no head in ConfigMap ${controlPlane.logHeads} in ${namespace}`);
  return heads;
}

interface Trusted {
  /** Public key of the log, PEM. */
  readonly pem: string;
  /** A head that was kept. */
  readonly kept: string | undefined;
  /** Heads that the cluster keeps. */
  readonly published: readonly string[];
  /** PEM. */
  readonly authorities: string | undefined;
  readonly retentionDays: number | undefined;
  /** Uids of pods that are there; undefined: not known. */
  readonly presentPods: ReadonlySet<string> | undefined;
}

/** Differences of the index that are kept until all is read: so many are no deletion that came meanwhile. */
const mostWaiting = 100_000;

async function verifyPages(pages: LogPages, trusted: Trusted, sample?: WordSample): Promise<LogVerdict> {
  const { pem, kept, published, authorities, retentionDays, presentPods } = trusted;
  const publicKey = readLogKeys(pem);
  const verifier: LogVerifier = createLogVerifier({
    publicKey,
    heads: published,
    ...(kept === undefined ? {} : { until: kept }),
    ...(authorities === undefined ? {} : { authorities }),
    ...(retentionDays === undefined ? {} : { retentionDays }),
    ...(presentPods === undefined ? {} : { presentPods }),
  });
  const { createIndexCheck } = await import('../../recorder/index.ts');
  const indexed = createIndexCheck();
  const differs = createFindings();
  /** Of blocks whose lines may be deleted meanwhile: an entry behind them says so then. */
  let waiting: LogFinding[] = [];
  const decide = (): void => {
    for (const finding of waiting) if (!verifier.isDeleted(finding.entry)) differs.add(finding);
    waiting = [];
  };
  // A head from elsewhere proves entries as one of the log does: the lines of all of them are looked at.
  const elsewhere = [...published, ...(kept === undefined ? [] : [kept])];
  let signed = elsewhere.reduce((most, text) => Math.max(most, readHead(text, publicKey)?.size ?? 0), 0);
  const reader: LogReader = {
    head(text) {
      verifier.head(text);
      signed = Math.max(signed, signedBy(text));
    },
    entry(index, text, lines) {
      verifier.entry(index, text);
      // Nothing proves the others yet.
      if (lines !== undefined && index < signed) verifier.lines(index, lines ?? undefined);
    },
    found(index, text, lines, rows) {
      let what: string | undefined;
      let source: string | undefined;
      try {
        const block = jsonValue(parseJson(text)) as unknown as BlockEntry;
        source = block.source;
        what = indexed.difference(block, lines, rows as unknown as readonly SessionSummary[]);
      } catch {
        // Nobody knows then what it hides.
        what = 'the lines, or what the index says of them, cannot be read';
      }
      if (what !== undefined) {
        waiting.push({ fault: 'index_differs', entry: index, what, ...(source === undefined ? {} : { source }) });
        if (waiting.length >= mostWaiting) decide();
      } else sample?.see(index, text, lines);
    },
    later: verifier.later,
  };
  await pages.each(reader, signed);
  decide();
  const verdict = verifier.end();
  for (const finding of (await sample?.ask())?.findings ?? []) differs.add(finding);
  const found = differs.list();
  return {
    ...verdict,
    ok: verdict.ok && found.length === 0,
    findings: [...verdict.findings, ...found],
    leftOut: [...verdict.leftOut, ...differs.leftOut()],
  };
}

const dayMs = 86_400_000;

function retentionDaysOf(flags: Flags): number | undefined {
  const text = flags.text('retention-days');
  return text === undefined ? undefined : Number(text);
}

/** @throws where it is no list of pods */
function podsOf(flags: Flags, io: Pick<CommandIo, 'readFile'>): ReadonlySet<string> | undefined {
  const file = flags.text('pods');
  if (file === undefined) return undefined;
  // A pod is some hundred values.
  const list = parseJson(io.readFile(file), { maxNodes: 20_000_000, loneSurrogates: true }).get('items');
  const uids = list?.items.map((pod) => pod.get('metadata')?.get('uid')?.string);
  if (uids === undefined || !uids.every((uid) => uid !== undefined)) throw new Error('it is none');
  return new Set(uids);
}

const wordsOf = ({ fault, entry, to, what }: LogFinding): string =>
  printable(`${fault}: entry ${entry}${to === undefined || to === entry ? '' : ` to ${to}`}: ${what}`);

/** Chains of one pod that are named: by its own word a sidecar that lies has begun very many. */
const mostOfPod = 10;

/** What is not on record, as the record itself says, and what nobody but the recorder vouches for. */
function reportLosses(verdict: LogVerdict, io: Pick<CommandIo, 'stdout'>): void {
  const ofPods = new Map<string, number>();
  for (const { source, lines, ended, gone } of verdict.lostWithPods) {
    const told = (ofPods.get(source) ?? 0) + 1;
    ofPods.set(source, told);
    if (told > mostOfPod) continue;
    io.stdout(
      `lost with its pod: ${printable(source)}, gone at ${new Date(gone).toISOString()}: ` +
        `${lines === undefined ? 'no line that is known of' : `lines ${lines.first} to ${lines.last} never came`}` +
        `; ${ended ? 'its sidecar stopped in good order, and wrote no more' : 'it did not say that it stops, and may have written more'}\n`,
    );
  }
  for (const [source, chains] of ofPods)
    if (chains > mostOfPod)
      io.stdout(`lost with its pod: ${printable(source)}: and ${chains - mostOfPod} more chains\n`);
  for (const { source, line, events, unknown } of verdict.gaps)
    io.stdout(
      `not recorded: ${printable(source)}, before its line ${line}: ${unknown === true ? 'its machine had crashed, and lines of its last 100 ms may be lost' : `${events} events`}\n`,
    );
  for (const { source, chain, first, last, why, entry } of verdict.lostLines)
    io.stdout(
      `lost by its sidecar: ${printable(source)}, ${first === last ? `line ${first}` : `lines ${first} to ${last}`} of chain ${printable(chain)} (${printable(why)}), as entry ${entry} says\n`,
    );
  for (const { source, chain, lines, at } of verdict.neverSigned)
    io.stdout(
      `never signed by its sidecar: ${printable(source)}, chain ${printable(chain)}: ${lines} lines, the last taken in at ${new Date(at).toISOString()}\n`,
    );
  for (const { source, chain, last, at } of verdict.unended ?? [])
    io.stdout(
      `ended without a word: ${printable(source)}, chain ${printable(chain)}: its last line is ${last}, taken in at ${new Date(at).toISOString()}; no line says that its sidecar stops, no entry that its pod is gone, and there is no such pod\n`,
    );
  const moreUnended = verdict.unendedChains - (verdict.unended?.length ?? 0);
  if (moreUnended > 0) io.stdout(`ended without a word: and ${moreUnended} more chains\n`);
  const moreUnsigned = verdict.neverSignedChains - verdict.neverSigned.length;
  if (moreUnsigned > 0) io.stdout(`never signed by their sidecars: and ${moreUnsigned} more chains\n`);
}

function report(verdict: LogVerdict, io: CommandIo): ExitCode {
  for (const finding of verdict.findings) io.stdout(`${wordsOf(finding)}\n`);
  for (const finding of verdict.lies) io.stdout(`by its own sidecar: ${wordsOf(finding)}\n`);
  for (const { fault, source, count } of verdict.leftOut)
    io.stdout(`${fault}: and ${count} more of this kind${source === undefined ? '' : ` from ${printable(source)}`}\n`);
  reportLosses(verdict, io);
  const {
    entries,
    begins,
    unknownSigners,
    heads,
    head,
    keys,
    unsigned,
    blocks,
    lines,
    signedLines,
    deleted,
    holes,
    conflicts,
  } = verdict;
  const youngest = verdict.youngestDeletedMs;
  io.stdout(
    `${verdict.ok ? 'proven' : 'NOT PROVEN'}: ${entries - begins - unsigned} entries under ${heads} signed heads, ${lines} lines of ${blocks} blocks, ${signedLines} of them signed by their sidecars; ` +
      `${deleted} blocks deleted by retention${youngest === undefined ? '' : ` (the youngest after ${(youngest / dayMs).toFixed(1)} days)`}, ${holes} lines lost by sidecars, ${verdict.notRecorded} events that sidecars could not record, ${conflicts} conflicts; ` +
      `${unsigned} entries newer than the last head, which nothing proves yet\n`,
  );
  if (begins > 0)
    io.stdout(
      `entries 0 to ${begins - 1} are not there: who removed them, what they said, and how chains began that go on after them, nothing says` +
        `${unknownSigners === 0 ? '' : `; ${unknownSigners} signatures of sidecars are by authorities that may have been named there: give --authorities`}\n`,
    );
  if (head !== undefined) io.stdout(`the newest head is of ${new Date(head.at).toISOString()}\n`);
  for (const one of keys)
    io.stdout(`key ${one.key.slice(0, 16)}: ${one.heads} heads, over ${one.from} to ${one.to} entries\n`);
  return verdict.ok ? 0 : 1;
}

/** Says what was found, and keeps the head that was proven. */
function finishVerdict(verdict: LogVerdict, saveTo: string | undefined, io: CommandIo): ExitCode {
  if (verdict.ok && saveTo !== undefined && verdict.head !== undefined) io.writeFile(saveTo, `${verdict.head.text}\n`);
  return report(verdict, io);
}

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const text = { kind: 'text' } as const;
  const flags = askedFlags(args, io, {
    usage,
    flags: {
      file: text,
      key: text,
      head: text,
      authorities: text,
      'retention-days': text,
      pods: text,
      receipt: text,
      session: text,
      'save-head': text,
      'save-proof': text,
      proof: text,
      since: text,
      archive: text,
      'no-lines': { kind: 'switch' },
      heads: { kind: 'switch' },
      ...sessionFlags,
      ...archiveFlags,
      ...auditFlags,
      ...clusterFlags,
    },
    positionals: noPositionals,
    faults: (given) => {
      if (!/^[1-9][0-9]{0,4}$/.test(given.text('retention-days') ?? '1'))
        return ['--retention-days takes a number of whole days, from 1'];
      const elsewhere = ['archive', 'file', 'proof'].find((name) => given.text(name) !== undefined);
      const isOne = given.text('session') !== undefined || given.text('receipt') !== undefined;
      if (given.on('heads') && (isOne || elsewhere === 'proof'))
        return ['--heads is for a whole log: it does not go with --session, --receipt or --proof'];
      if (given.text('pods') !== undefined && (isOne || given.on('no-lines')))
        return ['--pods is for a whole log with its lines: it does not go with --session, --receipt or --no-lines'];
      if (given.text('chain') !== undefined && !isOne) return ['--chain goes with --session or --receipt'];
      const alone = ['proof', 'save-proof', 'since'].filter((name) => given.text(name) !== undefined && !isOne);
      const beside = ['archive', 'file', 'proof'].filter(
        (name) => given.text(name) !== undefined && name !== elsewhere,
      );
      return [
        ...alone.map((name) => `--${name} goes with --session or --receipt`),
        ...sourceFaults(given),
        ...beside.map((name) => `--${elsewhere} does not go with --${name}`),
        ...(elsewhere !== undefined && given.text('key') === undefined
          ? [`--${elsewhere} needs --key: the public key of the log`]
          : []),
      ];
    },
  });
  if (typeof flags === 'number') return flags;
  let one: OneSession | undefined;
  try {
    const named = oneSession(flags.text('session'), flags.text('receipt'));
    one = named === undefined ? undefined : { ...named, chain: flags.text('chain') };
  } catch (error) {
    io.stderr(`${(error as Error).message}\n`);
    return 2;
  }
  let presentPods: ReadonlySet<string> | undefined;
  try {
    presentPods = podsOf(flags, io);
  } catch (error) {
    io.stderr(`--pods takes a list of pods, as kubectl get pods -A -o json writes it: ${describeError(error)}\n`);
    return 2;
  }
  const file = flags.text('file');
  const withLines = !flags.on('no-lines');
  const saveTo = flags.text('save-head');
  const archive = flags.text('archive');
  if (archive !== undefined && one !== undefined) return verifyOneInArchive(archive, one, flags, io);
  if (archive !== undefined && !flags.on('heads')) return verifyInArchive(archive, flags, io, [], presentPods);
  if (archive !== undefined)
    return withCluster(flags, io, async ({ client }) =>
      verifyInArchive(archive, flags, io, await publishedHeads(client, flags), presentPods),
    );
  const proofFile = flags.text('proof');
  const finish = async (
    pages: LogPages,
    pem: string,
    published: readonly string[] = [],
    sample?: WordSample,
  ): Promise<ExitCode> => {
    const [head, authorities] = [flags.text('head'), flags.text('authorities')];
    const trusted = {
      pem,
      kept: head === undefined ? undefined : io.readFile(head).trim(),
      published,
      authorities: authorities === undefined ? undefined : io.readFile(authorities),
      retentionDays: retentionDaysOf(flags),
      presentPods,
    };
    const verdict = await verifyPages(pages, trusted, sample);
    return finishVerdict(verdict, saveTo, io);
  };
  const ofFile = async (published: readonly string[]): Promise<ExitCode> => {
    try {
      const pem = io.readFile(flags.text('key') ?? '');
      if (one !== undefined && proofFile !== undefined)
        return await reportOne(one, readProof(io.readFile(proofFile)), pem, flags, io);
      const pages = logOfFile(() => linesOfFile(io, file ?? ''), withLines);
      if (one !== undefined)
        return await reportOne(one, await proofOfPages(pages, one.session, pem, flags.text('chain')), pem, flags, io);
      return await finish(pages, pem, published);
    } catch (error) {
      io.stderr(`it cannot be read: ${describeError(error)}\n`);
      return 1;
    }
  };
  if (file !== undefined || proofFile !== undefined)
    return flags.on('heads')
      ? withCluster(flags, io, async ({ client }) => ofFile(await publishedHeads(client, flags)))
      : ofFile([]);
  return withCluster(flags, io, async ({ client }) => {
    const key = flags.text('key');
    const pem = key === undefined ? await publishedKey(client, flags) : io.readFile(key);
    const audit = await openAudit(client, flags, io);
    if (one !== undefined) return reportOne(one, await proofOfRecorder(audit, one, pem, flags), pem, flags, io);
    // Before the log is read: it has what was published.
    const published = flags.on('heads') ? await publishedHeads(client, flags) : [];
    return finish(
      logOfRecorder(audit, withLines),
      pem,
      published,
      createWordSample(audit, (await import('../../recorder/index.ts')).textsOfBlock),
    );
  });
}

async function verifyOneInArchive(url: string, one: OneSession, flags: Flags, io: CommandIo): Promise<ExitCode> {
  return withArchive(url, flags, io, async (log) => {
    const { session, faults } = await archivedSession(log, one.session, flags, io);
    const code = await reportOne(one, await session.proof(), io.readFile(flags.text('key') ?? ''), flags, io);
    return faults > 0 || log.covered.size > 0 ? 1 : code;
  });
}

/** How long the archive may be behind the heads in the cluster: then an alert says so of a recorder that is well. */
const mostBehindMs = 15 * 60_000;

/** Of the cluster's heads those that the archive must have: not the newest, whose entries are on their way there. */
async function dueHeads(
  log: ArchivedLog,
  published: readonly string[],
  key: LogKeys,
  io: Pick<CommandIo, 'stdout'>,
): Promise<readonly string[]> {
  let name: string | undefined;
  for await (const next of log.segments()) name = next;
  let end = 0;
  try {
    if (name !== undefined) end = (await log.segment(name)).header.last + 1;
  } catch {
    // What is wrong with it is found when all are read; no head is left out for it.
    return published;
  }
  return published.filter((text) => {
    const head = readHead(text, key);
    if (head === undefined || head.size <= end || head.at < systemClock.now() - mostBehindMs) return true;
    io.stdout(
      `the cluster has a head of ${head.size} entries, signed at ${new Date(head.at).toISOString()}; the archive has ${end} as yet\n`,
    );
    return false;
  });
}

async function verifyInArchive(
  url: string,
  flags: Flags,
  io: CommandIo,
  published: readonly string[],
  presentPods: ReadonlySet<string> | undefined,
): Promise<ExitCode> {
  return withArchive(url, flags, io, async (log, publicKey) => {
    if (publicKey === undefined) return 2;
    const { verifyArchive } = await import('../../recorder/index.ts');
    const [head, authorities] = [flags.text('head'), flags.text('authorities')];
    const retentionDays = retentionDaysOf(flags);
    let faults = 0;
    const verdict = await verifyArchive(
      log,
      {
        publicKey,
        heads: await dueHeads(log, published, publicKey, io),
        withLines: !flags.on('no-lines'),
        ...(head === undefined ? {} : { until: io.readFile(head).trim() }),
        ...(authorities === undefined ? {} : { authorities: io.readFile(authorities) }),
        ...(retentionDays === undefined ? {} : { retentionDays }),
        ...(presentPods === undefined ? {} : { presentPods }),
      },
      (name, { code, message }) => {
        faults++;
        io.stdout(`${printable(`${code}: ${name}: ${message}`)}\n`);
      },
    );
    const ok = verdict.ok && faults === 0 && log.covered.size === 0;
    return finishVerdict({ ...verdict, ok }, flags.text('save-head'), io);
  });
}

export const auditVerifyCommand: Command = {
  name: 'audit verify',
  summary: 'prove that the record was not touched',
  usage,
  run,
};
