// What a controller's stream gives a sidecar, from files that a test writes: for a sidecar process without a controller.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../pkg/base/index.ts';
import type { Snapshot } from '../../pkg/core/index.ts';
import { parsePolicies } from '../../pkg/crd/index.ts';
import { noApprovals } from '../../pkg/local/index.ts';
import type { NotAnswered, Remote, RemoteOptions } from '../../pkg/remote/index.ts';

const read = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

/**
 * `policy.yaml` (empty: no policy selects the pod), `cert.pem` with `key.pem`, and `secret-NAME-KEY`, and for the record `recorder` (its URL), `identity.pem` with `identity-key.pem` and
 * `trust.pem`, in `folder`; looked at each 20 ms. What is not there has not come yet.
 */
export function fileController(folder: string, { clock, compile }: RemoteOptions): Remote {
  const file = (name: string): string => join(folder, name);
  let snapshot: Snapshot | undefined;
  let material: { readonly cert: string; readonly key: string } | undefined;
  let seen = '';
  const onPolicy = new Set<(next: Snapshot) => void>();
  const onMaterial = new Set<(next: typeof material) => void>();
  const look = (): void => {
    const yaml = read(file('policy.yaml'));
    if (yaml !== undefined && yaml !== seen) {
      seen = yaml;
      const { policies } = yaml.trim() === '#' ? { policies: [] } : parsePolicies(yaml, 'policy.yaml');
      snapshot = compile(policies, (snapshot?.revision ?? 0) + 1);
      for (const listener of onPolicy) listener(snapshot);
    }
    const cert = read(file('cert.pem'));
    const key = read(file('key.pem'));
    const next = cert === undefined || key === undefined ? undefined : { cert, key };
    if (next?.cert === material?.cert) return;
    material = next;
    for (const listener of onMaterial) listener(material);
  };
  look();
  const timer = clock.every(20, look);
  const secret: Remote['secret'] = (ref) => {
    const text = ref.kind === 'Secret' ? read(file(`secret-${ref.name}-${ref.key}`)) : undefined;
    return text === undefined ? undefined : new Secret(text);
  };
  return {
    policy: {
      current: () => snapshot,
      subscribe(listener) {
        onPolicy.add(listener);
        return () => onPolicy.delete(listener);
      },
      problem: () => undefined,
      ageMs: () => (existsSync(folder) ? Date.now() - statSync(folder).mtimeMs : 0),
      close: () => Promise.resolve(),
    },
    approvals: noApprovals,
    revocations: { current: () => [], subscribe: () => () => undefined },
    grants: { current: () => [], subscribe: () => () => undefined, ageMs: () => 0 },
    credentials: { read: (ref) => secret(ref)?.reveal(), close: () => undefined },
    secret,
    onSecrets: () => () => undefined,
    limitStore: () => undefined,
    onLimitStore: () => () => undefined,
    recorder: () => read(file('recorder'))?.trim(),
    onRecorder: () => () => undefined,
    serving: {
      current: () => material,
      subscribe(listener) {
        onMaterial.add(listener);
        return () => onMaterial.delete(listener);
      },
    },
    identity() {
      const identityCert = read(file('identity.pem'));
      const identityKey = read(file('identity-key.pem'));
      return identityCert === undefined || identityKey === undefined
        ? undefined
        : { cert: identityCert, key: identityKey };
    },
    trust: () => read(file('trust.pem')) ?? '',
    answered() {
      const reasons: NotAnswered[] = [];
      if (material === undefined) reasons.push('no_certificate');
      if (snapshot === undefined) reasons.push('no_policy_yet');
      return { ready: reasons.length === 0, reasons };
    },
    connected: () => true,
    silentMs: () => 0,
    close() {
      timer.cancel();
      return Promise.resolve();
    },
  };
}
