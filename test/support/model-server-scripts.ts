/**
 * What the model server of tests and demo answers. A request picks a script by the word `script:NAME` in its last user
 * message (or prompt, input, or query), or by a model named `script:NAME`; modifiers follow after `+`:
 * `script:pii+gzip+every5`. Without one, the answer is `hello`.
 */
export interface Script {
  /** Text of a choice; `choice` counts from 0. Default: empty. */
  readonly content?: string | ((choice: number) => string);
  readonly reasoning?: string;
  readonly refusal?: string;
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: string }[];
  /** How a streamed text is cut: natural tokens (default), so many characters, or the pieces themselves. */
  readonly cut?: number | readonly string[];
  /** Default `stop`, or `tool_calls`; `length` where the output limit cuts. */
  readonly finish?: string;
  /** Wait before the first byte. */
  readonly delayMs?: number;
  /** Wait between stream events. */
  readonly everyMs?: number;
  /** Stream events in one write; default 1. */
  readonly perWrite?: number;
  /** Every byte in a write of its own. */
  readonly oneByte?: boolean;
  /** The socket is destroyed after so many events (JSON: after half of the body). */
  readonly abortAfter?: number;
  /** The text begins again and again until the caller hangs up. */
  readonly endless?: boolean;
  /** How a stream ends: as it should; without [DONE]; without the blank line after the last frame; with an error frame. */
  readonly end?: 'done' | 'no-done' | 'unterminated' | 'error';
  /** Line ends of frames. */
  readonly lineEnd?: '\n' | '\r\n' | '\r';
  /** Lines before each frame: comments, `event:`, `id:`. */
  readonly before?: string;
  /** Used when the request accepts it. */
  readonly encoding?: 'gzip' | 'br' | 'zstd' | 'deflate';
  /** Used also when the request does not accept it. */
  readonly forceEncoding?: boolean;
  /** Instead of an answer in shape. `{{prompt}}`, `{{headers}}` and `{{authorization}}` are filled in from the request. */
  readonly raw?: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body: string | Buffer;
  };
  /** Frames instead of those of the text: data as given; then the script's end. */
  readonly frames?: readonly string[];
  /** More response headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Changes the JSON answer or the frame before it is sent. */
  readonly edit?: (value: Record<string, unknown>) => void;
}

/** Made up, and valid where a check digit says so. Keys are put together here so that no scanner takes them for real ones. */
export const samples = {
  card: '4111 1111 1111 1111',
  email: 'ana.lopez@example.com',
  ssn: '536-90-4399',
  iban: 'DE89 3704 0044 0532 0130 00',
  phone: '+1 415 555 2671',
  ip: '203.0.113.42',
  mac: '00:1b:44:11:3a:b7',
  awsKey: ['AKIA', 'IOSFODNN7EXAMPLE'].join(''),
  gitHubToken: ['ghp', 'x8Kq2Zt7Wb4Nc9Vd1Rf6Jh3Lm5Ps0Qy8Ua2B'].join('_'),
  apiKey: ['api_key = "sk', 'live', 'R7pT2mX9vQ4kL8wZ3nB6"'].join('-'),
  jwt: [
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9',
    'eyJzdWIiOiIxMjM0NTY3ODkwIn0',
    'dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U',
  ].join('.'),
  privateKey: [
    '-----BEGIN EC PRIVATE',
    ` KEY-----\nMHcCAQEEIB${'kR3t'.repeat(20)}\n-----END EC PRIVATE`,
    ' KEY-----',
  ].join(''),
} as const;

const { card, email, ssn } = samples;

const pii = `Of course. The card on file is ${card}, the address is ${email} and the number is ${ssn}. Anything else?`;
const secrets = `Use ${samples.awsKey} and ${samples.gitHubToken}, or ${samples.apiKey}. Token: ${samples.jwt}\n${samples.privateKey}\nKeep them safe.`;
const words = 'The quick brown fox jumps over the lazy dog while nobody looks at the small print of the contract. ';

const error = (status: number, message: string, headers: Record<string, string> = {}): Script => ({
  raw: {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: `{"error":{"message":${JSON.stringify(message)},"type":"server_error","param":null,"code":null}}`,
  },
});

export const scripts: Readonly<Record<string, Script>> = {
  hello: { content: 'Hello! How can I help you today?' },
  /** Card, e-mail and SSN, cut as a model would. */
  pii: { content: pii },
  /** The same in events of two characters: every value stands in many. */
  'pii-small': { content: pii, cut: 2 },
  'pii-chars': { content: pii, cut: 1 },
  secrets: { content: secrets, cut: 3 },
  /** Different data in each choice. */
  choices: { content: (choice) => `Choice ${choice}: ${[card, email, ssn][choice % 3] ?? card}.` },
  tool: {
    toolCalls: [
      {
        name: 'refund',
        arguments: JSON.stringify({ card, customer: { email, ssn, note: 'says "hi"\n😀' }, amount: 12.5 }),
      },
      { name: 'mail', arguments: `{"to": "${email}", "text":"SSN ${ssn}"}` },
    ],
    cut: 3,
  },
  /** Arguments that are not JSON. */
  'tool-broken': { toolCalls: [{ name: 'refund', arguments: `{"card": "${card}", oops` }], cut: 3 },
  'tool-and-text': { content: pii, toolCalls: [{ name: 'refund', arguments: JSON.stringify({ card }) }] },
  reasoning: {
    reasoning: `The user has SSN ${ssn}, so I must be careful.`,
    content: `I will not say ${email}.`,
    cut: 2,
  },
  refusal: { refusal: `I cannot share ${card}.`, cut: 2 },
  json: { content: JSON.stringify({ customer: { name: 'Ana', ssn, account_number: 'X-123' }, card }), cut: 4 },
  filtered: { content: `It begins with ${card.slice(0, 16)}`, finish: 'content_filter' },
  /** Ends one digit before the card does, as `max_tokens` would. */
  'cut-card': { content: `The card is ${card.slice(0, -1)}`, finish: 'length', cut: 2 },
  long: { content: words.repeat(200) },
  big: { content: words.repeat(10_500), cut: 4000 },
  'big-pii': { content: `${words.repeat(80)}${pii} `.repeat(120), cut: 4000 },
  endless: { content: words, endless: true, everyMs: 5 },
  'endless-fast': { content: words, endless: true },
  slow: { content: pii, delayMs: 300, everyMs: 20 },
  silent: { content: 'late', delayMs: 3_600_000 },
  stall: { content: pii, cut: [pii.slice(0, 40), pii.slice(40)], everyMs: 3_600_000 },
  abort: { content: pii, cut: 4, abortAfter: 6 },
  'abort-at-once': { content: pii, abortAfter: 0 },
  'no-done': { content: pii, end: 'no-done' },
  unterminated: { content: pii, end: 'unterminated' },
  'error-frame': { content: pii, cut: 4, end: 'error' },
  crlf: { content: pii, lineEnd: '\r\n' },
  cr: { content: pii, lineEnd: '\r' },
  comments: { content: pii, before: ': keep-alive\nevent: message\nid: 7\nretry: 1000\n' },
  gzip: { content: pii, encoding: 'gzip' },
  br: { content: pii, encoding: 'br' },
  zstd: { content: pii, encoding: 'zstd' },
  deflate: { content: pii, encoding: 'deflate' },
  /** Encodings that the request did not accept, or that are not what they say. */
  'forced-gzip': { content: pii, encoding: 'gzip', forceEncoding: true },
  'bad-gzip': {
    raw: { headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: `{"x":"${card}"}` },
  },
  'unknown-encoding': {
    raw: { headers: { 'content-type': 'application/json', 'content-encoding': 'rot13' }, body: `{"x":"${card}"}` },
  },
  'gzip-bomb': { content: () => 'a'.repeat(64 * 1024 * 1024), cut: 1 << 30, encoding: 'gzip', forceEncoding: true },
  /** Error bodies that say what they should not. */
  'error-400': error(400, 'Invalid prompt: {{prompt}}'),
  'error-401': error(401, 'Incorrect API key provided: {{authorization}}'),
  'error-429': error(429, 'Slow down. You asked: {{prompt}}', { 'retry-after': '7' }),
  'error-500': error(500, `Traceback: headers {{headers}} prompt {{prompt}} db user ${email}`),
  'error-html': {
    raw: { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>{{prompt}}{{headers}}' },
  },
  'error-empty': { raw: { status: 500, body: '' } },
  /** 200 with an error inside, as some servers do. */
  'error-200': error(200, 'Overloaded while answering: {{prompt}}'),
  redirect: { raw: { status: 307, headers: { location: 'http://127.0.0.1:1/{{prompt}}' }, body: '' } },
  'no-content': { raw: { status: 204, body: '' } },
  html: { raw: { headers: { 'content-type': 'text/html' }, body: `<p>${card}</p>` } },
  text: { raw: { headers: { 'content-type': 'text/plain' }, body: `The card is ${card}` } },
  binary: { raw: { headers: { 'content-type': 'application/octet-stream' }, body: Buffer.from([0, 255, 1, 254, 2]) } },
  'no-type': { raw: { body: `{"x":"${card}"}` } },
  'not-json': { raw: { headers: { 'content-type': 'application/json' }, body: `{"choices": [${card}` } },
  'duplicate-key': {
    raw: {
      headers: { 'content-type': 'application/json' },
      body: `{"choices":[{"index":0,"message":{"role":"assistant","content":"fine","content":"${card}"},"finish_reason":"stop"}]}`,
    },
  },
  'wrong-shape': { raw: { headers: { 'content-type': 'application/json' }, body: `{"answer":{"text":"${card}"}}` } },
  'wrong-types': {
    raw: { headers: { 'content-type': 'application/json' }, body: `{"choices":{"0":{"message":["${card}"]}}}` },
  },
  'wrong-frame': { frames: ['{"answer":"fine"}', `{"answer":"${card}"}`] },
  'frame-not-json': { frames: [`{"choices":[${card}`] },
  /** A stream where JSON was asked for, and the other way round. */
  'unasked-stream': {
    raw: {
      headers: { 'content-type': 'text/event-stream' },
      body: `data: {"choices":[{"index":0,"delta":{"content":"${card}"}}]}\n\ndata: [DONE]\n\n`,
    },
  },
  'unasked-json': {
    raw: {
      headers: { 'content-type': 'application/json' },
      body: `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"${card}"},"finish_reason":"stop"}]}`,
    },
  },
  /** Fields of a newer server, with data in them and in their names. */
  'unknown-fields': {
    content: 'Nothing here.',
    edit: (value) => {
      value['provider_notes'] = { seen: [`card ${card}`], [email]: true };
      value['prompt_ids'] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    },
  },
  /** Headers that must not reach the caller. */
  headers: {
    content: 'Hello.',
    headers: {
      'set-cookie': 'session=abc',
      server: 'secret-build/1.2',
      'x-internal-user': email,
      'x-api-key': 'model-key',
      'access-control-allow-origin': '*',
      'alt-svc': 'h3=":443"',
      connection: 'x-hop',
      'x-hop': 'hop',
      'x-request-id': 'upstream-7',
    },
  },
};

const flags: Readonly<Record<string, Script>> = {
  gzip: { encoding: 'gzip' },
  br: { encoding: 'br' },
  zstd: { encoding: 'zstd' },
  deflate: { encoding: 'deflate' },
  onebyte: { oneByte: true },
  crlf: { lineEnd: '\r\n' },
  cr: { lineEnd: '\r' },
  nodone: { end: 'no-done' },
  unterminated: { end: 'unterminated' },
  endless: { endless: true },
};

const counted: Readonly<Record<string, (count: number) => Script>> = {
  delay: (delayMs) => ({ delayMs }),
  every: (everyMs) => ({ everyMs }),
  abort: (abortAfter) => ({ abortAfter }),
  perwrite: (perWrite) => ({ perWrite }),
  cut: (cut) => ({ cut }),
};

/**
 * The script that a text names.
 *
 * @throws when there is no such script or modifier: a test with a misspelt name must not pass by accident.
 */
export function findScript(text: string, more: Readonly<Record<string, Script>> = {}): Script | undefined {
  const named = /script:([a-z0-9-]+)((?:\+[a-z]+[0-9]*)*)/.exec(text);
  if (named === null) return undefined;
  const [, name = '', modifiers = ''] = named;
  let script = more[name] ?? scripts[name];
  if (script === undefined) throw new Error(`no script is named ${name}`);
  for (const modifier of modifiers.split('+').slice(1)) {
    const [, word = '', count = ''] = /^([a-z]+)([0-9]*)$/.exec(modifier) ?? [];
    const change = count === '' ? flags[word] : counted[word]?.(Number(count));
    if (change === undefined) throw new Error(`no modifier is named ${modifier}`);
    script = { ...script, ...change };
  }
  return script;
}
