import { openai, raw, refusalOf } from './caller.ts';
import type { Outcome, Report } from './report.ts';
import type { Stage } from './stage.ts';

/** A call that must be refused in exactly this way, with nothing of it reaching the model. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  /** Name of the rule within the demo's policy; empty: no rule, but the promise that `because` names. */
  readonly rule: string;
  readonly because: string;
}

export async function refused(stage: Stage, call: () => PromiseLike<unknown>, expected: Refusal): Promise<Outcome> {
  const before = stage.scripted?.requests.length;
  const answer = await refusalOf(call);
  const untouched = stage.scripted?.requests.length === before;
  if (answer === undefined) return { came: 'answered', why: `expected ${expected.code}`, kept: false };
  const rule = expected.rule === '' ? '' : `demo/${expected.rule}`;
  const named = expected.rule === '' || answer.rule === rule;
  const kept = answer.status === expected.status && answer.code === expected.code && named && untouched;
  return {
    came: `${answer.status} ${answer.code}`,
    why: kept
      ? [rule === '' ? '' : `rule ${rule}:`, expected.because].filter((one) => one !== '').join(' ')
      : untouched
        ? `expected ${expected.status} ${expected.code} ${rule}, was named ${answer.rule}`
        : 'the model was asked',
    kept,
  };
}

const hello = { messages: [{ role: 'user' as const, content: 'Hello' }] };

/** Who may come in at all. */
export async function doorSteps(report: Report, stage: Stage): Promise<void> {
  const chat = (token: string | null): PromiseLike<unknown> =>
    openai(stage.url, token).chat.completions.create({ model: stage.model, ...hello });

  report.heading('At the door');
  await report.step('plain HTTP on the TLS port (raw socket)', async () => {
    const answer = await raw(stage.port, `GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:${stage.port}\r\n\r\n`);
    const status = answer.split('\r\n', 1)[0] ?? '';
    const kept = status.startsWith('HTTP/1.1 426') && answer.includes('"tls_required"');
    return {
      came: '426 tls_required',
      why: kept ? 'TLS is mandatory, and the error says so' : `came: ${status}`,
      kept,
    };
  });
  await report.step('Content-Length beside Transfer-Encoding (raw TLS)', async () => {
    const answer = await rawTls(
      stage,
      'POST /v1/chat/completions HTTP/1.1\r\nHost: demo\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    const status = answer.split('\r\n', 1)[0] ?? '';
    const kept = status.startsWith('HTTP/1.1 400');
    return {
      came: kept ? '400' : status,
      why: kept ? 'framing that two servers could read differently' : 'expected 400',
      kept,
    };
  });
  await report.step('no credential (openai client)', () =>
    refused(stage, () => chat(null), {
      status: 401,
      code: 'token_missing',
      rule: '',
      because: 'callers prove who they are',
    }),
  );
  const wrongAudience = await stage.token('ana', { aud: 'billing' });
  await report.step("ana's token, meant for another audience", () =>
    refused(stage, () => chat(wrongAudience), {
      status: 401,
      code: 'token_invalid',
      rule: '',
      because: 'audience is not inference',
    }),
  );
  const late = await stage.token('ana', { expiresIn: -120 });
  await report.step("ana's token, expired", () =>
    refused(stage, () => chat(late), {
      status: 401,
      code: 'token_expired',
      rule: '',
      because: 'ended two minutes ago',
    }),
  );
  const sam = await stage.token('sam');
  await report.step('sam of sales, whom no rule allows', () =>
    refused(stage, () => chat(sam), { status: 403, code: 'access_denied', rule: '', because: 'default deny' }),
  );
  const ana = await stage.token('ana');
  await report.step('ana loads an adapter into the model server', () =>
    refused(
      stage,
      () => openai(stage.url, ana).post('/load_lora_adapter', { body: { lora_name: 'x', lora_path: '/x' } }),
      {
        status: 403,
        code: 'access_denied',
        rule: '',
        because: 'Admin must be named by a rule',
      },
    ),
  );
}

async function rawTls(stage: Stage, bytes: string): Promise<string> {
  const { connect } = await import('node:tls');
  return await new Promise((resolve, reject) => {
    let answer = '';
    // The CA is known to this process through NODE_EXTRA_CA_CERTS, as to any caller.
    const socket = connect({ port: stage.port, host: '127.0.0.1', ALPNProtocols: ['http/1.1'] }, () =>
      socket.write(bytes),
    );
    socket.setTimeout(30_000, () => socket.destroy(new Error('no answer in 30 s')));
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}
