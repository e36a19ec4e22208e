import { describe, expect, it } from '@jest/globals';
import type { LaneEnd } from './index.ts';
import { compileScanner } from './index.ts';
import { sketchRules, sketchView } from './testing/rules.ts';

const hashKey = new Uint8Array(32).fill(1);
const view = compileScanner(
  sketchRules({ label: 'x', detectors: ['Pii', 'Secrets'] }, { patterns: ['^secret$'], words: ['falcon'] }),
  { hashKey },
).view(sketchView('rr'));
const masked = (text: string, end: LaneEnd = 'complete'): string => view.mask(text, 'json', end).text;

describe('in JSON the key of a value is what stands before it', () => {
  it.each([
    ['{"ssn": 123456789}', '{"ssn": "[x]"}'],
    ['{"ssn":"123456789"}', '{"ssn":"[x]"}'],
    ['{"cpf": 52998224725}', '{"cpf": "[x]"}'],
    ['{"nhs_number":"9434765919", "a": 1}', '{"nhs_number":"[x]", "a": 1}'],
    ['{"\\u0073sn": 123456789}', '{"\\u0073sn": "[x]"}'],
    ['{"bsn": [111222333, ["123456782"], {"n": 111222333}]}', '{"bsn": ["[x]", ["[x]"], {"n": 111222333}]}'],
    ['{"a": {"b": 1}, "bsn": 111222333}', '{"a": {"b": 1}, "bsn": "[x]"}'],
    ['{"phone": "0301234567"}', '{"phone": "[x]"}'],
    ['{"db_password": "hunter22"}', '{"db_password": "[x]"}'],
    ['{"api_key": "a1b2c3d4e5", "b": "c"}', '{"api_key": "[x]", "b": "c"}'],
  ])('%s', (text, expected) => {
    expect(masked(text)).toBe(expected);
  });

  it.each([
    '{"id": 123456789, "bsn": "none"}',
    '{"bsn": 1}\n{"id": 111222333}',
    '{"bsn": {"id": 111222333}}',
    '{"password": {"type": "string", "minLength": 12}}',
    '{"api_key": ""}',
  ])('%s tells nothing', (text) => {
    expect(masked(text)).toBe(text);
  });

  it.each([
    ['{"version": "10.0.0.1"}', '{"version": "[x]"}'],
    ['{"release":["10.1.2.3", ["10.1.2.4"]]}', '{"release":["[x]", ["[x]"]]}'],
    ['{"order":"212-555-0123"}', '{"order":"[x]"}'],
    ['{"order":"(212) 555-0123"}', '{"order":"[x]"}'],
  ])('makes nothing less certain than it is by itself: %s', (text, expected) => {
    expect(masked(text)).toBe(expected);
    expect(masked(text, 'cut')).toBe(expected);
  });

  it('and is none of it: what is found is found in the value, and a pattern sees the value alone', () => {
    expect(masked('{"password": "secret"}')).toBe('{"password": "[label-1]"}');
    expect(masked('{"fal": "con"}')).toBe('{"fal": "con"}');
    const { hits } = view.mask('{"ssn": "my 123456789"}', 'json', 'complete');
    expect(hits).toMatchObject([{ by: 'UsSsn', start: 12, end: 21, certainty: 'Likely', reason: 'TellingWord' }]);
  });

  it('in JSON within a string as in a text', () => {
    expect(masked('{"body": "{\\"ssn\\":123456789}"}')).toBe('{"body": "{\\"ssn\\":[x]}"}');
  });

  it('where an answer is cut, too, without hiding what stands before the value', () => {
    expect(masked('{"ssn": 12345', 'cut')).toBe('{"ssn": "[x]"');
    expect(masked('{"password": "hunte', 'cut')).toBe('{"password": "[x]');
  });

  it('holds no value for what can only begin before it: its quote is none of an address', () => {
    const rules = sketchRules({ label: 'x', detectors: ['CreditCard', 'Email', 'Secrets'] });
    const lane = compileScanner(rules, { hashKey }).view(sketchView('r')).open('json');
    lane.push('{"note":"Pay ');
    expect(lane.take(lane.decided)).toBe('{"note":"Pay ');
    lane.push('4111 1111');
    lane.end('complete');
    expect(lane.take(lane.decided)).toBe('4111 1111');
  });

  it('streams as it is whole, at every split', () => {
    const text = '{"ssn": 123456789, "to": ["ana@acme.org"], "api_key": "a1b2c3d4e5", "bsn": ["111222333", 5]}';
    const whole = masked(text);
    expect(whole).toBe('{"ssn": "[x]", "to": ["[x]"], "api_key": "[x]", "bsn": ["[x]", 5]}');
    for (let at = 0; at <= text.length; at += 1) {
      const lane = view.open('json');
      lane.push(text.slice(0, at));
      const sent = lane.take(lane.decided);
      expect(whole.startsWith(sent)).toBe(true);
      lane.push(text.slice(at));
      lane.end('complete');
      expect(sent + lane.take(lane.decided)).toBe(whole);
    }
  });
});
