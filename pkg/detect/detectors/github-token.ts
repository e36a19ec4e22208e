import type { Detector } from '../detector.ts';
import { certainByPrefix } from '../verdict.ts';
import { isWordCharacter } from './characters.ts';

// A GitHub token: personal (ghp_), OAuth (gho_), user-to-server (ghu_), server-to-server (ghs_), refresh (ghr_), and fine-grained personal
// (github_pat_). Judged by its first 16 characters; from there everything that a token may hold is covered, so that longer
// formats to come are covered as well. The checksum in the last six characters is not asked for: a token with a typing error is still one.

export const githubToken: Detector = {
  name: 'GitHubToken',
  pattern: '(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{16}',
  maxLength: 27,
  left: 0,
  right: 0,
  verdict: certainByPrefix,
  significant: isWordCharacter,
  leastSignificant: 19,
  open: { whileClass: (code) => isWordCharacter(code) || code === 0x5f },
};
