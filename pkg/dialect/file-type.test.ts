import { describe, expect, it } from '@jest/globals';
import { extensionOf, fileType, isOfType, sniffedType } from './file-type.ts';

const head = (text: string): Uint8Array => Buffer.from(text.padEnd(12, '\0').slice(0, 12), 'latin1');

describe('a file', () => {
  const heads: readonly (readonly [string, string | undefined])[] = [
    ['\x89PNG\r\n\x1a\n', 'image/png'],
    ['\xff\xd8\xff\xe0', 'image/jpeg'],
    ['GIF89a', 'image/gif'],
    ['GIF88a', undefined],
    ['RIFF\0\0\0\0WEBP', 'image/webp'],
    ['RIFF\0\0\0\0WAVE', 'audio/wav'],
    ['RIFF\0\0\0\0AVI ', 'video/avi'],
    ['RIFF\0\0\0\0RMID', undefined],
    ['FORM\0\0\0\0AIFF', 'audio/aiff'],
    ['\0\0\0\x18ftypheic', 'image/heic'],
    ['FLV\x01', 'video/x-flv'],
    ['\x30\x26\xb2\x75\x8e\x66\xcf\x11', 'video/wmv'],
    ['\0\0\0\x1cftypavif', 'image/avif'],
    ['\0\0\0\x1cftypM4A ', 'video/mp4'],
    ['fLaC', 'audio/flac'],
    ['OggS', 'audio/ogg'],
    ['\x1a\x45\xdf\xa3', 'video/webm'],
    ['ID3\x04', 'audio/mpeg'],
    ['\xff\xfb\x90\x64', 'audio/mpeg'],
    ['\xff\xf3\x84\x64', 'audio/mpeg'],
    ['\xff\xf1\x50\x80', 'audio/aac'],
    ['\xff\xff\xff\xff', undefined],
    ['\xff\xe9\x90', undefined],
    ['\0\0\x01\xba', 'video/mpeg'],
    ['PK\x03\x04', undefined],
    ['<svg xmlns="', undefined],
    ['%PDF-1.7', undefined],
    ['', undefined],
  ];
  it.each(heads)('that begins with %j is %s', (text, type) => expect(sniffedType(head(text))).toBe(type));

  const declared: readonly (readonly [string, string, string, string | undefined])[] = [
    ['ID3\x04', 'audio/mpeg', 'a.mp3', 'audio/mpeg'],
    ['ID3\x04', 'audio/mp3', 'a.mpga', 'audio/mp3'],
    ['ID3\x04', '', 'a', 'audio/mpeg'],
    ['ID3\x04', 'application/octet-stream', 'blob', 'audio/mpeg'],
    ['ID3\x04', 'audio/wav', 'a', undefined],
    ['ID3\x04', 'audio/mpeg', 'a.wav', undefined],
    ['ID3\x04', 'audio/mpeg', 'a.WAV', undefined],
    ['ID3\x04', '', 'a.bin', 'audio/mpeg'],
    ['\0\0\0\x1cftypM4A ', '', 'a.m4a', 'audio/mp4'],
    ['\0\0\0\x1cftypM4A ', 'audio/x-m4a', 'a.m4a', 'audio/x-m4a'],
    ['\0\0\0\x1cftypisom', '', 'a.mp4', 'video/mp4'],
    ['\x1a\x45\xdf\xa3', 'audio/webm', 'blob', 'audio/webm'],
    ['\x1a\x45\xdf\xa3', '', 'a.webm', 'video/webm'],
    ['my card is 4111', 'audio/mpeg', 'a.mp3', undefined],
  ];
  it.each(declared)('that begins with %j and is called %j and %j is %s', (text, type, name, found) =>
    expect(fileType(head(text), type, name)).toBe(found),
  );

  it('has a name that ends as such names do', () => {
    expect(['audio/mpeg', 'audio/mp4', 'video/mp4', 'image/jpeg', 'x/y'].map(extensionOf)).toEqual([
      'mp3',
      'm4a',
      'mp4',
      'jpg',
      undefined,
    ]);
    expect(isOfType(head('fLaC'), 'audio/x-flac')).toBe(true);
    expect(isOfType(head('fLaC'), 'audio/wav')).toBe(false);
  });
});
