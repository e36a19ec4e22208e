import { jsonValue, parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import type { ShippedEvent, Severity } from './event.ts';
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

const nanoseconds = (ms: number): string => `${BigInt(Math.trunc(ms)) * 1_000_000n}`;

function logRecord(event: ShippedEvent): JsonValue {
  const { at, severity, action, message, id, entry, fields } = event;
  return {
    timeUnixNano: nanoseconds(at),
    observedTimeUnixNano: nanoseconds(at),
    severityNumber: severities[severity],
    severityText: severity.toUpperCase(),
    eventName: `sidegate.${action}`,
    body: { stringValue: message },
    attributes: attributes({ 'event.id': id, 'event.action': action, 'event.sequence': entry, ...fields }),
  };
}

/** An `ExportLogsServiceRequest`. */
export function logsRequest(events: readonly ShippedEvent[]): JsonValue {
  const resource = { attributes: attributes({ 'service.name': 'sidegate-recorder', 'service.namespace': 'sidegate' }) };
  const scopeLogs = [{ scope: { name: 'sidegate' }, logRecords: events.map(logRecord) }];
  return { resourceLogs: [{ resource, scopeLogs }] };
}

/** `partialSuccess` of the answer: records that the receiver will never take. */
function rejected(body: string): number {
  try {
    const answer = jsonValue(parseJson(body)) as {
      readonly partialSuccess?: { readonly rejectedLogRecords?: string | number };
    };
    return Number(answer.partialSuccess?.rejectedLogRecords ?? 0) || 0;
  } catch {
    return 0;
  }
}

/** OTLP logs over HTTP, in the JSON encoding (OTLP 1, section "OTLP/HTTP"). The address is the whole one: `…/v1/logs`. */
export function otlpReceiver(name: string, options: PostOptions): Receiver {
  return {
    name,
    async send(events, signal) {
      const answer = await post(options, 'application/json', Buffer.from(JSON.stringify(logsRequest(events))), signal);
      const result = readStatus(answer.status);
      const lost = result === 'taken' ? Math.min(rejected(answer.body), events.length) : 0;
      return lost > 0 ? lost : result;
    },
    close: () => undefined,
  };
}
