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
 * A message of Block Kit. What a caller wrote stands in `plain_text` alone, in which nothing is a mention, a link or a format; the fallback
 * for notifications (`text`) has its three special characters escaped. Its button is a link: it decides nothing.
 */
function messageOf(notice: Notice): string {
  const plain = (text: string) => ({ type: 'plain_text', text, emoji: false }) as const;
  const escaped = titleOf(notice).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return JSON.stringify({
    text: escaped,
    blocks: [
      { type: 'section', text: plain(titleOf(notice)) },
      ...linesOf(notice).map(([title, value]) => ({ type: 'section', text: plain(`${title}: ${value}`) })),
      { type: 'actions', elements: [{ type: 'button', text: plain('Decide…'), url: notice.link }] },
    ],
  });
}

/** Posts to Slack, or to what takes its messages: Mattermost, Rocket.Chat, Discord's `/slack`. */
export function slackChannel(options: SlackOptions): Channel {
  return {
    name: options.name,
    async send(notice, signal) {
      return readAnswer(await postJson(options.url(), messageOf(notice), {}, { ca: options.ca(), signal }));
    },
  };
}
