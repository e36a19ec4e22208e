import { controlPlane } from '../../contract/index.ts';

/**
 * Whether a source of the record is a controller: it alone says who decided what. Of whatever trust domain: a source is what its
 * certificate named, when it was one that counted.
 *
 * @param namespace Sidegate's own.
 */
export function controllersOf(namespace: string): (source: string) => boolean {
  return (source) => {
    const [scheme, none, , ns, of, sa, account, pod, ...more] = source.split('/');
    const isPod =
      scheme === 'spiffe:' && none === '' && ns === 'ns' && sa === 'sa' && pod === 'pod' && more.length === 1;
    return isPod && of === namespace && account === controlPlane.controller;
  };
}
