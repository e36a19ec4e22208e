import type { JsonNode } from '../base/index.ts';
import type { FrameView, Lane, RefusalText } from './dialect.ts';
import { closeEvent, refusalRecords } from './framing/socket-messages.ts';
import { errorOf } from './openai/refusal.ts';
import { Place } from './place.ts';
import { Reader } from './reader.ts';
import { number, object, text } from './shape.ts';

/** How a WebSocket ends, whatever was spoken on it. */

const close = Place.root(object({ close: object({ code: number, reason: text }) })).known('close');
const none: readonly never[] = Object.freeze([]);
const longestReason = 123;

/** The close frame of the model: its reason is a text, whole. Undefined: it is another frame. */
export function readClose(event: string | undefined, root: JsonNode | undefined): FrameView | undefined {
  if (event !== closeEvent || root === undefined || close === undefined) return undefined;
  const reader = new Reader('answer');
  reader.read(root, close);
  const { lanes, loneValues, toolInputs, tokenLanes, integerArrays, opaque } = reader;
  return {
    ...{ loneValues, toolInputs, tokenLanes, integerArrays, opaque, ends: none, usage: undefined, models: none },
    // A frame has room for no more: it may have been cut there.
    lanes: lanes.map((lane): Lane => ({
      ...lane,
      whole: Buffer.byteLength(lane.node.text) < longestReason - 3 ? 'complete' : 'cut',
    })),
    kind: 'done',
  };
}

/** A refusal as records. @param shape what the clients of a dialect make errors of, of OpenAI's error object. */
export function socketRefusal(refusal: RefusalText, shape: (error: unknown) => unknown): string {
  return refusalRecords(JSON.stringify(shape(errorOf(refusal))), refusal);
}
