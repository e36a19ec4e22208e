import { resolve } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { ClientDuplexStream, Metadata, Server, ServerDuplexStream } from '@grpc/grpc-js';
import * as grpc from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { grpcRegistry } from '../../cmd/gen/grpc-descriptors.ts';
import type { Message } from './grpc-model.ts';

/** Server reflection as gRPC's servers answer it, and as grpcurl asks for it: a client that has no file of the service. */

const root = resolve(import.meta.dirname, '../..');
const folder = resolve(root, 'pkg/dialect/grpc/proto');
export type ReflectionVersion = 'v1' | 'v1alpha';

const services = new Map<ReflectionVersion, grpc.ServiceClientConstructor>();
const serviceOf = (version: ReflectionVersion): grpc.ServiceClientConstructor => {
  const known = services.get(version);
  if (known !== undefined) return known;
  const definition = loadSync(`reflection_${version}.proto`, { includeDirs: [folder], keepCase: true, oneofs: true });
  const loaded = grpc.loadPackageDefinition(definition) as unknown as {
    grpc: { reflection: Record<ReflectionVersion, { ServerReflection: grpc.ServiceClientConstructor }> };
  };
  const made = loaded.grpc.reflection[version].ServerReflection;
  services.set(version, made);
  return made;
};

let registry: ReturnType<typeof grpcRegistry> | undefined;

/** The file of a service of Sidegate's own descriptors. */
export function fileOf(service: string): Buffer {
  const found = (registry ??= grpcRegistry(root)).getService(service);
  if (found === undefined) throw new Error(service);
  return Buffer.from(toBinary(FileDescriptorProtoSchema, found.file.proto));
}

/** @param files what the server says of its services, by their names. */
export function addReflection(server: Server, files: Readonly<Record<string, Buffer>>): void {
  const answer = (request: Message): Message => {
    const symbol = String(request['file_containing_symbol'] ?? '');
    const file = files[symbol];
    if (request['message_request'] === 'list_services')
      return { list_services_response: { service: Object.keys(files).map((name) => ({ name })) } };
    if (file !== undefined) return { file_descriptor_response: { file_descriptor_proto: [file] } };
    return { error_response: { error_code: 5, error_message: `there is no ${symbol}` } };
  };
  for (const version of ['v1', 'v1alpha'] as const) {
    server.addService(serviceOf(version).service, {
      ServerReflectionInfo: (call: ServerDuplexStream<Message, Message>) => {
        call.on('data', (request: Message) =>
          call.write({ valid_host: '', original_request: request, ...answer(request) }),
        );
        call.on('end', () => call.end());
      },
    });
  }
}

export interface Reflected {
  readonly code: number;
  /** Of google.rpc.ErrorInfo. */
  readonly info: string;
  readonly answers: readonly Message[];
}

/** Asks one thing after the other on one call. */
export async function askReflection(
  address: string,
  ca: string,
  metadata: Metadata,
  version: ReflectionVersion,
  questions: readonly Message[],
): Promise<Reflected> {
  const Service = serviceOf(version);
  const client = new Service(address, grpc.credentials.createSsl(Buffer.from(ca)), {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.use_local_subchannel_pool': 1,
  });
  const call = (client as unknown as Record<string, (metadata: Metadata) => ClientDuplexStream<Message, Message>>)[
    'ServerReflectionInfo'
  ]?.(metadata);
  if (call === undefined) throw new Error('no such method');
  const answers: Message[] = [];
  const ended = new Promise<{ code: number; info: string }>((done) => {
    call.on('error', (error: grpc.ServiceError) =>
      done({ code: error.code, info: String(error.metadata.get('grpc-status-details-bin')[0] ?? '') }),
    );
    call.on('end', () => done({ code: 0, info: '' }));
  });
  call.on('data', (message: Message) => {
    answers.push(message);
    const next = questions[answers.length];
    if (next === undefined) call.end();
    else call.write(next);
  });
  call.write(questions[0] ?? {});
  const end = await ended;
  client.close();
  return { ...end, answers };
}

/** The package that files which a server told describe. */
export function packageOf(files: readonly Buffer[]): PackageDefinition {
  const file = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
  return loadFileDescriptorSetFromBuffer(Buffer.from(set), { keepCase: true });
}
