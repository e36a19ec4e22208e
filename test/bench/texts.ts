/**
 * What the bench's model server says. Upstream process and load process make it independently from the same seed, so
 * that the receiver knows what an exact mask must leave.
 */

const card = '4111 1111 1111 1111';
const email = 'ana.lopez@example.com';
const ssn = '536-90-4399';
/** What the bench's policy puts in place of each: the label's name. */
const masked = '[confidential]';

const words = (
  'the model answers with plain words and some of them are longer than others while a few hold numbers like 42 or 2026 ' +
  'because real text has them and a scanner must look at each of them without taking too long for any of it so that ' +
  'nobody who reads along would notice that somebody else reads first'
).split(' ');

export interface Text {
  /** As a model would emit it: a space in front of each word, pieces of about four characters. */
  readonly tokens: readonly string[];
  /** All of it, as a caller who may see nothing must get it. */
  readonly expected: string;
}

/** Pieces as a byte-pair encoding makes them. */
const cut = (text: string): string[] => text.match(/ ?[^\s]{1,4}|\s+/g) ?? [];

/** @param every so many tokens there is one value that must be masked; 0: never. */
export function makeText(count: number, every: number): Text {
  const values = [card, email, ssn];
  const tokens: string[] = [];
  let expected = '';
  let next = every;
  let value = 0;
  for (let at = 0; tokens.length < count; at++) {
    const hide = every > 0 && tokens.length >= next;
    // In brackets: a number that stands beside a card could be taken as a part of it.
    const word = hide ? `(${values[value++ % values.length] ?? ''}),` : (words[at % words.length] ?? '');
    if (hide) next += every;
    const text = tokens.length === 0 ? word : ` ${word}`;
    const pieces = cut(text);
    // A text does not end within a value.
    if (hide && tokens.length + pieces.length > count) {
      next = Number.POSITIVE_INFINITY;
      continue;
    }
    const room = count - tokens.length;
    tokens.push(...pieces.slice(0, room));
    expected += hide ? ` (${masked}),` : pieces.slice(0, room).join('');
  }
  return { tokens, expected };
}

/** A chat completion of about so many bytes, with each value once; and what an exact mask leaves of it. */
export function makeJson(bytes: number): { readonly body: string; readonly maskedBody: string } {
  const render = (content: string): string =>
    JSON.stringify({
      id: 'chatcmpl-bench',
      object: 'chat.completion',
      created: 1_767_225_600,
      model: 'bench',
      choices: [
        { index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 120, completion_tokens: 180, total_tokens: 300 },
    });
  const values = `The card is ${card}, the address ${email}, the number ${ssn}. `;
  const room = Math.max(0, bytes - render(values).length);
  const filler = `${words.join(' ')}. `.repeat(Math.ceil(room / 200)).slice(0, room);
  const content = values + filler;
  const seen = content.replace(card, masked).replace(email, masked).replace(ssn, masked);
  return { body: render(content), maskedBody: render(seen) };
}

/** A prompt of about so many bytes that no guard objects to. */
export function makePrompt(order: string, bytes: number): string {
  const content = `<<${order}>> ${`${words.join(' ')}. `.repeat(Math.ceil(bytes / 200))}`.slice(0, bytes);
  return content;
}

export function makeBody(order: string, options: { readonly bytes?: number; readonly stream?: boolean } = {}): string {
  return JSON.stringify({
    model: 'bench',
    messages: [
      { role: 'system', content: 'You are a helpful assistant. Answer briefly and say so when you do not know.' },
      { role: 'user', content: makePrompt(order, options.bytes ?? 900) },
    ],
    temperature: 0.2,
    max_tokens: 512,
    ...(options.stream === true ? { stream: true } : {}),
  });
}
