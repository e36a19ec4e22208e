import type { JsonNode } from '../../base/index.ts';
import type { RequestView } from '../dialect.ts';
import { nestedLimit, nestedLimitEdits } from '../nested-limit.ts';
import type { NestedLimit } from '../nested-limit.ts';
import type { Place } from '../place.ts';
import { Reader } from '../reader.ts';
import { checkMessages, fieldsOf, given, hasStrangers, stopsEarly } from '../request-fields.ts';
import { inferenceConfig } from './request-shape.ts';
import { viewOf } from './request-view.ts';

const outputLimit: NestedLimit = { object: 'inferenceConfig', name: 'maxTokens' };

/**
 * A body of Converse, or of a model at `invoke` that takes the same.
 *
 * @throws RefusedError `invalid_request`
 */
export function readConverse(shape: Place, model: string, root: JsonNode, stream: boolean): RequestView {
  const reader = new Reader('request');
  reader.read(root, shape);
  const fields = fieldsOf(root);
  checkMessages(fields);
  const { limit } = nestedLimit(fields, outputLimit);
  const strangers = hasStrangers(fields, outputLimit.object, inferenceConfig);
  const stops =
    reader.strangers ||
    strangers ||
    given(fields, 'additionalModelRequestFields') !== undefined ||
    stopsEarly(given(fields, outputLimit.object)?.get('stopSequences'));
  return {
    model,
    generates: true,
    stream,
    count: 1,
    maxOutputTokens: limit,
    outputBound: limit,
    stops,
    usageAsked: true,
    ...viewOf(reader),
    limitOutput: (most) => nestedLimitEdits(root, fields, outputLimit, most),
  };
}
