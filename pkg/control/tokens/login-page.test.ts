import { expect, test } from '@jest/globals';
import { loginPage } from './login-page.ts';

test('whom it names cannot write the page', () => {
  const { body } = loginPage({
    person: `<script>'"&</b>`,
    program: 'http://127.0.0.1:1/"><script>',
    value: '"><script>',
  });
  expect(body).not.toContain('<script');
  expect(body).toContain('<b>&lt;script&gt;&#39;&quot;&amp;&lt;/b&gt;</b>');
});

test.each([
  ['http://127.0.0.1:4711', 'http://127.0.0.1:4711'],
  // No policy can name such an address.
  ['http://[::1]:4711', 'http:'],
])('the form goes here, and on to %s', (program, target) => {
  const { headers } = loginPage({ person: 'ana', program, value: 'v' });
  expect(headers['content-security-policy']).toContain(`form-action 'self' ${target};`);
});
