/** ES modules and TypeScript through swc; types are checked by `tsc` in `make lint`. */
const base = {
  testEnvironment: '<rootDir>/test/support/environment.ts',
  setupFilesAfterEnv: ['<rootDir>/test/support/equality.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^fast-check$': '<rootDir>/test/support/properties.ts' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
};

/** Tests that run programs in the network namespace of the node. */
export const needNode = ['bypass', 'pod', 'smoke'].map((name) => `<rootDir>/test/node/${name}.test.ts`);

export default {
  // Two cores: one test process beside the sockets' peers, or timing tests starve.
  maxWorkers: 2,
  // What a file loaded is not all given back when it is over: a worker with so many bytes of it is followed by a new one.
  workerIdleMemoryLimit: 1_000_000_000,
  // Ends a test that hangs; what waits in a test gives up before and says for what.
  testTimeout: 90_000,
  testSequencer: '<rootDir>/test/longest-first.ts',
  projects: [
    {
      ...base,
      displayName: 'unit',
      testMatch: ['<rootDir>/pkg/**/*.test.ts', '<rootDir>/cmd/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '<rootDir>/cmd/init/'],
    },
    // Traffic rules in real network namespaces: Linux, root and nft.
    { ...base, displayName: 'kernel', testMatch: ['<rootDir>/cmd/init/**/*.test.ts'] },
    { ...base, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    { ...base, displayName: 'conformance', testMatch: ['<rootDir>/test/conformance/**/*.test.ts'] },
    { ...base, displayName: 'fuzz', testMatch: ['<rootDir>/test/fuzz/**/*.test.ts'] },
    // Processes that are killed, and what else goes wrong [KILLS=number of kills].
    { ...base, displayName: 'chaos', testMatch: ['<rootDir>/test/chaos/**/*.test.ts'] },
    // The chart, by the real Helm.
    { ...base, displayName: 'chart', testMatch: ['<rootDir>/test/chart/**/*.test.ts'] },
    // A real API server, and a real node: test/cluster/README.md says what they need.
    { ...base, displayName: 'apiserver', testMatch: ['<rootDir>/test/apiserver/**/*.test.ts'] },
    {
      ...base,
      displayName: 'node',
      testMatch: ['<rootDir>/test/node/**/*.test.ts'],
      // In an existing cluster: only what asks nothing of the node's own network (test/run.ts says so).
      testPathIgnorePatterns: ['/node_modules/', ...(process.env.CLUSTER ? needNode : [])],
      globalTeardown: '<rootDir>/test/cluster/node-teardown.ts',
    },
    { ...base, displayName: 'layers', testMatch: ['<rootDir>/test/layers/**/*.test.ts'] },
  ],
};
