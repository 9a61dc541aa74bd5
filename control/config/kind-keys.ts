/**
 * The keys of port kinds that a bond's members have as well. Read by document.ts and bond-schema.ts, which add what is common to ports
 * or to members.
 */
import { z } from 'zod';
import { deviceValue, groupValue, integer, QUEUES_MAX, socketValue } from './values.ts';

/** Who listens at a port's socket: weft, or the guest. */
export const SOCKET_MODES = ['server', 'client'] as const;
export const SOCKET_TYPES = ['stream', 'dgram'] as const;

/** An interface that exists already: weft neither makes nor removes it. */
export const netdevKeys = {
  kind: z.literal('netdev'),
  device: deviceValue.optional(),
  'take-over': z.boolean().optional(),
};

export const vhostUserKeys = {
  kind: z.literal('vhost-user'),
  socket: socketValue,
  mode: z.enum(SOCKET_MODES).optional(),
  group: groupValue.optional(),
  queues: integer(1, QUEUES_MAX, ' queue pairs').optional(),
};

/** `socket` is weft's own path; `remote`, of datagrams only, is the guest's. */
export const socketKeys = {
  kind: z.literal('socket'),
  socket: socketValue,
  type: z.enum(SOCKET_TYPES).optional(),
  mode: z.enum(SOCKET_MODES).optional(),
  remote: socketValue.optional(),
  group: groupValue.optional(),
};

export const memoryKeys = { kind: z.literal('memory') };
