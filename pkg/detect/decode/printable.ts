/** Text that a person would read: no control but tab, line feed and carriage return, no noncharacter, no replacement character. */
export function printable(code: number): boolean {
  if (code < 0x20) return code === 0x09 || code === 0x0a || code === 0x0d;
  if (code < 0xa0) return code < 0x7f;
  return (code & 0xfffe) !== 0xfffe && code !== 0xfffd && !(code >= 0xd800 && code <= 0xdfff) && code <= 0x10ffff;
}
