import { describe, expect, it } from '@jest/globals';
import { reasons } from '../../core/index.ts';
import type { ReasonCode } from '../../core/index.ts';
import { sse } from '../framing/sse.ts';
import { openai } from '../index.ts';

const text = (code: ReasonCode) => ({
  status: reasons[code].status,
  code,
  message: reasons[code].message,
  rule: 'ml/support-llm/no-secrets',
  requestId: 'abc',
  detail: undefined,
});

describe('a refusal', () => {
  it.each<[ReasonCode, string]>([
    ['invalid_json', 'invalid_request_error'],
    ['token_missing', 'authentication_error'],
    ['access_denied', 'permission_error'],
    ['request_timeout', 'timeout_error'],
    ['rate_limited', 'rate_limit_error'],
    ['internal_error', 'server_error'],
    ['upstream_timeout', 'timeout_error'],
    ['overloaded', 'server_error'],
    ['tls_required', 'invalid_request_error'],
  ])('of code %s has the type %s', (code, type) => {
    expect(JSON.parse(openai.refusal(text(code)))).toEqual({
      error: {
        message: reasons[code].message,
        type,
        param: null,
        code,
        rule: 'ml/support-llm/no-secrets',
        request_id: 'abc',
      },
    });
  });

  it('names the field at fault as OpenAI does', () => {
    const body = JSON.parse(openai.refusal({ ...text('invalid_request'), detail: 'messages[0].role' })) as {
      error: { param: string };
    };
    expect(body.error.param).toBe('messages[0].role');
  });

  it('in mid-stream is one event, and never the end marker', () => {
    const frame = sse.frame(openai.refusal(text('response_blocked')), openai.errorEvent);
    expect(frame).toBe(`data: ${openai.refusal(text('response_blocked'))}\n\n`);
    expect(frame.indexOf('\n\n')).toBe(frame.length - 2);
    expect(frame).not.toContain('[DONE]');
  });

  it('cannot break out of its event, whatever a rule is called', () => {
    const frame = sse.frame(openai.refusal({ ...text('response_blocked'), rule: 'a\n\ndata: [DONE]\n\n' }));
    expect(frame.split('\n')).toHaveLength(3);
  });
});
