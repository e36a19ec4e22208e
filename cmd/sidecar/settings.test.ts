import { expect, test } from '@jest/globals';
import { parseSettings } from './settings.ts';

const parse = (...args: string[]) => parseSettings(['--policy', 'p.yaml', ...args], {});

test.each([
  [['--upstream', 'http://127.0.0.1:8000'], false],
  [['--upstream', 'https://api.example.com'], true],
  [['--upstream', 'https://api.example.com', '--hosted', 'no'], false],
  [['--upstream', 'http://gpu-box:8000', '--hosted', 'yes'], true],
])('%j is somebody else’s: %s', (args, hosted) => {
  expect(parse(...args)).toMatchObject({ settings: { hosted } });
});

test('what cannot be meant is told, all of it', () => {
  expect(parse('--upstream', 'http://127.0.0.1:1', '--hosted', 'maybe', '--grace', '2147484')).toEqual({
    faults: ['--hosted must be yes or no', '--grace must be a number of seconds, at most 86400'],
  });
});
