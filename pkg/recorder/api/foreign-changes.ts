import { changeOperations } from '../ingest/facts.ts';
import type { RecordStore, SessionSummary } from '../store/index.ts';

/** Who decided what; what befell a process any sidecar says of its own. */
const isDecision = ({ operation }: SessionSummary): boolean =>
  operation !== 'Process' && changeOperations.has(operation);

/**
 * The store, whose searches do not find what says who decided what and is no controller's: recorders of before took such lines from any sidecar. Who
 * names a session or a block is told all that is there: the lines are in the record, and who proves it compares them.
 *
 * @param isController Of a source.
 */
export function withoutForeignChanges(store: RecordStore, isController: (source: string) => boolean): RecordStore {
  return {
    ...store,
    async search(query) {
      const page = await store.search(query);
      if (query.session !== undefined || query.block !== undefined) return page;
      const kept = page.sessions.map((one) => !isDecision(one) || isController(one.source));
      if (!kept.includes(false)) return page;
      return {
        ...page,
        sessions: page.sessions.filter((_, at) => kept[at]),
        cursors: page.cursors.filter((_, at) => kept[at]),
      };
    },
  };
}
