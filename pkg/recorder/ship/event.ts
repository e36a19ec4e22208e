import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonNode, JsonValue } from '../../base/index.ts';
import type { LogEntry } from '../../record/index.ts';
import { cut, cutList, cutValue, owned } from '../bounds.ts';
import { seenTime } from '../store/session-time.ts';

/** How much somebody should care: numbers of syslog (RFC 5424) and of OpenTelemetry stand for the same. */
export type Severity = 'info' | 'warning' | 'alert';

/** What is shipped of one session, or of one thing that befell the record. */
export interface ShippedEvent {
  /** Entry of the log that it stands in: with {@link ShippedEvent.id} it tells a receiver what came twice. */
  readonly entry: number;
  readonly id: string;
  /** Epoch milliseconds: a sidecar's word within what the recorder saw ({@link seenTime}), so that it stands in the window of who looks for it. */
  readonly at: number;
  /** When the recorder had it, by the log's time: epoch milliseconds. */
  readonly logged: number;
  readonly severity: Severity;
  /** `session`, or `record.conflict` and so on. */
  readonly action: string;
  /** One line for people. */
  readonly message: string;
  /** Where the caller says to stand in a trace (W3C Trace Context); absent: nobody has said. */
  readonly trace?: { readonly id: string; readonly parent: string };
  /** By the names of ECS; what ECS has no name for is below `sidegate`. No text of a prompt or an answer. */
  readonly fields: { readonly [name: string]: JsonValue };
}

type Fields = { [name: string]: JsonValue };
/** Cut: what a sidecar writes is as long as it likes. */
export const textAt = (root: JsonNode | undefined, key: string): string | undefined => {
  const text = root?.get(key)?.string;
  return text === undefined || text === '' ? undefined : cut(text);
};
export const numberAt = (root: JsonNode | undefined, key: string): number | undefined => {
  const number = root?.get(key)?.number;
  // `1e400` is no number of the receivers' JSON.
  return number !== undefined && Number.isFinite(number) ? number : undefined;
};

/** Where a line stands in the log. */
export interface LogPlace {
  readonly entry: number;
  /** Of the entry: epoch milliseconds. */
  readonly at: number;
}

/** When a sidecar says that something was, within what the recorder saw of it. */
export const timesOf = (
  line: JsonNode,
  { entry, at: logged }: LogPlace,
): Pick<ShippedEvent, 'entry' | 'at' | 'logged'> & { readonly saidAt: string | undefined } => {
  const text = textAt(line, 'time');
  const { at, said } = seenTime(Date.parse(text ?? '') || 0, logged);
  return { entry, at, logged, saidAt: said === null ? undefined : text };
};

/** The largest whole number of nanoseconds that every receiver's numbers hold: 104 days. */
const nanosecondsFor = (ms: number): number =>
  Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(ms * 1_000_000)));

/** Without what is not known. */
export function known(fields: Readonly<Record<string, JsonValue | undefined>>): Fields {
  const given: Fields = {};
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) given[name] = value;
  return given;
}

export const common = (source: string): Fields => {
  const [, namespace, account, pod] = /\/ns\/([^/]+)\/sa\/([^/]+)\/pod\/(.+)$/.exec(source) ?? [];
  return known({
    'ecs.version': '8.17.0',
    'observer.vendor': 'Sidegate',
    'observer.type': 'proxy',
    'orchestrator.type': 'kubernetes',
    'orchestrator.namespace': namespace,
    'orchestrator.resource.type': 'pod',
    'orchestrator.resource.id': pod,
    'service.name': account,
  });
};

const refusing = new Set(['denied', 'blocked', 'limited', 'held']);

/** The rules of an end, each once, and what they found. */
function rulesOf(end: JsonNode): { readonly rules: string[]; readonly acts: string[]; readonly by: string[] } {
  const acted = end.get('rules')?.items ?? [];
  return {
    rules: cutList(acted.map((act) => textAt(act, 'rule') ?? 'default')),
    acts: cutList(acted.map((act) => textAt(act, 'act') ?? '')),
    by: cutList(acted.flatMap((act) => act.get('by')?.items ?? []).map((one) => one.text)),
  };
}

/** A list with something in it. */
export const some = (list: readonly string[]): JsonValue[] | undefined => (list.length > 0 ? [...list] : undefined);
/** As many as there is room for. */
export const textsOf = (node: JsonNode | undefined): string[] => cutList((node?.items ?? []).map((one) => one.text));

/** What is shipped of a session's start. Of its line, which has the request's texts, nothing is kept with it. */
export interface ShippedStart {
  readonly time: string | undefined;
  readonly generation: string | undefined;
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  readonly groups: readonly string[];
  readonly peer: string | undefined;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly dialect: string | undefined;
  readonly operation: string | undefined;
  readonly model: string | undefined;
  readonly traceId: string | undefined;
  readonly parentId: string | undefined;
}

/** Characters of the policies that were in force, by name and number. */
const mostGeneration = 2_048;

export function shippedStart(start: JsonNode): ShippedStart {
  const at = (root: JsonNode | undefined, key: string): string | undefined => {
    const text = textAt(root, key);
    return text === undefined ? undefined : owned(text);
  };
  const caller = start.get('caller');
  const generation = start.get('generation')?.string ?? '';
  return {
    time: at(start, 'time'),
    generation: generation === '' ? undefined : owned(cut(generation, mostGeneration)),
    subject: at(caller, 'subject'),
    issuer: at(caller, 'issuer'),
    groups: textsOf(caller?.get('groups')).map(owned),
    peer: at(start, 'peer'),
    method: at(start, 'method'),
    path: at(start, 'path'),
    dialect: at(start, 'dialect'),
    operation: at(start, 'operation'),
    model: at(start, 'model'),
    traceId: idOf(start, 'id', /^(?!0{32})[0-9a-f]{32}$/),
    parentId: idOf(start, 'parent', /^(?!0{16})[0-9a-f]{16}$/),
  };
}

/** Receivers refuse what is no id, and sidecars write what they like. */
function idOf(start: JsonNode, key: string, shape: RegExp): string | undefined {
  const text = start.get('trace')?.get(key)?.string ?? '';
  return shape.test(text) ? owned(text) : undefined;
}

const whoFields = (start: ShippedStart | undefined): Fields =>
  known({
    'user.name': start?.subject,
    'user.domain': start?.issuer,
    'user.roles': some(start?.groups ?? []),
    'source.address': start?.peer,
  });

/** Inference, by the names of OpenTelemetry's conventions for generative AI. */
const operationNames: ReadonlyMap<string, string> = new Map([
  ['Chat', 'chat'],
  ['Completions', 'text_completion'],
  ['Embeddings', 'embeddings'],
]);

/** The convention's names of providers, where they are not those of the dialects: of each the form is meant, whatever server speaks it. */
const providerNames: ReadonlyMap<string, string> = new Map([
  ['bedrock', 'aws.bedrock'],
  ['gemini', 'gcp.gemini'],
  ['openai-media', 'openai'],
  ['openai-realtime', 'openai'],
  ['openai-responses', 'openai'],
]);
const providerOf = ({ dialect = '' }: Pick<ShippedStart, 'dialect'>): string | undefined =>
  providerNames.get(dialect) ?? (dialect === '' ? undefined : dialect);

function exchangeFields(start: ShippedStart | undefined, end: JsonNode): Fields {
  const tokens = end.get('tokens');
  const operation = start?.operation ?? '';
  return known({
    'http.request.method': start?.method,
    'http.request.bytes': numberAt(end, 'bytesIn'),
    'http.response.bytes': numberAt(end, 'bytesOut'),
    'http.response.status_code': numberAt(end, 'status'),
    'url.path': start?.path,
    'gen_ai.operation.name': operationNames.get(operation) ?? start?.operation?.toLowerCase(),
    'gen_ai.provider.name': start !== undefined && operationNames.has(operation) ? providerOf(start) : undefined,
    'gen_ai.request.model': start?.model,
    'gen_ai.usage.input_tokens': numberAt(tokens, 'input'),
    'gen_ai.usage.output_tokens': numberAt(tokens, 'output'),
  });
}

function ruleFields(start: ShippedStart | undefined, end: JsonNode): Fields {
  const { rules, acts, by } = rulesOf(end);
  return known({
    'rule.name': some(rules),
    'sidegate.acts': some(acts),
    'sidegate.detectors': some(by),
    'sidegate.outcome': textAt(end, 'outcome'),
    'sidegate.policy': start?.generation,
    'sidegate.failed_open': some(textsOf(end.get('failedOpen'))),
    'sidegate.refused': acts.some((act) => refusing.has(act)) ? true : undefined,
  });
}

const outcomes: Readonly<Record<string, string>> = {
  completed: 'success',
  refused: 'failure',
  ended: 'failure',
  failed: 'failure',
};

function traceOf(start: ShippedStart | undefined): Pick<ShippedEvent, 'trace'> {
  const [id, parent] = [start?.traceId, start?.parentId];
  return id === undefined || parent === undefined ? {} : { trace: { id, parent } };
}

/** @param start undefined where its line is not here any more */
export function sessionEvent(
  end: JsonNode,
  start: ShippedStart | undefined,
  source: string,
  place: LogPlace,
): ShippedEvent {
  const { saidAt, ...times } = timesOf(end, place);
  const [outcome = '', code] = [textAt(end, 'outcome'), textAt(end, 'code')];
  const refused = outcome === 'refused' || outcome === 'ended';
  const skipped = textsOf(end.get('failedOpen')).length > 0;
  const who = start?.subject ?? 'nobody known';
  const asked = [start?.operation, start?.model].filter((one) => one !== undefined).join(' of ');
  const began = Date.parse(start?.time ?? '');
  const seen = seenTime(began, place.at);
  return {
    ...times,
    id: textAt(end, 'session') ?? '',
    severity: refused || skipped ? 'warning' : 'info',
    action: 'session',
    ...traceOf(start),
    message: `${who}: ${asked}: ${outcome} ${numberAt(end, 'status') ?? ''}${code === undefined ? '' : ` ${code}`}`,
    fields: {
      ...common(source),
      ...known({
        'event.kind': 'event',
        'event.category': ['api'],
        'event.type': refused ? ['access', 'denied'] : ['access', 'allowed'],
        'event.outcome': outcomes[outcome] ?? 'unknown',
        'event.reason': code,
        'event.duration': nanosecondsFor(numberAt(end.get('timing'), 'total') ?? 0),
        'event.start': Number.isNaN(began) || seen.said === null ? start?.time : new Date(seen.at).toISOString(),
        'sidegate.said_at': saidAt,
      }),
      ...whoFields(start),
      ...exchangeFields(start, end),
      ...ruleFields(start, end),
    },
  };
}

/** What an entry that is none of lines tells a receiver. */
interface EntryKind {
  readonly severity: Severity;
  readonly message: string;
  /** Default: that something has changed. */
  readonly type?: readonly string[];
  /** In place of the entry's type. */
  readonly action?: string;
  readonly outcome?: string;
}

/** By types of entries: each has one, so that none is passed over. */
const entryKinds: Readonly<Record<Exclude<LogEntry['type'], 'block'>, EntryKind>> = {
  conflict: { severity: 'alert', message: 'lines of a sidecar do not go with its chain' },
  hole: { severity: 'alert', message: 'lines were lost by their sidecar' },
  vanished: { severity: 'alert', message: 'a pod is gone, and lines of its record never came' },
  share: {
    severity: 'alert',
    message: 'lines of a namespace wait: the store has little room, and it holds more than its share',
  },
  read: { severity: 'info', message: 'somebody read the record', type: ['access'] },
  hold: { severity: 'info', message: 'a legal hold was placed or released' },
  deleted: { severity: 'info', message: 'lines were deleted by retention' },
  retention: { severity: 'info', message: 'how long lines are kept has changed' },
  authorities: { severity: 'info', message: 'the authorities of sidecars changed' },
  ship: { severity: 'info', message: 'a receiver is sent again what it had taken' },
  clock: {
    severity: 'info',
    message: 'the time of the log is ahead of the recorder’s clock, which was wrong once',
  },
};
const refusedRead: EntryKind = {
  severity: 'warning',
  message: 'a question about the record was refused',
  type: ['access', 'denied'],
  action: 'refused',
  outcome: 'failure',
};
const stopped: EntryKind = {
  severity: 'alert',
  message: 'a pod has stopped in good order, and the last lines of its record never came',
};
const resumedShare: EntryKind = { severity: 'info', message: 'lines of a namespace are taken again' };

function kindOf(root: JsonNode): EntryKind | undefined {
  const [type = '', what] = [textAt(root, 'type'), textAt(root, 'what')];
  if (type === 'read' && what === 'refused') return refusedRead;
  if (type === 'share' && what === 'resumed') return resumedShare;
  if (type === 'vanished' && root.get('ended')?.boolean === true) return stopped;
  return Object.hasOwn(entryKinds, type) ? entryKinds[type as keyof typeof entryKinds] : undefined;
}

/** What is shipped of an entry. */
const mostOfEntry = { text: 2_048, characters: 16_384, members: 256 };

/** Undefined: the entry is one of lines. */
export function entryEvent(text: string, entry: number): ShippedEvent | undefined {
  const root = parseJson(text);
  const type = textAt(root, 'type') ?? '';
  const kind = kindOf(root);
  if (kind === undefined) return undefined;
  const { severity, message, action = type, outcome } = kind;
  const alert = severity === 'alert';
  const fromSource = common(textAt(root, 'source') ?? '');
  const { type: _, v: _v, bundle: _bundle, key: _key, signature: _signature, ...rest } = jsonValue(root) as Fields;
  return {
    entry,
    id: `entry-${entry}`,
    at: numberAt(root, 'at') ?? 0,
    logged: numberAt(root, 'at') ?? 0,
    severity,
    action: `record.${action}`,
    message,
    fields: {
      ...fromSource,
      ...known({
        'event.kind': alert ? 'alert' : 'event',
        'event.category': ['configuration'],
        'event.type': [...(kind.type ?? ['change'])],
        'event.outcome': outcome,
        // Of what is said of a whole namespace.
        'orchestrator.namespace': textAt(root, 'namespace') ?? fromSource['orchestrator.namespace'],
        'user.name': textAt(root, 'who'),
        'sidegate.record': cutValue({ ...rest }, mostOfEntry),
      }),
    },
  };
}

/** Of an entry, or of lines of its block, that somebody or a disk has changed in the store, so that nothing of it can be shipped. */
export function damagedEvent(source: string, { entry, at }: LogPlace): ShippedEvent {
  return {
    ...{ entry, id: `entry-${entry}`, at, logged: at, severity: 'alert', action: 'record.damaged' },
    message: 'what stands in the record there cannot be read: it was changed in the store',
    fields: {
      ...common(source),
      ...{ 'event.kind': 'alert', 'event.category': ['configuration'], 'event.type': ['change'] },
    },
  };
}

/** As one line of JSON: what webhooks and syslog carry. */
export function eventText(event: ShippedEvent): string {
  const { entry, id, at, logged, action, severity, message, trace, fields } = event;
  const time = (ms: number): string => new Date(Math.min(8.64e15, Math.max(0, ms))).toISOString();
  return JSON.stringify({
    '@timestamp': time(at),
    'event.created': time(logged),
    message,
    'event.id': id,
    'event.action': action,
    'event.sequence': entry,
    'log.level': severity,
    ...(trace && { 'trace.id': trace.id, 'span.id': trace.parent }),
    ...fields,
  });
}
