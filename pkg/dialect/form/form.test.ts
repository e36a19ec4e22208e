import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { applyEdits, parseJson } from '../../base/index.ts';
import { RefusedError } from '../../core/index.ts';
import { threadCpuMs } from '../../../test/support/cost.ts';
import { formBody } from './form.ts';
import type { FormText } from './form.ts';

const shape = {
  fields: new Set(['model', 'prompt', 'tag[]', 'part[a]', 'part[b]', 'tag', 'part']),
  files: new Map([
    ['file', ['audio/', 'video/webm']],
    ['image[]', ['image/']],
  ]),
};
const form = formBody(shape);
const boundary = '----form-1234567890';
const type = `multipart/form-data; boundary=${boundary}`;

const mp3 = Buffer.from('ID3\x04\0\0\0\0\0\0\0\0 sound \xff\xfb\x90\0', 'latin1');
const png = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1');

interface Piece {
  readonly head: string;
  readonly content: string | Buffer;
}
const field = (name: string, content: string | Buffer): Piece => ({
  head: `Content-Disposition: form-data; name="${name}"`,
  content,
});
const file = (name: string, filename: string, content: Buffer, declared = 'application/octet-stream'): Piece => ({
  head: `Content-Disposition: form-data; name="${name}"; filename="${filename}"\r\nContent-Type: ${declared}`,
  content,
});
const written = (pieces: readonly Piece[], by = boundary): Buffer =>
  Buffer.concat([
    ...pieces.flatMap(({ head, content }) => [
      Buffer.from(`--${by}\r\n${head}\r\n\r\n`),
      Buffer.from(content as Buffer),
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${by}--\r\n`),
  ]);
const usual = [
  field('model', 'whisper-1'),
  file('file', 'a.mp3', mp3, 'audio/mpeg'),
  field('prompt', 'Hello ÄÖ\r\n"x"'),
];
const read = (body: Buffer | string, as = type): FormText => form.read(Buffer.from(body as Buffer), as);

const outcome = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof RefusedError) return `${error.code} ${error.detail ?? ''}`.trim();
    throw error;
  }
  return 'taken';
};
const refused = (body: Buffer | string, as = type): string => outcome(() => read(body, as));

describe('a form', () => {
  it('is the JSON that says the same', () => {
    const { text, files } = read(
      written([...usual, field('tag[]', 'a'), field('tag[]', 'b'), field('part[a]', '1'), field('part[b]', '2')]),
    );
    expect(JSON.parse(text)).toEqual({
      model: 'whisper-1',
      file: { filename: 'a.mp3', type: 'audio/mpeg', bytes: mp3.length },
      prompt: 'Hello ÄÖ\r\n"x"',
      'tag[]': ['a', 'b'],
      'part[a]': '1',
      'part[b]': '2',
    });
    expect(files).toEqual([{ id: 'file', type: 'audio/mpeg', content: mp3 }]);
  });

  it('stays byte for byte where nothing is edited, and has the same digest under another boundary', () => {
    const body = written(usual);
    const made = read(body).edited([]);
    expect(made.body.equals(body)).toBe(true);
    expect(made.contentType).toBe(type);
    const other = form.read(written(usual, 'other'), 'multipart/form-data; boundary="other"');
    expect(other.edited([]).same().equals(made.same())).toBe(true);
    const another = read(written([field('model', 'whisper-2'), ...usual.slice(1)]));
    expect(another.edited([]).same().equals(made.same())).toBe(false);
  });

  it('is written anew where a string of it is edited, with every other part as it was', () => {
    const { text, edited } = within(read(written(usual)));
    const node = parseJson(text).get('prompt');
    const made = edited([{ start: node?.start ?? 0, end: node?.end ?? 0, text: JSON.stringify('[gone]') }]);
    const again = form.read(made.body, made.contentType);
    expect(made.contentType).not.toBe(type);
    expect(made.body.includes(boundary)).toBe(false);
    expect(parseJson(again.text).get('prompt')?.text).toBe('[gone]');
    expect(parseJson(again.text).get('model')?.text).toBe('whisper-1');
    expect(again.files[0]?.content.equals(mp3)).toBe(true);
  });

  it('keeps a file’s name in its quotes, with the ending by which servers know it', () => {
    const { text, edited } = within(read(written(usual)));
    const node = parseJson(text).get('file')?.get('filename');
    const made = edited([{ start: node?.start ?? 0, end: node?.end ?? 0, text: JSON.stringify('a"; x="\r\n/b') }]);
    const again = form.read(made.body, made.contentType);
    expect(parseJson(again.text).get('file')?.get('filename')?.text).toBe('a_; x=____b.mp3');
  });

  it('is written anew where its boundary may not go on', () => {
    const made = read(written(usual)).edited([], true);
    expect(made.body.includes(boundary)).toBe(false);
    expect(form.read(made.body, made.contentType).text).toBe(read(written(usual)).text);
  });

  it('lets nothing be edited that is no string of it', () => {
    const one = read(written(usual));
    const node = parseJson(one.text).get('file')?.get('type');
    const edit = { start: node?.start ?? 0, end: node?.end ?? 0, text: '"x"' };
    expect(outcome(() => one.edited([edit]))).toBe('guard_blocked form');
    expect(outcome(() => one.edited([{ start: 1, end: 1, text: '"a":1,' }]))).toBe('guard_blocked form');
  });

  const within = (one: FormText): { text: string; edited: FormText['edited'] } => ({
    text: one.text,
    edited: (edits) => one.edited(edits),
  });

  it('gives back what was written, whatever it was, and only what is edited changes', () => {
    const content = fc
      .string({ unit: 'grapheme', maxLength: 40 })
      .filter((text) => !text.includes('\0') && text.isWellFormed());
    fc.assert(
      fc.property(content, fc.uint8Array({ maxLength: 60 }), content, (prompt, bytes, instead) => {
        const sound = Buffer.concat([mp3, bytes]);
        const one = read(written([field('model', 'm'), field('prompt', prompt), file('file', 'a.mp3', sound)]));
        const node = parseJson(one.text).get('prompt');
        expect(node?.text).toBe(prompt);
        const edit = { start: node?.start ?? 0, end: node?.end ?? 0, text: JSON.stringify(instead) };
        const made = one.edited([edit]);
        const again = form.read(made.body, made.contentType);
        expect(again.text).toBe(applyEdits(one.text, [edit]));
        expect(again.files[0]?.content.equals(sound)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('of a form that two servers could read differently', () => {
  const body = written(usual).toString('latin1');
  const latin = (text: string): Buffer => Buffer.from(text, 'latin1');
  const changed = (from: string | RegExp, to: string): Buffer => latin(body.replace(from, to));

  const bodies: readonly (readonly [string, Buffer, string])[] = [
    ['a preamble', latin(`hello\r\n${body}`), 'invalid_request boundary'],
    ['an empty line before it', latin(`\r\n${body}`), 'invalid_request boundary'],
    ['an epilogue', latin(`${body}more`), 'invalid_request epilogue'],
    ['a second form behind it', latin(body + body), 'invalid_request epilogue'],
    ['no end', latin(body.slice(0, -`--${boundary}--\r\n`.length)), 'invalid_request boundary'],
    ['half an end', latin(body.slice(0, -4)), 'invalid_request boundary'],
    ['nothing', latin(''), 'invalid_request boundary'],
    ['lines that end in LF', latin(body.replaceAll('\r\n', '\n')), 'invalid_request boundary'],
    ['a delimiter behind LF alone', latin(body.replace('whisper-1\r\n', 'whisper-1\n')), 'invalid_request boundary'],
    ['a delimiter within a line', changed('whisper-1', `x--${boundary}y`), 'invalid_request boundary'],
    ['a delimiter that goes on', changed('whisper-1', `x\r\n--${boundary}0\r\n\r\n`), 'invalid_request boundary'],
    ['white space behind a delimiter', changed(`--${boundary}\r\n`, `--${boundary} \r\n`), 'invalid_request boundary'],
    ['a delimiter in another case', latin(body.replaceAll('form-1', 'FORM-1')), 'invalid_request boundary'],
    ['a part without a head', changed('Content-Disposition: form-data; name="model"\r\n', ''), 'invalid_request part'],
    ['a head that ends in LF', changed('name="model"\r\n\r\n', 'name="model"\n\n'), 'invalid_request part'],
    ['NUL in a head', changed('name="model"', 'name="mo\0del"'), 'invalid_request part'],
    ['NUL in a field', changed('whisper-1', 'whisper\0-1'), 'invalid_request model'],
    ['a folded head', changed('name="model"', '\r\n name="model"'), 'invalid_request part'],
    [
      'a head twice',
      changed('name="model"', 'name="model"\r\nContent-Disposition: form-data; name="n"'),
      'invalid_request part',
    ],
    ['a name twice in a head', changed('name="model"', 'name="model"; name="other"'), 'invalid_request part'],
    ['half a quote', changed('name="model"', 'name=model"'), 'invalid_request part'],
    ['a list without quotes', changed('name="model"', 'name=model[]'), 'invalid_request part'],
    ['a name in a filename', changed('filename="a.mp3"', 'filename="name="x".mp3"'), 'invalid_request part'],
    ['an escaped name', changed('name="model"', 'name="mo\\del"'), 'invalid_request part'],
    ['a name with percent signs', changed('name="model"', 'name="mode%6C"'), 'invalid_request part'],
    ['a name of no letters', changed('name="model"', 'name=""'), 'invalid_request part'],
    ['NAME', changed('name="model"', 'NAME="model"'), 'invalid_request part'],
    ['attachment', changed('form-data; name="model"', 'attachment; name="model"'), 'invalid_request part'],
    ['filename*', changed('filename="a.mp3"', `filename="a.mp3"; filename*=UTF-8''b.mp3`), 'invalid_request part'],
    ['a filename twice', changed('filename="a.mp3"', 'filename="a.mp3"; filename="b.mp3"'), 'invalid_request part'],
    ['a path', changed('a.mp3', '../a.mp3'), 'invalid_request filename'],
    ['an empty filename', changed('a.mp3', ''), 'invalid_request filename'],
    ['a long filename', changed('a.mp3', `${'a'.repeat(260)}.mp3`), 'invalid_request filename'],
    [
      'an encoding',
      changed('name="model"', 'name="model"\r\nContent-Transfer-Encoding: base64'),
      'invalid_request part',
    ],
    [
      'a length that is not its own',
      changed('name="model"', 'name="model"\r\nContent-Length: 4'),
      'invalid_request part',
    ],
    [
      'a field of another charset',
      changed('name="model"', 'name="model"\r\nContent-Type: text/plain; charset=utf-16'),
      'invalid_request model',
    ],
    [
      'a field that is no text',
      changed('name="model"', 'name="model"\r\nContent-Type: application/json'),
      'invalid_request model',
    ],
    [
      'a form in a form',
      changed('name="model"', 'name="model"\r\nContent-Type: multipart/mixed; boundary=b'),
      'invalid_request model',
    ],
    ['a form as a file', changed('audio/mpeg', 'multipart/mixed'), 'invalid_request file.type'],
    ['a field as a file', changed('name="model"', 'name="model"; filename="m"'), 'invalid_request model'],
    ['a file as a field', changed('; filename="a.mp3"', ''), 'invalid_request file'],
    ['a field twice', written([...usual, field('model', 'other')]), 'invalid_request form'],
    ['a file twice', written([...usual, file('file', 'b.mp3', mp3)]), 'invalid_request form'],
    ['a field in two spellings', written([field('tag', 'a'), field('tag[]', 'b')]), 'invalid_request form'],
    ['an object and a list', written([field('part[a]', 'a'), field('part', 'b')]), 'invalid_request form'],
    [
      'more text than any server takes',
      written([field('model', 'a'.repeat(600_000)), field('prompt', 'b'.repeat(600_000))]),
      'invalid_request form',
    ],
    ['an unknown field', written([...usual, field('api_base', 'b')]), 'invalid_request form'],
    ['an inherited name', written([...usual, field('constructor', 'b')]), 'invalid_request form'],
    ['a field that is no UTF-8', written([field('model', Buffer.from([0xc3, 0x28]))]), 'invalid_encoding'],
    ['a picture as sound', written([file('file', 'a', png)]), 'invalid_request file.type'],
    ['sound that is called a picture', written([file('file', 'a.mp3', mp3, 'image/png')]), 'invalid_request file.type'],
    ['sound that is named a picture', written([file('file', 'a.png', mp3)]), 'invalid_request file.type'],
    [
      'text as sound',
      written([file('file', 'a.mp3', Buffer.from('my card is 4111'), 'audio/mpeg')]),
      'invalid_request file.type',
    ],
    [
      'a type with more to it',
      written([file('file', 'a.mp3', mp3, 'audio/mpeg; name=x')]),
      'invalid_request file.type',
    ],
    ['many parts', written(Array.from({ length: 65 }, () => field('tag[]', 'a'))), 'invalid_request parts'],
    [
      'a long head',
      changed('name="model"', `name="model"\r\nContent-Type: ${'x'.repeat(2_100)}`),
      'invalid_request part',
    ],
  ];
  it.each(bodies)('one with %s is refused', (_, one, why) => expect(refused(one)).toBe(why));

  const types: readonly (readonly [string, string])[] = [
    [`multipart/form-data; boundary=${boundary}; boundary=other`, 'invalid_request boundary'],
    [`multipart/form-data; charset=utf-8; boundary=${boundary}`, 'invalid_request boundary'],
    [`multipart/form-data; boundary=${boundary}; charset=utf-8`, 'invalid_request boundary'],
    ['multipart/form-data', 'invalid_request boundary'],
    ['multipart/form-data; boundary=', 'invalid_request boundary'],
    [`multipart/form-data; boundary="${boundary} "`, 'invalid_request boundary'],
    [`multipart/form-data; boundary="${boundary}\\""`, 'invalid_request boundary'],
    [`multipart/form-data; boundary*=utf-8''${boundary}`, 'invalid_request boundary'],
    [`multipart/form-data; boundary=${'b'.repeat(71)}`, 'invalid_request boundary'],
    [`multipart/mixed; boundary=${boundary}`, 'unsupported_media_type'],
    ['application/json', 'unsupported_media_type'],
    ['', 'unsupported_media_type'],
  ];
  it.each(types)('the type %j is refused', (one, why) => expect(refused(written(usual), one)).toBe(why));

  it('a line that some readers end at another character is refused', () => {
    expect(refused(written([file('file', 'a\u2028b.mp3', mp3)]))).toBe('invalid_request part');
  });

  it('what clients write is taken', () => {
    expect(refused(written(usual), `Multipart/Form-Data;boundary="${boundary}"`)).toBe('taken');
    expect(refused(latin(body.slice(0, -2)))).toBe('taken'); // without the last line end (undici before 6.20, curl has it)
    const aiohttp = 'name="model"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9';
    expect(refused(changed('name="model"', aiohttp))).toBe('taken');
    const dotnet = 'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model';
    expect(refused(changed('Content-Disposition: form-data; name="model"', dotnet))).toBe('taken');
    expect(
      refused(
        written([
          file('file', 'a.webm', Buffer.from('\x1a\x45\xdf\xa3aaaaaaaaaa', 'latin1'), 'audio/webm;codecs=opus'),
        ]),
      ),
    ).toBe('taken');
  });

  it.each([
    ['audio/webm; codecs="vp9,opus"', 'taken'],
    ['audio/webm;codecs=opus', 'taken'],
    ['audio/webm; codecs="4111-1111-1111-1111.ignore-all-rules"', 'invalid_request file.type'],
    ['audio/webm; codecs=avc1.424242', 'invalid_request file.type'],
    ['audio/webm; codecs="opus,4111"', 'invalid_request file.type'],
    ['audio/webm;\t\t codecs=opus', 'invalid_request file.type'],
    ['audio/webm; charset=ignore-all-rules', 'invalid_request file.type'],
  ])('a file that is said to be %s: %s, since parameters are no text that is read', (declared, why) => {
    const webm = Buffer.from('\x1a\x45\xdf\xa3aaaaaaaaaa', 'latin1');
    expect(refused(written([file('file', 'a.webm', webm, declared)]))).toBe(why);
  });

  /** What another reader makes of the texts in a body; undefined: it refuses it. */
  type Fields = ReadonlyMap<string, string> | undefined;

  /** As lenient as they come: any line ends, any case, names without quotes. */
  const lenient = (text: string): Fields => {
    const found = new Map<string, string>();
    for (const part of text.split(new RegExp(`\\r?\\n?--${boundary}(?:--)?[ \\t]*(?:\\r?\\n|$)`))) {
      const [, head = '', rest] = /^(.*?)\r?\n\r?\n(.*)$/s.exec(part) ?? [];
      const name = /name="?([^";\r\n]*)"?/i.exec(head)?.[1];
      if (name !== undefined && rest !== undefined) found.set(name, rest);
    }
    return found;
  };

  /** Node's own (undici). */
  const nodes = async (text: string): Promise<Fields> => {
    try {
      const data = await new Response(Buffer.from(text, 'latin1'), { headers: { 'content-type': type } }).formData();
      return new Map([...data].map(([name, value]) => [name, typeof value === 'string' ? value : value.name]));
    } catch {
      return undefined;
    }
  };

  const bits = [
    '\r\n',
    '\n',
    '\r',
    '"',
    ';',
    ' ',
    '--',
    `--${boundary}`,
    `\r\n--${boundary}\r\n`,
    'name="model"',
    '\0',
    '=',
  ];
  const change = fc.tuple(fc.nat({ max: 400 }), fc.constantFrom(...bits), fc.nat({ max: 6 }));
  const changes = fc.array(change, { minLength: 1, maxLength: 3 });
  const small = written([field('model', 'whisper-1'), field('prompt', 'hi')]).toString('latin1');
  const mutated = (made: readonly (readonly [number, string, number])[]): string =>
    made.reduce((text, [at, bit, gone]) => {
      const place = at % text.length;
      return text.slice(0, place) + bit + text.slice(place + gone);
    }, small);

  it('no change of a few bytes makes it read another model or prompt than other readers do', async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(changes, async (made) => {
        const text = mutated(made);
        if (refused(latin(text)) !== 'taken') return;
        taken++;
        const root = parseJson(read(latin(text)).text);
        for (const other of [lenient(text), await nodes(text)])
          for (const name of ['model', 'prompt'])
            if (other !== undefined) expect(other.get(name)).toBe(root.get(name)?.text);
      }),
      { numRuns: 5_000 },
    );
    // Refusing everything would pass.
    expect(taken).toBeGreaterThan(50);
  });
});

describe('the cost of a form', () => {
  it('is that of going over it once, however large its files and however often half a delimiter stands in them', () => {
    const size = 16 * 1_024 * 1_024;
    const plain = Buffer.concat([mp3, Buffer.alloc(size, 0xab)]);
    const hostile = Buffer.concat([mp3, Buffer.alloc(size, `\r\n--${boundary.slice(0, -1)}`)]);
    for (const sound of [plain, hostile]) {
      const body = written([field('model', 'm'), file('file', 'a.mp3', sound)]);
      const from = threadCpuMs();
      read(body);
      expect(threadCpuMs() - from).toBeLessThan(1_000);
    }
  });

  it('is no more where a head is all blanks', () => {
    const blanks = ' '.repeat(2_000);
    const heads = [`Content-Type:${blanks}\u0001`, `Content-Type:${blanks}x${blanks.slice(100)}\u0001`.slice(0, 2_040)];
    for (const head of heads) {
      const body = written([{ head, content: 'x' }]);
      const from = threadCpuMs();
      expect(refused(body)).toBe('invalid_request part');
      expect(threadCpuMs() - from).toBeLessThan(100);
    }
  });
});
