import { applyEdits, parseJson } from '../../base/index.ts';
import type { AnswerView, FrameView, RequestView } from '../dialect.ts';
import { recognise } from '../recognise.ts';

/** What a dialect makes of bodies, for tests. */

export const request = (path: string, body: unknown, query = ''): RequestView => {
  const route = recognise('POST', path);
  return route.dialect.request(route, parseJson(JSON.stringify(body)), query);
};
export const answer = (path: string, body: unknown, status = 200, method = 'POST'): AnswerView => {
  const route = recognise(method, path);
  return route.dialect.answer(route, parseJson(JSON.stringify(body)), status);
};
export const frame = (path: string, body: unknown): FrameView => {
  const route = recognise('POST', path);
  return route.dialect.frame(route, undefined, '', parseJson(JSON.stringify(body)));
};
/** The body with its output limited. */
export const limited = (path: string, body: unknown, most: number): unknown => {
  const source = JSON.stringify(body);
  const route = recognise('POST', path);
  const view = route.dialect.request(route, parseJson(source));
  // eslint-disable-next-line no-restricted-syntax -- text of our own making
  return JSON.parse(applyEdits(source, view.limitOutput(most)));
};

/** Keys that are not the dialect's own are spelled as digests. */
export const plain = (id: string): string => id.replaceAll(/\{[0-9a-f]{16}\}/g, '{}');
export const lanes = (view: RequestView | AnswerView): string[] =>
  view.lanes.map((lane) => `${plain(lane.id)}=${lane.node.text}`);
/** Nodes that are removed where a rule looks for anything, as they are spelled. */
export const removed = (body: unknown, view: AnswerView): string[] =>
  view.integerArrays.map((node) => JSON.stringify(body).slice(node.start, node.end));

export const refusing = (detail: string): object => ({ code: 'invalid_request', detail });
export const unreadable = (detail: string): object => ({ code: 'response_uninspectable', detail });
