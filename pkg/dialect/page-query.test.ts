import { expect, test } from '@jest/globals';
import { isPageQuery } from './page-query.ts';

test.each([
  ['', true],
  ['pageSize=5&pageToken=a%2Fb%3D', true],
  ['limit=20&after_id=claude-3', true],
  ['api-version=2024-10-21', true],
  ['beta=true', true],
  ['reload=1', false],
  ['limit=5&key=AIza', false],
  ['limit', false],
  ['limit=5&', false],
  ['limit=%', false],
  ['limit=5;reload=1', false],
  ['%72eload=1', false],
  ['LIMIT=5', false],
])('a page may be asked with %j: %j', (query, may) => {
  expect(isPageQuery(query)).toBe(may);
});
