import { resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';

export interface ApproveQuestion {
  readonly user: string;
  readonly groups: readonly string[];
  /** `inferenceapprovals`, `inferencegrants` */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

/** Whether somebody has the verb `approve` on an object. Rejects where the API server cannot be asked. */
export type MayApprove = (question: ApproveQuestion) => Promise<boolean>;

interface Review {
  readonly status?: { readonly allowed?: boolean; readonly denied?: boolean };
}

export function createMayApprove(client: Pick<KubeClient, 'create'>): MayApprove {
  return async ({ user, groups, resource, namespace, name }) => {
    const { status } = await client.create<Review>(resources.subjectAccessReviews, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user,
        groups,
        resourceAttributes: { group: 'sidegate.dev', version: 'v1alpha1', resource, namespace, name, verb: 'approve' },
      },
    });
    return status?.allowed === true && status.denied !== true;
  };
}
