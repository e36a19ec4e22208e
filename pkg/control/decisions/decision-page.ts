import { createHash } from 'node:crypto';

// The page behind the links of notices. It is the same for everybody and every approval, knows nothing, and decides nothing: whoever opens it
// gives a token, which goes to the decision endpoint alone, as a program's would.

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
label, textarea, input { display: block; width: 100%; box-sizing: border-box; font: inherit; }
textarea { height: 5rem; font-family: ui-monospace, monospace; }
button { font: inherit; margin: 1rem .5rem 0 0; padding: .25rem 1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid; padding: .5rem; }`;

const script = `
const $ = (id) => document.getElementById(id);
const path = location.pathname.replace(/\\/$/, '') + '/decision';
const say = (text) => { $('said').textContent = text; };
async function ask(method, body) {
  say('…');
  try {
    const answer = await fetch(path, {
      method, cache: 'no-store', credentials: 'omit', redirect: 'error',
      headers: { authorization: 'Bearer ' + $('token').value.trim(), ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = JSON.stringify(await answer.json(), null, 2);
    say(answer.ok ? text : answer.status + ' ' + text);
    if (answer.ok) $('choice').hidden = false;
  } catch { say('The decision endpoint does not answer.'); }
}
const decide = (decision) => {
  const comment = $('comment').value.trim();
  ask('POST', comment === '' ? { decision } : { decision, comment });
};
$('show').addEventListener('click', () => ask('GET'));
$('approve').addEventListener('click', () => decide('Approve'));
$('deny').addEventListener('click', () => decide('Deny'));`;

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export const decisionPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Decide</title>
<style>${style}</style>
<h1>Something waits for a decision</h1>
<p>At a prompt: <code>kubectl sidegate approvals show</code>, then <code>approve</code> or <code>deny</code>. Or here, with a token
of a provider of the policy that names you as approver:</p>
<label for="token">Token</label>
<textarea id="token" autocomplete="off" spellcheck="false"></textarea>
<button id="show">Show what is to be decided</button>
<div id="choice" hidden>
<label for="comment">Comment</label>
<input id="comment" maxlength="1024" autocomplete="off">
<button id="approve">Approve</button><button id="deny">Deny</button>
</div>
<pre id="said" role="status"></pre>
<script>${script}</script>
</html>
`;

/** Nothing from elsewhere, no frame around it, no address of it to anybody; its own script and style, by their hashes. */
export const decisionPageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY',
};
