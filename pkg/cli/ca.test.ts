import { expect, test } from '@jest/globals';
import { sidegateCommand } from '../../test/support/sidegate-command.ts';

test('a file with line ends of Windows is written with those of PEM', async () => {
  const text = ['-----BEGIN CERTIFICATE-----', 'AAAA', '-----END CERTIFICATE-----', ''];
  const { code, out } = await sidegateCommand(['ca', '--ca', 'ca.pem'], { readFile: () => text.join('\r\n') });
  expect([code, out]).toEqual([0, text.join('\n')]);
});
