import type { Notice } from './notice.ts';

/** Where people are told. */
export interface Channel {
  /** Stands in logs and metrics; unique. */
  readonly name: string;
  /**
   * Tells people, once. It may be called again with the same notice; then it is told with the same id, so that the receiver can tell.
   *
   * @returns `sent`; `refused`: the receiver will not take it, however often it is tried; or when to try again (milliseconds) where the
   * receiver says so.
   * @throws Error, without secrets, where it may work later.
   */
  send(notice: Notice, signal: AbortSignal): Promise<'sent' | 'refused' | { readonly againMs: number }>;
}
