import { CodedError } from '../base/index.ts';
import { compareDefinition, resourceDefinitions } from '../crd/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';

/** A definition that is served is older than this program, or missing. */
export class DefinitionsOutdatedError extends CodedError<'definitions_outdated'> {
  constructor(message: string) {
    super('definitions_outdated', message);
    this.name = 'DefinitionsOutdatedError';
  }
}

const upgrade =
  'Upgrade the definitions first: helm upgrade with crds.enabled=true, or kubectl apply --server-side -f crds/ of this release. Nothing was changed; sidecars keep their last good policy.';

/**
 * Compares what the API server serves with our definitions. A field that it would drop silently is a rule that somebody wrote and nobody
 * enforces, so that the controller refuses to run.
 *
 * @returns kinds that are served by a newer or other definition that has all of our fields: worth a line in the log.
 * @throws DefinitionsOutdatedError with what is missing and how to upgrade; KubeError when the server cannot be asked.
 */
export async function checkServedDefinitions(client: Pick<KubeClient, 'find'>): Promise<readonly string[]> {
  const differing: string[] = [];
  for (const ours of resourceDefinitions()) {
    const { name } = ours.metadata;
    const served = await client.find(resources.definitions, { name });
    if (served === undefined) {
      throw new DefinitionsOutdatedError(`The API server serves no ${name}. ${upgrade}`);
    }
    const { sameHash, missingVersions, prunedFields } = compareDefinition(ours, served);
    if (missingVersions.length > 0) {
      throw new DefinitionsOutdatedError(`${name} does not serve ${missingVersions.join(', ')}. ${upgrade}`);
    }
    if (prunedFields.length > 0) {
      const shown = prunedFields.slice(0, 10).join(', ');
      const more = prunedFields.length > 10 ? ` and ${prunedFields.length - 10} more` : '';
      throw new DefinitionsOutdatedError(
        `${name} as it is served is older than this controller and would drop ${shown}${more}. ${upgrade}`,
      );
    }
    if (!sameHash) differing.push(name);
  }
  return differing;
}
