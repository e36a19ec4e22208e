import { CodedError } from '../../base/index.ts';

/** Where an archive is. */
export interface ArchiveLocation {
  readonly bucket: string;
  /** Before each name: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Undefined: as the SDK finds it (`AWS_REGION`, the shared files). */
  readonly region: string | undefined;
  /** `https://…`, or plain http on a loopback address; undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  /** The bucket stands in the path instead of the host's name. */
  readonly pathStyle: boolean;
  /** PEM file of authorities of the endpoint's certificate, beside the public ones. */
  readonly ca: string | undefined;
}

const form = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9!_.*'()/-]{0,512}))?$/;
const loopback = /^(localhost|\[::1\]|127(\.[0-9]{1,3}){3})$/;

/** Reads `s3://bucket/prefix` and what goes with it. @throws CodedError `archive_invalid`, in words */
export function parseLocation(
  url: string,
  options: Partial<Pick<ArchiveLocation, 'region' | 'endpoint' | 'pathStyle' | 'ca'>> = {},
): ArchiveLocation {
  const no = (what: string): CodedError => new CodedError('archive_invalid', what);
  const [, bucket, path = ''] = form.exec(url) ?? [];
  if (bucket === undefined) throw no('an archive is named as s3://bucket/prefix');
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '.' || part === '..')) throw no('the prefix of an archive has no . or ..');
  const { region, endpoint, pathStyle = false, ca } = options;
  if (endpoint !== undefined && !isEndpoint(endpoint)) throw no('the endpoint of an archive is an https:// address');
  return { bucket, prefix: parts.map((part) => `${part}/`).join(''), region, endpoint, pathStyle, ca };
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username } = new URL(text);
  return username === '' && (protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname)));
}
