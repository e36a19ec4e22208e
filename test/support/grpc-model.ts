import { join } from 'node:path';
import type { Client, Metadata, ServerDuplexStream, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A model server of KServe v2 by gRPC's own library, of which each test says what it answers; and that library's client. */

const folder = join(import.meta.dirname, '../../pkg/dialect/grpc/proto');
const definition = loadSync(['inference.proto', 'health.proto', 'generate.proto'], {
  includeDirs: [folder],
  keepCase: true,
});
const loaded = grpc.loadPackageDefinition(definition) as unknown as {
  readonly inference: { readonly GRPCInferenceService: grpc.ServiceClientConstructor };
  readonly generate: { readonly v3: { readonly TextGenerationService: grpc.ServiceClientConstructor } };
  readonly grpc: { readonly health: { readonly v1: { readonly Health: grpc.ServiceClientConstructor } } };
};

export type Message = Readonly<Record<string, unknown>>;
export type Unary = ServerUnaryCall<Message, Message>;

export interface GrpcModel {
  readonly url: string;
  /** Names of methods with what they were called with. */
  readonly seen: { readonly method: string; readonly request: Message; readonly metadata: Metadata }[];
  infer: (call: Unary, answer: sendUnaryData<Message>) => void;
  /** What other methods answer, by name. */
  readonly pages: Map<string, Message>;
  stream: (call: ServerDuplexStream<Message, Message>) => void;
  /** Calls that their client gave up. */
  cancelled: number;
  close(): void;
}

/** Elements of a BYTES tensor, in KServe's form. */
export function elements(...texts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text as string);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

export function textsOf(raw: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < raw.length;) {
    const length = raw.readUInt32LE(at);
    texts.push(raw.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return texts;
}

/** A request with one text. */
export const asking = (text: string, more: Message = {}): Message => ({
  model_name: 'llama-3-8b',
  inputs: [{ name: 'text_input', datatype: 'BYTES', shape: [1] }],
  raw_input_contents: [elements(text)],
  ...more,
});

/** An answer with one text. */
export const saying = (text: string, more: Message = {}): Message => ({
  model_name: 'llama-3-8b',
  outputs: [{ name: 'text_output', datatype: 'BYTES', shape: [1] }],
  raw_output_contents: [elements(text)],
  ...more,
});

export const said = (answer: Message): string[] => (answer['raw_output_contents'] as Buffer[]).flatMap(textsOf);

/** @param add more services. */
export async function startGrpcModel(add: (server: grpc.Server) => void = () => undefined): Promise<GrpcModel> {
  const server = new grpc.Server();
  const model: Omit<GrpcModel, 'url' | 'close'> = {
    seen: [],
    infer: (_call, answer) => answer(null, saying('hello')),
    pages: new Map(),
    stream: (call) => call.end(),
    cancelled: 0,
  };
  const noting =
    (method: string, run: (call: Unary, answer: sendUnaryData<Message>) => void) =>
    (call: Unary, answer: sendUnaryData<Message>): void => {
      model.seen.push({ method, request: call.request, metadata: call.metadata });
      call.on('cancelled', () => model.cancelled++);
      run(call, answer);
    };
  const page = (method: string): ((call: Unary, answer: sendUnaryData<Message>) => void) =>
    noting(method, (_call, answer) => answer(null, model.pages.get(method) ?? {}));
  const pagesOf = (names: string): Record<string, ReturnType<typeof page>> =>
    Object.fromEntries(names.split(' ').map((name) => [name, page(name)]));
  server.addService(loaded.generate.v3.TextGenerationService.service, {
    ...pagesOf('Info Health ServiceDiscovery ClearCache FilterBatch Warmup Prefill Decode'),
  });
  server.addService(loaded.inference.GRPCInferenceService.service, {
    ...pagesOf('ModelConfig ModelStatistics TraceSetting LogSettings'),
    ...pagesOf('SystemSharedMemoryStatus SystemSharedMemoryRegister SystemSharedMemoryUnregister'),
    ...pagesOf('CudaSharedMemoryStatus CudaSharedMemoryRegister CudaSharedMemoryUnregister'),
    ServerLive: noting('ServerLive', (_call, answer) => answer(null, { live: true })),
    ServerReady: noting('ServerReady', (_call, answer) => answer(null, { ready: true })),
    ModelReady: noting('ModelReady', (_call, answer) => answer(null, { ready: true })),
    ServerMetadata: noting('ServerMetadata', (_call, answer) => answer(null, { name: 'triton', version: '2' })),
    ModelMetadata: noting('ModelMetadata', (call, answer) => answer(null, { name: call.request['name'] })),
    ModelInfer: noting('ModelInfer', (call, answer) => model.infer(call, answer)),
    ModelStreamInfer: (call: ServerDuplexStream<Message, Message>) => {
      call.on('cancelled', () => model.cancelled++);
      model.stream(call);
    },
    RepositoryIndex: noting('RepositoryIndex', (_call, answer) => answer(null, { models: [] })),
    RepositoryModelLoad: noting('RepositoryModelLoad', (_call, answer) => answer(null, {})),
    RepositoryModelUnload: noting('RepositoryModelUnload', (_call, answer) => answer(null, {})),
  });
  server.addService(loaded.grpc.health.v1.Health.service, {
    Check: noting('Check', (_call, answer) => answer(null, { status: 'SERVING' })),
    List: page('List'),
    Watch: (call: grpc.ServerWritableStream<Message, Message>) => {
      call.write({ status: 'SERVING' });
      call.write({ status: 'NOT_SERVING' });
      call.end();
    },
  });
  add(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return Object.assign(model, { url: `http://127.0.0.1:${port}`, close: () => server.forceShutdown() });
}

export interface CallResult {
  readonly code: number;
  readonly details: string;
  readonly answer: Message | undefined;
  readonly metadata: Metadata;
  /** Of google.rpc.ErrorInfo, its fields as they stand there. */
  readonly info: string;
}

export interface Caller {
  readonly client: Client & Readonly<Record<string, (...args: unknown[]) => unknown>>;
  call(method: string, request: Message, options?: CallerOptions): Promise<CallResult>;
  close(): void;
}

export interface CallerOptions {
  readonly token?: string | null;
  readonly deadlineMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly compress?: boolean;
  readonly onCall?: (call: grpc.ClientUnaryCall) => void;
}

const services = {
  inference: loaded.inference.GRPCInferenceService,
  health: loaded.grpc.health.v1.Health,
  generate: loaded.generate.v3.TextGenerationService,
} as const;

/** grpc-js as a caller of the sidecar. */
export function grpcCaller(
  port: number,
  ca: string,
  token: string,
  {
    service = 'inference',
    certificate,
    plain = false,
  }: {
    readonly service?: keyof typeof services;
    readonly certificate?: { pem: string; keyPem: string };
    /** HTTP/2 without TLS. */
    readonly plain?: boolean;
  } = {},
): Caller {
  const Service = services[service];
  const secure = (): grpc.ChannelCredentials =>
    certificate === undefined
      ? grpc.credentials.createSsl(Buffer.from(ca))
      : grpc.credentials.createSsl(Buffer.from(ca), Buffer.from(certificate.keyPem), Buffer.from(certificate.pem));
  const credentials = plain ? grpc.credentials.createInsecure() : secure();
  const plainOptions = {
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    ...(plain ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  };
  const client = new Service(`127.0.0.1:${port}`, credentials, plainOptions) as unknown as Caller['client'];
  const packed = new Service(`127.0.0.1:${port}`, credentials, {
    ...plainOptions,
    'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip,
  }) as unknown as Caller['client'];
  return {
    client,
    call: (method, request, options = {}) =>
      new Promise((resolve) => {
        const metadata = metadataOf(options.token === undefined ? token : options.token, options.metadata);
        const settings = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
        const using = options.compress === true ? packed : client;
        const call = using[method]?.(
          request,
          metadata,
          settings,
          (error: grpc.ServiceError | null, answer?: Message) => {
            const trailers = error?.metadata ?? new grpc.Metadata();
            resolve({
              code: error?.code ?? 0,
              details: error?.details ?? '',
              answer,
              metadata: trailers,
              info: String(trailers.get('grpc-status-details-bin')[0] ?? ''),
            });
          },
        );
        options.onCall?.(call as grpc.ClientUnaryCall);
      }),
    close() {
      client.close();
      packed.close();
    },
  };
}

export function metadataOf(token: string | null, more: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new grpc.Metadata();
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  for (const [name, value] of Object.entries(more)) metadata.set(name, value);
  return metadata;
}

export const { status } = grpc;
