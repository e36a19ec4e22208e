import type { JsonNode } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import type { FrameView } from '../dialect.ts';
import { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { object } from '../shape.ts';
import type { Shape } from '../shape.ts';
import { eventNames, readFrame, viewOf } from './answer.ts';
import { metrics, metricsField, metricsUsage } from './invoke-metrics.ts';

/** Chunks of Amazon's Nova: an event of Converse each, under its name. Its bodies and whole answers are Converse's. */

/** Read by its own name. */
const elsewhere: Shape = { read: () => true };
const around = Place.root(
  object({
    ...Object.fromEntries([...eventNames].map((name): [string, Shape] => [name, elsewhere])),
    [metricsField]: metrics,
  }),
);

function refuse(detail: string): never {
  throw new RefusedError('response_uninspectable', { detail });
}

/** @throws RefusedError `response_uninspectable` */
export function readNovaChunk(root: JsonNode): FrameView {
  if (root.kind !== 'object') refuse('body');
  const reader = new Reader('answer');
  reader.read(root, around);
  const own = viewOf(reader);
  const [name, ...more] = root.keys.map(({ text }) => text).filter((text) => eventNames.has(text));
  if (more.length > 0 || (name === undefined && root.get(metricsField) === undefined)) refuse('type');
  const usage = metricsUsage(root);
  if (name === undefined) return { ...own, kind: 'data', ends: [], usage };
  const event = readFrame(name, root.get(name));
  return {
    ...event,
    lanes: [...event.lanes, ...own.lanes],
    loneValues: [...event.loneValues, ...own.loneValues],
    toolInputs: [...event.toolInputs, ...own.toolInputs],
    integerArrays: [...event.integerArrays, ...own.integerArrays],
    opaque: [...event.opaque, ...own.opaque],
    usage: event.usage ?? usage,
  };
}
