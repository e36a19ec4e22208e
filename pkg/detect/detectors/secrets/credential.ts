import type { Detector } from '../../detector.ts';
import { assigned } from './assignment.ts';
import { basicCredentials } from './basic-credentials.ts';
import { commandLine, netrc } from './command-line.ts';
import { kubernetesSecret } from './kubernetes-secret.ts';
import { urlPassword } from './url-password.ts';

/** Passwords and keys where they are given to a name, an address, a header or a program: each form says how in its own file. */
export const credential: Detector = {
  ...assigned,
  also: [urlPassword, basicCredentials, netrc, commandLine, kubernetesSecret],
};
