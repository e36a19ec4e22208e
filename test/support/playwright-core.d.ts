// What the tests use of `playwright-core`: its own declarations need those of browsers, which nothing else here has.

/** What scripts of tests look at; they run in the page. */
export interface PageElement {
  readonly textContent: string | null;
  readonly className: string;
  readonly title: string;
  readonly dataset: Readonly<Record<string, string | undefined>>;
}

export interface Locator {
  all(): Promise<readonly Locator[]>;
  allInnerTexts(): Promise<readonly string[]>;
  count(): Promise<number>;
  evaluate<Found>(script: (element: PageElement) => Found): Promise<Found>;
  innerText(): Promise<string>;
  nth(at: number): Locator;
}

export interface Route {
  abort(): Promise<void>;
  request(): { url(): string };
  fetch(): Promise<{ text(): Promise<string> }>;
  fulfill(answer: {
    readonly response?: object;
    readonly contentType?: string;
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  }): Promise<void>;
}

export interface Page {
  /** Of the page's scripts, once it is installed: before the page is opened. */
  readonly clock: { install(): Promise<void>; pauseAt(time: number): Promise<void>; runFor(ms: number): Promise<void> };
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  check(selector: string): Promise<void>;
  click(selector: string): Promise<void>;
  emulateMedia(media: { readonly colorScheme: 'light' | 'dark' }): Promise<void>;
  /** @param script text: what browsers have is not declared here */
  evaluate(script: string): Promise<unknown>;
  $$eval<Found>(selector: string, script: (elements: readonly PageElement[]) => Found): Promise<Found>;
  fill(selector: string, text: string): Promise<void>;
  getAttribute(selector: string, name: string): Promise<string | null>;
  goto(url: string): Promise<unknown>;
  innerText(selector: string): Promise<string>;
  inputValue(selector: string): Promise<string>;
  locator(selector: string): Locator;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  on(event: 'request', listener: (request: { url(): string }) => void): void;
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void;
  route(pattern: string, handler: (route: Route) => Promise<void>): Promise<void>;
  screenshot(options: { readonly path: string }): Promise<unknown>;
  setDefaultTimeout(ms: number): void;
  setViewportSize(size: { readonly width: number; readonly height: number }): Promise<void>;
  uncheck(selector: string): Promise<void>;
  unroute(pattern: string): Promise<void>;
  url(): string;
  waitForEvent(event: 'download'): Promise<{ suggestedFilename(): string }>;
  waitForSelector(selector: string): Promise<unknown>;
}

export interface BrowserContext {
  close(): Promise<void>;
  storageState(): Promise<object>;
  newPage(): Promise<Page>;
}

export interface Browser {
  newContext(options: {
    readonly ignoreHTTPSErrors?: boolean;
    readonly viewport?: { readonly width: number; readonly height: number };
    readonly colorScheme?: 'light' | 'dark';
    readonly reducedMotion?: 'reduce';
    /** Cookies of another. */
    readonly storageState?: object;
  }): Promise<BrowserContext>;
  close(): Promise<void>;
}

export const chromium: {
  launch(options: { readonly executablePath: string; readonly args: readonly string[] }): Promise<Browser>;
};
