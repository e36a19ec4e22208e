// What of S3 an archive asks for, on loopback: requests signed by AWS Signature Version 4 (and none without), writes that are conditional,
// object lock, versions, listing in pages. As at Amazon's a lock keeps a version: a write to its name puts another over it, and a delete a marker.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface S3Object {
  readonly body: Buffer;
  readonly mode: string | undefined;
  /** Epoch milliseconds. */
  readonly until: number | undefined;
  readonly checksum: string | undefined;
  /** It has a legal hold. */
  readonly held?: boolean;
}

/** Written over the first version of a name, or a delete marker. */
export type S3Cover = S3Object | 'marker';

export interface TestS3 {
  readonly endpoint: string;
  readonly credentials: { readonly id: string; readonly secret: string };
  /** By name: what was written first. */
  readonly objects: Map<string, S3Object>;
  /** What lies over it, oldest first. */
  readonly covers: Map<string, S3Cover[]>;
  /** Requests so far, as `PUT key`, or `GET key bytes=0-99` of a beginning. */
  readonly asked: string[];
  /** What goes wrong until it is set to undefined. */
  fault: S3Fault | undefined;
  close(): Promise<void>;
}

export type S3Fault =
  /** Answers 503. */
  | 'busy'
  /** Takes an object and cuts the connection before it says so. */
  | 'cut_after_write'
  /** Takes an object without its lock. */
  | 'no_lock'
  /** Takes an object and keeps half of it, or as many other bytes. */
  | 'half'
  | 'other_bytes'
  /** Keeps no checksums. */
  | 'no_checksum'
  /** Takes a legal hold, and does nothing of it. */
  | 'no_hold'
  /** Has no right to place a legal hold. */
  | 'hold_denied'
  /** Takes a legal hold and cuts the connection before it says so. */
  | 'cut_after_hold';

const bucket = 'records';
const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const escape = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** @param options.page Names in one page of a listing. */
export async function startS3(options: { readonly page?: number } = {}): Promise<TestS3> {
  const { page = 1_000 } = options;
  const credentials = { id: 'AKIDTEST', secret: 'a secret of the test' };
  const objects = new Map<string, S3Object>();
  const covers = new Map<string, S3Cover[]>();
  /** Oldest first, with their ids. */
  const versionsOf = (key: string): readonly { readonly id: string; readonly object: S3Cover }[] => {
    const first = objects.get(key);
    if (first === undefined) covers.delete(key);
    const all = first === undefined ? [] : [first, ...(covers.get(key) ?? [])];
    return all.map((object, n) => ({ id: `v${n}`, object }));
  };
  const current = (key: string): S3Object | undefined => {
    const last = versionsOf(key).at(-1)?.object;
    return last === 'marker' ? undefined : last;
  };
  const cover = (key: string, by: S3Cover): void => void covers.set(key, [...(covers.get(key) ?? []), by]);
  const asked: string[] = [];
  const state: { fault: S3Fault | undefined } = { fault: undefined };

  const isSigned = (request: IncomingMessage, url: URL, body: Buffer): boolean => {
    const text = request.headers.authorization ?? '';
    const [, id, date, region, names = '', signature = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([0-9]{8})\/([a-z0-9-]+)\/s3\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
        text,
      ) ?? [];
    const payload = String(request.headers['x-amz-content-sha256']);
    if (id !== credentials.id || date === undefined || region === undefined) return false;
    if (payload !== 'UNSIGNED-PAYLOAD' && payload !== sha256(body)) return false;
    const must = [
      'host',
      'x-amz-date',
      ...Object.keys(request.headers).filter((name) => /^x-amz-object-lock/.test(name)),
    ];
    if (!must.every((name) => names.split(';').includes(name))) return false;
    const query = [...url.searchParams]
      .map(([name, value]) => `${escape(name)}=${escape(value)}`)
      .sort()
      .join('&');
    const headers = names.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
    const path = url.pathname
      .split('/')
      .map((part) => escape(decodeURIComponent(part)))
      .join('/');
    const canonical = [request.method, path, query, headers.join(''), names, payload].join('\n');
    const scope = `${date}/${region}/s3/aws4_request`;
    const toSign = ['AWS4-HMAC-SHA256', String(request.headers['x-amz-date']), scope, sha256(canonical)].join('\n');
    const key = ['s3', 'aws4_request'].reduce<Buffer>(
      (last, part) => hmac(last, part),
      hmac(hmac(`AWS4${credentials.secret}`, date), region),
    );
    return timingSafeEqual(hmac(key, toSign), Buffer.from(signature, 'hex'));
  };

  const put = (request: IncomingMessage, response: ServerResponse, key: string, body: Buffer): void => {
    const { fault } = state;
    const header = (name: string): string | undefined => request.headers[name] as string | undefined;
    const checksum = header('x-amz-checksum-sha256');
    if (checksum !== undefined && createHash('sha256').update(body).digest('base64') !== checksum)
      return refuse(response, 400, 'BadDigest');
    if (header('if-none-match') === '*' && current(key) !== undefined)
      return refuse(response, 412, 'PreconditionFailed');
    const until = header('x-amz-object-lock-retain-until-date');
    const locked = fault !== 'no_lock' && until !== undefined;
    const object: S3Object = {
      body:
        fault === 'half'
          ? body.subarray(0, body.length >> 1)
          : fault === 'other_bytes'
            ? Buffer.alloc(body.length)
            : body,
      mode: locked ? header('x-amz-object-lock-mode') : undefined,
      until: locked ? Date.parse(until) : undefined,
      checksum: fault === undefined ? checksum : undefined,
    };
    if (objects.has(key)) cover(key, object);
    else objects.set(key, object);
    if (fault === 'cut_after_write') return void response.socket?.destroy();
    response.writeHead(200, { etag: '"1"', 'x-amz-version-id': versionsOf(key).at(-1)?.id ?? '' }).end();
  };

  /** A lock becomes longer and stricter, and not the other way. */
  const retain = (response: ServerResponse, key: string, id: string | null, body: string): void => {
    const version = id === null ? versionsOf(key).at(-1) : versionsOf(key).find((one) => one.id === id);
    if (version === undefined || version.object === 'marker') return refuse(response, 404, 'NoSuchKey');
    const { object } = version;
    const mode = /<Mode>([A-Z]+)<\/Mode>/.exec(body)?.[1];
    const until = Date.parse(/<RetainUntilDate>([^<]+)</.exec(body)?.[1] ?? '');
    if (mode === undefined || Number.isNaN(until)) return refuse(response, 400, 'MalformedXML');
    if (object.mode === 'COMPLIANCE' && (mode !== 'COMPLIANCE' || until < (object.until ?? 0)))
      return refuse(response, 403, 'AccessDenied');
    if (state.fault !== 'no_lock') {
      const locked = { ...object, mode, until };
      if (version.id === 'v0') objects.set(key, locked);
      else
        covers.set(
          key,
          (covers.get(key) ?? []).map((one) => (one === object ? locked : one)),
        );
    }
    response.writeHead(200).end();
  };

  /** A legal hold is of a version, beside its retention and without an end; the SDK has to send a checksum of the body with it. */
  const hold = (
    request: IncomingMessage,
    response: ServerResponse,
    key: string,
    id: string | null,
    body: string,
  ): void => {
    const version = id === null ? versionsOf(key).at(-1) : versionsOf(key).find((one) => one.id === id);
    if (version === undefined || version.object === 'marker') return refuse(response, 404, 'NoSuchKey');
    const sums = ['content-md5', 'x-amz-checksum-crc32', 'x-amz-checksum-sha256', 'x-amz-checksum-crc64nvme'];
    if (!sums.some((name) => request.headers[name] !== undefined)) return refuse(response, 400, 'InvalidRequest');
    const status = /<LegalHold[^>]*>\s*<Status>(ON|OFF)<\/Status>\s*<\/LegalHold>/.exec(body)?.[1];
    if (status === undefined) return refuse(response, 400, 'MalformedXML');
    if (state.fault === 'hold_denied') return refuse(response, 403, 'AccessDenied');
    const { object } = version;
    const held = { ...object, held: status === 'ON' };
    if (state.fault !== 'no_hold') {
      if (version.id === 'v0') objects.set(key, held);
      else
        covers.set(
          key,
          (covers.get(key) ?? []).map((one) => (one === object ? held : one)),
        );
    }
    if (state.fault === 'cut_after_hold') return void response.socket?.destroy();
    response.writeHead(200).end();
  };

  /** All versions, of each name the newest first, in pages that end anywhere. */
  const list = (response: ServerResponse, search: URLSearchParams): void => {
    const prefix = search.get('prefix') ?? '';
    const delimiter = search.get('delimiter');
    const [afterKey, afterId] = [search.get('key-marker') ?? '', search.get('version-id-marker')];
    const found: { readonly key: string; readonly id: string; readonly tag: string }[] = [];
    for (const key of [...objects.keys()].filter((one) => one.startsWith(prefix)).sort()) {
      const end = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length);
      const name = end === -1 ? key : key.slice(0, end + 1);
      if (end !== -1 && found.at(-1)?.key !== name)
        found.push({ key: name, id: '', tag: `<CommonPrefixes><Prefix>${xml(name)}</Prefix></CommonPrefixes>` });
      if (end !== -1) continue;
      for (const { id, object } of [...versionsOf(key)].reverse()) {
        const kind = object === 'marker' ? 'DeleteMarker' : 'Version';
        found.push({ key, id, tag: `<${kind}><Key>${xml(key)}</Key><VersionId>${id}</VersionId></${kind}>` });
      }
    }
    const at = found.findIndex(({ key, id }) => key === afterKey && (afterId === null || id === afterId));
    const rest = found.slice(at + 1).filter(({ key }) => at !== -1 || key > afterKey);
    const [shown, last] = [rest.slice(0, page), rest[page - 1]];
    const more = rest.length > page;
    const markers = `<NextKeyMarker>${xml(last?.key ?? '')}</NextKeyMarker><NextVersionIdMarker>${last?.id ?? ''}</NextVersionIdMarker>`;
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(
      `<ListVersionsResult><IsTruncated>${more}</IsTruncated>${more ? markers : ''}${shown.map(({ tag }) => tag).join('')}</ListVersionsResult>`,
    );
  };

  const answer = (request: IncomingMessage, response: ServerResponse, body: Buffer): void => {
    const url = new URL(request.url ?? '/', 'http://s3.test');
    const [, first = '', ...rest] = decodeURIComponent(url.pathname).split('/');
    const key = rest.join('/');
    const { range } = request.headers;
    asked.push(`${request.method} ${key}${range === undefined ? '' : ` ${range}`}`);
    if (!isSigned(request, url, body)) return refuse(response, 403, 'SignatureDoesNotMatch');
    if (first !== bucket) return refuse(response, 404, 'NoSuchBucket');
    if (state.fault === 'busy') return refuse(response, 503, 'SlowDown');
    const id = url.searchParams.get('versionId');
    if (request.method === 'PUT' && url.searchParams.has('retention'))
      return retain(response, key, id, body.toString());
    if (request.method === 'PUT' && url.searchParams.has('legal-hold'))
      return hold(request, response, key, id, body.toString());
    if (request.method === 'PUT') return put(request, response, key, body);
    if (request.method === 'GET' && key === '') return list(response, url.searchParams);
    if (request.method === 'DELETE' && id === null) {
      if (objects.has(key)) cover(key, 'marker');
      return void response.writeHead(204).end();
    }
    const named = versionsOf(key).find((one) => one.id === id)?.object;
    const object = id === null ? current(key) : named === 'marker' ? undefined : named;
    if (object === undefined) return refuse(response, 404, 'NoSuchKey');
    // Whoever deletes a version by its id: its lock, until that ends, and its legal hold keep it.
    if (request.method === 'DELETE' && (object.held === true || (object.until ?? 0) > Date.now() || id !== 'v0'))
      return refuse(response, 403, 'AccessDenied');
    if (request.method === 'DELETE') {
      objects.delete(key);
      return void response.writeHead(204).end();
    }
    const most = /^bytes=0-([0-9]+)$/.exec(range ?? '')?.[1];
    const shown = most === undefined ? object.body : object.body.subarray(0, Number(most) + 1);
    if (most !== undefined && shown.length === 0) return refuse(response, 416, 'InvalidRange');
    response.writeHead(most === undefined ? 200 : 206, {
      'content-length': shown.length,
      ...(object.checksum === undefined ? {} : { 'x-amz-checksum-sha256': object.checksum }),
      ...(object.mode === undefined ? {} : { 'x-amz-object-lock-mode': object.mode }),
      ...(object.until === undefined
        ? {}
        : { 'x-amz-object-lock-retain-until-date': new Date(object.until).toISOString() }),
      ...(object.held === undefined ? {} : { 'x-amz-object-lock-legal-hold': object.held ? 'ON' : 'OFF' }),
    });
    response.end(request.method === 'HEAD' ? undefined : shown);
  };

  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => answer(request, response, Buffer.concat(parts)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials,
    objects,
    covers,
    asked,
    get fault() {
      return state.fault;
    },
    set fault(fault) {
      state.fault = fault;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}
