/** As much of a browser as a login needs: cookies, redirects, and forms that are filled in and sent. */
export interface Browser {
  /**
   * Opens an address, and fills in every form that comes, until there is none; gives the last page.
   * @param until An address that begins so is not opened: it is given back.
   */
  visit(url: string, until?: string): Promise<{ readonly url: string; readonly status: number; readonly text: string }>;
  /** Addresses that were asked for, in order. */
  readonly visited: readonly string[];
}

const mostPages = 30;

export function createBrowser(fill: Readonly<Record<string, string>>): Browser {
  const cookies = new Map<string, string>();
  const visited: string[] = [];

  const ask = async (url: string, form?: Readonly<Record<string, string>>): Promise<Response> => {
    visited.push(url);
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '), connection: 'close' },
      ...(form !== undefined && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return answer;
  };
  const formOf = (page: string, at: string) => {
    const [, attributes = '', inside = ''] = /<form([^>]*)>([^]*?)<\/form>/.exec(page) ?? [];
    const action = /action="([^"]*)"/.exec(attributes)?.[1];
    if (action === undefined) return undefined;
    const fields: Record<string, string> = {};
    for (const [, input = ''] of inside.matchAll(/<input([^>]*)>/g)) {
      const [name, value] = ['name', 'value'].map((key) => new RegExp(`\\b${key}="([^"]*)"`).exec(input)?.[1]);
      if (name !== undefined) fields[name] = fill[name] ?? value ?? '';
    }
    return { url: new URL(action.replaceAll('&amp;', '&'), at).href, fields };
  };

  return {
    visited,
    async visit(start, until) {
      let url = start;
      let answer = await ask(url);
      for (let page = 0; page < mostPages; page++) {
        const location = answer.headers.get('location');
        if (location !== null) {
          url = new URL(location, url).href;
          if (until !== undefined && url.startsWith(until)) return { url, status: answer.status, text: '' };
          answer = await ask(url);
          continue;
        }
        const text = await answer.text();
        const form = formOf(text, url);
        if (form === undefined) return { url, status: answer.status, text };
        ({ url } = form);
        answer = await ask(url, form.fields);
      }
      throw new Error(`the login goes in circles: ${visited.slice(-5).join(' ')}`);
    },
  };
}
