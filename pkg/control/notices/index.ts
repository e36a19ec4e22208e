// For the rest of pkg/control.
export { noticeResults, startNotifier } from './notifier.ts';
export type { Notifier, NoticeResult } from './notifier.ts';
export { openChannels, parseNoticeSettings } from './settings.ts';
export type { NoticeSettings } from './settings.ts';
export type { Channel } from './channel.ts';
