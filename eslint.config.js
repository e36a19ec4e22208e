import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** What is banned, and why: each message is the reason that a reviewer would give. */
const bans = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: 'Take a Clock (pkg/base): expiry and backoff are tested with a fake one.',
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Take a Clock (pkg/base).' },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: 'Take randomness as an argument, or crypto for anything secret.',
  },
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: 'Settings are read once, under cmd/.',
  },
  {
    selector: "MemberExpression[object.name='JSON'][property.name='parse']",
    message: 'Use the bounded parser of pkg/base: duplicate keys, depth and size are refused there.',
  },
  {
    selector: "NewExpression[callee.name='RegExp'][arguments.0.type!='Literal']",
    message: 'A pattern made at run time may be super-linear: pkg/detect compiles patterns.',
  },
  {
    selector: "MemberExpression[object.name='Buffer'][property.name=/^allocUnsafe/]",
    message: 'Uninitialised memory can leak another request.',
  },
  { selector: 'ExportAllDeclaration', message: 'index.ts is an explicit list.' },
];

const ofBrowsers = [
  'AbortController',
  'AbortSignal',
  'Blob',
  'DOMException',
  'Element',
  'Event',
  'HTMLElement',
  'HTMLInputElement',
  'Node',
  'TextEncoder',
  'URL',
  'URLSearchParams',
  'cancelAnimationFrame',
  'clearInterval',
  'clearTimeout',
  'crypto',
  'document',
  'fetch',
  'history',
  'localStorage',
  'location',
  'navigator',
  'performance',
  'requestAnimationFrame',
  'setInterval',
  'setTimeout',
];
const browserBans = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'setHTMLUnsafe', 'parseFromString'].map(
  (name) => ({
    selector: `Identifier[name='${name}']`,
    message: 'What is of a record goes in as text nodes.',
  }),
);

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.demo/**', '*.config.js', 'coverage/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', 'pkg/recorder/console/assets/*.js'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      'no-control-regex': 'off', // control characters are what the framing tables are about
      'no-misleading-character-class': 'off', // as above, for the folding tables
      'no-irregular-whitespace': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
      complexity: ['error', 20],
      'max-depth': ['error', 4],
      'max-params': ['error', 5],
      'no-restricted-syntax': ['error', ...bans],
    },
  },
  {
    // The web console runs in browsers: what it uses of them. Nothing of a record may become markup or code there.
    files: ['pkg/recorder/console/assets/*.js'],
    languageOptions: { globals: Object.fromEntries(ofBrowsers.map((name) => [name, 'readonly'])) },
    rules: { 'no-restricted-syntax': ['error', ...bans, ...browserBans] },
  },
  {
    // Their one clock, and the one place that reads lines of the record, which the recorder has checked.
    files: ['pkg/recorder/console/assets/clock.js', 'pkg/recorder/console/assets/record.js'],
    rules: {
      'no-restricted-syntax': ['error', ...bans.filter(({ selector }) => !/Date|JSON/.test(selector)), ...browserBans],
    },
  },
  {
    // The one home of clocks.
    files: ['pkg/base/clock.ts'],
    rules: { 'no-restricted-syntax': ['error', ...bans.filter((ban) => !ban.message.includes('Clock'))] },
  },
  {
    // Only process entry points read the environment and print.
    files: ['cmd/**/*.ts', 'pkg/cli/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...bans.filter((ban) => !ban.selector.includes("'env'"))],
    },
  },
  {
    // Tests and benches measure real time, and attack with what the product bans.
    files: ['**/*.test.ts', 'test/**/*.ts'],
    rules: {
      'no-restricted-syntax': 'off',
      'no-console': 'off',
      complexity: 'off',
      'max-depth': 'off',
      'max-params': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
