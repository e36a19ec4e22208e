import { hash } from 'node:crypto';

/** Characters of a question that stand in the log as they were asked. */
const longest = 2_048;

/**
 * What the log says was asked: the question, or the beginning of a long one with how many characters and which SHA-256 (of its UTF-8, hex)
 * the whole has.
 */
export function noted(question: string): string {
  if (question.length <= longest) return question;
  return `${question.slice(0, longest).toWellFormed()}… (${question.length} characters, SHA-256 ${hash('sha256', question, 'hex')})`;
}
