import { eventText } from './event.ts';
import { post, readStatus } from './post.ts';
import type { PostOptions } from './post.ts';
import type { Receiver } from './receiver.ts';

/** JSON lines by HTTPS POST, one event each. */
export function webhookReceiver(name: string, options: PostOptions): Receiver {
  return {
    name,
    async send(events, signal) {
      const body = Buffer.from(events.map((event) => `${eventText(event)}\n`).join(''));
      const { status } = await post(options, 'application/x-ndjson', body, signal);
      return readStatus(status);
    },
    close: () => undefined,
  };
}
