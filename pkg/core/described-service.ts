import { DescriptorError, isTextType, readDescriptorSet, stringScalar } from './descriptor-set.ts';
import type { DescribedField, DescribedMethod, DescriptorSet } from './descriptor-set.ts';
import type { MethodSpec, ServiceSpec, TextPaths } from './policy.ts';

/** What a policy says of a service of gRPC, held against the descriptor set that it names. */

export interface ServiceFault {
  /** Below the service. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** @throws DescriptorError */
export function descriptorsOf({ descriptorSet }: Pick<ServiceSpec, 'descriptorSet'>): DescriptorSet {
  if (!base64.test(descriptorSet)) throw new DescriptorError('is not base64');
  return readDescriptorSet(Uint8Array.from(atob(descriptorSet), (one) => one.charCodeAt(0)));
}

/** Names of a path. */
const longestWay = 32;

interface Found {
  readonly field: DescribedField;
  /** On the way to it every field stands once. */
  readonly single: boolean;
}

/** The field that a path of names leads to, through lists and values of maps. */
export function fieldAt({ messages }: DescriptorSet, type: string, path: string): Found | undefined {
  let within: string | undefined = type;
  let field: DescribedField | undefined;
  let single = true;
  const names = path.split('.');
  if (names.length > longestWay) return undefined;
  for (const name of names) {
    field = within === undefined ? undefined : messages.get(within)?.get(name);
    if (field === undefined) return undefined;
    single &&= field.kind === 'one';
    within = typeof field.holds === 'string' ? field.holds : undefined;
  }
  return field === undefined ? undefined : { field, single };
}

function pathFaults(
  set: DescriptorSet,
  type: string,
  side: 'request' | 'response',
  { texts, values }: TextPaths,
): readonly ServiceFault[] {
  const faults: ServiceFault[] = [];
  const seen = new Set<string>();
  const check = (path: string, kind: 'texts' | 'values', at: number): void => {
    const add = (message: string): void => void faults.push({ path: [side, kind, at], message });
    const found = fieldAt(set, type, path);
    if (found === undefined) add(`"${path}" is no field of ${type}`);
    else if (kind === 'texts' && !isTextType(found.field.holds))
      add(`"${path}" holds no text: only fields of string and bytes stand here`);
    else if (typeof found.field.holds === 'string') add(`"${path}" is a message: only fields of one stand here`);
    else if (seen.has(path)) add(`"${path}" stands here twice`);
    seen.add(path);
  };
  texts.forEach((path, at) => check(path, 'texts', at));
  values.forEach((path, at) => check(path, 'values', at));
  return faults;
}

function methodFaults(set: DescriptorSet, described: DescribedMethod, method: MethodSpec): readonly ServiceFault[] {
  const faults: ServiceFault[] = [];
  if (method.model !== undefined) {
    const found = fieldAt(set, described.input, method.model);
    if (found?.single !== true || found.field.holds !== stringScalar)
      faults.push({
        path: ['model'],
        message: `"${method.model}" is no string of ${described.input} that stands there once`,
      });
  }
  if (!areRead(described, method))
    faults.push({
      path: ['response', 'messages'],
      message:
        'its callers stream, and no text is read over several of their messages: Separate says that none goes on in the next, in either direction',
    });
  return [
    ...faults,
    ...pathFaults(set, described.input, 'request', method.request),
    ...pathFaults(set, described.output, 'response', method.response),
  ];
}

/** Whether what is read of a call is all that its two sides take for a text: messages of a caller are read each by itself. */
export const areRead = ({ clientStreams }: DescribedMethod, { response }: Pick<MethodSpec, 'response'>): boolean =>
  !clientStreams || response.messages === 'Separate';

/** Faults that are told of one service: the first. */
const mostFaults = 32;

/** What is wrong with a service. Its shape has been checked. */
export function serviceFaults(service: ServiceSpec): readonly ServiceFault[] {
  return allFaults(service).slice(0, mostFaults);
}

function allFaults(service: ServiceSpec): readonly ServiceFault[] {
  let set: DescriptorSet;
  try {
    set = descriptorsOf(service);
  } catch (error) {
    if (!(error instanceof DescriptorError)) throw error;
    return [{ path: ['descriptorSet'], message: error.message }];
  }
  const methods = set.services.get(service.service);
  if (methods === undefined) {
    const has = [...set.services.keys()].join(', ');
    return [
      { path: ['service'], message: `is not in its descriptor set, which has ${has === '' ? 'no service' : has}` },
    ];
  }
  return service.methods.flatMap((method, at) => {
    const described = methods.get(method.name);
    const faults =
      described === undefined
        ? [{ path: ['name'], message: `"${method.name}" is no method of it (${[...methods.keys()].join(', ')})` }]
        : methodFaults(set, described, method);
    return faults.map((fault) => ({ ...fault, path: ['methods', at, ...fault.path] }));
  });
}
