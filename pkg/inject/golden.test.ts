import { describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { checkFinalState, inject } from './index.ts';
import type { InjectOptions, ReasonCode } from './index.ts';
import { paramsOf, testOptions } from './testing/options.ts';

/** [file, options that differ, notes]. */
const cases: readonly (readonly [string, Partial<InjectOptions>, readonly ReasonCode[]])[] = [
  ['vllm', {}, ['loopback_open_to_root', 'loopback_open_to_root']],
  ['triton', {}, ['prestop_kept']],
  ['annotated', {}, ['loopback_open_to_root', 'loopback_open_to_root', 'image_chooses_user']],
  ['istio', {}, ['loopback_open_to_root']],
  ['istio-native', {}, ['loopback_open_to_root', 'loopback_open_to_root', 'known_name_other_image']],
  ['linkerd', {}, ['loopback_open_to_root']],
  ['knative', {}, ['prestop_kept', 'loopback_open_to_root']],
  ['kserve-knative', {}, ['loopback_open_to_root', 'loopback_open_to_root', 'loopback_open_to_root']],
  ['kserve-raw', {}, ['loopback_open_to_root']],
  ['named-port', { captureMode: 'NamedPort' }, []],
  ['named-port-istio', { captureMode: 'NamedPort' }, []],
  ['plain-sidecar', { nativeSidecars: false }, ['loopback_open_to_root', 'loopback_open_to_root']],
  ['helper', {}, []],
];

const file = (name: string): string => join(import.meta.dirname, 'testdata', `${name}.yaml`);

describe('a pod in a file', () => {
  it.each(cases)('is injected as the file beside it says: %s', (name, differing, notes) => {
    const options = { ...testOptions, ...differing };
    const before: unknown = parse(readFileSync(file(name), 'utf8'));
    const result = inject(before, options);
    if (result.kind !== 'inject') throw new Error(JSON.stringify(result.reasons));
    expect(result.notes.map(({ code }) => code)).toEqual(notes);
    expect(checkFinalState(result.pod, paramsOf(options))).toEqual([]);
    const text = stringify(result.pod, { lineWidth: 0, aliasDuplicateObjects: false });
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file(`${name}.injected`), text);
    expect(text).toBe(readFileSync(file(`${name}.injected`), 'utf8'));
    expect(inject(result.pod, options)).toMatchObject({ kind: 'inject', pod: result.pod, patch: [] });
  });
});
