import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { chainName } from './record-frames.ts';
import type { AuditHead } from './messages.ts';
import type { ChainPoint } from './record-messages.ts';
import { hash } from './read-common.ts';
import { boolean, fields, integer, list, matching, maybe } from './shape.ts';
import type { Reader } from './shape.ts';
import { WireError } from './wire-error.ts';

/**
 * What the controller tells the recorder of pods, over the recorder's port for sidecars, with a client certificate of the
 * controller: `POST /v1/pods` with a {@link PodReport} (204 when it is on the disk), and `GET /v1/pods`, answered with a
 * {@link PodList}. So the recorder learns how far the record of a pod had come that it has not received, and that no more will come.
 */
export const podsPath = '/v1/pods';

export interface PodReport {
  readonly v: 1;
  /** Where chains stand, as sidecars said with their heartbeats. */
  readonly heads: readonly PodHead[];
  /** Pods that the API server does not have any more. */
  readonly gone: readonly GonePod[];
}

export interface PodHead extends ChainPoint {
  /** SPIFFE id of the pod's sidecar. */
  readonly source: string;
  readonly namespace: string;
  readonly pod: string;
  readonly chain: string;
  readonly ended?: AuditHead['ended'];
}

export interface GonePod {
  readonly source: string;
  /** When the controller saw that it was gone: its clock, epoch milliseconds. */
  readonly at: number;
}

/** Pods of which the recorder has a chain, and has not been told that they are gone. */
export interface PodList {
  readonly v: 1;
  /** SPIFFE ids. */
  readonly sources: readonly string[];
}

/** Most heads, and most pods, of one report that is taken. */
export const maxReported = 2_000;
/** And of one that is sent: recorders before `ended` take fewer values in all. */
export const mostInReport = 1_000;
/** A head has at most 1 KB. */
export const maxReportBytes = 4 * 1024 * 1024;
/** Most pods of a list; a SPIFFE id has at most 700 characters. */
const maxListed = 100_000;
export const maxListBytes = 72 * 1024 * 1024;

/** Values and names of a head and of a pod that is gone, of which a report may have as many. */
const nodesOfPod = 32;

const version = integer(1, 1) as Reader<1>;
const source = matching(/^spiffe:\/\/[A-Za-z0-9._/-]{1,690}$/);
const name = matching(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);
const time = integer(0, Number.MAX_SAFE_INTEGER);

const report = fields<PodReport>({
  v: version,
  heads: list(
    fields<PodHead>({
      source,
      namespace: name,
      pod: name,
      chain: chainName,
      sequence: integer(0, Number.MAX_SAFE_INTEGER),
      hash,
      ended: maybe(boolean),
    }),
    maxReported,
  ),
  gone: list(fields<GonePod>({ source, at: time }), maxReported),
});
const podList = fields<PodList>({ v: version, sources: list(source, maxListed) });

function read<Value>(reader: Reader<Value>, text: string, maxNodes: number): Value {
  let value: JsonValue;
  try {
    value = jsonValue(parseJson(text, { maxDepth: 4, maxNodes }));
  } catch (error) {
    if (error instanceof JsonError) throw new WireError('frame_content', 'not JSON', { cause: error });
    throw error;
  }
  return reader(value, 'body');
}

/** @throws WireError */
export const readPodReport = (text: string): PodReport => read(report, text, maxReported * nodesOfPod);

/** @throws WireError */
export const readPodList = (text: string): PodList => read(podList, text, maxListed + 8);
