import type { Channel } from './channel.ts';
import { linesOf, titleOf } from './notice.ts';
import type { Notice } from './notice.ts';
import { postJson, readAnswer } from './post.ts';

export interface SlackOptions {
  readonly name: string;
  /** An incoming webhook, which is a secret. Read at each call: it may be rotated. */
  readonly url: () => URL;
  readonly ca: () => string | undefined;
}

/**
 * A message of Block Kit. What a caller wrote stands in `plain_text` alone, in which nothing is a mention, a link or a format. The fallback
 * (`text`), which is all that systems without blocks show, and show as Markdown (Mattermost), holds no word that a caller chose, but for the
 * name of a grant, at the end of our link: alone it might be a link of its own (`www.example.com` is a name in Kubernetes). Its button is a
 * link: it decides nothing.
 */
function messageOf(notice: Notice): string {
  const plain = (text: string) => ({ type: 'plain_text', text, emoji: false }) as const;
  return JSON.stringify({
    text: fallbackOf(notice),
    blocks: [
      { type: 'section', text: plain(titleOf(notice)) },
      ...linesOf(notice).map(([title, value]) => ({ type: 'section', text: plain(`${title}: ${value}`) })),
      { type: 'actions', elements: [{ type: 'button', text: plain('Decide…'), url: notice.link }] },
    ],
  });
}

/** Names in Kubernetes hold lower-case letters, digits, `-` and `.` alone, those of namespaces no `.`. */
const fallbackOf = ({ kind, namespace, expiresAt, link }: Notice): string =>
  `${kind === 'grants' ? 'Access is asked for' : 'A request or an answer waits for approval'} in namespace ${namespace}, until ${expiresAt}. Who it is and what it says stands at ${link}`;

/** Posts to Slack, or to what takes its messages: Mattermost, Rocket.Chat, Discord's `/slack`. */
export function slackChannel(options: SlackOptions): Channel {
  return {
    name: options.name,
    async send(notice, signal) {
      return readAnswer(await postJson(options.url(), messageOf(notice), {}, { ca: options.ca(), signal }));
    },
  };
}
