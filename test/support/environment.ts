import vm from 'node:vm';
import { TestEnvironment } from 'jest-environment-node';

/**
 * Jest's environment for Node, with globals as fast as a program's own. Jest makes the context of a test file from a Proxy, so that each `Math`,
 * `Buffer` or `Map` in code is a call of the Proxy, thirty times as slow as the global itself.
 */
export default class PlainGlobals extends TestEnvironment {
  constructor(...args: ConstructorParameters<typeof TestEnvironment>) {
    const { createContext } = vm;
    Object.assign(vm, { createContext: () => createContext(vm.constants.DONT_CONTEXTIFY) });
    try {
      super(...args);
    } finally {
      Object.assign(vm, { createContext });
    }
  }
}
