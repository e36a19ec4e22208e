/**
 * What the vendors' own documentation shows of their APIs: requests, whole answers and streams, written as they stand there, with their spaces
 * and with fields that Sidegate does not know. None of it holds anything that the tests' rules look for.
 */
export interface Recording {
  /** Where it is documented. */
  readonly source: string;
  readonly path: string;
  /** Absent: a GET. */
  readonly request?: string;
  readonly answer?: string;
  /** Frames, as they are written one after the other. */
  readonly stream?: readonly string[];
  readonly type?: 'text/event-stream' | 'application/x-ndjson';
}

const sse = (...data: readonly string[]): readonly string[] => data.map((one) => `data: ${one}\n\n`);
const named = (...events: readonly (readonly [name: string, data: string])[]): readonly string[] =>
  events.map(([name, data]) => `event: ${name}\ndata: ${data}\n\n`);
const lines = (...data: readonly string[]): readonly string[] => data.map((one) => `${one}\n`);

export const recordings: readonly Recording[] = [
  {
    source: 'platform.openai.com/docs/api-reference/chat/create',
    path: '/v1/chat/completions',
    request: `{
    "model": "gpt-5.4",
    "messages": [
      {
        "role": "developer",
        "content": "You are a helpful assistant."
      },
      {
        "role": "user",
        "content": "Hello!"
      }
    ]
  }`,
    answer: `{
  "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
  "object": "chat.completion",
  "created": 1741569952,
  "model": "gpt-5.4",
  "choices": [
    {
      "index": 0,
      "message": {
        "role": "assistant",
        "content": "Hello! How can I assist you today?",
        "refusal": null,
        "annotations": []
      },
      "logprobs": null,
      "finish_reason": "stop"
    }
  ],
  "usage": {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {
      "cached_tokens": 0,
      "audio_tokens": 0
    },
    "completion_tokens_details": {
      "reasoning_tokens": 0,
      "audio_tokens": 0,
      "accepted_prediction_tokens": 0,
      "rejected_prediction_tokens": 0
    }
  },
  "service_tier": "default"
}
`,
  },
  {
    source: 'platform.openai.com/docs/api-reference/chat/streaming',
    path: '/v1/chat/completions',
    request: '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}], "stream": true}',
    type: 'text/event-stream',
    stream: sse(
      '{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini", "system_fingerprint": "fp_44709d6fcb", "choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}',
      '{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini", "system_fingerprint": "fp_44709d6fcb", "choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}',
      '{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini", "system_fingerprint": "fp_44709d6fcb", "choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}',
      '[DONE]',
    ),
  },
  {
    source: 'platform.openai.com/docs/api-reference/chat/create (functions)',
    path: '/v1/chat/completions',
    request: `{
  "model": "gpt-5.4",
  "messages": [
    {"role": "user", "content": "What is the weather like in Boston today?"}
  ],
  "tools": [
    {
      "type": "function",
      "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
          "type": "object",
          "properties": {
            "location": {
              "type": "string",
              "description": "The city and state, e.g. San Francisco, CA"
            },
            "unit": {
              "type": "string",
              "enum": ["celsius", "fahrenheit"]
            }
          },
          "required": ["location"]
        }
      }
    }
  ],
  "tool_choice": "auto"
}`,
    answer: `{
  "id": "chatcmpl-abc123",
  "object": "chat.completion",
  "created": 1699896916,
  "model": "gpt-4o-mini",
  "choices": [
    {
      "index": 0,
      "message": {
        "role": "assistant",
        "content": null,
        "tool_calls": [
          {
            "id": "call_abc123",
            "type": "function",
            "function": {
              "name": "get_current_weather",
              "arguments": "{\\n\\"location\\": \\"Boston, MA\\"\\n}"
            }
          }
        ]
      },
      "logprobs": null,
      "finish_reason": "tool_calls"
    }
  ],
  "usage": {
    "prompt_tokens": 82,
    "completion_tokens": 17,
    "total_tokens": 99
  }
}
`,
  },
  {
    source: 'platform.openai.com/docs/api-reference/completions/create',
    path: '/v1/completions',
    request:
      '{\n    "model": "gpt-3.5-turbo-instruct",\n    "prompt": "Say this is a test",\n    "max_tokens": 7,\n    "temperature": 0\n  }',
    answer: `{
  "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
  "object": "text_completion",
  "created": 1589478378,
  "model": "gpt-3.5-turbo-instruct",
  "system_fingerprint": "fp_44709d6fcb",
  "choices": [
    {
      "text": "\\n\\nThis is indeed a test",
      "index": 0,
      "logprobs": null,
      "finish_reason": "length"
    }
  ],
  "usage": {
    "prompt_tokens": 5,
    "completion_tokens": 7,
    "total_tokens": 12
  }
}
`,
  },
  {
    source: 'platform.openai.com/docs/api-reference/embeddings/create',
    path: '/v1/embeddings',
    request:
      '{\n    "input": "The food was delicious and the waiter...",\n    "model": "text-embedding-ada-002",\n    "encoding_format": "float"\n  }',
    answer: `{
  "object": "list",
  "data": [
    {
      "object": "embedding",
      "embedding": [
        0.0023064255,
        -0.009327292,
        -0.0028842222
      ],
      "index": 0
    }
  ],
  "model": "text-embedding-ada-002",
  "usage": {
    "prompt_tokens": 8,
    "total_tokens": 8
  }
}
`,
  },
  {
    source: 'platform.openai.com/docs/api-reference/responses/create',
    path: '/v1/responses',
    request: '{\n    "model": "gpt-5.4",\n    "input": "Tell me a three sentence bedtime story about a unicorn."\n  }',
    answer: `{
  "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
  "object": "response",
  "created_at": 1741476542,
  "status": "completed",
  "completed_at": 1741476543,
  "error": null,
  "incomplete_details": null,
  "instructions": null,
  "max_output_tokens": null,
  "model": "gpt-5.4",
  "output": [
    {
      "type": "message",
      "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b",
      "status": "completed",
      "role": "assistant",
      "content": [
        {
          "type": "output_text",
          "text": "In a peaceful grove beneath a silver moon, a unicorn named Lumina discovered a hidden pool that reflected the stars.",
          "annotations": []
        }
      ]
    }
  ],
  "parallel_tool_calls": true,
  "previous_response_id": null,
  "reasoning": {
    "effort": null,
    "summary": null
  },
  "store": true,
  "temperature": 1.0,
  "text": {
    "format": {
      "type": "text"
    }
  },
  "tool_choice": "auto",
  "tools": [],
  "top_p": 1.0,
  "truncation": "disabled",
  "usage": {
    "input_tokens": 36,
    "input_tokens_details": {
      "cached_tokens": 0
    },
    "output_tokens": 87,
    "output_tokens_details": {
      "reasoning_tokens": 0
    },
    "total_tokens": 123
  },
  "user": null,
  "metadata": {}
}
`,
  },
  {
    source: 'platform.openai.com/docs/api-reference/responses/create (streaming)',
    path: '/v1/responses',
    request: '{"model": "gpt-5.4", "instructions": "You are a helpful assistant.", "input": "Hello!", "stream": true}',
    type: 'text/event-stream',
    stream: named(
      [
        'response.created',
        '{"type":"response.created","response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654","object":"response","created_at":1741290958,"status":"in_progress","error":null,"incomplete_details":null,"instructions":"You are a helpful assistant.","max_output_tokens":null,"model":"gpt-5.4","output":[],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":true,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":null,"user":null,"metadata":{}}}',
      ],
      [
        'response.output_item.added',
        '{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","type":"message","status":"in_progress","role":"assistant","content":[]}}',
      ],
      [
        'response.content_part.added',
        '{"type":"response.content_part.added","item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}',
      ],
      [
        'response.output_text.delta',
        '{"type":"response.output_text.delta","item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"delta":"Hi"}',
      ],
      [
        'response.output_text.done',
        '{"type":"response.output_text.done","item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"text":"Hi"}',
      ],
      [
        'response.content_part.done',
        '{"type":"response.content_part.done","item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hi","annotations":[]}}',
      ],
      [
        'response.output_item.done',
        '{"type":"response.output_item.done","output_index":0,"item":{"id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}}',
      ],
      [
        'response.completed',
        '{"type":"response.completed","response":{"id":"resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654","object":"response","created_at":1741290958,"status":"completed","error":null,"incomplete_details":null,"model":"gpt-5.4","output":[{"id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}],"usage":{"input_tokens":37,"output_tokens":11,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":48},"user":null,"metadata":{}}}',
      ],
    ),
  },
  {
    source: 'docs.anthropic.com/en/api/messages',
    path: '/v1/messages',
    request:
      '{\n    "model": "claude-opus-4-6",\n    "max_tokens": 1024,\n    "messages": [\n        {"role": "user", "content": "Hello, world"}\n    ]\n}',
    answer: `{
  "content": [
    {
      "citations": null,
      "text": "Hi! My name is Claude.",
      "type": "text"
    }
  ],
  "id": "msg_013Zva2CMHLNnjNjkJsYKZ",
  "model": "claude-opus-4-6",
  "role": "assistant",
  "stop_reason": "end_turn",
  "stop_sequence": null,
  "type": "message",
  "usage": {
    "cache_creation": {
      "ephemeral_1h_input_tokens": 0,
      "ephemeral_5m_input_tokens": 0
    },
    "input_tokens": 2095,
    "output_tokens": 503,
    "service_tier": "standard"
  }
}
`,
  },
  {
    source: 'docs.anthropic.com/en/docs/build-with-claude/streaming (tool use)',
    path: '/v1/messages',
    request:
      '{"model": "claude-opus-4-6", "max_tokens": 1024, "tools": [{"name": "get_weather", "description": "Get the current weather", "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}}}], "messages": [{"role": "user", "content": "What is the weather like in San Francisco?"}], "stream": true}',
    type: 'text/event-stream',
    stream: named(
      [
        'message_start',
        '{"type":"message_start","message":{"id":"msg_014p7gG3wDgGV9EUtLvnow3U","type":"message","role":"assistant","model":"claude-opus-4-6","stop_sequence":null,"usage":{"input_tokens":472,"output_tokens":2},"content":[],"stop_reason":null}}',
      ],
      ['content_block_start', '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'],
      ['ping', '{"type": "ping"}'],
      ['content_block_delta', '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Okay, "}}'],
      [
        'content_block_delta',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"let us check:"}}',
      ],
      ['content_block_stop', '{"type":"content_block_stop","index":0}'],
      [
        'content_block_start',
        '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6","name":"get_weather","input":{}}}',
      ],
      [
        'content_block_delta',
        '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}',
      ],
      [
        'content_block_delta',
        '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"location\\":"}}',
      ],
      [
        'content_block_delta',
        '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":" \\"San Francisco\\"}"}}',
      ],
      ['content_block_stop', '{"type":"content_block_stop","index":1}'],
      [
        'message_delta',
        '{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}',
      ],
      ['message_stop', '{"type":"message_stop"}'],
    ),
  },
  {
    source: 'github.com/ollama/ollama docs/api.md (no streaming)',
    path: '/api/generate',
    request: '{\n  "model": "llama3.2",\n  "prompt": "Why is the sky blue?",\n  "stream": false\n}',
    answer: `{
  "model": "llama3.2",
  "created_at": "2023-08-04T19:22:45.499127Z",
  "response": "The sky is blue because it is the color of the sky.",
  "done": true,
  "done_reason": "stop",
  "total_duration": 5043500667,
  "load_duration": 5025959,
  "prompt_eval_count": 26,
  "prompt_eval_duration": 325953000,
  "eval_count": 290,
  "eval_duration": 4709213000
}
`,
  },
  {
    source: 'github.com/ollama/ollama docs/api.md (chat, streaming)',
    path: '/api/chat',
    request:
      '{\n  "model": "llama3.2",\n  "messages": [\n    {\n      "role": "user",\n      "content": "why is the sky blue?"\n    }\n  ]\n}',
    type: 'application/x-ndjson',
    stream: lines(
      '{"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":"The","images":null},"done":false}',
      '{"model":"llama3.2","created_at":"2023-08-04T08:52:19.385406455-07:00","message":{"role":"assistant","content":" sky.","images":null},"done":false}',
      '{"model":"llama3.2","created_at":"2023-08-04T19:22:45.499127Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"prompt_eval_duration":342546000,"eval_count":282,"eval_duration":4535599000}',
    ),
  },
  {
    source: 'huggingface.co/docs/text-generation-inference/quicktour',
    path: '/generate',
    request: '{"inputs":"What is Deep Learning?","parameters":{"max_new_tokens":20}}',
    answer: '{"generated_text":"\\nDeep learning is a branch of machine learning."}',
  },
  {
    source: 'huggingface.co/docs/text-generation-inference/conceptual/streaming',
    path: '/generate_stream',
    request: '{"inputs":"What is Deep Learning?","parameters":{"max_new_tokens":20}}',
    type: 'text/event-stream',
    // The id of a token is the token again, and becomes 0 where a rule hides anything.
    stream: sse(
      '{"index":1,"token":{"id":0,"text":"\\n","logprob":-0.4375,"special":false},"generated_text":null,"details":null}',
      '{"index":2,"token":{"id":0,"text":"Deep ","logprob":-1.5,"special":false},"generated_text":null,"details":null}',
      '{"index":3,"token":{"id":0,"text":"learning.","logprob":-0.5,"special":false},"generated_text":"\\nDeep learning.","details":null}',
    ),
  },
  {
    source: 'github.com/ggml-org/llama.cpp tools/server/README.md',
    path: '/completion',
    request: '{"prompt": "Building a website can be done in 10 simple steps:","n_predict": 128}',
    answer:
      '{"index":0,"content":" choose a name.","tokens":[],"id_slot":0,"stop":true,"model":"gpt-3.5-turbo","tokens_predicted":4,"tokens_evaluated":11,"generation_settings":{"n_predict":128,"seed":4294967295,"temperature":0.8,"stop":[],"samplers":["dry","top_k"]},"prompt":"Building a website","has_new_line":false,"truncated":false,"stop_type":"limit","stopping_word":"","timings":{"prompt_n":11,"prompt_ms":12.5}}',
  },
  {
    source: 'github.com/ggml-org/llama.cpp tools/server/README.md (stream)',
    path: '/completion',
    request: '{"prompt": "Building a website can be done in 10 simple steps:","n_predict": 128, "stream": true}',
    type: 'text/event-stream',
    stream: sse(
      '{"index":0,"content":" choose","tokens":[],"stop":false,"id_slot":-1,"tokens_predicted":1,"tokens_evaluated":11}',
      '{"index":0,"content":" a name.","tokens":[],"stop":false,"id_slot":-1,"tokens_predicted":2,"tokens_evaluated":11}',
      '{"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":"m","tokens_predicted":2,"tokens_evaluated":11,"stop_type":"eos","stopping_word":""}',
    ),
  },
  {
    source: 'docs.vllm.ai/en/latest/serving/openai_compatible_server (re-rank)',
    path: '/v1/rerank',
    request:
      '{\n  "model": "BAAI/bge-reranker-base",\n  "query": "What is the capital of France?",\n  "documents": [\n    "The capital of Brazil is Brasilia.",\n    "The capital of France is Paris."\n  ]\n}',
    answer: `{
  "id": "rerank-fae51b2b664d4ed38f5969b612edff77",
  "model": "BAAI/bge-reranker-base",
  "usage": {
    "total_tokens": 56
  },
  "results": [
    {
      "index": 1,
      "document": {
        "text": "The capital of France is Paris."
      },
      "relevance_score": 0.99853515625
    }
  ]
}
`,
  },
  {
    source: 'kserve.github.io docs/reference/data_plane/v2_protocol',
    path: '/v2/models/mymodel/infer',
    request:
      '{\n  "id" : "42",\n  "inputs" : [\n    {\n      "name" : "input0",\n      "shape" : [ 2, 2 ],\n      "datatype" : "FP32",\n      "data" : [ 1, 2, 3, 4 ]\n    },\n    {\n      "name" : "input1",\n      "shape" : [ 1 ],\n      "datatype" : "BYTES",\n      "data" : [ "hello" ]\n    }\n  ]\n}',
    answer: `{
  "id" : "42",
  "model_name" : "mymodel",
  "outputs" : [
    {
      "name" : "output0",
      "shape" : [ 3, 2 ],
      "datatype"  : "FP32",
      "data" : [ 1.0, 1.1, 2.0, 2.1, 3.0, 3.1 ]
    }
  ]
}
`,
  },
  {
    source: 'kserve.github.io docs/reference/data_plane/v1_protocol',
    path: '/v1/models/mymodel:predict',
    request: '{\n  "instances": [ "how are you", {"b64": "aGVsbG8"} ]\n}',
    answer: '{\n  "predictions": [ "fine", { "score": 0.9, "label": "greeting" } ]\n}',
  },
  {
    source: 'docs.nvidia.com triton docs/protocol/extension_generate',
    path: '/v2/models/mymodel/generate',
    request: '{\n  "id": "42",\n  "text_input": "client input",\n  "parameters": {\n    "temperature": 0.2\n  }\n}',
    answer: '{"id" : "42", "model_name" : "mymodel", "model_version" : "1", "text_output" : "model output"}',
  },
  {
    source: 'docs.nvidia.com triton docs/protocol/extension_generate (stream)',
    path: '/v2/models/mymodel/generate_stream',
    request: '{"text_input": "client input", "parameters": {"stream": false, "temperature": 0}}',
    type: 'text/event-stream',
    stream: sse(
      '{"model_name":"mymodel","model_version":"1","text_output":"model "}',
      '{"model_name":"mymodel","model_version":"1","text_output":"output."}',
    ),
  },
  {
    source: 'ai.google.dev/api/generate-content',
    path: '/v1beta/models/gemini-2.5-flash:generateContent',
    request:
      '{\n      "contents": [{\n        "parts":[{"text": "Write a story about a magic backpack."}]\n        }]\n       }',
    answer: `{
  "candidates": [
    {
      "content": {
        "parts": [
          {
            "text": "Once upon a time there was a backpack."
          }
        ],
        "role": "model"
      },
      "finishReason": "STOP",
      "avgLogprobs": -0.25,
      "safetyRatings": [
        {
          "category": "HARM_CATEGORY_HARASSMENT",
          "probability": "NEGLIGIBLE"
        }
      ]
    }
  ],
  "usageMetadata": {
    "promptTokenCount": 7,
    "candidatesTokenCount": 9,
    "totalTokenCount": 16,
    "promptTokensDetails": [
      {
        "modality": "TEXT",
        "tokenCount": 7
      }
    ]
  },
  "modelVersion": "gemini-2.5-flash",
  "responseId": "kvk6aLbOI5eZ1dkP"
}
`,
  },
  {
    source: 'ai.google.dev/api/generate-content (streamGenerateContent)',
    path: '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    request: '{"contents": [{"role": "user", "parts":[{"text": "Write a story about a magic backpack."}]}]}',
    type: 'text/event-stream',
    stream: sse(
      '{"candidates": [{"content": {"parts": [{"text": "Once upon"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 7,"totalTokenCount": 7},"modelVersion": "gemini-2.5-flash","responseId": "kvk6aLbOI5eZ1dkP"}',
      '{"candidates": [{"content": {"parts": [{"text": " a time."}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 7,"candidatesTokenCount": 4,"totalTokenCount": 11},"modelVersion": "gemini-2.5-flash","responseId": "kvk6aLbOI5eZ1dkP"}',
    ),
  },
  {
    source: 'docs.cohere.com/v2/reference/chat',
    path: '/v2/chat',
    request:
      '{\n  "model": "command-a-03-2025",\n  "messages": [\n    {\n      "role": "user",\n      "content": "Tell me about LLMs"\n    }\n  ]\n}',
    answer:
      '{"id":"c14c80c3-18eb-4519-9460-6c92edd8cfb4","message":{"role":"assistant","content":[{"type":"text","text":"LLMs stand for Large Language Models."}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":418},"tokens":{"input_tokens":71,"output_tokens":418}}}',
  },
  {
    source: 'docs.cohere.com/v2/reference/chat-stream',
    path: '/v2/chat',
    request:
      '{"stream": true, "model": "command-a-03-2025", "messages": [{"role": "user", "content": "Tell me about LLMs"}]}',
    type: 'text/event-stream',
    stream: named(
      [
        'message-start',
        '{"id":"29f14a5a-11de-4cae-9800-25e4747408ea","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}',
      ],
      ['content-start', '{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}'],
      ['content-delta', '{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"LLMs"}}}}'],
      ['content-delta', '{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" stand."}}}}'],
      ['content-end', '{"type":"content-end","index":0}'],
      [
        'message-end',
        '{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":3,"output_tokens":418},"tokens":{"input_tokens":69,"output_tokens":418}}}}',
      ],
    ),
  },
  {
    source: 'docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse',
    path: '/model/anthropic.claude-3-sonnet/converse',
    request:
      '{\n    "messages": [\n        {\n            "role": "user",\n            "content": [\n                {\n                    "text": "Write an article about impact of high inflation to GDP of a country"\n                }\n            ]\n        }\n    ],\n    "system": [{"text" : "You are an economist with access to lots of data"}],\n    "inferenceConfig": {\n        "maxTokens": 1000,\n        "temperature": 0.5\n    }\n}',
    answer:
      '{"metrics":{"latencyMs":17355},"output":{"message":{"content":[{"text":"Here is an article about the impact of high inflation."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":33,"outputTokens":868,"totalTokens":901}}',
  },
  {
    source: 'platform.openai.com/docs/api-reference/images/create',
    path: '/v1/images/generations',
    request: '{"model": "dall-e-3", "prompt": "A cute baby sea otter", "n": 1, "size": "1024x1024"}',
    answer:
      '{"created": 1713833628, "data": [{"url": "https://images.test/otter", "revised_prompt": "A small sea otter"}]}',
  },
  {
    source: 'platform.openai.com/docs/api-reference/models/list',
    path: '/v1/models',
    answer: `{
  "object": "list",
  "data": [
    {
      "id": "model-id-0",
      "object": "model",
      "created": 1686935002,
      "owned_by": "organization-owner"
    }
  ]
}
`,
  },
];
