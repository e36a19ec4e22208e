import type { Clock, Logger } from '../../pkg/base/index.ts';
import { createConsole, consoleAssets, loginResults } from '../../pkg/recorder/index.ts';
import type { AuditServerOptions, People, RecordStore } from '../../pkg/recorder/index.ts';
import type { Meters } from '../../pkg/telemetry/index.ts';
import type { Settings } from './settings.ts';

/** The web console among what the server for auditors is told; nothing where there is none. */
export function webConsole(parts: {
  readonly settings: Settings;
  readonly people: People;
  readonly store: RecordStore;
  /** The recorder's own certificate. */
  readonly serving: { current(): { readonly cert: string; readonly key: string } };
  readonly meters: Meters;
  readonly clock: Clock;
  readonly logger: Logger;
}): Pick<AuditServerOptions, 'pages'> {
  const { settings, people, store, serving, meters, clock, logger } = parts;
  const { oidc, console: web } = settings;
  if (oidc === undefined || web === undefined) return {};
  const logins = meters.counter('sidegate_recorder_logins_total', 'Logins at the web console, by how they ended.', [
    { name: 'result', values: loginResults },
  ]);
  return {
    pages(answers) {
      const made = createConsole({
        settings: web,
        issuer: oidc.issuer,
        people,
        answers,
        store,
        assets: consoleAssets,
        issuerCa: settings.oidcCa,
        clientSecretFile: settings.consoleSecret,
        // The controller's certificate is of the authority of sidecars.
        decisionsCa: settings.trust,
        own: () => serving.current(),
        clock,
        logger,
        onLogin: (result) => logins.add([result]),
      });
      meters.reading('sidegate_recorder_console_sessions', 'Sessions of the web console.', () => made.sessions);
      return made;
    },
  };
}
