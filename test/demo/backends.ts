// `make backends`: what a sidecar stands between, for who has neither at hand: an OIDC issuer and a scripted model server,
// on the ports that docs/quickstart.md names. For trying only: the password of each person is the name.
import { startIssuer } from '../support/issuer.ts';
import { startModelServer } from '../support/model-server.ts';
import { people } from './stage.ts';

try {
  const issuer = await startIssuer({ port: 9400, users: Object.values(people) });
  const model = await startModelServer({ port: 8000 });
  const who = Object.values(people).map(({ name, groups }) => `${name} (${groups.join(', ')})`);
  process.stdout.write(`issuer ${issuer.url}, model server ${model.url}
people: ${who.join(', ')}
a token: curl -s -u ana:ana -d grant_type=client_credentials ${issuer.url}/token
Ctrl-C ends both.
`);
} catch (error) {
  process.stderr.write(`backends: ${error instanceof Error ? error.message : String(error)}: stop what has the port\n`);
  process.exit(1);
}
