import { JsonError, jsonValue, parseJson, randomId } from '../base/index.ts';
import { controlPlane } from '../contract/index.ts';
import { parseDuration } from '../crd/index.ts';
import { isKubeError, resources } from '../kube/index.ts';
import { clusterCommand, clusterUsage, systemNamespace } from './cluster-command.ts';
import type { Command, CommandIo } from './command.ts';
import type { Flags } from './flags.ts';
import { answerFlags, answerUsage, printValue } from './output.ts';

const usage = `sidegate access revoke-token (--token FILE | --issuer URL --token-id JTI | --issuer URL --subject SUB) [flags]

Takes back what a token proves, of any provider. Within a second every sidecar refuses it, and ends what was begun with it; sidegate access revoked
tells of entries whose issuer no provider of a policy has. The list
stands in ConfigMap ${controlPlane.revocations} of Sidegate's namespace; the chart's Role sidegate-token-revoker may add to it.

  --token FILE           the token itself: its issuer, its id (jti) and its end are taken from it
  --issuer URL           issuer (iss)
  --token-id JTI         one token (jti)
  --subject SUB          everything that the issuer says of this subject: as the policy names it (subjectClaim) and the record shows it, or
                         sub of their tokens
  --for DURATION         how long from now; default 24h, with --token until five minutes after its end
  --reason TEXT          for whoever reads the list
  --undo NAME            takes an entry of the list back
  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${answerUsage}${clusterUsage}`;

/** Clocks differ: a token that has expired here counts a moment longer elsewhere. */
const graceMs = 300_000;

interface Entry {
  readonly issuer: string;
  readonly subject?: string;
  readonly tokenId?: string;
  /** Epoch milliseconds; undefined: it does not say. */
  readonly ends?: number;
}

/** What a token says of itself; nothing of it is believed but to name it. Undefined: it is no token with an id. */
function entryOfToken(token: string): Entry | undefined {
  try {
    const text = Buffer.from(token.trim().split('.')[1] ?? '', 'base64url').toString();
    const claims = jsonValue(parseJson(text));
    if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
    const { iss, jti, exp } = claims;
    if (typeof iss !== 'string' || typeof jti !== 'string') return undefined;
    return { issuer: iss, tokenId: jti, ...(typeof exp === 'number' && { ends: exp * 1_000 }) };
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

const named = ['token', 'issuer', 'token-id', 'subject'];

/** `--undo` names an entry of the list; all else names a new one. */
function faultsOf(flags: Flags): readonly string[] {
  const ms = parseDuration(flags.text('for') ?? '24h');
  const given = named.filter((name) => flags.on(name));
  if (flags.on('undo'))
    return [...given, ...['for', 'reason'].filter((name) => flags.on(name))].map(
      (name) => `--${name} says nothing beside --undo`,
    );
  return [
    ...(flags.on('token') && given.length > 1 ? ['--token names it alone'] : []),
    ...(flags.on('token') || flags.on('issuer') ? [] : ['--token or --issuer is needed']),
    ...(flags.on('issuer') && flags.on('token-id') === flags.on('subject')
      ? ['either --token-id or --subject is needed']
      : []),
    ...(ms === undefined || ms <= 0 ? ['--for must be a duration, such as 24h'] : []),
  ];
}

/** Undefined: the file holds no token that can be named. @throws as node:fs */
function entryOf(flags: Flags, io: CommandIo): Entry | undefined {
  const [file, issuer = '', tokenId, subject] = named.map((name) => flags.text(name));
  if (file !== undefined) return entryOfToken(io.readFile(file));
  return { issuer, ...(tokenId !== undefined && { tokenId }), ...(subject !== undefined && { subject }) };
}

const roomHint =
  'Revoke a subject (--subject) instead of its tokens one by one, or take entries back: sidegate access revoked, --undo';

/** What the API server says of a ConfigMap beyond 1 MiB. */
const isTooLong = (error: unknown): boolean =>
  isKubeError(error) && (error.status === 413 || (error.status === 422 && /too (long|large)/i.test(error.message)));

export const accessRevokeTokenCommand: Command = {
  name: 'access revoke-token',
  summary: 'take back what a token proves, or all tokens of a subject',
  usage,
  run: clusterCommand({
    usage,
    flags: {
      token: { kind: 'text' },
      issuer: { kind: 'text' },
      'token-id': { kind: 'text' },
      subject: { kind: 'text' },
      for: { kind: 'text' },
      reason: { kind: 'text' },
      undo: { kind: 'text' },
      system: { kind: 'text' },
      ...answerFlags,
    },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: faultsOf,
    async act(flags, { client }, io) {
      const ref = { namespace: flags.text('system') ?? systemNamespace, name: controlPlane.revocations };
      const write = (name: string, text: string | null) =>
        client.patch(resources.configMaps, ref, { type: 'merge', body: { data: { [name]: text } } });
      const undo = flags.text('undo');
      if (undo !== undefined) {
        await write(undo, null);
        if (!printValue({ name: undo, undone: true }, flags, io))
          io.stdout(`${undo} taken back: what it named counts again\n`);
        return 0;
      }
      const entry = entryOf(flags, io);
      if (entry === undefined) {
        const file = flags.text('token') ?? '';
        io.stderr(`${file} holds no token with an issuer and an id: name --issuer and --subject\n`);
        return 2;
      }
      const wanted = flags.text('for');
      const ms = parseDuration(wanted ?? '24h') ?? 0;
      const { ends, ...what } = entry;
      const until = new Date(ends === undefined || wanted !== undefined ? io.now() + ms : ends + graceMs).toISOString();
      const name = `revocation-${randomId().slice(0, 12)}`;
      const reason = flags.text('reason');
      const written = { ...what, until, ...(reason !== undefined && { reason }) };
      try {
        await write(name, JSON.stringify(written));
      } catch (error) {
        if (!isTooLong(error)) throw error;
        io.stderr(`nothing was revoked: the list holds no more than 1 MiB, and this would be more. ${roomHint}\n`);
        return 1;
      }
      if (printValue({ name, ...written }, flags, io)) return 0;
      io.stdout(`${name}: ${what.subject === undefined ? 'the token' : 'the subject'} is refused until ${until}\n`);
      return 0;
    },
  }),
};
