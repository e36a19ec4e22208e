import type { Secret } from '../base/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { fieldsOf, textOf } from './facts/shape.ts';
import type { ReviewedToken, TokenReviewer } from './stream/index.ts';

const podName = 'authentication.kubernetes.io/pod-name';
const podUid = 'authentication.kubernetes.io/pod-uid';

function only(value: unknown): string | undefined {
  // More than one would let two readers take different ones.
  return Array.isArray(value) && value.length === 1 && typeof value[0] === 'string' ? value[0] : undefined;
}

/** Asks the API server, always with an audience: a token for another one must not pass as ours. */
export function createTokenReviewer(client: Pick<KubeClient, 'create'>): TokenReviewer {
  return {
    async review(token: Secret, audience: string): Promise<ReviewedToken | undefined> {
      const review = await client.create<object>(resources.tokenReviews, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: token.reveal(), audiences: [audience] },
      });
      const status = fieldsOf(fieldsOf(review)['status']);
      if (status['authenticated'] !== true) return undefined;
      const user = fieldsOf(status['user']);
      const extra = fieldsOf(user['extra']);
      const audiences = status['audiences'];
      return {
        username: textOf(user['username']),
        audiences: Array.isArray(audiences) ? audiences.filter((one): one is string => typeof one === 'string') : [],
        podName: only(extra[podName]),
        podUid: only(extra[podUid]),
      };
    },
  };
}
