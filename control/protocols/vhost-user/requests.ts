/**
 * The requests of a vhost-user front end that a net back end meets: numbers, names, and what each one carries. Data alone; read by
 * message.ts and session.ts. Source: QEMU, docs/interop/vhost-user.rst, "Front-end message types".
 */

export const Request = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  RESET_OWNER: 4,
  SET_MEM_TABLE: 5,
  SET_LOG_BASE: 6,
  SET_LOG_FD: 7,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  SET_VRING_ERR: 14,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  GET_QUEUE_NUM: 17,
  SET_VRING_ENABLE: 18,
  SEND_RARP: 19,
  NET_SET_MTU: 20,
  GET_MAX_MEM_SLOTS: 36,
  ADD_MEM_REG: 37,
  REM_MEM_REG: 38,
} as const;

export type RequestName = keyof typeof Request;

/** What a request's payload is made of; `ring-descriptor` is a u64 of ring number and the flag that no descriptor comes with it. */
export type PayloadKind =
  | 'none'
  | 'u64'
  | 'ring-descriptor'
  | 'ring-state'
  | 'ring-address'
  | 'table'
  | 'region'
  | 'log';

const PAYLOADS: Readonly<Record<RequestName, PayloadKind>> = {
  GET_FEATURES: 'none',
  SET_FEATURES: 'u64',
  SET_OWNER: 'none',
  RESET_OWNER: 'none',
  SET_MEM_TABLE: 'table',
  SET_LOG_BASE: 'log',
  SET_LOG_FD: 'none',
  SET_VRING_NUM: 'ring-state',
  SET_VRING_ADDR: 'ring-address',
  SET_VRING_BASE: 'ring-state',
  GET_VRING_BASE: 'ring-state',
  SET_VRING_KICK: 'ring-descriptor',
  SET_VRING_CALL: 'ring-descriptor',
  SET_VRING_ERR: 'ring-descriptor',
  GET_PROTOCOL_FEATURES: 'none',
  SET_PROTOCOL_FEATURES: 'u64',
  GET_QUEUE_NUM: 'none',
  SET_VRING_ENABLE: 'ring-state',
  SEND_RARP: 'u64',
  NET_SET_MTU: 'u64',
  GET_MAX_MEM_SLOTS: 'none',
  ADD_MEM_REG: 'region',
  REM_MEM_REG: 'region',
};

const NAMES: ReadonlyMap<number, RequestName> = new Map(
  Object.entries(Request).map(([name, number]) => [number, name as RequestName]),
);

/** null for a request that this back end doesn't know. */
export function requestName(request: number): RequestName | null {
  return NAMES.get(request) ?? null;
}

export function payloadKind(name: RequestName): PayloadKind {
  return PAYLOADS[name];
}
