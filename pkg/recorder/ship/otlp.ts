import { hash } from 'node:crypto';
import type { JsonValue } from '../../base/index.ts';
import type { ShippedEvent, Severity } from './event.ts';
import { rejected } from './otlp-answer.ts';
import type { RejectedCount } from './otlp-answer.ts';
import { post, readStatus } from './post.ts';
import type { PostOptions } from './post.ts';
import type { Receiver } from './receiver.ts';

/** Numbers of the OpenTelemetry log data model. */
const severities: Readonly<Record<Severity, number>> = { info: 9, warning: 13, alert: 17 };

/** A value as OTLP's JSON encoding of `AnyValue` has it: 64-bit numbers are texts. */
function anyValue(value: JsonValue): JsonValue {
  switch (typeof value) {
    case 'string':
      return { stringValue: value };
    case 'boolean':
      return { boolValue: value };
    case 'number':
      return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
    default:
      if (value === null) return {};
      if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
      return { kvlistValue: { values: attributes(value) } };
  }
}

const attributes = (fields: { readonly [name: string]: JsonValue }): JsonValue[] =>
  Object.entries(fields).map(([key, value]) => ({ key, value: anyValue(value) }));

/** The last millisecond that is a time to receivers, whose nanoseconds since 1970 are signed numbers of 64 bits: in the year 2262. */
const lastMs = 9_223_372_036_854;
/** Sidecars write what times they like. */
const nanosecondsOf = (ms: number): bigint =>
  Number.isNaN(ms) ? 0n : BigInt(Math.trunc(Math.min(lastMs, Math.max(0, ms)))) * 1_000_000n;
const nanoseconds = (ms: number): string => String(nanosecondsOf(ms));

function logRecord(event: ShippedEvent): JsonValue {
  const { at, logged, severity, action, message, id, entry, trace, fields } = event;
  return {
    timeUnixNano: nanoseconds(at),
    observedTimeUnixNano: nanoseconds(logged),
    severityNumber: severities[severity],
    severityText: severity.toUpperCase(),
    eventName: `sidegate.${action}`,
    body: { stringValue: message },
    ...(trace && { traceId: trace.id, spanId: trace.parent }),
    attributes: attributes({ 'event.id': id, 'event.action': action, 'event.sequence': entry, ...fields }),
  };
}

const resource = { attributes: attributes({ 'service.name': 'sidegate-recorder', 'service.namespace': 'sidegate' }) };

/** An `ExportLogsServiceRequest`. */
export function logsRequest(events: readonly ShippedEvent[]): JsonValue {
  const scopeLogs = [{ scope: { name: 'sidegate' }, logRecords: events.map(logRecord) }];
  return { resourceLogs: [{ resource, scopeLogs }] };
}

/** Conventions for generative AI of that version: names of attributes, of operations and of spans. */
const semanticConventions = 'https://opentelemetry.io/schemas/1.37.0';
/** Numbers of OTLP. */
const spanKindClient = 3;
const statusError = 2;

const isSession = ({ action }: ShippedEvent): boolean => action === 'session';
const textField = ({ fields }: ShippedEvent, name: string): string | undefined => {
  const value = fields[name];
  return typeof value === 'string' ? value : undefined;
};

/** `chat llama-3`; of what is no inference the method alone, since paths are many. */
function spanName(event: ShippedEvent): string {
  const [operation, model] = [textField(event, 'gen_ai.operation.name'), textField(event, 'gen_ai.request.model')];
  if (textField(event, 'gen_ai.provider.name') === undefined || operation === undefined)
    return textField(event, 'http.request.method') ?? 'session';
  return model === undefined ? operation : `${operation} ${model}`;
}

/** An id that can be a trace's: a sidecar that lies may write others, which a collector refuses with all that was sent. */
const traceId = /^(?!0{32})[0-9a-f]{32}$/;

/**
 * A session as a span: in its caller's trace, below the span in which the caller asked, where it said so; else in a trace of its own, whose id
 * is the request's, which is one of 128 bits. Of its own id the log's entry is part, so that what is sent twice is the same span.
 */
function span(event: ShippedEvent): JsonValue {
  const { at, id, entry, message, trace, fields } = event;
  const [end, duration] = [nanosecondsOf(at), fields['event.duration']];
  const began = Date.parse(textField(event, 'event.start') ?? '');
  const start = Number.isNaN(began)
    ? nanosecondsOf(at - (typeof duration === 'number' ? duration / 1_000_000 : 0))
    : nanosecondsOf(began);
  const digest = hash('sha256', `sidegate-span/1 ${id} ${entry}`);
  const failed = fields['event.outcome'] === 'failure';
  const status = fields['http.response.status_code'];
  const error = textField(event, 'event.reason') ?? (typeof status === 'number' ? String(status) : '_OTHER');
  return {
    traceId: trace?.id ?? (traceId.test(id) ? id : digest.slice(16, 48)),
    ...(trace && { parentSpanId: trace.parent }),
    spanId: digest.slice(0, 16),
    name: spanName(event),
    kind: spanKindClient,
    // A clock that was set back in between: a span does not end before it begins.
    startTimeUnixNano: String(start < end ? start : end),
    endTimeUnixNano: String(end),
    attributes: attributes({
      'event.id': id,
      'event.sequence': entry,
      ...fields,
      ...(failed ? { 'error.type': error } : {}),
    }),
    status: failed ? { code: statusError, message } : {},
  };
}

/** An `ExportTraceServiceRequest`, of sessions. */
export function tracesRequest(events: readonly ShippedEvent[]): JsonValue {
  const scopeSpans = [{ scope: { name: 'sidegate' }, spans: events.map(span), schemaUrl: semanticConventions }];
  return { resourceSpans: [{ resource, scopeSpans }] };
}

function otlp(
  name: string,
  options: PostOptions,
  requestOf: (events: readonly ShippedEvent[]) => JsonValue,
  count: RejectedCount,
): Receiver {
  return {
    name,
    async send(events, signal) {
      const answer = await post(options, 'application/json', Buffer.from(JSON.stringify(requestOf(events))), signal);
      if (readStatus(answer.status) === 'refused') return 'refused';
      const lost = rejected(answer, count);
      // All of them: whether it takes any, or none because of what is wrong with it, other events say.
      if (lost >= events.length) return 'refused';
      return lost > 0 ? lost : 'taken';
    },
    close: () => undefined,
  };
}

/** OTLP logs over HTTP, in the JSON encoding (OTLP 1, section "OTLP/HTTP"). The address is the whole one: `…/v1/logs`. */
export const otlpReceiver = (name: string, options: PostOptions): Receiver =>
  otlp(name, options, logsRequest, 'rejectedLogRecords');

/** OTLP traces in the same way, a span for each session: `…/v1/traces`. */
export const otlpTracesReceiver = (name: string, options: PostOptions): Receiver => ({
  ...otlp(name, options, tracesRequest, 'rejectedSpans'),
  takes: isSession,
});
