import { describe, expect, it, test } from '@jest/globals';
import { recognise, sse } from '../index.ts';
import { answer, frame, lanes, refusing, removed, request, unreadable } from '../testing/reading.ts';

const refused = (detail: string): unknown => expect.objectContaining(refusing(detail));
const unread = (detail: string): unknown => expect.objectContaining(unreadable(detail));

const predict = '/v1/models/m:predict';
const infer = '/v2/models/m/infer';
const generate = '/v2/models/m/generate';
const stream = '/v2/models/m/versions/1/generate_stream';

const tensor = (datatype: string, data: unknown, name = 'x'): object => ({ name, shape: [1], datatype, data });

describe('a request', () => {
  test.each<[string, object, string[]]>([
    [predict, { instances: ['a', { deep: ['b'] }] }, ['instances[0]=a', 'instances[1].{}[0]=b']],
    ['/v1/models/m:explain', { inputs: 'a', parameters: { k: 'b' } }, ['inputs=a', 'parameters.{}=b']],
    [infer, { inputs: [tensor('BYTES', ['a', ['b']])] }, ['inputs[0].data[0]=a', 'inputs[0].data[1][0]=b']],
    [infer, { model_name: 'm', inputs: [], parameters: { k: 'a' }, x: 'y' }, ['parameters.{}=a', '{}=y']],
    [
      generate,
      { text_input: 'a', parameters: { stop: 'END' }, other: ['b'] },
      ['text_input=a', 'parameters.{}=END', '{}[0]=b'],
    ],
    [stream, { text_input: ['a', 'b'] }, ['text_input[0]=a', 'text_input[1]=b']],
    [
      generate,
      { text_input: 'a', sampling_parameters: '{"top_k":5}' },
      ['text_input=a', 'sampling_parameters={"top_k":5}'],
    ],
  ])('to %s that is %j is read', (path, body, texts) => {
    const view = request(path, body);
    expect(lanes(view)).toEqual(texts);
    expect(view).toMatchObject({
      model: 'm',
      generates: false,
      countsInput: true,
      stops: true,
      stream: path === stream,
    });
  });

  test.each([
    ['INT64', [1, 2, 3], 'x', false],
    ['INT64', [1, 2, 3, 4, 5, 6, 7, 8], 'x', true],
    ['INT64', [[1, 2, 3, 4, 5, 6, 7, 8]], 'x', true],
    ['INT64', [1], 'input_ids', true],
    ['INT64', [[1]], 'input_ids', true],
    ['INT64', [], 'input_ids', false],
    ['FP32', [1, 2, 3, 4, 5, 6, 7, 8], 'x', false],
    ['FP32', [0.123456789, 12345678.5], 'x', false],
    ['BOOL', [true, false], 'x', false],
    ['COMPLEX', [1], 'x', true],
  ])('with a tensor of %s %j named %s has tokens: %j', (datatype, data, name, tokenInput) => {
    const view = request(infer, { inputs: [tensor(datatype, data, name)] });
    expect(view.tokenInput).toBe(tokenInput);
    // Names, and no numbers.
    expect(view.loneValues.map(({ node }) => node.text)).toEqual([name, datatype]);
  });

  const rows = [
    [101, 102, 103, 104, 105, 106, 107],
    [108, 109, 110, 111, 112, 113, 114],
  ];
  test.each<[string, string, object, boolean]>([
    ['rows', infer, { inputs: [tensor('INT32', rows)] }, true],
    [
      'rows of rows',
      infer,
      {
        inputs: [
          tensor('INT32', [
            [[1], [2]],
            [[3], [4]],
            [[5], [6]],
            [[7], [8]],
          ]),
        ],
      },
      true,
    ],
    ['one that is not whole', infer, { inputs: [tensor('INT64', [0.5, ...rows.flat()])] }, true],
    [
      'rows with one that is not whole',
      infer,
      {
        inputs: [
          tensor('INT64', [
            [0.5, 1, 2, 3],
            [4, 5, 6, 7],
          ]),
        ],
      },
      true,
    ],
    ['exponents', infer, { inputs: [tensor('INT64', [1e21, 2, 3, 4].concat([5, 6, 7, 8]))] }, true],
    ['numbers beside rows', infer, { inputs: [tensor('INT64', [1, 2, [3, 4, 5], 6, 7, 8])] }, true],
    ['numbers beside truths', infer, { inputs: [tensor('INT64', [true, 1, 2, 3, 4, 5, 6, 7, 8])] }, true],
    ['tensors', infer, { inputs: rows.map((row) => tensor('INT32', row)) }, true],
    ['tensors of one number', infer, { inputs: rows.flat().map((one) => tensor('INT32', one)) }, true],
    ['tensors of two kinds', infer, { inputs: [tensor('INT8', [1, 2, 3, 4]), tensor('INT64', [5, 6, 7, 8])] }, true],
    ['few', infer, { inputs: [tensor('INT32', [1, 2, 3]), tensor('INT64', [[4], [5], [6], [7]])] }, false],
    ['floats', infer, { inputs: [tensor('FP32', rows), tensor('INT64', [5])] }, false],
    ['instances', predict, { instances: rows }, true],
    ['instances by name', predict, { instances: rows.map((x) => ({ x })) }, true],
    ['inputs by name', predict, { inputs: { x: rows[0], y: rows[1] } }, true],
    ['instances with one that is not whole', predict, { instances: [[0.5, ...rows.flat()]] }, true],
    ['numbers beside texts', predict, { instances: ['a', ...rows.flat()] }, true],
    [
      'few instances',
      predict,
      { instances: [[1, 2, 3]], parameters: { top_k: 5, n: 2, a: 3, b: 4, c: 5, d: 6 } },
      false,
    ],
    ['instances of floats', predict, { instances: [[6.5, 2.5, 4.5, 1.5, 0.5, 0.5, 0.5, 0.5, 1.5]] }, false],
    ['tensors of generate', generate, { text_input: 'a', x: rows[0], y: rows[1] }, true],
    ['a parameter of generate', generate, { text_input: 'a', parameters: { x: 5 }, y: [1, 2, 3] }, false],
  ])('has tokens where whole numbers are spread over %s: %s %j', (_, path, body, tokenInput) => {
    expect(request(path, body).tokenInput).toBe(tokenInput);
  });

  test('long numbers of it are looked at, as they say who somebody is', () => {
    const { loneValues } = request(infer, { inputs: [tensor('INT64', [4111111111111111])] });
    expect(loneValues.map(({ node }) => node.text)).toContain('4111111111111111');
  });

  test.each([
    [predict, {}, 'instances'],
    [predict, [], 'body'],
    [predict, { instances: [], parameters: { lora_name: 'a' } }, 'parameters.lora'],
    [infer, {}, 'inputs'],
    [infer, { inputs: [7] }, 'inputs'],
    [infer, { inputs: [], model_name: 'other' }, 'model_name'],
    [infer, { inputs: [], Inputs: [] }, 'inputs'],
    [infer, { inputs: [tensor('FP32', ['a'])] }, 'inputs[0].data'],
    [infer, { inputs: [tensor('FP32', [1, 'a'])] }, 'inputs[0].data'],
    [infer, { inputs: [tensor('INT64', ['a'])] }, 'inputs[0].data[0]'],
    [infer, { inputs: [tensor('BYTES', [7])] }, 'inputs[0].data'],
    [infer, { inputs: [tensor('INT64', [1, 'a'], 'input_ids')] }, 'inputs[0].data'],
    [infer, { inputs: [tensor('BYTES', ['a'], 'lora_weights')] }, 'inputs[0].lora'],
    [
      infer,
      { inputs: [tensor('BYTES', ['{"lora_name":"a"}'], 'sampling_parameters')] },
      'inputs[0].sampling_parameters',
    ],
    [infer, { inputs: [tensor('BYTES', ['no json'], 'Sampling_Parameters')] }, 'inputs[0].sampling_parameters'],
    [infer, { inputs: [], parameters: { sequence_id: 7 } }, 'parameters.sequence_id'],
    [infer, { inputs: [], parameters: { shared_memory_region: 'a' } }, 'parameters.shared_memory_region'],
    [infer, { inputs: [], parameters: { callback_url: 'a' } }, 'parameters.url'],
    [infer, { inputs: [], parameters: { draft_model: 'a' } }, 'parameters.model'],
    [
      infer,
      { inputs: [], outputs: [{ name: 'o', parameters: { session_id: 'a' } }] },
      'outputs[0].parameters.session_id',
    ],
    [predict, { instances: [], parameters: { file_id: 'a' } }, 'parameters.file_id'],
    [predict, { instances: [], parameters: { deep: [{ file_id: 'a' }] } }, 'parameters.file_id'],
    [generate, { text_input: 'a', parameters: { cache_id: 'b' } }, 'parameters.cache_id'],
    [generate, { text_input: 'a', sampling_parameters: '{"conversation_id":"b"}' }, 'sampling_parameters'],
    [
      infer,
      { inputs: [{ ...tensor('INT64', undefined), parameters: { binary_data_size: 8 } }] },
      'inputs[0].parameters.binary_data_size',
    ],
    [generate, { text_input: 'a', parameters: { lora_name: 'b' } }, 'parameters.lora'],
    [generate, { text_input: 'a', parameters: { LoRA_task: 1 } }, 'parameters.lora'],
    [generate, { text_input: 'a', lora_task_id: 1 }, 'lora'],
    [generate, { text_input: 'a', sampling_parameters: '{"lora_name":"b"}' }, 'sampling_parameters'],
    [generate, { text_input: 'a', parameters: { accumulate_tokens: true } }, 'parameters.accumulate_tokens'],
    [generate, { text_input: 'a', webhook_url: 'b' }, 'url'],
  ])('to %s that is %j is refused for %s', (path, body, detail) => {
    expect(() => request(path, body)).toThrow(refused(detail));
  });

  it('with a query is refused', () => {
    expect(() => request(infer, { inputs: [] }, 'x=1')).toThrow(refused('query'));
  });
});

describe('an answer', () => {
  test.each<[string, unknown, string[], string[]]>([
    [predict, { predictions: ['a', { deep: 'b' }] }, ['predictions[0]=a', 'predictions[1].{}=b'], []],
    ['/v1/models/m:explain', { explanations: { a: 'b' } }, ['explanations.{}=b'], []],
    [infer, { outputs: [tensor('BYTES', ['a'])] }, ['outputs[0].data[0]=a'], []],
    [infer, { outputs: [tensor('FP32', [1, 2, 3, 4, 5, 6, 7, 8])] }, [], []],
    [infer, { outputs: [tensor('INT64', [1, 2, 3, 4, 5, 6, 7, 8])] }, [], ['[1,2,3,4,5,6,7,8]']],
    [infer, { outputs: [tensor('INT64', [1], 'output_ids')] }, [], ['[1]']],
    [infer, { outputs: [tensor('COMPLEX', [1])] }, [], ['[1]']],
    [
      infer,
      { outputs: [tensor('FP32', ['a'])], parameters: { x: 'y' } },
      ['outputs[0].data[0]=a', 'parameters.{}=y'],
      [],
    ],
    [generate, { model_name: 'm', text_output: 'a', x: 'y' }, ['text_output=a', '{}=y'], []],
  ])('of %s that is %j is read', (path, body, texts, hidden) => {
    const view = answer(path, body);
    expect(lanes(view)).toEqual(texts);
    expect(removed(body, view)).toEqual(hidden);
    expect(view.ends).toEqual([{ prefix: '', end: 'cut' }]);
  });

  test.each<[string, object, string[]]>([
    [
      infer,
      {
        outputs: [
          tensor('INT32', [
            [1, 2, 3, 4],
            [5, 6, 7, 8],
          ]),
        ],
      },
      ['[[1,2,3,4],[5,6,7,8]]'],
    ],
    [infer, { outputs: [tensor('INT32', [1, 2, 3, 4]), tensor('INT8', [5, 6, 7, 8])] }, ['[1,2,3,4]', '[5,6,7,8]']],
    [infer, { outputs: [tensor('INT32', [0.5, 2, 3, 4, 5, 6, 7, 8])] }, ['[0.5,2,3,4,5,6,7,8]']],
    [infer, { outputs: [tensor('INT32', [1, 2, 3]), tensor('FP32', [5, 6, 7, 8, 9])] }, []],
    [
      infer,
      { outputs: [tensor('INT64', [7]), tensor('INT64', [1, 2, 3, 4, 5, 6, 7, 8], 'output_ids')] },
      ['[1,2,3,4,5,6,7,8]'],
    ],
    [
      predict,
      {
        predictions: [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ],
      },
      ['[1,2,3,4]', '[5,6,7,8]'],
    ],
    [
      predict,
      { predictions: [['a', 1, 2, 3, 4], { x: [5, 6, 7.5, 7, 8], n: 9 }] },
      ['1', '2', '3', '4', '[5,6,7.5,7,8]'],
    ],
    [
      predict,
      {
        predictions: [
          [0.5, 0.25],
          [0.5, 7],
        ],
        outputs: { n: 5 },
      },
      [],
    ],
    [generate, { text_output: 'a', x: [1, 2, 3, 4], y: [5, 6, 7, 8] }, ['[1,2,3,4]', '[5,6,7,8]']],
  ])('of %s that is %j hides what may be tokens, wherever it is spread', (path, body, hidden) => {
    expect(removed(body, answer(path, body))).toEqual(hidden);
  });

  it('is the page of a model, or whether it is ready', () => {
    for (const path of ['/v2/models/m', '/v2/models/m/ready'])
      expect(lanes(answer(path, { name: 'm', versions: ['1'], ready: true, x: 'y' }, 200, 'GET'))).toEqual(['{}=y']);
  });

  it('of an error is read', () => {
    expect(lanes(answer(infer, { error: 'bad' }, 400))).toEqual(['error=bad']);
  });

  test.each([
    [predict, {}, 'predictions'],
    [infer, { predictions: [] }, 'outputs'],
    [infer, { outputs: ['a'] }, 'outputs[0]'],
    [infer, { outputs: [tensor('INT64', [1, 'a'], 'output_ids')] }, 'outputs[0].data'],
    [infer, { outputs: [tensor('INT64', ['a', 1, 2, 3, 4, 5, 6, 7, 8])] }, 'outputs[0].data[0]'],
    [infer, { outputs: [tensor('BYTES', ['a', 1])] }, 'outputs[0].data[1]'],
    [infer, { outputs: [tensor('BYTES', 1)] }, 'outputs[0].data'],
    [infer, { outputs: [tensor('COMPLEX', 1)] }, 'outputs[0].data'],
    [generate, {}, 'model_name'],
    [generate, ['a'], 'body'],
  ])('of %s that is %j is refused', (path, body, detail) => {
    expect(() => answer(path, body)).toThrow(unread(detail));
  });
});

describe('an event', () => {
  it('is a piece of the text of its field', () => {
    expect(lanes(frame(stream, { model_name: 'm', text_output: 'a', x: 'y' }))).toEqual(['text_output=a', '{}=y']);
    expect(frame(stream, { model_name: 'm', text_output: 'a' })).toMatchObject({ kind: 'data', ends: [] });
    expect(frame(stream, { error: 'bad' }).kind).toBe('error');
    expect(recognise('POST', stream).streams).toEqual([sse]);
  });

  it('says of which shape it is', () => {
    const shape = (event: object): string | undefined => frame(stream, event).shape;
    expect(shape({ model_name: 'm', outputs: [tensor('BYTES', ['a'])] })).toBe('infer');
    expect(shape({ model_name: 'm', outputs: [] })).toBe('infer');
    expect(shape({ model_name: 'm', text_output: 'a' })).toBe('generate');
    expect(shape({ model_name: 'm', outputs: ['a'] })).toBe('generate');
    expect(shape({ model_name: 'm', outputs: [1] })).toBe('generate');
    expect(shape({ error: 'bad' })).toBeUndefined();
    expect(shape({ error: 'bad', model_name: 'm', model_version: '1', id: '7' })).toBeUndefined();
    expect(shape({ error: 'bad', outputs: [tensor('BYTES', ['a'])] })).toBe('infer');
    expect(shape({ error: 'bad', text_output: 'a' })).toBe('generate');
    expect(shape({ error: 'bad', x: 'a' })).toBe('generate');
  });

  test.each<[string, object, [string, number, string[]][]]>([
    ['one number', { x: 104 }, [['x', 1, ['104']]]],
    [
      'lists',
      { x: [1, 2], y: { z: [[3], 4, 0.5] } },
      [
        ['x', 2, ['[1,2]']],
        ['y', 2, ['[3]', '4']],
      ],
    ],
    ['fractions', { x: [0.5, 1.5, 7], y: 0.25 }, [['x', 1, ['[0.5,1.5,7]']]]],
    ['what Triton says itself', { sequence_index: 3, batch_index: 4, sequence_id: 5 }, []],
    ['a list that is hidden by itself', { x: [1, 2, 3, 4, 5, 6, 7, 8], y: 9 }, [['y', 1, ['9']]]],
    ['ids by their name', { output_ids: [5], token: 6 }, []],
  ])('tells whole numbers that may be a text with those of other events: %s', (_what, fields, told) => {
    const event = { model_name: 'm', text_output: 'a', ...fields };
    const { numbers = [] } = frame(stream, event);
    const said = JSON.stringify(event);
    expect(
      numbers.map(({ name, count, nodes }) => [name, count, nodes.map(({ start, end }) => said.slice(start, end))]),
    ).toEqual(told);
  });

  it('tells those of tensors by the name of each', () => {
    const outputs = [
      tensor('INT64', [[1], 2.0, 1e3]),
      { ...tensor('FP32', [1, 2, 3], 'f'), parameters: { at: 7 } },
      tensor('BYTES', ['a'], 'b'),
      tensor('INT32', [4], 'output_ids'),
    ];
    const { numbers = [] } = frame(stream, { model_name: 'm', outputs, sequence_index: 3 });
    expect(numbers.map(({ name, count, bytes }) => [name, count, bytes])).toEqual([
      ['sequence_index', 1, '3,'],
      ['x.data', 3, '[1],2,1000,'],
      ['f.parameters', 1, '7,'],
    ]);
  });

  it('of anything else is refused', () => {
    expect(() => frame(stream, { x: 'y' })).toThrow(unread('model_name'));
    expect(() => frame(stream, [])).toThrow(unread('body'));
    expect(() => frame(generate, { model_name: 'm' })).toThrow(unread('stream'));
  });
});

test('a refusal is an error as clients know it', () => {
  const text = {
    status: 403,
    code: 'access_denied' as const,
    message: 'No.',
    rule: 'r',
    requestId: 'i',
    detail: undefined,
  };
  expect(JSON.parse(recognise('POST', infer).dialect.refusal(text))).toEqual({
    ...{ error: 'No.', code: 'access_denied', rule: 'r', param: null, request_id: 'i' },
  });
});
