import { expect, test } from '@jest/globals';
import { createMayBecome } from './service-account-rights.ts';

interface Asked {
  readonly spec: {
    readonly user: string;
    readonly groups: readonly string[];
    readonly resourceAttributes: Readonly<Record<string, string>>;
  };
}
const account = 'system:serviceaccount:ml:batch';

/** @param granted by what an API server calls a right: `create pods/exec ml` */
function build(granted: string) {
  const asked: Asked[] = [];
  const mayBecome = createMayBecome({
    create<T>(_resource: unknown, object: unknown) {
      const one = object as Asked;
      asked.push(one);
      const { verb, resource, subresource, namespace, name } = one.spec.resourceAttributes;
      const right = [verb, subresource === undefined ? resource : `${resource}/${subresource}`, namespace, name];
      return Promise.resolve({
        status: { allowed: right.filter((word) => word !== undefined).join(' ') === granted },
      } as T);
    },
  });
  return { mayBecome, asked };
}

const workloads = [
  'pods',
  'replicationcontrollers',
  'deployments',
  'statefulsets',
  'daemonsets',
  'replicasets',
  'jobs',
  'cronjobs',
];

test.each([
  ['create serviceaccounts/token ml batch'],
  ['impersonate serviceaccounts ml batch'],
  ...['get', 'list', 'watch', 'update', 'patch', 'delete', 'deletecollection'].map((verb) => [`${verb} secrets ml`]),
  ...['create', 'get'].map((verb) => [`${verb} nodes/proxy`]),
  ...['create', 'update', 'patch'].flatMap((verb) => workloads.map((kind) => [`${verb} ${kind} ml`])),
  ...['create', 'get'].flatMap((verb) => [[`${verb} pods/exec ml`], [`${verb} pods/attach ml`]]),
  ...['update', 'patch'].map((verb) => [`${verb} pods/ephemeralcontainers ml`]),
])('who may %s may act as a service account there', async (granted) => {
  const { mayBecome, asked } = build(granted);
  expect(await mayBecome({ username: 'lea', groups: ['ml-leads'] }, [account])).toBe(true);
  expect(new Set(asked.map(({ spec }) => JSON.stringify([spec.user, spec.groups])))).toEqual(
    new Set(['["lea",["ml-leads"]]']),
  );
  expect(await mayBecome({ username: 'lea', groups: [] }, ['system:serviceaccount:web:batch', account])).toBe(true);
});

test('who has no such right, or has it in another namespace, may not; of a name that is none nobody knows', async () => {
  const { mayBecome } = build('create pods web');
  expect(await mayBecome({ username: 'lea', groups: [] }, [account])).toBe(false);
  expect(await mayBecome({ username: 'lea', groups: [] }, [])).toBe(false);
  for (const odd of ['system:serviceaccount:ml', 'system:serviceaccount:ml:batch:x', 'system:serviceaccount::batch'])
    expect(await mayBecome({ username: 'lea', groups: [] }, [odd])).toBe(true);
});

test('a right that the API server denies is none, and where it cannot be asked there is no answer', async () => {
  const denied = createMayBecome({
    create: <T>() => Promise.resolve({ status: { allowed: true, denied: true } } as T),
  });
  expect(await denied({ username: 'lea', groups: [] }, [account])).toBe(false);
  const down = createMayBecome({ create: () => Promise.reject(new Error('down')) });
  await expect(down({ username: 'lea', groups: [] }, [account])).rejects.toThrow('down');
});
