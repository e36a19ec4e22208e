/** Parameters that questions have; what is the value of another is nobody's to keep: some put a token there (RFC 6750, 2.3). */
const known: ReadonlySet<string> = new Set(
  'chain cursor found from index limit lines namespace pod size source to'.split(' '),
);
const name = /^[A-Za-z0-9_.-]{1,32}$/;
/** A part of a path that can be one of ours: none is longer than a session's id, in 32 digits. */
const part = /^[A-Za-z0-9_.-]{0,40}$/;
const left = '…';
/** Characters of what somebody asks whom nobody knows. */
const mostOfStranger = 200;

/**
 * What the log keeps of the target of a question that was refused, for ever: no value of a parameter that no question has, and of who was not
 * proven none at all.
 */
export function refusedText(method: string, { pathname, searchParams }: URL, proven: boolean): string {
  const path = pathname
    .split('/')
    .map((one) => (part.test(one) ? one : left))
    .join('/');
  const query = [...searchParams].map(([key, value]) => {
    if (!name.test(key)) return left;
    return `${key}=${proven && known.has(key) ? encodeURIComponent(value.toWellFormed()) : left}`;
  });
  const text = `${method} ${path}${query.length === 0 ? '' : `?${query.join('&')}`}`;
  return proven || text.length <= mostOfStranger ? text : `${text.slice(0, mostOfStranger)}${left}`;
}
